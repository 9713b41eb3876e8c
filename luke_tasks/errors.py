"""The errors a user can meet. Each message says where, what was seen, what was expected, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_PLAIN_KEY = re.compile(r"[^\s.:\"]+")


class LukeTasksError(Exception):
    """Base of every error reported as plain lines, without a traceback. `exit_status` is the process's."""

    exit_status = 2  # the request was wrong


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a config: the dotted path of the key, and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return " ".join(text.splitlines())  # one fault, one line


def describe(value: Any) -> str:
    """A value as a fault shows it: its JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=repr)  # from Python, a value may be anything
    return text if len(text) <= 60 else text[:57] + "..."


def listed(names: Sequence[str], most: int) -> str:
    """Names with commas between, at most so many, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def join_path(path: str, key: str | int) -> str:
    """The dotted path of `key` inside `path`; a key that would read like something else is quoted."""
    shown = str(key) if isinstance(key, int) or _PLAIN_KEY.fullmatch(key) else describe(key)
    return f"{path}.{shown}" if path else shown


class ConfigError(LukeTasksError):
    """All faults of a config together, one a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: Sequence[Fault] = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class PluginError(LukeTasksError):
    """A package of the user's own cannot be imported, or a class in it is not as it must be."""


class DataError(LukeTasksError):
    """A data file cannot be read as asked; the message begins with `file:line:` where there is one."""


class ArchiveError(LukeTasksError):
    """An archive or run directory cannot be read, or is not of the kind that was asked for."""


class CheckpointError(LukeTasksError):
    """Pretrained or saved weights cannot be found, read, or do not fit the model."""


class DeviceError(LukeTasksError):
    """A device was asked for that is not there."""


class TrainingError(LukeTasksError):
    """Training cannot go on: the work failed, not the request."""

    exit_status = 1


class ExportError(LukeTasksError):
    """A model could not be written in another form: the work failed, not the request."""

    exit_status = 1


class PredictionError(LukeTasksError):
    """Prediction over many files cannot go on: the work failed, not the request."""

    exit_status = 1


class Interrupted(LukeTasksError):
    """A signal stopped the run, SIGINT or SIGTERM; what it has done so far is saved.

    Args:
        exit_status: 128 and the signal's number, as a shell gives it.
    """

    def __init__(self, message: str, exit_status: int = 130) -> None:
        self.exit_status = exit_status
        super().__init__(message)
