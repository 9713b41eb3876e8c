"""The resolved config of a file, value by value, each with its source: a line of a file, an override, a default."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks import config as config_files
from luke_tasks.config_reference import plain
from luke_tasks.errors import join_path
from luke_tasks.experiment_config import ExperimentConfig, check_config
from luke_tasks.interop import upstream_config
from luke_tasks.jsonnet_origins import leaves, value_origins
from luke_tasks.registry import Registrable
from luke_tasks.schema import check
from luke_tasks.spec import Spec

_OVERRIDE = "override"
_ORIGINAL = "the default of studio-ousia/luke's examples (MIGRATING.md)"
_MISSING: Any = object()


@dataclass(frozen=True)
class Section:
    """The beginning of an object that describes an instance of a class."""

    path: str
    owner: str
    file: str


@dataclass(frozen=True)
class Value:
    """One value of the resolved config: no object, and no list unless it is a default or holds nothing."""

    path: str
    value: Any
    source: str


@dataclass(frozen=True)
class Traced:
    """A config without faults.

    `root` mirrors the config: dict, list, `Value`; `sections` are the objects that describe an instance of a class.
    """

    root: dict[str, Any]
    sections: dict[str, Section]

    def values(self) -> Iterator[Value]:
        """All values, in order."""
        yield from _values(self.root)


class _Source(str):
    """Stands in a config's place of the value whose source it is. A string, so that overrides take it for a type."""


def trace(
    path: str | Path, overrides: str = "", include_packages: Sequence[str] = (), *, allow_imports: Sequence[str] = ()
) -> Traced:
    """Read and check a config as `train` does, but for the data files, which need not be there.

    Raises:
        ConfigError: with every fault found.
        PluginError: a package of the user's own cannot be imported.
    """
    loaded = config_files.load_config(path, overrides, allow_imports=allow_imports)
    check_config(loaded.values, loaded.faults, include_packages, for_training=False)
    translation = upstream_config.translate(loaded.values)
    translation.log()
    assert translation.values is not None  # checked above
    spec, _ = check(translation.values, ExperimentConfig)
    sources = _sources(Path(path), overrides, allow_imports)
    if upstream_config.is_upstream(loaded.values):
        sources = _translated(translation, sources)
    sections: dict[str, Section] = {}
    return Traced(_traced(spec, sources, "", "", sections), sections)


def _sources(path: Path, overrides: str, allow_imports: Sequence[str]) -> Any:
    """The config with the source of each value in its place."""
    values = config_files.load_config(path, allow_imports=allow_imports).values
    origins = value_origins(path, values, allow_imports)
    sources = _mapped(values, lambda place: _Source(origins[place]))
    if not overrides.strip():
        return sources
    changes = config_files.evaluate_jsonnet("--overrides", overrides, {}, [Path.cwd().resolve()])
    return config_files.merge_overrides(sources, _mapped(changes, lambda place: _Source(_OVERRIDE)))


def _mapped(value: Any, make: Callable[[tuple[Any, ...]], _Source], place: tuple[Any, ...] = ()) -> Any:
    """`value` with `make(its path)` in place of all that holds nothing; empty objects and lists stay."""
    if isinstance(value, dict):
        return {key: _mapped(inner, make, (*place, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, make, (*place, index)) for index, inner in enumerate(value)]
    return make(place)


def _translated(translation: upstream_config.Translation, sources: Any) -> Any:
    """The same for a config of the original, whose keys stand elsewhere."""
    known = {_dotted(place): source for place, source in leaves(sources)}

    def source_of(place: tuple[Any, ...]) -> _Source:
        new = _dotted(place)
        old = translation.old_path(new)
        if old not in known:
            return _Source(_ORIGINAL)
        return _Source(known[old] if old == new else f"{known[old]}, as {old}")

    return _mapped(translation.values, source_of)


def _dotted(place: Sequence[Any]) -> str:
    path = ""
    for key in place:
        path = join_path(path, key)
    return path


def _traced(value: Any, source: Any, path: str, default: str, sections: dict[str, Section]) -> Any:
    """A checked value as `Traced.root` holds it.

    Args:
        source: what stands in its place in the tree of sources; `_MISSING` where the config says nothing.
        default: whose default it is then.
    """
    if isinstance(value, Spec):
        if source is _MISSING:  # a default that is an object: none of ours
            return Value(path, value.to_json(), default)
        return _traced_spec(value, source, path, sections)
    if isinstance(value, (list, tuple)) and value and isinstance(source, list):
        return [_traced(item, source[index], join_path(path, index), default, sections)
                for index, item in enumerate(value)]  # fmt: skip
    if isinstance(value, dict) and value and isinstance(source, dict):
        return {key: _traced(item, source[key], join_path(path, key), default, sections)
                for key, item in value.items()}  # fmt: skip
    if isinstance(source, (list, dict)):
        source = "given, and empty"
    return Value(path, plain(value), default if source is _MISSING else str(source))


def _traced_spec(spec: Spec[Any], source: Any, path: str, sections: dict[str, Section]) -> dict[str, Any]:
    file = _file_of(spec.owner)
    sections[path] = Section(path, spec.owner.__name__, file)
    given = {"type": source} if isinstance(source, str) else source  # the short form of a part
    found: dict[str, Any] = {}
    if spec.type_name is not None:
        base = next(base for base in spec.owner.__mro__ if Registrable in base.__bases__)
        of_type = given.get("type", f"default of {base.__name__} ({_file_of(base)})")
        found["type"] = Value(join_path(path, "type"), spec.type_name, str(of_type))
    for key, value in spec.values.items():
        default = f"default of {spec.owner.__name__} ({file})"
        found[key] = _traced(value, given.get(key, _MISSING), join_path(path, key), default, sections)
    return found


def _file_of(owner: type) -> str:
    """Of a class, from the working directory or from the package's own folder."""
    file = Path(inspect.getsourcefile(owner) or owner.__module__)
    for folder in (Path.cwd(), Path(__file__).parents[1]):
        if file.is_relative_to(folder):
            return str(file.relative_to(folder))
    return str(file)


def _values(node: Any) -> Iterator[Value]:
    if isinstance(node, Value):
        yield node
    else:
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _values(inner)
