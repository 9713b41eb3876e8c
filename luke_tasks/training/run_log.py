"""`log.jsonl` in a run's directory: what happened in the run, one JSON object a line, in order of time.

Every line has `event` and `time` (UTC). Epochs count from 0, optimizer steps from 1. A number that is not finite is null.

| event | fields besides `event` and `time` |
|---|---|
| `start` | `versions`, `machine`, `config_sha256`, `recovered_from` (a checkpoint's name, or null), `epoch`, `step` (those done), `num_epochs`, `total_steps`, `batches_per_step`, `validation_metric`, `training_windows`, `validation_windows` |
| `step` | `epoch`, `step`, `loss`, `lr` (the first parameter group's), `grad_norm` (before clipping; null with fp16), `words_per_second` (of all processes); where the step was left out, `loss` is null and `skipped` says why |
| `epoch` | `epoch`, `step`, `is_best` (of the epochs so far), `seconds` (its training and validation), `words_per_second` (of its training; null where that was done before a recovery), `metrics` (as `metrics_epoch_N.json`) |
| `checkpoint` | `epoch` and `step` it goes on from, `name` |
| `warning` | `message` |
| `end` | `epoch`, `step`, `reason` (`finished`, `patience`, `stopped` by a callback, `interrupted`, `error`), `message` |

A run that is recovered makes the steps after its checkpoint again; so it removes the lines of steps, epochs and
checkpoints that came after, and each is there once. `start`, `warning` and `end` stay: they tell how often the run was
begun. A run without an `end` after its last `start` goes on, or was killed.
"""  # noqa: E501  a table has long lines

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from luke_tasks.errors import ArchiveError, Interrupted, LukeTasksError
from luke_tasks.files import replacing

LOG_NAME = "log.jsonl"
_early_warnings: list[str] = []  # of the command, before its run began


def read_log(run_dir: Path) -> list[dict[str, Any]]:
    """The events of a run, oldest first; of a run that goes on, those up to now.

    A line that is no JSON object is left out: what a kill has cut short.

    Raises:
        ArchiveError: the directory holds no log.
    """
    path = Path(run_dir) / LOG_NAME
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ArchiveError(f"{run_dir}: no {LOG_NAME} can be read there ({error.strerror}); expected the directory of "
                           "a run (-s of train)") from None  # fmt: skip
    events = (_parsed(line) for line in text.split("\n"))  # not splitlines(): U+2028 stands within lines
    return [event for event in events if event is not None]


def cut_log(run_dir: Path, epoch: int, step: int) -> None:
    """Remove the steps, epochs and checkpoints that came after the point from which a run goes on.

    Args:
        epoch: in progress at that point.
        step: optimizer steps done.
    """
    if not (run_dir / LOG_NAME).exists():
        return
    kept = [event for event in read_log(run_dir) if _stays(event, epoch, step)]
    with replacing(run_dir / LOG_NAME) as partial:
        partial.write_text("".join(map(_line, kept)), encoding="utf-8")


def note_early_warnings(records: Iterable[logging.LogRecord]) -> None:
    """Give the warnings among what a command has logged so far to the next run's log."""
    _early_warnings[:] = [record.getMessage() for record in records if record.levelno >= logging.WARNING]


class RunLog:
    """Writes `log.jsonl`, line by line, while a `with` block lasts; its end and how it ended become the last line.

    Args:
        run_dir: where; None: nothing is written (a process that is not the first).
        is_new: drop the log that is there.
    Raises:
        OSError: the system refuses to write.
    """

    def __init__(self, run_dir: Path | None, *, is_new: bool) -> None:
        self._path = run_dir / LOG_NAME if run_dir is not None else None
        self._mode = "w" if is_new else "a"
        self._file: IO[str] | None = None
        self._lock = threading.Lock()  # callbacks, which have threads of their own, may warn
        self._handler = _Warnings(self)
        self._waiting: list[str] = []  # warnings from before the start
        self._at = {"epoch": 0, "step": 0}
        self.ending: tuple[str, str | None] = ("finished", None)  # reason and message of an end without an error

    def __enter__(self) -> RunLog:
        if self._path is not None:
            self._waiting += _early_warnings
            logging.getLogger().addHandler(self._handler)
        _early_warnings.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self._handler)
        if self._file is None:
            return
        with suppress(OSError):  # what could not be written has stopped the run, or its archive meets the same
            reason, message = _reason(error) if error is not None else self.ending
            self.write("end", **self._at, reason=reason, message=message)
            self._file.close()

    def start(self, config: dict[str, Any], *, epoch: int, step: int, device: str, **fields: Any) -> None:
        """Open the file and write its `start`, and the warnings that came before.

        Args:
            config: the resolved one.
            device: the name of what it is computed on.
            fields: see the module's table.
        """
        if self._path is None:
            return
        from luke_tasks.training.archive import meta

        self._file = self._path.open(self._mode, buffering=1, encoding="utf-8")
        content = json.dumps(config, sort_keys=True).encode()
        machine = {"host": socket.gethostname(), "system": platform.platform(), "cpus": os.cpu_count(),
                   "device": device, "processes": fields.pop("processes", 1)}  # fmt: skip
        self.write("start", versions=meta(), machine=machine, config_sha256=hashlib.sha256(content).hexdigest(),
                   epoch=epoch, step=step, **fields)  # fmt: skip
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.warn(message)

    def write(self, event: str, **fields: Any) -> None:
        """Add one event, see the module's table."""
        if self._file is None:
            return
        self._at = {name: fields.get(name, value) for name, value in self._at.items()}
        with self._lock:
            self._file.write(_line({"event": event, "time": _now(), **fields}))

    def warn(self, message: str) -> None:
        """Add a warning; before the start, it waits for it."""
        if self._file is None:
            self._waiting.append(message)
        else:
            self.write("warning", message=message)


class _Warnings(logging.Handler):
    """Puts every warning of the process into a run's log."""

    def __init__(self, log: RunLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # the run writes here itself, and reports that it cannot
            self._log.warn(record.getMessage())


def _reason(error: BaseException) -> tuple[str, str]:
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return "interrupted", str(error)
    return "error", str(error) if isinstance(error, LukeTasksError) else f"{type(error).__name__}: {error}"


def _stays(event: dict[str, Any], epoch: int, step: int) -> bool:
    kind = event.get("event")
    if kind == "step":
        return int(event["step"]) <= step
    if kind == "epoch":
        return int(event["epoch"]) < epoch
    if kind == "checkpoint":
        return (int(event["epoch"]), int(event["step"])) <= (epoch, step)
    return True


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _line(event: dict[str, Any]) -> str:
    try:
        return json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        return json.dumps(_finite(event), ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    """Without numbers that JSON has no words for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
