"""Objects as rows and back: equal in every part, or refused with a name; and nothing runs while a row is read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luke_tasks.data.stored import RowReader, RowWriter, StoredClass, UnstorableError
from tests.same import same


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any = 0


@dataclass(frozen=True, slots=True)
class Slotted:
    """A frozen dataclass without a `__dict__`."""

    value: Any


@dataclass
class Noisy:
    """Notes each call of its own code."""

    value: Any
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        CALLS["made"] += 1

    @cached_property
    def twice(self) -> Any:
        return self.value * 2


CALLS: Counter[str] = Counter()


def there_and_back(value: Any) -> Any:
    writer = RowWriter()
    row = writer.row(value)
    classes = [StoredClass(*stored) for stored in json.loads(json.dumps(writer.classes))]
    return RowReader(classes, lambda row: None).object(*row)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.text("aé日\ud800")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(scalars, inner, max_size=3)
    | st.builds(Pair, inner, inner) | st.builds(Slotted, inner) | st.builds(Noisy, inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(values)
def test_values(value: Any) -> None:
    assert same(there_and_back(value), value)


ARRAYS = [
    np.arange(6), np.arange(6).reshape(2, 3), np.array([2**40, -1]), np.array([300, -300]), np.zeros((0, 2), np.int64),
    np.array(7), np.array([1.5, np.nan], np.float32), np.array([True, False]), np.array(["a", "日本"]),
    np.array(["O", "LOC", None, [1, 2], (3, 4)], dtype=object), np.empty((0,), dtype=object),
    np.array([[1, 2], [3, 4]], dtype=object), np.arange(3, dtype=">i4"), np.array([5], np.uint8), np.arange(9)[::-2],
    np.int64(5), np.float32(0.5), np.bool_(True),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_arrays(array: Any) -> None:
    assert same(there_and_back({"in": [array, (array, np.arange(2))]}), {"in": [array, (array, np.arange(2))]})


def test_arrays_may_be_written_to() -> None:
    found = there_and_back(np.arange(3))
    found[0] = 9
    assert found.tolist() == [9, 1, 2]


def test_small_numbers_take_one_byte() -> None:
    text, numbers = RowWriter().row(np.array([1, 100]))
    assert (json.loads(text), numbers) == ({"a": ["<i8", "|i1", [2]]}, b"\x01\x64")


def test_no_code_of_a_class_runs() -> None:
    noisy = Noisy(3)
    assert noisy.twice == 6  # kept in the object from now on, and made again after
    made = CALLS["made"]
    found = there_and_back(noisy)
    assert CALLS["made"] == made
    assert (found.value, found.twice) == (3, 6)


def test_examples_by_reference() -> None:
    example = {"text": "a"}  # whatever a reader makes of its data
    row = RowWriter().row([example, {"text": "a"}], {id(example): 41})
    assert json.loads(row[0]) == [{"e": 41}, {"d": [["text", "a"]]}]
    assert RowReader([], lambda row: f"example {row}").object(*row) == ["example 41", {"text": "a"}]


class Plain:
    """No dataclass."""


@dataclass
class Holder:
    """Anything."""

    content: Any


class Text(str):
    """A string that is more than one."""


UNSTORABLE = [
    (
        Holder({1}),
        "tests.data.test_stored.Holder.content is of the type builtins.set, which cannot be stored; what can",
    ),
    (Holder([Plain()]), "Holder.content is of the type tests.data.test_stored.Plain"),
    (Holder(b"a"), "Holder.content is of the type builtins.bytes"),
    (Holder(Text("a")), "Holder.content is of the type tests.data.test_stored.Text"),
    (Holder(np.zeros(1, dtype=[("a", "i4")])), "Holder.content is an array of [('a', '<i4')]"),
]


@pytest.mark.parametrize(("value", "message"), UNSTORABLE, ids=lambda value: str(value)[:20])
def test_what_cannot_be_stored(value: Any, message: str) -> None:
    with pytest.raises(UnstorableError) as error:
        RowWriter().row(value)
    assert message in str(error.value)


def test_objects_that_are_not_their_fields() -> None:
    more, less = Holder(1), Holder(1)
    more.seen = True  # type: ignore[attr-defined]
    del less.content
    for value, message in ((more, "has seen, which is no field"), (less, "has no content, which is a field")):
        with pytest.raises(UnstorableError, match=f"Holder: one of its objects {message}"):
            RowWriter().row(value)


def test_classes_that_could_not_be_found() -> None:
    @dataclass
    class Local:
        value: int

    with pytest.raises(UnstorableError, match="Local is not defined at the top of a module"):
        RowWriter().row(Local(1))


def test_an_object_that_contains_itself() -> None:
    holder = Holder(None)
    holder.content = [holder]
    with pytest.raises(UnstorableError, match="Holder contains itself"):
        RowWriter().row(holder)


@pytest.mark.parametrize(
    "stored",
    [
        ("no_such_module", "Holder", ["content"]), (__name__, "Holder", ["other"]), (__name__, "Plain", []),
        ("os", "system", []), ("antigravity", "fly", []), (__name__, "no_such_name", []), (__name__, "CALLS.x", []),
        ("subprocess", "Popen", []),
    ],
)  # fmt: skip
def test_only_known_dataclasses_are_made(stored: tuple[str, str, list[str]]) -> None:
    import sys

    with pytest.raises(ValueError, match=f"no class {stored[0]}"):
        RowReader([StoredClass(*stored)], lambda row: None)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "row",
    [
        (b"{", b""), (b'{"x":1}', b""), (b'{"a":["<i8","|i1",[3]]}', b"\1"), (b'{"a":["O","O",[1]]}', b"12345678"),
        (b'{"c":[0,1,2]}', b""), (b'{"c":[5]}', b""), (b'{"a":1}', b""), (b"{}", b""),
        (b'{"a":["<i8","<i8",[-1]]}', b""), (b"1", b"1"),
        (b"\xff", b""), (b"[" * 100_000, b""), (b'{"o":[[2],[1]]}', b""), (b'{"d":[[[],1]]}', b""),
        (b'{"c":["0"]}', b""), (b'{"t":1}', b""), (b'{"a":["<i8","zz",[1]]}', b""),
    ],
)  # fmt: skip
def test_damaged_rows(row: tuple[bytes, bytes]) -> None:
    reader = RowReader([StoredClass(__name__, "Holder", ["content"])], lambda row: None)
    with pytest.raises((ValueError, TypeError, KeyError, IndexError, RecursionError)):
        reader.object(*row)
