"""The directory a run is kept in: whether it may be used, and the making of it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luke_tasks.errors import ConfigError, Fault, LukeTasksError, describe, join_path
from luke_tasks.files import is_partial
from luke_tasks.training.run_lock import LOCK_NAME, run_lock

# A run may go on in another number of processes; what that means, `training/recovery.py` says. And on another machine.
# What the messages of a full disk, of memory and of a loss that is no number advise changes no step that was made.
_MAY_CHANGE = re.compile(
    r"distributed(\..*)?|(validation_)?data_loader\.cache_dir"
    r"|trainer\.(cuda_device|num_gradient_accumulation_steps|checkpointer(\..*)?|gradient_checkpointing|on_nan)"
)
_LAST_REMOVED = ("meta.json", "config.json", "out.log")  # what shows that a directory is a run's: see `_is_run`


def check_run_dir(run_dir: Path, resolved: dict[str, object], *, force: bool, recover: bool) -> None:
    """See that a run may use this directory.

    Raises:
        LukeTasksError: there is something in it and neither `force` nor `recover` was given, or it is no run.
        ConfigError: recovering with another config than the run's.
    """
    if run_dir.exists() and not run_dir.is_dir():
        raise LukeTasksError(f"{run_dir}: is a file; expected a directory for -s")
    if run_dir.is_dir():  # whose parent need not be writable: a volume that a container is given
        if not os.access(run_dir, os.W_OK | os.X_OK):
            raise LukeTasksError(f"{run_dir}: may not be written to; choose another -s")
    else:
        parent = next(folder for folder in run_dir.absolute().parents if folder.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            why = "is not a directory" if not parent.is_dir() else "may not be written to"
            raise LukeTasksError(f"{run_dir}: cannot be made, for {parent} {why}")
    names = {path.name for path in run_dir.iterdir()} if run_dir.is_dir() else set()
    occupied = bool(names - {LOCK_NAME})
    if occupied and not _is_run(names):
        advice = "-f would delete it; remove it yourself, or choose another -s" if force else "choose another -s"
        raise LukeTasksError(f"{run_dir}: does not look like a run (no config.json with out.log in it); {advice}")
    if occupied and not (force or recover):
        raise LukeTasksError(f"{run_dir}: the directory is not empty; -r goes on with the run in it, "
                             "-f replaces it, or choose another -s")  # fmt: skip
    if recover and not names:  # a lock alone: its run was killed before it wrote anything else
        raise LukeTasksError(f"{run_dir}: there is no run to go on with; leave -r out to start one")
    if recover and (run_dir / "config.json").exists():
        from luke_tasks.training.archive import read_config

        _check_same_config(_with_later_keys(read_config(run_dir / "config.json")), resolved)


@contextmanager
def made_run_dir(run_dir: Path, resolved: dict[str, object], *, force: bool, recover: bool) -> Iterator[None]:
    """Make the directory, removing the run in it when `force` says so, and keep other processes out of it.

    Raises:
        LukeTasksError: it cannot be made, or is no longer as `check_run_dir` found it before the data were read.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LukeTasksError(f"{run_dir}: cannot be made: {error.strerror}") from None
    with run_lock(run_dir):
        check_run_dir(run_dir, resolved, force=force, recover=recover)
        if force:
            try:
                empty_run_dir(run_dir)
            except OSError as error:
                raise LukeTasksError(f"{error.filename}: cannot be removed: {error.strerror}") from None
        yield


def empty_run_dir(run_dir: Path) -> None:
    """Remove what is in it, but the lock. What is left if this is broken off is still known for a run."""
    names = [path.name for path in run_dir.iterdir() if path.name not in (LOCK_NAME, *_LAST_REMOVED)]
    for path in (run_dir / name for name in (*names, *_LAST_REMOVED)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _is_run(names: set[str]) -> bool:
    """Whether a training made the directory that holds these: it begins with the log, then writes the config."""
    whole = {name for name in names if name != LOCK_NAME and not is_partial(Path(name))}
    return whole == {"out.log"} or ("config.json" in whole and not whole.isdisjoint({"out.log", "meta.json"}))


def _with_later_keys(old: dict[str, object]) -> dict[str, object]:
    """A resolved config with the defaults of keys that have come with a later version than it was written by."""
    from luke_tasks.experiment_config import ExperimentConfig
    from luke_tasks.schema import check

    spec, faults = check(old, ExperimentConfig)
    return old if faults else spec.to_json()


def _check_same_config(old: dict[str, object], new: dict[str, object]) -> None:
    faults = [fault for fault in _differences(old, new, "") if not _MAY_CHANGE.fullmatch(fault.path)]
    if faults:
        advice = "goes on with the same config only; undo these changes, or start a new run with another -s"
        raise ConfigError([*faults, Fault("--recover", advice)])


def _differences(old: object, new: object, path: str) -> Iterator[Fault]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), join_path(path, key))
    elif old != new:
        yield Fault(path, f"was {describe(old)} in the run to be recovered, is {describe(new)} now")
