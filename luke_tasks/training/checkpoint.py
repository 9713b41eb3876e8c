"""Checkpoints: all that a run needs to go on as if it had never stopped.

A checkpoint is a directory `checkpoint_epoch_E_step_S/` of the run's directory. It is filled under another name and
renamed when complete, so one that is there is whole.

| file | what |
|---|---|
| `model.safetensors` | weights |
| `training.pt` | optimizer, schedule, gradient scaler, moving average, random states (read with `weights_only`) |
| `state.json` | `TrainState`: where the run stands, and its best result so far |
| `best.safetensors` | the weights of that result, which need not be the newest (a hard link: they are stored once) |
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from luke_tasks.encoder.weights import is_plain, is_stored_zip
from luke_tasks.errors import CheckpointError, describe, listed
from luke_tasks.files import is_partial, new_directory, replacing
from luke_tasks.registry import NonNegativeFloat, PositiveInt
from luke_tasks.training.archive import BEST_WEIGHTS_NAME
from luke_tasks.training.sharding import shared_as, whole_weights
from luke_tasks.untrusted import parse_json, reported

_NAME = re.compile(r"checkpoint_epoch_(\d+)_step_(\d+)")
_SAFETENSORS_PARTIAL = re.compile(r"\.tmp\w{6}")  # the name under which that library writes
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # how it, being written in Rust, shows the system's errors


@dataclass
class TrainState:
    """Where a run stands. With the tensors beside it in a checkpoint, all that resumes."""

    num_windows: int = 0  # of the training data: a run goes on with the same data only
    epoch: int = 0  # the epoch in progress, from 0
    batches_done: int = 0  # of that epoch
    step: int = 0  # optimizer steps since the start
    loss_sum: float = 0.0  # over the batches done of this epoch
    skipped_steps: int = 0  # of this epoch, for their loss or gradients were no numbers
    skipped_batches: int = 0  # those steps'
    skipped_in_a_row: int = 0  # steps up to now
    batch_halvings: int = 0  # by `auto_batch_size`
    seconds: float = 0.0  # spent in training, over all processes of this run
    num_processes: int = 1
    batches_per_step: int = 0  # of all processes; 0: none was made
    best_epoch: int | None = None
    best_scores: dict[str, float] = field(default_factory=dict)  # validation scores of the best epoch
    epochs_without_gain: int = 0
    last_metrics: dict[str, Any] = field(default_factory=dict)  # of the last finished epoch
    finished: bool = False


class Checkpointer:
    """When checkpoints are written, and how many stay (`trainer.checkpointer`).

    Every finished epoch gets one.

    Args:
        keep_most_recent_by_count: older ones are removed.
        save_every_num_batches: also within an epoch, after so many batches.
        save_every_num_seconds: also within an epoch, when the last one is so old.
    """

    def __init__(
        self,
        *,
        keep_most_recent_by_count: PositiveInt = 2,
        save_every_num_batches: PositiveInt | None = None,
        save_every_num_seconds: NonNegativeFloat | None = None,
    ) -> None:
        self.keep_most_recent_by_count = keep_most_recent_by_count
        self.save_every_num_batches = save_every_num_batches
        self.save_every_num_seconds = save_every_num_seconds
        self._saved_at = time.monotonic()

    def is_due(self, batches_before: int, batches_done: int) -> bool:
        """Whether a checkpoint is wanted after the optimizer step that took these batches of the epoch."""
        every, seconds = self.save_every_num_batches, self.save_every_num_seconds
        by_count = every is not None and batches_before // every < batches_done // every
        return by_count or (seconds is not None and time.monotonic() - self._saved_at >= seconds)

    def save(self, run_dir: Path, state: TrainState, weights: dict[str, Tensor], training: dict[str, Any]) -> Path:
        """Write a checkpoint and remove those that are too many. Gives its directory.

        Args:
            weights: as `write_weights` takes them.
            training: what `training.pt` is to hold.
        Raises:
            OSError: the system refuses; the checkpoints that are there stay as they are.
        """
        if not run_dir.is_dir():  # removed under way: not to be made again, with a checkpoint alone in it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(run_dir))
        path = run_dir / f"checkpoint_epoch_{state.epoch}_step_{state.step}"
        with new_directory(path) as directory:
            write_weights(weights, directory / "model.safetensors")
            with as_os_errors(directory / "training.pt") as name, name.open("wb") as file:
                torch.save(training, file)
            (directory / "state.json").write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
            if (run_dir / BEST_WEIGHTS_NAME).exists():
                _link(run_dir / BEST_WEIGHTS_NAME, directory / BEST_WEIGHTS_NAME)
        for old in checkpoints(run_dir)[: -self.keep_most_recent_by_count]:
            remove_checkpoint(old)
        self._saved_at = time.monotonic()
        return path


def checkpoints(run_dir: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [(match, path) for path in run_dir.glob("checkpoint_*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda item: tuple(int(number) for number in item[0].groups()))]


def remove_checkpoint(path: Path) -> None:
    """Take a checkpoint away; it stops counting before its files go."""
    doomed = path.with_name(path.name + ".partial")
    path.rename(doomed)
    shutil.rmtree(doomed)


def load_checkpoint(path: Path, model: nn.Module) -> tuple[TrainState, dict[str, Any]]:
    """Put a checkpoint's weights into `model`; gives its state and the contents of `training.pt`.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit the model.
    """
    load_weights(model, path / "model.safetensors")
    state = read_state(path)
    with reported(partial(_damaged, path)):
        is_stored_zip(path / "training.pt")  # raises where it may be a bomb
        training = torch.load(path / "training.pt", map_location="cpu", weights_only=True)
        if not isinstance(training, dict):
            raise ValueError(f"training.pt: expected state dicts by name, found {type(training).__name__}")
        if not all(map(is_plain, _tensors(training))):
            raise ValueError("training.pt: expected plain tensors of numbers, found a sparse or repeated one")
    return state, training


def _tensors(value: Any) -> Iterator[Tensor]:
    """All in a state, however deep."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)) and not all(isinstance(item, int) for item in value):  # Python's random state
        for item in value:
            yield from _tensors(item)


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Around the taking up of what `load_checkpoint` gave: a part that does not fit is a damaged checkpoint."""
    with reported(partial(_damaged, path)):
        yield


def read_state(path: Path) -> TrainState:
    """Where a checkpoint stands. Raises CheckpointError when it is damaged."""
    with reported(partial(_damaged, path)):
        return _parse_state(path / "state.json")


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: damaged checkpoint ({reason}); remove it to go on from the one before")


def _parse_state(path: Path) -> TrainState:
    """Raises ValueError when a value is not of the kind that a `TrainState` has there."""
    content = parse_json(path.read_text(encoding="utf-8"))
    state = TrainState(**content)
    for name, default in asdict(TrainState()).items():
        value = getattr(state, name)
        if name == "best_epoch":
            fits = value is None or (type(value) is int and value >= 0)
        elif isinstance(default, (bool, dict)):
            fits = type(value) is type(default)
        else:  # counts, seconds and a loss, which some heads may have below 0
            fits = type(value) in (int, type(default)) and (value >= 0 or name == "loss_sum")
        if name == "best_scores":
            fits = fits and all(type(score) in (int, float) for score in value.values())
        if not fits or (name == "epoch" and value > 2**31):
            raise ValueError(f"{path.name}: {name} is {describe(value)}")
    return state


def restore_best(checkpoint: Path, run_dir: Path) -> None:
    """Make the run's best weights those of a checkpoint again: what was better came later, and comes again."""
    if (checkpoint / BEST_WEIGHTS_NAME).exists():
        partial = run_dir / (BEST_WEIGHTS_NAME + ".partial")
        partial.unlink(missing_ok=True)
        _link(checkpoint / BEST_WEIGHTS_NAME, partial)
        partial.replace(run_dir / BEST_WEIGHTS_NAME)
        partial.unlink(missing_ok=True)  # of two links to one file, neither replaces the other


def _link(source: Path, target: Path) -> None:
    """A second name of a file that is only ever replaced, never written to; a copy where there are no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def as_os_errors(path: Path) -> Iterator[Path]:
    """While `path` is written by safetensors or torch, which have errors of their own: OSError for the system's."""
    try:
        yield path
    except SafetensorError as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found.group(1))
        raise OSError(number, os.strerror(number), str(path)) from None
    except RuntimeError as error:  # torch's zip writer, which met it in the file's `write`
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from None


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the model's parameters and buffers as safetensors. Raises OSError when the system refuses."""
    write_weights(whole_weights(model), path)


def write_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write what `whole_weights` gave as safetensors. Raises OSError when the system refuses."""
    with as_os_errors(path), replacing(path) as partial:
        save_file(weights, partial)


def load_weights(model: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into a model of the same shape.

    Raises:
        CheckpointError: the file is missing or damaged, or its tensors are not the model's.
    """
    try:
        found: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: unreadable weights, perhaps cut short ({error})") from None
    expected = model.state_dict()
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra:
        what = f"lack {listed(missing, 3)}" if missing else f"have {listed(extra, 3)}, which the model does not"
        raise CheckpointError(f"{path}: the weights {what}; the file is of another model")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(f"{path}: {name} has shape {tuple(tensor.shape)}, but the model's is "
                                  f"{tuple(expected[name].shape)}; the file is of another model")  # fmt: skip
    model.load_state_dict({name: shared_as(tensor, expected[name]) for name, tensor in found.items()})


def random_states() -> dict[str, Any]:
    """The states of all random generators, as plain values and tensors."""
    kind, keys, position, has_gauss, cached = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Undo everything drawn since `random_states`."""
    random.setstate(states["python"])
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def clean_partial(run_dir: Path) -> None:
    """Remove what interrupted writes left in a run's directory."""
    for path in run_dir.iterdir():
        if is_partial(path) or _SAFETENSORS_PARTIAL.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
