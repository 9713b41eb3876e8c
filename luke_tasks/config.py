"""From a Jsonnet file, the environment and `--overrides` to plain values. What the values mean is `schema.py`'s.

Every environment variable is an external variable of the Jsonnet program (`std.extVar("NAME")`). One that is not set
does not stop the reading: it is noted, and a marker takes its place, so that it can be reported together with all
other faults, at the dotted path where its value was wanted.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from luke_tasks import jsonnet
from luke_tasks.errors import ConfigError, Fault, describe, join_path
from luke_tasks.jsonnet import JsonnetError
from luke_tasks.untrusted import is_text, parse_json

_UNDEFINED = re.compile(r"undefined external variable: (.+)\n")
_PLACE = r"(.+?):\(?(\d+:\d+)[-(:)\d]*"  # file, line:column of a place as Jsonnet writes it, perhaps with an end
_STATIC_ERROR = re.compile(rf"STATIC ERROR: {_PLACE}: (.*)", re.DOTALL)
_TRACE_LINE = re.compile(rf"^\t(?!std\.jsonnet:){_PLACE}\t", re.MULTILINE)
_UNSET_MARKER = re.compile("\ue000(.+?)\ue001")  # private-use characters around the name
_OVERRIDES = "--overrides"
_CONFIG_ENDINGS = (".jsonnet", ".json", ".libsonnet")
_MOST_UNSET = 50  # variables: each takes an evaluation to be found


@dataclass
class LoadedConfig:
    """A config as plain values, and the faults met while reading it."""

    values: dict[str, Any]
    faults: list[Fault] = field(default_factory=list)


def load_config(path: str | Path, overrides: str = "", *, allow_imports: Iterable[str | Path] = ()) -> LoadedConfig:
    """Evaluate the Jsonnet file `path`, lay `overrides` over it, and note every environment variable that is not set.

    Args:
        overrides: JSON or Jsonnet, an object with nested or dotted keys (`{"trainer.optimizer.lr": 1e-5}`); numbers
            in a dotted key are list indices; a key may name several, with commas between.
        allow_imports: folders that the file may import from, besides those of `jsonnet.import_folders`.
    Raises:
        ConfigError: the file cannot be read, or it or `overrides` is no valid Jsonnet, or not an object.
    """
    unset: dict[str, str] = {}
    read: list[dict[str, Any]] = []
    faults: list[Fault] = []
    folders = jsonnet.import_folders(Path(path), allow_imports)
    programs = ((str(path), read_text(Path(path)), folders), (_OVERRIDES, overrides.strip(), _override_folders()))
    for name, text, allowed in programs:
        try:
            read.append(evaluate_jsonnet(name, text, unset, allowed) if text or name != _OVERRIDES else {})
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError([*_unset_faults({}, unset), *faults])
    values = _with_overrides(read[0], read[1], faults)
    return LoadedConfig(values, [*_unset_faults(values, unset), *faults])


def apply_overrides(values: dict[str, Any], overrides: str) -> dict[str, Any]:
    """Lay `overrides` (JSON or Jsonnet) over plain values. Raises ConfigError when they are no valid object."""
    unset: dict[str, str] = {}
    changes = evaluate_jsonnet(_OVERRIDES, overrides, unset, _override_folders())
    return merge_overrides(values, changes, _unset_faults(changes, unset))


def merge_overrides(
    values: dict[str, Any], changes: dict[str, Any], known_faults: Sequence[Fault] = ()
) -> dict[str, Any]:
    """The same for overrides that are plain values already. Raises ConfigError, `known_faults` coming first."""
    faults = list(known_faults)
    result = _with_overrides(values, changes, faults)
    if faults:
        raise ConfigError(faults)
    return result


def _override_folders() -> list[Path]:
    """Where `--overrides`, which the user types, may import from."""
    return [Path.cwd().resolve()]


def is_unset(value: Any) -> bool:
    """Whether `value` stands for an environment variable that is not set (already among the faults)."""
    return isinstance(value, str) and _UNSET_MARKER.search(value) is not None


def read_text(path: Path) -> str:
    if path.is_dir():
        raise ConfigError([Fault(str(path), "is a directory; expected a Jsonnet or JSON file")])
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([Fault(str(path), "no such file; expected a Jsonnet or JSON file")]) from None
    except OSError as error:
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}")]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file in UTF-8"
        raise ConfigError([Fault(f"{path}:{line}", wrong)]) from None


# -- Jsonnet --------------------------------------------------------------------------------------------------------


def evaluate_jsonnet(name: str, text: str, unset: dict[str, str], folders: Sequence[Path]) -> dict[str, Any]:
    """Evaluate Jsonnet; variables that are not set are added to `unset` (name → file:line) and marked in the result.

    Args:
        folders: what it imports must lie in one of them.
    Raises:
        ConfigError: it is no valid Jsonnet, or not an object.
    """
    try:
        values = _run(name, text, unset, _marker, folders)
    except JsonnetError as error:
        if not unset:
            raise ConfigError([_jsonnet_fault(name, str(error))]) from None
        values = _run_with_numbers(name, text, unset, folders)
    if not isinstance(values, dict):
        raise ConfigError([Fault(name, f"expected an object {{...}}, found {describe(values)}")])
    return values


def _run(name: str, text: str, unset: dict[str, str], stand_in: Callable[[str], str], folders: Sequence[Path]) -> Any:
    """The plain values of a Jsonnet program; `stand_in(variable)` is the value of a variable that is not set."""
    if "\0" in text:
        raise ConfigError([Fault(name, "holds a NUL character; expected a text file")])
    if not is_text(text):
        raise ConfigError([Fault(name, "holds bytes that are not UTF-8; write it in UTF-8")])
    environment = {key: value.encode("utf-8", "replace").decode() for key, value in os.environ.items()}
    while True:
        try:
            variables = {**environment, **{variable: stand_in(variable) for variable in unset}}
            return parse_json(jsonnet.evaluate(name, text, variables, folders))
        except JsonnetError as error:
            missing = _UNDEFINED.search(str(error))
            if missing is None or missing[1] in unset or len(unset) == _MOST_UNSET:
                raise
            unset[missing[1]] = _traced(str(error)) or name


def _run_with_numbers(name: str, text: str, unset: dict[str, str], folders: Sequence[Path]) -> Any:
    """For a program that stops at a marker, as `std.parseInt(std.extVar("SEED"))` does.

    Numbers stand in for the variables instead, and what changes with a number is marked afterwards.
    """
    try:
        values = _run(name, text, unset, lambda variable: "2", folders)
        for changed in list(unset):
            other = _run(name, text, unset, partial(_two_or_three, changed), folders)
            values = _mark_differences(values, other, _marker(changed))
    except JsonnetError:  # perhaps because of the number: what else is wrong shows once the variables are set
        raise ConfigError(_unset_faults({}, unset)) from None
    return values


def _two_or_three(changed: str, variable: str) -> str:
    return "3" if variable == changed else "2"


def _mark_differences(values: Any, other: Any, marker: str) -> Any:
    if values == other or is_unset(values):
        return values
    if isinstance(values, dict) and isinstance(other, dict) and values.keys() == other.keys():
        return {key: _mark_differences(value, other[key], marker) for key, value in values.items()}
    if isinstance(values, list) and isinstance(other, list) and len(values) == len(other):
        return [_mark_differences(value, item, marker) for value, item in zip(values, other, strict=True)]
    return marker


def _marker(variable: str) -> str:
    return f"\ue000{variable}\ue001"


def _unset_faults(values: dict[str, Any], unset: dict[str, str]) -> list[Fault]:
    """One for each variable, at the first place in `values` that wants it, or else where the program asks for it."""
    places: dict[str, list[str]] = {}
    for path, text in _strings(values):
        for variable in _UNSET_MARKER.findall(text):
            places.setdefault(variable, []).append(path)
    faults = []
    for variable, asked_at in unset.items():
        first, *others = places.get(variable, [asked_at])
        details = [f"asked for at {asked_at}"] if variable in places else []
        details += [f"also for {', '.join(others)}"] if others else []
        shown = f" ({', '.join(details)})" if details else ""
        faults.append(Fault(first, f"environment variable {variable} is not set{shown}; "
                                   f"set it: export {variable}=..."))  # fmt: skip
    return faults


def _strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in `value`, with its dotted path."""
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _strings(inner, join_path(path, key))


def _jsonnet_fault(name: str, message: str) -> Fault:
    """`file:line:column: what is wrong`, from Jsonnet's own message."""
    static = _STATIC_ERROR.match(message)
    if static is not None:
        file, position, what = static.groups()
        hint = ""
        if file == _OVERRIDES:
            hint = """; write it like '{"trainer.num_epochs": 1}'"""
        elif file == name and not file.endswith(_CONFIG_ENDINGS):
            hint = f"; if this is data, `luke-tasks init --train {shlex.quote(file)}` writes a config for it"
        return Fault(f"{os.path.normpath(file)}:{position}", f"not valid Jsonnet: {what.strip().rstrip('.')}{hint}")
    what = message.removeprefix("RUNTIME ERROR: ").partition("\n\t")[0].strip().rstrip(".")
    return Fault(_traced(message) or name, f"Jsonnet error: {what}")


def _traced(message: str) -> str | None:
    """`file:line:column` of the innermost place in Jsonnet's trace that is not in its own library."""
    found = _TRACE_LINE.search(message)
    return f"{os.path.normpath(found[1])}:{found[2]}" if found else None


# -- overrides ------------------------------------------------------------------------------------------------------


def _with_overrides(values: dict[str, Any], overrides: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """`values` with `overrides` laid over: objects are merged, anything else replaces what was there."""
    result = dict(values)
    for path, value in _each_path(overrides):
        _override(result, path, value, "", faults)
    return result


def _each_path(overrides: dict[str, Any]) -> Iterator[tuple[list[str], Any]]:
    """The paths that an object of overrides sets; a key may name several, with commas between."""
    for keys, value in overrides.items():
        for key in keys.split(","):
            yield key.strip().split("."), value


def _override(target: Any, keys: list[str], value: Any, path: str, faults: list[Fault]) -> None:
    """Set `target[keys[0]][keys[1]]... = value`, copying what it changes; `target` itself is the caller's copy."""
    key, rest = keys[0], keys[1:]
    here = join_path(path, key)
    index: Any = key
    if isinstance(target, list):
        if not (key.isdecimal() and int(key) < len(target)):
            faults.append(
                Fault(here, f"{_OVERRIDES} names item {key} of a list that has {len(target)} (counted from 0)")
            )
            return
        index = int(key)
    old = target[index] if isinstance(target, list) else target.get(index)
    if isinstance(old, str):
        old = {"type": old}  # the short form of a part: `"optimizer": "adamw"`
    new = list(old) if isinstance(old, list) else dict(old) if isinstance(old, dict) else {}
    if rest:
        _override(new, rest, value, here, faults)
    elif isinstance(value, dict) and isinstance(old, dict):
        for inner, inner_value in _each_path(value):
            _override(new, inner, inner_value, here, faults)
    else:
        new = value
    target[index] = new
