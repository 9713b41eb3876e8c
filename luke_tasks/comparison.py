"""What two configs, runs, archives or weights files have in common, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.errors import ArchiveError, CheckpointError, LukeTasksError, join_path
from luke_tasks.training import archive
from luke_tasks.untrusted import parse_json, reported

ABSENT: Any = object()  # where one side has no such key
_CONFIG_ENDINGS = (".jsonnet", ".json", ".libsonnet")


@dataclass(frozen=True)
class Side:
    """One of the two: what there is of it."""

    name: str
    config: dict[str, Any] | None = None  # resolved
    metrics: dict[str, Any] | None = None
    weights: Path | None = None  # safetensors


@dataclass(frozen=True)
class TensorDifference:
    """A tensor that both sides have, in one shape, with other numbers."""

    name: str
    shape: tuple[int, ...]
    largest: float  # of the absolute differences
    relative: float  # norm of the difference over the norm of the first; inf where that is 0


@dataclass(frozen=True)
class WeightsDifference:
    """Of two sets of tensors."""

    same: int
    changed: list[TensorDifference]  # the largest relative difference first
    shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]]  # name, shape in the first, in the second
    removed: list[str]  # only in the first
    added: list[str]  # only in the second


@contextmanager
def opened(name: str, include_packages: Sequence[str], allow_imports: Sequence[str]) -> Iterator[Side]:
    """What the user named: a config file, a run's directory, a `model.tar.gz`, or weights (`.safetensors`).

    A config file is read as `train` does, defaults filled in, but its data files need not be there.

    Raises:
        LukeTasksError: it is nothing of these, or cannot be read.
    """
    path = Path(name)
    if path.is_file() and path.suffix in _CONFIG_ENDINGS:
        from luke_tasks.config import load_config
        from luke_tasks.experiment_config import check_config

        loaded = load_config(path, allow_imports=allow_imports)
        checked = check_config(loaded.values, loaded.faults, include_packages, for_training=False)
        yield Side(name, config=checked.resolved)
    elif path.is_file() and path.suffix == ".safetensors":
        yield Side(name, weights=path)
    elif path.exists():
        with archive.unpacked(path) as folder:
            yield _stored(name, folder)
    else:
        raise LukeTasksError(f"{name}: no such file or directory; expected a config (.jsonnet, .json), the directory "
                             "of a run, a model.tar.gz, or a .safetensors file")  # fmt: skip


def _stored(name: str, folder: Path) -> Side:
    if not (folder / "config.json").exists():
        raise ArchiveError(f"{name}: there is no config.json in it; expected the directory of a run, or a model.tar.gz")
    metrics = None
    if (folder / "metrics.json").exists():
        try:
            metrics = parse_json((folder / "metrics.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise ArchiveError(f"{name}: metrics.json: no valid JSON: {error}") from None
    found = [folder / part for part in (archive.BEST_WEIGHTS_NAME, archive.WEIGHTS_NAME) if (folder / part).exists()]
    return Side(name, archive.read_config(folder / "config.json"), metrics, found[0] if found else None)


def config_differences(first: Any, second: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path and both values wherever two configs differ; `ABSENT` where one has no such key.

    What stands within objects, and within lists of the same length, is compared by itself.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            yield from config_differences(first.get(key, ABSENT), second.get(key, ABSENT), join_path(path, key))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second) and _nests(first + second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from config_differences(one, other, join_path(path, index))
    elif first is ABSENT or second is ABSENT or first != second or isinstance(first, bool) != isinstance(second, bool):
        yield path, first, second


def _nests(values: Sequence[Any]) -> bool:
    return any(isinstance(value, (dict, list)) for value in values)


def weights_difference(first: Path, second: Path) -> WeightsDifference:
    """Compare two weights files, one tensor at a time.

    Raises:
        CheckpointError: one of them is no safetensors file.
    """
    import torch
    from safetensors import safe_open

    def damaged(reason: str) -> Exception:
        return CheckpointError(f"{first} or {second}: not a readable safetensors file ({reason})")

    with reported(damaged), safe_open(first, "pt") as one, safe_open(second, "pt") as other:
        shapes = [{name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} for file in (one, other)]  # noqa: SIM118
        both = [name for name in shapes[0] if name in shapes[1]]
        changed, same = [], 0
        for name in both:
            if shapes[0][name] != shapes[1][name]:
                continue
            a, b = one.get_tensor(name), other.get_tensor(name)
            if a.dtype == b.dtype and torch.equal(a, b):
                same += 1
                continue
            difference = a.float() - b.float()
            norm, whole = (float(torch.linalg.vector_norm(one, dtype=torch.float64)) for one in (difference, a.float()))
            largest = float(difference.abs().max()) if difference.numel() else 0.0
            relative = norm / whole if whole else math.inf if norm else 0.0
            changed.append(TensorDifference(name, shapes[0][name], largest, relative))
    return WeightsDifference(
        same=same,
        changed=sorted(changed, key=lambda one: (not math.isnan(one.relative), -one.relative)),
        shapes=[(name, shapes[0][name], shapes[1][name]) for name in both if shapes[0][name] != shapes[1][name]],
        removed=_only_in(shapes[0], shapes[1]),
        added=_only_in(shapes[1], shapes[0]),
    )


def _only_in(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name in one if name not in other]
