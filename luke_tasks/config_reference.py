"""Everything a config may say, read from the registry: sections, their keys, types, defaults and descriptions.

The JSON Schema (`json_schema.py`) and the documentation's reference of the config language are made from this.
Descriptions are those of the docstrings: the text before `Args:`, and the lines of `Args:` for the keys.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from luke_tasks.errors import PluginError, join_path
from luke_tasks.experiment_config import ExperimentConfig, discover_all
from luke_tasks.registry import Registrable
from luke_tasks.schema import LISTS, OBJECTS, parameters_of, type_words
from luke_tasks.spec import Spec, owner_of

_PLAIN_TYPES = (*LISTS, *OBJECTS, tuple, str, int, float, bool, type(None))
_HEADER = re.compile(r"(Args|Raises|Returns|Yields|Attributes|Examples?|\*?Shapes?\*?):")
_ENTRY = re.compile(r"(\w+(?:, \w+)*):\s+(.*)")


@dataclass(frozen=True)
class Key:
    """A key of a section."""

    name: str
    annotation: Any  # of the constructor's parameter
    type_text: str  # in words: `a positive integer or null`
    is_required: bool
    default: Any  # a plain value, as `config.json` would hold it; None where the key is required
    description: str  # Markdown, one paragraph; empty where the docstring says nothing
    parts: tuple[type, ...]  # the classes of sections that its value holds: `(Optimizer,)` for `trainer.optimizer`


@dataclass(frozen=True)
class Section:
    """An object of the config: of a registered class, which its `type` chooses, or of a class that has no type."""

    path: str  # where it stands first: `trainer.optimizer`; `*` is an index of a list. The top level has ""
    base: type  # the registry's class (`Optimizer`), or the class itself where there is no registry
    names: tuple[str, ...]  # what `type` may say, aliases after the name; empty where there is no registry
    is_default: bool  # whether it is meant where no `type` is given
    builder: Any  # what makes it: the class, or one of its classmethods
    description: str  # Markdown: the docstring up to its `Args:`
    keys: tuple[Key, ...]  # without `type`

    @property
    def cls(self) -> type:
        """The class that it describes."""
        found: type = owner_of(self.builder)
        return found

    @property
    def kind(self) -> str:
        """`Optimizer`, say; of a section without a registry, its class's name."""
        return self.base.__name__


def reference() -> Iterator[Section]:
    """Every section, in the order in which a config is written: each before those that its keys hold.

    Classes of a user's own are among them once they are imported (`registry.import_plugins`).
    """
    discover_all()
    seen: set[type] = set()
    yield from _sections("", ExperimentConfig, seen)


def _sections(path: str, base: type, seen: set[type]) -> Iterator[Section]:
    if base in seen:
        return
    seen.add(base)
    found = list(sections_of(base, path))
    yield from found
    for section in found:
        for key in section.keys:
            for part, place in _places(key.annotation, join_path(path, key.name)):
                yield from _sections(place, part, seen)


def sections_of(base: type, path: str = "") -> Iterator[Section]:
    """Those of one class: one for each registered class, in the order of their first names, or the class's own.

    Raises:
        PluginError: a constructor has an annotation that means nothing.
    """
    if not issubclass(base, Registrable):
        yield Section(path, base, (), False, base, _description(base), _keys(base))
        return
    names: dict[Any, list[str]] = {}
    for name in base._registry:  # in the order of registration, so that aliases come last
        names.setdefault(base.registered()[name], []).append(name)
    for builder, own in sorted(names.items(), key=lambda item: item[1]):
        is_default = base.default_implementation in own
        yield Section(path, base, tuple(own), is_default, builder, _description(builder), _keys(builder))


def is_part(annotation: Any) -> bool:
    """Whether a value of this type is a section: an object described by the constructor of a class."""
    return inspect.isclass(annotation) and annotation not in _PLAIN_TYPES


def plain(value: Any) -> Any:
    """A default as `config.json` would hold it; what JSON cannot say as its `repr`."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)


def _keys(builder: Any) -> tuple[Key, ...]:
    try:
        parameters = parameters_of(builder)
    except NameError as error:
        where = f"{owner_of(builder).__module__}.{owner_of(builder).__qualname__}"
        raise PluginError(f"{where}: its constructor has an annotation that means nothing: {error}") from None
    said = {**_arguments(owner_of(builder)), **_arguments(builder)}
    return tuple(
        Key(
            name=name, annotation=annotation, type_text=words(annotation),
            is_required=default is inspect.Parameter.empty,
            default=None if default is inspect.Parameter.empty else plain(default),
            description=said.get(name, ""),
            parts=tuple(part for part, _ in _places(annotation, "")),
        )
        for name, (annotation, default) in parameters.items()
    )  # fmt: skip


def _places(annotation: Any, path: str) -> Iterator[tuple[type, str]]:
    """The classes of sections inside of a type, each with the path where it stands in a value at `path`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Annotated, Spec):
        yield from _places(arguments[0], path)
    elif origin in (Union, types.UnionType):
        for option in arguments:
            yield from _places(option, path)
    elif origin in (*LISTS, tuple, *OBJECTS):
        for inner in arguments[1:] if origin in OBJECTS else arguments:
            yield from _places(inner, f"{path}.*")
    elif is_part(annotation):
        yield annotation, path


def words(annotation: Any) -> str:
    """A type in words, with what lists hold and whether it may be null."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Spec:
        return words(arguments[0])
    if origin in (Union, types.UnionType):
        options = [option for option in arguments if option is not type(None)]
        literals = [choice for option in options if typing.get_origin(option) is Literal
                    for choice in typing.get_args(option)]  # fmt: skip
        said = [words(option) for option in options if typing.get_origin(option) is not Literal]
        said += [type_words(Literal[tuple(literals)])] if literals else []
        return " or ".join([*said, "null"] if type(None) in arguments else said)
    if origin is tuple and arguments[1:] != (...,):
        return f"a list of {len(arguments)}: [{', '.join(map(words, arguments))}]"
    if origin in (*LISTS, tuple) and arguments:
        return f"a list [...], each item {words(arguments[0])}"
    if origin in OBJECTS and arguments:
        return f"an object {{...}}, each value {words(arguments[1])}"
    if is_part(annotation):
        return f"{_article(annotation.__name__)} {annotation.__name__}"
    return type_words(annotation)


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"


# -- docstrings -----------------------------------------------------------------------------------------------------


def _own_docstring(described: Any) -> str:
    """Of a class or function, not of its base; the one that `dataclass` makes up is none."""
    text = described.__doc__ or ""
    is_made_up = inspect.isclass(described) and text.startswith(f"{described.__name__}(")
    return "" if is_made_up else inspect.cleandoc(text)


def _description(builder: Any) -> str:
    """The class's docstring up to the first of `Args:`, `Raises:` and the like."""
    kept = []
    for line in _own_docstring(owner_of(builder)).splitlines():
        if _HEADER.fullmatch(line.strip()):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def _arguments(described: Any) -> dict[str, str]:
    """Parameter → what the docstring's `Args:` say of it; one line may speak of several, with commas between."""
    found: dict[str, str] = {}
    names: list[str] = []
    is_inside = False
    for line in _own_docstring(described).splitlines():
        if not line.startswith(" ") and line:
            is_inside, names = line == "Args:", []
            continue
        entry = _ENTRY.fullmatch(line.strip()) if _indent(line) == 4 else None
        if is_inside and entry:
            names = entry[1].split(", ")
            found.update(dict.fromkeys(names, entry[2]))
        elif is_inside and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return {name: _as_json(text) for name, text in found.items()}


def _as_json(text: str) -> str:
    """Python's words for values, where they stand for a config's, as JSON has them."""
    return re.sub(r"\b(None|True|False)\b", lambda word: {"None": "null"}.get(word[1], word[1].lower()), text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def first_sentence(text: str) -> str:
    """Of a description: its first paragraph, on one line."""
    paragraph = text.partition("\n\n")[0]
    return " ".join(paragraph.split())


def undescribed(sections: Iterable[Section]) -> list[str]:
    """`Class.key` of every key about which no docstring says anything."""
    return [f"{section.cls.__name__}.{key.name}" for section in sections for key in section.keys if not key.description]
