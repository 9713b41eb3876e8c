"""What a config may say: constructor signatures, read as a schema. All faults are found together, each with its path.

`check(values, SomeClass)` compares plain values with the typed, keyword-only parameters of `SomeClass`, recursively,
and gives a `Spec`: the same description, completed with defaults, ready to be built. Nothing is built and no data or
weight is read here.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from luke_tasks.config import is_unset
from luke_tasks.errors import Fault, describe, join_path
from luke_tasks.registry import Check, Registrable, _Provided
from luke_tasks.spec import Spec, owner_of

_SCALARS: dict[Any, str] = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}
LISTS = (list, Sequence, Iterable)
OBJECTS = (dict, Mapping)


def check(values: Any, annotation: Any, path: str = "") -> tuple[Any, list[Fault]]:
    """Compare plain `values` with a type annotation. Gives the checked value (a `Spec` for a class) and all faults."""
    faults: list[Fault] = []
    return _check(values, annotation, path, faults), faults


# -- values ---------------------------------------------------------------------------------------------------------


def _check(value: Any, annotation: Any, path: str, faults: list[Fault]) -> Any:
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin is Annotated:
        return _check_annotated(value, arguments[0], arguments[1:], path, faults)
    if is_unset(value):
        return value
    if origin in _SCALARS:
        return _check_scalar(value, origin, path, faults)
    if origin is Literal:
        if value not in arguments:
            faults.append(_unexpected(value, type_words(annotation), path))
        return value
    if origin in (Union, types.UnionType):
        return _check_union(value, arguments, path, faults)
    if origin in (*LISTS, tuple, *OBJECTS):
        return _check_items(value, annotation, path, faults)
    if origin is Spec:
        spec = _check_part(value, arguments[0], path, faults)
        if isinstance(spec, Spec):
            spec.deferred = True
        return spec
    if annotation is Any or not inspect.isclass(annotation):
        return value
    return _check_part(value, annotation, path, faults)


def _check_annotated(value: Any, base: Any, marks: tuple[Any, ...], path: str, faults: list[Fault]) -> Any:
    """A type with conditions: a value of the wrong type, or against a condition, gets the condition's own words."""
    inner: list[Fault] = []
    checked = _check(value, base, path, inner)
    if is_unset(value) or any(fault.path != path for fault in inner):
        faults.extend(inner)
        return checked
    checks = [mark for mark in marks if isinstance(mark, Check)]
    broken = [mark for mark in checks if inner or not mark.holds(checked)]
    if broken:
        why = "" if inner else broken[0].why(checked)
        inner = [_unexpected(value, " and ".join(mark.expected for mark in checks), path, f": {why}" if why else "")]
    faults.extend(inner)
    return checked


def _check_scalar(value: Any, kind: Any, path: str, faults: list[Fault]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300:
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # Jsonnet has one kind of number: 1e3 is an integer there
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        faults.append(_unexpected(value, _SCALARS[kind], path))
    return value


def _check_union(value: Any, options: Sequence[Any], path: str, faults: list[Fault]) -> Any:
    """The first option that fits; else the faults of the only one that wants this kind of value (list, object, ...)."""
    if value is None and type(None) in options:
        return None
    options = [option for option in options if option is not type(None)]
    tried: list[tuple[Any, list[Fault]]] = []
    for option in options:
        inner: list[Fault] = []
        checked = _check(value, option, path, inner)
        if not inner:
            return checked
        tried.append((checked, inner))
    near = [one for one in tried if any(fault.path != path for fault in one[1])]  # faults inside: the kind is right
    if len(tried) == 1 or near:
        checked, inner = min(near or tried, key=lambda one: len(one[1]))
        faults.extend(inner)
        return checked
    faults.append(_unexpected(value, _any_name(options), path))
    return value


def _check_items(value: Any, annotation: Any, path: str, faults: list[Fault]) -> Any:
    """A list, a tuple (a list of fixed length), or an object of any keys."""
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in OBJECTS:
        if isinstance(value, dict):
            kind = arguments[1] if arguments else Any
            return {key: _check(item, kind, join_path(path, key), faults) for key, item in value.items()}
    elif isinstance(value, list):
        is_open = origin is not tuple or arguments[1:] == (...,) or not arguments
        kinds = [*(arguments or [Any])[:1]] * len(value) if is_open else list(arguments)
        if len(kinds) == len(value):
            items = (_check(item, kind, join_path(path, index), faults)
                     for index, (item, kind) in enumerate(zip(value, kinds, strict=True)))  # fmt: skip
            return tuple(items) if origin is tuple else list(items)
    faults.append(_unexpected(value, type_words(annotation), path))
    return value


# -- parts ----------------------------------------------------------------------------------------------------------


def _check_part(value: Any, part: Any, path: str, faults: list[Fault]) -> Any:
    """An object that describes an instance of the class `part`, or of one registered under it."""
    if not issubclass(part, Registrable):
        if not isinstance(value, dict):
            faults.append(_unexpected(value, type_words(part), path))
            return value
        return Spec(part, _check_parameters(value, part, path, faults), None)
    registered = part.registered()
    type_path = join_path(path, "type")
    if isinstance(value, str):
        value, type_path = {"type": value}, path  # AllenNLP's short form
    if not isinstance(value, dict):
        faults.append(_unexpected(value, type_words(part), path))
        return value
    type_name = value.get("type", part.default_implementation)
    if is_unset(type_name):
        return value
    if type_name not in list(registered):  # a list: the name may be any value
        faults.append(_unknown_type(type_name, part, registered, type_path, is_given="type" in value))
        return value
    builder = registered[type_name]
    options = {key: item for key, item in value.items() if key != "type"}
    return Spec(builder, _check_parameters(options, builder, path, faults, is_registered=True), type_name)


def _unknown_type(name: Any, part: type, registered: Iterable[str], path: str, is_given: bool) -> Fault:
    known = ", ".join(registered)
    if not is_given:
        return Fault(path, f"missing; expected one of {known}")
    if not isinstance(name, str):
        return _unexpected(name, f"one of {known}", path)
    near = nearest(name, registered)
    own = "" if near else "; a class of your own is brought in with --include-package"
    return Fault(path, f"no {part.__name__} is registered as {describe(name)}{near} (registered: {known}){own}")


def _check_parameters(
    value: dict[str, Any], builder: Any, path: str, faults: list[Fault], is_registered: bool = False
) -> dict[str, Any]:
    """Compare the keys of `value` with the parameters of `builder`; the checked values, defaults filled in."""
    owner = owner_of(builder)
    try:
        parameters = parameters_of(builder)
    except NameError as error:
        faults.append(Fault(path, f"the constructor of {owner.__name__} has an annotation that means nothing: {error}"))
        return {}
    of_owner = f" for {owner.__name__}" if is_registered else ""
    number_before = len(faults)
    misspelt = set()  # parameters that an unknown key seems to mean
    for key in value:
        if key not in parameters and not is_unset(key):
            near = closest(key, ["type", *parameters] if is_registered else parameters)
            misspelt.add(near)
            known = f" (known: {', '.join(parameters)})" if parameters else "; it has no options"
            faults.append(Fault(join_path(path, key), f"unknown{of_owner or ' key'}{_did_you_mean(near) or known}"))
    checked: dict[str, Any] = {}
    for name, (annotation, default) in parameters.items():
        if name in value:
            checked[name] = _check(value[name], annotation, join_path(path, name), faults)
        elif default is not inspect.Parameter.empty:
            checked[name] = default
        elif name not in misspelt:
            faults.append(Fault(join_path(path, name), f"missing{of_owner}; expected {type_words(annotation)}"))
    own_check = getattr(owner, "config_faults", None)
    if own_check is not None and len(faults) == number_before and not any(map(is_unset, checked.values())):
        faults.extend(Fault(join_path(path, key), message) for key, message in own_check(checked))
    return checked


def parameters_of(builder: Any) -> dict[str, tuple[Any, Any]]:
    """Parameter → annotation and default, for those that a config may give."""
    hints = typing.get_type_hints(builder.__init__ if inspect.isclass(builder) else builder, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(builder).parameters.items():
        annotation = hints.get(name, Any)
        is_provided = typing.get_origin(annotation) is Annotated and _Provided in typing.get_args(annotation)
        if not is_provided and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            found[name] = (annotation, parameter.default)
    return found


# -- words ----------------------------------------------------------------------------------------------------------


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is likely to be a misspelling of."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6 if len(word) > 3 else 0.5)
    return near[0] if near else None


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?` when a known word is near, else an empty string."""
    return _did_you_mean(closest(word, known))


def _did_you_mean(near: str | None) -> str:
    return f"; did you mean {near}?" if near else ""


def _unexpected(value: Any, expected: str, path: str, hint: str = "") -> Fault:
    return Fault(path, f"expected {expected}, found {describe(value)}{hint}")


def type_words(annotation: Any) -> str:
    """A type as a fault names it."""
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin is Annotated:
        checks = [mark.expected for mark in arguments[1:] if isinstance(mark, Check)]
        return " and ".join(checks) or type_words(arguments[0])
    if origin in _SCALARS:
        return _SCALARS[origin]
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(describe, arguments))
    if origin in (Union, types.UnionType):
        return _any_name(arguments)
    if origin is Spec:
        return type_words(arguments[0])
    if origin is tuple and arguments and arguments[-1] is not ...:
        return f"a list of {len(arguments)}: [{', '.join(map(type_words, arguments))}]"
    if origin in (*LISTS, tuple):
        return "a list [...]"
    if inspect.isclass(origin) and issubclass(origin, Registrable):
        return f'an object {{"type": ...}} (types: {", ".join(origin.registered())})'
    return "a value" if origin is Any else "an object {...}"


def _any_name(options: Iterable[Any]) -> str:
    """Of a union; its literals are one list of choices, whichever types they come from."""
    literals = [choice for option in options if typing.get_origin(option) is Literal
                for choice in typing.get_args(option)]  # fmt: skip
    others = [type_words(option) for option in options
              if typing.get_origin(option) is not Literal and option is not type(None)]  # fmt: skip
    return " or ".join([*others, type_words(Literal[tuple(literals)])] if literals else others)
