"""What a run's directory tells without its model: config, metrics of each epoch, steps, versions, how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luke_tasks.errors import ArchiveError
from luke_tasks.report.predicting import Answers
from luke_tasks.training.archive import read_config
from luke_tasks.training.run_log import LOG_NAME, read_log

_OF_A_LABEL = re.compile(r"(?:precision|recall|f1)-.+")
_CLOCK = re.compile(r".*(_duration|_memory_MB)$|epoch|best_epoch|skipped_steps")


@dataclass
class Run:
    """One run.

    Args:
        directory: where it is kept.
        name: that tells it from the others of a report.
        config: the resolved one.
        meta: versions.
        epochs: `metrics_epoch_N.json`, in order.
        metrics: `metrics.json`; {} until the run is over.
        steps: events `step` of its log; none without one.
        start, end: the last events of that kind; {} where there is none.
        begun: the time of each start: of the run, and of each recovery.
        words_per_second: mean words a second of its training, where the log tells.
        answers: on the validation data, where they were asked for.
    """

    directory: Path
    name: str
    config: dict[str, Any]
    meta: dict[str, Any]
    epochs: list[dict[str, Any]]
    metrics: dict[str, Any]
    steps: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    words_per_second: float | None = None
    answers: Answers | None = None

    @property
    def main_metric(self) -> str:
        """The name of the score that chose the best epoch, such as `f1`."""
        return str(self.config.get("trainer", {}).get("validation_metric", "-loss"))[1:]

    @property
    def last(self) -> dict[str, Any]:
        """The newest metrics there are."""
        return self.metrics or (self.epochs[-1] if self.epochs else {})

    def scores(self) -> dict[str, float]:
        """Scores of the best epoch and of the test data, without those of single labels."""
        found = {}
        for key, value in self.last.items():
            name = key.removeprefix("best_validation_").removeprefix("test_")
            is_score = key.startswith(("best_validation_", "test_")) and not _OF_A_LABEL.fullmatch(name)
            if is_score and isinstance(value, int | float):
                found[key] = value
        return found

    def validation_scores(self) -> list[str]:
        """Names of the scores that each epoch has, without those of single labels and the loss."""
        names = {key.removeprefix("validation_"): None for epoch in self.epochs for key in epoch
                 if key.startswith("validation_")}  # fmt: skip
        return [name for name in names if name != "loss" and not _OF_A_LABEL.fullmatch(name)]

    def curve(self, key: str) -> list[tuple[float, float]]:
        """(epochs done, value) of one of the metrics of each epoch."""
        return [(epoch["epoch"] + 1, epoch[key]) for epoch in self.epochs if isinstance(epoch.get(key), int | float)]

    def step_curve(self, key: str) -> list[tuple[float, float]]:
        """(epochs done, value) of each step."""
        in_epoch = self._steps_of_an_epoch()
        return [(step["step"] / in_epoch, step[key]) for step in self.steps if isinstance(step.get(key), int | float)]

    def _steps_of_an_epoch(self) -> float:
        if self.start.get("total_steps") and self.start.get("num_epochs"):
            return float(self.start["total_steps"] / self.start["num_epochs"])
        last = max(self.steps, key=lambda step: int(step["step"]))
        return float(last["step"] / (last["epoch"] + 1))

    @property
    def status(self) -> str:
        """How the run ended, in a word or two."""
        reason = self.end.get("reason")
        if reason is not None:
            return {"patience": "out of patience"}.get(str(reason), str(reason))
        return "finished" if self.metrics else "not finished"


def read_run(directory: Path, name: str) -> Run:
    """What a directory holds.

    Raises:
        ArchiveError: it is no run's directory, or a file in it is damaged.
    """
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "no such directory"
        raise ArchiveError(f"{directory}: {what}; expected the directory of a run (-s of train)")
    if not (directory / "config.json").exists():
        below = sorted(str(path.parent) for path in directory.glob("*/config.json"))
        runs = f"; these are in it: {', '.join(below[:5])}{', ...' if len(below) > 5 else ''}" if below else ""
        raise ArchiveError(f"{directory}: has no config.json; expected the directory of a run (-s of train){runs}")
    paths = sorted(directory.glob("metrics_epoch_*.json"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0))
    events = read_log(directory) if (directory / LOG_NAME).exists() else []  # a run of AllenNLP has none
    of_kind = {kind: [event for event in events if event.get("event") == kind] for kind in ("start", "step", "epoch")}
    ends = [event for event in events if event.get("event") in ("start", "end")]
    speeds = [event["words_per_second"] for event in of_kind["epoch"] if event.get("words_per_second")]
    return Run(
        directory=directory, name=name, config=read_config(directory / "config.json"),
        meta=_json(directory / "meta.json"), epochs=[_json(path) for path in paths],
        metrics=_json(directory / "metrics.json"), steps=of_kind["step"],
        start=of_kind["start"][-1] if of_kind["start"] else {},
        begun=[str(event["time"]) for event in of_kind["start"] if "time" in event],
        end=ends[-1] if ends and ends[-1]["event"] == "end" else {},
        words_per_second=sum(speeds) / len(speeds) if speeds else None,
    )  # fmt: skip


def names_of(directories: list[Path]) -> list[str]:
    """A short name for each: its last folder, or as much more of its path as tells them apart."""
    whole = [directory.absolute().parts for directory in directories]
    for length in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-length:]) for parts in whole]
        if len(set(names)) == len(set(whole)):
            return names
    return [str(directory) for directory in directories]


def _json(path: Path) -> dict[str, Any]:
    return read_config(path) if path.exists() else {}
