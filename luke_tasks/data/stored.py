"""Dataclasses as rows of a file, and back: what the cache of features keeps of examples and features.

A row is a text, JSON that says what the object is made of, and the bytes of its arrays. No pickle: reading a row
imports nothing and runs no code of the classes, whose objects get their fields and nothing else.

In the JSON, a list, a string, a number, true, false and null stand for themselves. Anything else is an object of one
key: `c` a dataclass or named tuple `[class, field, ...]`, `t` a tuple, `d` a dictionary as pairs, `a` an array
`[type, type of its bytes, shape]`, `s` a number of numpy's as such an array, `o` an array of objects `[shape, items]`,
`e` an example by its row.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from luke_tasks.errors import LukeTasksError

_PLAIN = frozenset((str, int, float, bool, type(None)))
_NUMERIC = "biufcUSmM"  # kinds of arrays that are kept as bytes
_NARROWER = (np.int8, np.int16, np.int32)  # what int64 is kept as where it fits


class UnstorableError(LukeTasksError):
    """An object has a part that a row cannot hold."""


class StoredClass(NamedTuple):
    """A dataclass or named tuple by name, and its fields."""

    module: str
    name: str  # qualified
    fields: list[str]

    @classmethod
    def of(cls, kind: type) -> StoredClass:
        """Raises UnstorableError when it could not be found again by its name, or not be made without its code."""
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)  # type: ignore[attr-defined]
        found = cls(kind.__module__, kind.__qualname__, names)
        if found.resolve() is not kind:
            raise UnstorableError(f"{_full_name(kind)} is not defined at the top of a module, so it could not be found "
                                  "again")  # fmt: skip
        try:
            _made(kind, names, [None] * len(names))
        except TypeError as error:
            raise UnstorableError(f"{_full_name(kind)} cannot be made from its fields alone: {error}") from None
        return found

    def resolve(self) -> type | None:
        """The class, where its module is loaded and has it with these fields; nothing is imported."""
        found: Any = sys.modules.get(self.module)
        for part in self.name.split("."):
            found = vars(found).get(part) if isinstance(getattr(found, "__dict__", None), Mapping) else None
        if not isinstance(found, type):
            return None
        if is_dataclass(found):
            return found if [field.name for field in fields(found)] == self.fields else None
        return found if _is_named_tuple(found) and list(found._fields) == self.fields else None  # type: ignore[attr-defined]


class RowWriter:
    """Makes rows of objects; `classes` grows with what they are made of, and belongs to the rows."""

    def __init__(self) -> None:
        self.classes: list[StoredClass] = []
        self._numbers: dict[type, int] = {}  # class → place in `classes`
        self._bytes: list[bytes] = []
        self._examples: Mapping[int, int] = {}

    def row(self, value: Any, examples: Mapping[int, int] | None = None) -> tuple[bytes, bytes]:
        """The text and the bytes of one object.

        Args:
            examples: identity of an example that has a row of its own → that row.
        Raises:
            UnstorableError: naming the class and the field.
        """
        self._bytes, self._examples = [], examples or {}
        try:
            text = json.dumps(self._node(value, type(value).__name__), ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            raise UnstorableError(f"{_full_name(type(value))} contains itself") from None
        return text.encode("utf-8", "surrogatepass"), b"".join(self._bytes)

    def _node(self, value: Any, where: str) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if id(value) in self._examples:
            return {"e": self._examples[id(value)]}
        if kind is list:
            return value if set(map(type, value)) <= _PLAIN else self._nodes(value, where)
        if kind is np.ndarray:
            return self._array(value, where)
        if kind is tuple:
            return {"t": self._nodes(value, where)}
        if kind is dict:
            return {"d": [self._nodes(pair, where) for pair in value.items()]}
        if is_dataclass(kind) or _is_named_tuple(kind):
            return {"c": self._fields(value, kind)}
        if isinstance(value, np.generic) and value.dtype.kind in _NUMERIC:
            return {"s": self._array(np.asarray(value), where)["a"]}
        raise UnstorableError(f"{where} is of the type {_full_name(kind)}, which cannot be stored; what can: "
                              "dataclasses and named tuples of str, int, float, bool, None, list, tuple, dict and "
                              "numpy arrays")  # fmt: skip

    def _nodes(self, values: Sequence[Any], where: str) -> list[Any]:
        return [self._node(value, where) for value in values]

    def _fields(self, value: Any, kind: type) -> list[Any]:
        if kind not in self._numbers:
            self.classes.append(StoredClass.of(kind))
            self._numbers[kind] = len(self.classes) - 1
        number = self._numbers[kind]
        names = self.classes[number].fields
        more = set(getattr(value, "__dict__", ())).difference(names)
        more = {name for name in more if not isinstance(getattr(kind, name, None), cached_property)}
        missing = [name for name in names if not hasattr(value, name)]
        if more or missing:
            what = f"{min(more)}, which is no field" if more else f"no {missing[0]}, which is a field"
            raise UnstorableError(f"{_full_name(kind)}: one of its objects has {what}")
        return [number, *(self._node(getattr(value, name), f"{_full_name(kind)}.{name}") for name in names)]

    def _array(self, array: np.ndarray[Any, Any], where: str) -> dict[str, Any]:
        if array.dtype.kind == "O":
            return {"o": [list(array.shape), self._nodes(array.ravel().tolist(), where)]}
        if array.dtype.kind not in _NUMERIC:
            raise UnstorableError(f"{where} is an array of {array.dtype}, which cannot be stored")
        kept = _narrowed(array)
        self._bytes.append(kept.tobytes())
        return {"a": [array.dtype.str, kept.dtype.str, list(array.shape)]}


class RowReader:
    """Makes objects of rows again.

    Args:
        classes: of the `RowWriter`.
        example: gives the example of a row.
    Raises:
        ValueError: a class is not there any more, or has other fields.
    """

    def __init__(self, classes: Sequence[StoredClass], example: Callable[[int], Any]) -> None:
        self._classes: list[tuple[type, list[str]]] = []
        for stored in classes:
            found = stored.resolve()
            if found is None:
                raise ValueError(f"no class {stored.module}.{stored.name} with the fields {', '.join(stored.fields)}")
            self._classes.append((found, stored.fields))
        self._example = example
        self._bytes = memoryview(b"")

    def object(self, text: bytes, numbers: bytes) -> Any:
        """The object of a row. Raises ValueError, TypeError, KeyError, IndexError or RecursionError on damaged ones."""
        self._bytes = memoryview(numbers)
        made = json.loads(text.decode("utf-8", "surrogatepass"), object_hook=self._value)
        if self._bytes:
            raise ValueError(f"{len(self._bytes)} bytes belong to no array")
        return made

    def _value(self, node: dict[str, Any]) -> Any:
        """Called for the innermost objects first, so in the order in which the arrays' bytes were written."""
        ((tag, content),) = node.items()
        if tag == "a":
            return self._array(*content)
        if tag == "c":
            kind, names = self._classes[content[0]]
            return _made(kind, names, content[1:])
        if tag == "t":
            return tuple(content)
        if tag == "e":
            return self._example(content)
        if tag == "o":
            shape, items = content
            array = np.empty(len(items), dtype=object)
            for place, item in enumerate(items):  # not array[:] = items, which takes lists apart
                array[place] = item
            return array.reshape(shape)
        if tag == "d":
            return {key: value for key, value in content}
        if tag == "s":
            return self._array(*content)[()]
        raise ValueError(f"unknown kind of value {tag!r}")

    def _array(self, dtype: str, kept_as: str, shape: list[int]) -> np.ndarray[Any, Any]:
        kept = np.dtype(kept_as)
        size = math.prod(shape) * kept.itemsize
        if any(length < 0 for length in shape) or size > len(self._bytes):
            raise ValueError(f"an array of the shape {shape} needs {size} bytes of {len(self._bytes)}")
        own, self._bytes = self._bytes[:size], self._bytes[size:]
        return np.frombuffer(own, dtype=kept).reshape(shape).astype(dtype)  # a copy, which may be written to


def _made(kind: type, names: Sequence[str], values: Sequence[Any]) -> Any:
    """An object with these fields, without a call of its class's own code."""
    if len(names) != len(values):
        raise ValueError(f"{kind.__name__} has {len(names)} fields, the row {len(values)}")
    if issubclass(kind, tuple):
        return tuple.__new__(kind, values)
    made = object.__new__(kind)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _narrowed(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array`, of fewer bytes where it is of int64 and its numbers allow."""
    if array.dtype != np.int64 or not array.size:
        return array
    least, most = array.min(), array.max()
    for kind in _NARROWER:
        limits = np.iinfo(kind)
        if limits.min <= least and most <= limits.max:
            return array.astype(kind)
    return array


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
