"""A part as a valid config describes it: between the checking of a config (`schema.py`) and the building of objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class Spec(Generic[T]):
    """A part as a valid config describes it; `build` makes it once what the program provides is there.

    As an annotation, `Spec[Head]` says that the part is described now and built later, by whoever holds the spec; a
    plain `Head` is built together with its owner.
    """

    builder: Callable[..., T]
    values: dict[str, Any]  # parameter → plain value, Spec, or list/dict of them
    type_name: str | None  # the registered name, None for a class that is not chosen by name
    deferred: bool = False

    @property
    def owner(self) -> Any:
        """The class that is described."""
        return owner_of(self.builder)

    def build(self, **provided: Any) -> T:
        """Construct the part from its values and what the program provides (only what it asks for is passed)."""
        parameters = inspect.signature(self.builder).parameters
        passed = {key: value for key, value in provided.items() if key in parameters}
        return self.builder(**{key: _built(value) for key, value in self.values.items()}, **passed)

    def to_json(self) -> dict[str, Any]:
        """The description as plain values, defaults filled in."""
        described = {key: _plain(value) for key, value in self.values.items()}
        return {"type": self.type_name, **described} if self.type_name else described


def owner_of(builder: Any) -> Any:
    """The class that `builder`, itself or one of its classmethods, makes."""
    return builder if inspect.isclass(builder) else builder.__self__


def _built(value: Any) -> Any:
    if isinstance(value, Spec):
        return value if value.deferred else value.build()
    if isinstance(value, (list, tuple)):
        return type(value)(_built(item) for item in value)
    return {key: _built(item) for key, item in value.items()} if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
