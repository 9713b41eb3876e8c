"""The runs in a folder: finding them, and what each has come to, whether it has ended, goes on, or failed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luke_tasks.errors import LukeTasksError, join_path
from luke_tasks.training.run_lock import check_unlocked
from luke_tasks.untrusted import parse_json

_EPOCH_FILE = re.compile(r"metrics_epoch_(\d+)\.json")
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ (?P<level>\w+) [\w.]+: (?P<message>.*)")
_LOG_END_BYTES = 20_000


@dataclass
class Run:
    """A run's directory as it is now."""

    path: Path
    state: str  # ended, running, failed (out.log ends with an error), stopped (killed, say), broken (files unreadable)
    epochs: int | None = None  # finished
    metrics: dict[str, Any] = field(default_factory=dict)  # of metrics.json, or else of the last epoch
    config: dict[str, Any] = field(default_factory=dict)
    error: str = ""  # why it failed or is broken

    @property
    def main_metric(self) -> str:
        """Without its sign; empty where the config does not say."""
        trainer = self.config.get("trainer")
        metric = trainer.get("validation_metric") if isinstance(trainer, dict) else None
        return metric[1:] if isinstance(metric, str) else ""


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run in the folders, at any depth, in order of their paths; each once.

    Raises:
        LukeTasksError: a folder is not there.
    """
    found: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            wrong = "is a file" if folder.exists() else "no such directory"
            raise LukeTasksError(f"{folder}: {wrong}; expected a directory with runs in it")
        for place, inner, names in os.walk(folder):
            inner.sort()
            if is_run(names):
                inner.clear()  # what is in a run is its own
                found.setdefault(Path(place).resolve(), read_run(Path(place)))
    return list(found.values())


def is_run(names: Sequence[str]) -> bool:
    """Whether a directory with these files is a run's, perhaps one that has only begun."""
    return "metrics.json" in names or "out.log" in names or {"config.json", "meta.json"} <= {*names}


def read_run(path: Path) -> Run:
    """What the run in a directory has come to; what cannot be read is said in `error`."""
    run = Run(path, "stopped")
    epochs = {int(match[1]): match[0] for match in map(_EPOCH_FILE.fullmatch, os.listdir(path)) if match}
    last = max(epochs, default=None)
    run.epochs = 0 if last is None else last + 1
    is_ended = (path / "metrics.json").exists()
    name = "metrics.json" if is_ended else epochs.get(last) if last is not None else None
    try:
        if (path / "config.json").exists():
            run.config = _read_object(path / "config.json")
        if name is not None:
            run.metrics = _read_object(path / name)
    except (OSError, ValueError) as error:
        run.state, run.error = "broken", str(error)
        return run
    if is_ended and last is None and isinstance(run.metrics.get("epoch"), int):
        run.epochs = run.metrics["epoch"] + 1  # a folder from which only metrics.json was kept
    try:
        check_unlocked(path)
    except LukeTasksError:
        run.state = "running"
        return run
    run.state = "ended" if is_ended else run.state
    error_line = "" if is_ended else _last_error(path / "out.log")
    if error_line:
        run.state, run.error = "failed", error_line
    return run


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a config with its dotted path: what is in objects, and in lists that hold objects or lists."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, join_path(path, key))
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for index, inner in enumerate(value):
            yield from flat(inner, join_path(path, index))
    else:
        yield path, value


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: no valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: expected a JSON object")
    return value


def _last_error(log: Path) -> str:
    """The message with which a log ends, if that is an error and no interruption; else empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_END_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    records = [match for match in map(_LOG_LINE.match, lines) if match]
    if not records or records[-1]["level"] not in ("ERROR", "CRITICAL"):
        return ""
    message = records[-1]["message"]
    return "" if message.startswith(("Interrupted:", "KeyboardInterrupt")) else message
