"""The config language as a JSON Schema (draft 2020-12), for editors: made from the constructors that configs describe.

It agrees with `schema.check` on which keys there are, which must be there, and what kind of value each takes. What only
code can say is left to `train` and `check`: conditions between keys (`config_faults`), regular expressions, names of
encodings, files that must be there, and configs in the old form of studio-ousia/luke's `examples`.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, Union
from urllib.parse import quote

from luke_tasks import __version__
from luke_tasks.config_reference import Section, first_sentence, is_part, sections_of
from luke_tasks.errors import describe
from luke_tasks.experiment_config import ExperimentConfig, discover_all
from luke_tasks.registry import Check, Registrable
from luke_tasks.schema import LISTS, OBJECTS
from luke_tasks.spec import Spec

Schema = dict[str, Any]
_SCALARS: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_NULL: Schema = {"type": "null"}


def config_schema() -> Schema:
    """The schema of a whole config, with every class that is registered now.

    Raises:
        PluginError: the constructor of a user's class has an annotation that means nothing.
    """
    discover_all()
    definitions = _Definitions()
    top = definitions.of_class(ExperimentConfig)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of luke-tasks",
        "description": f"Written by `luke-tasks schema`, version {__version__}.",
        **top,
        "$defs": dict(sorted(definitions.found.items())),
    }


class _Definitions:
    """What stands in `$defs`: one for each class that a config can describe, found from the top down."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}
        self._names: dict[type, str] = {}

    def of_class(self, part: type) -> Schema:
        """A reference to the definition of what describes an instance of `part`."""
        if part not in self._names:
            taken = self._names.values()
            name = part.__name__ if part.__name__ not in taken else f"{part.__module__}.{part.__qualname__}"
            self._names[part] = name
            self.found[name] = {}  # a class may hold others of its kind
            sections = list(sections_of(part))
            is_chosen = issubclass(part, Registrable)
            self.found[name] = self._choice(part, name, sections) if is_chosen else self._object(sections[0])
        return _reference(self._names[part])

    def of(self, annotation: Any) -> Schema:
        """What `schema.check` demands of a value of this type."""
        origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
        if origin is Annotated:
            checks = [mark for mark in arguments[1:] if isinstance(mark, Check)]
            result = self.of(arguments[0])
            for check in checks:
                clash = result.keys() & check.schema.keys()
                result = {"allOf": [result, dict(check.schema)]} if clash else {**result, **check.schema}
            return result
        if origin is Spec:
            return self.of(arguments[0])
        if origin in _SCALARS:
            return {"type": _SCALARS[origin]}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return self._union(arguments)
        if origin is tuple and arguments and arguments[1:] != (...,):
            items = [self.of(item) for item in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if origin in (*LISTS, tuple):
            return {"type": "array", **({"items": self.of(arguments[0])} if arguments else {})}
        if origin in OBJECTS:
            return {"type": "object", **({"additionalProperties": self.of(arguments[1])} if arguments else {})}
        return self.of_class(origin) if is_part(origin) else {}

    def _union(self, options: tuple[Any, ...]) -> Schema:
        """Any of several types; null and lists of choices are put together where that reads better in an editor."""
        literals = [choice for option in options if typing.get_origin(option) is Literal
                    for choice in typing.get_args(option)]  # fmt: skip
        is_nullable = type(None) in options
        found = [self.of(option) for option in options
                 if option is not type(None) and typing.get_origin(option) is not Literal]  # fmt: skip
        if literals:
            found.append({"enum": [*literals, None] if is_nullable else literals})
        elif is_nullable and len(found) == 1 and isinstance(found[0].get("type"), str):
            return {**found[0], "type": [found[0]["type"], "null"]}
        elif is_nullable:
            found.append(_NULL)
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _object(self, section: Section) -> Schema:
        """An object with the keys of one class, and no others."""
        properties: Schema = {}
        if section.names:
            properties["type"] = {"enum": list(section.names)}
        for key in section.keys:
            default = "required" if key.is_required else f"default {describe(key.default)}"
            said = (
                f"{key.description}\n\n{key.type_text}; {default}" if key.description else f"{key.type_text}; {default}"
            )
            properties[key.name] = {**self.of(key.annotation), "description": said}
            if not key.is_required:
                properties[key.name]["default"] = key.default
        required = [key.name for key in section.keys if key.is_required]
        return {
            **({"description": section.description} if section.description else {}),
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _choice(self, part: type[Registrable], name: str, sections: list[Section]) -> Schema:
        """An object whose `type` says which class it describes, or that name alone where the class needs no keys."""
        branches = []
        for section in sections:
            own = f"{name}.{section.names[0]}"
            self.found[own] = self._object(section)
            named = {"properties": {"type": {"enum": list(section.names)}}, "required": ["type"]}
            branches.append({"if": named, "then": _reference(own)})
            if section.is_default:
                branches.append({"if": {"not": {"required": ["type"]}}, "then": _reference(own)})
        short = [alias for section in sections if not any(key.is_required for key in section.keys)
                 for alias in section.names]  # fmt: skip
        types = [alias for section in sections for alias in section.names]
        default = part.default_implementation
        of_type = {"enum": types, "description": "which one" + (f'; default "{default}"' if default else "")}
        as_object: Schema = {
            "properties": {"type": of_type},
            **({} if default else {"required": ["type"]}),
            "allOf": branches,
        }
        about = first_sentence(part.__doc__ or "")
        if not short:
            return {"description": about, "type": "object", **as_object}
        return {
            "description": about,
            "type": ["object", "string"],
            "if": {"type": "string"},
            "then": {"enum": short},
            "else": as_object,
        }


def _reference(name: str) -> Schema:
    pointer = quote(name.replace("~", "~0").replace("/", "~1"), safe="~.+")
    return {"$ref": f"#/$defs/{pointer}"}
