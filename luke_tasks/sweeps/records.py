"""What a sweep leaves: its trials, their ranking, and the best setting's runs over several seeds. Plain data.

The search (`search.py`) makes these records; tables, pages and `best.jsonnet` are made of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Objective:
    """What is searched for.

    Args:
        name: as the space says it: `f1`, `validation_f1`, `best_validation_f1`, `training_loss`, or `duration`.
        goal: which values are better.
        target: the search ends when a trial reaches this value; None: it does not.
    """

    name: str
    goal: Literal["maximize", "minimize"]
    target: float | None = None

    @property
    def metric(self) -> str:
        """The key in `metrics.json` and `metrics_epoch_N.json`. A bare score, as `f1`, is that of the best epoch."""
        if self.name == "duration":
            return "training_duration"
        plain = self.name.startswith(("validation_", "best_validation_", "training_"))
        return self.name if plain else f"best_validation_{self.name}"

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.goal == "maximize" else -1

    def value_in(self, metrics: dict[str, Any]) -> float | None:
        """Its value in the metrics of a run or an epoch; None where it is missing or no number. Durations: seconds."""
        value = metrics.get(self.metric)
        if isinstance(value, str) and self.name == "duration":
            return seconds_of(value)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]

    def reached(self, value: float) -> bool:
        """Whether `value` is as good as the target."""
        return self.target is not None and self.sign * value >= self.sign * self.target


@dataclass(frozen=True)
class ParameterRange:
    """Where a parameter is searched: `choices`, or from `low` to `high`; unbounded ones give their middle 98 %.

    Args:
        name: its key in the space: the dotted path of a config key, or several with commas between.
        log: whether it is searched on a logarithmic scale.
        choices: None where it is a range.
    """

    name: str
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False


@dataclass
class TrialRecord:
    """One trial.

    Args:
        number: from 0, in the order of their starts; `directory` bears it.
        parameters: name → value, as laid over the config.
        values: of each objective; of a pruned trial those of its last epoch; empty where there are none.
        seconds: from start to end, over all attempts.
        started: ISO 8601 with the time zone; empty before the first start.
        error: one line, of a failed trial.
        directory: the run's, as `train -s` was given it.
        epochs: the content of each `metrics_epoch_N.json`.
    """

    number: int
    parameters: dict[str, Any]
    state: State
    values: list[float]
    seconds: float
    started: str
    error: str | None
    directory: Path
    epochs: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Retrained:
    """The best setting, trained over seeds.

    Args:
        seeds: what was added to the config's three seeds, a run each.
        directories: of the runs.
        metrics: the numbers of each run's `metrics.json`.
        values: of each run, the objectives'.
        median: index of the run whose first objective is the median (of an even number: the better of the middle two).
        archive: the median run's `model.tar.gz`, copied beside the sweep's results.
    """

    seeds: list[int]
    directories: list[Path]
    metrics: list[dict[str, float]]
    values: list[list[float]]
    median: int
    archive: Path

    def summary(self) -> dict[str, tuple[float, float]]:
        """Mean and sample standard deviation of every metric that all runs have (of one run: deviation 0)."""
        names = [name for name in self.metrics[0] if all(name in run for run in self.metrics)]
        columns = {name: [run[name] for run in self.metrics] for name in names}
        return {name: (statistics.fmean(column), statistics.stdev(column) if len(column) > 1 else 0.0)
                for name, column in columns.items()}  # fmt: skip


@dataclass
class SweepResult:
    """A sweep as far as it has gone.

    Args:
        name: of the study.
        objectives: one or several.
        parameters: those searched (constants are not among them).
        trials: by number.
        importances: objective → parameter → share of the variation it explains; empty where that cannot be said.
        importance_note: why it cannot be said.
        space: the space file's content.
        directory: of the sweep.
    """

    name: str
    objectives: list[Objective]
    parameters: list[ParameterRange]
    trials: list[TrialRecord]
    importances: dict[str, dict[str, float]] = field(default_factory=dict)
    importance_note: str | None = None
    retrained: Retrained | None = None
    space: dict[str, Any] = field(default_factory=dict)
    directory: Path = Path(".")

    @property
    def complete(self) -> list[TrialRecord]:
        """The trials that came to their end, by number."""
        return [trial for trial in self.trials if trial.state == "complete"]

    def front(self) -> list[TrialRecord]:
        """The complete trials that no other beats in every objective, best first objective first.

        With one objective: the best trials, several only where they are equal.
        """
        found = [trial for trial in self.complete
                 if not any(self._dominates(other, trial) for other in self.complete)]  # fmt: skip
        return sorted(found, key=self._key)

    def best(self) -> TrialRecord | None:
        """The best trial; with several objectives, that of the front with the best first objective."""
        return next(iter(self.front()), None)

    def ranking(self) -> list[TrialRecord]:
        """All trials: the front, then other complete ones by the first objective, then pruned, failed, running."""
        front = self.front()
        numbers = {trial.number for trial in front}
        others = [trial for trial in self.trials if trial.number not in numbers]
        order: dict[str, int] = {"complete": 0, "pruned": 1, "failed": 2, "running": 3}
        return [*front, *sorted(others, key=lambda trial: (order[trial.state], *self._key(trial)))]

    def rows(self) -> list[dict[str, Any]]:
        """The ranked table, a flat row a trial, as `trials.csv` and `trials.json` hold it."""
        nothing: list[float | None] = [None] * len(self.objectives)
        return [
            {
                "rank": rank,
                "trial": trial.number,
                "state": trial.state,
                **dict(zip((objective.name for objective in self.objectives),
                           trial.values or nothing, strict=True)),
                **{parameter.name: trial.parameters.get(parameter.name) for parameter in self.parameters},
                "epochs": len(trial.epochs),
                "seconds": round(trial.seconds, 1),
                "started": trial.started,
                "error": trial.error,
                "directory": str(trial.directory),
            }
            for rank, trial in enumerate(self.ranking(), start=1)
        ]  # fmt: skip

    def _key(self, trial: TrialRecord) -> tuple[Any, ...]:
        signs = [objective.sign for objective in self.objectives]
        scores = [-sign * value for sign, value in zip(signs, trial.values, strict=False)]
        return (scores or [math.inf], trial.number)

    def _dominates(self, one: TrialRecord, other: TrialRecord) -> bool:
        pairs = [(objective.sign * a, objective.sign * b)
                 for objective, a, b in zip(self.objectives, one.values, other.values, strict=True)]  # fmt: skip
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def seconds_of(duration: str) -> float | None:
    """Seconds of a `timedelta` as `str` writes it (`1 day, 0:00:01.5`); None where it is none."""
    days, _, clock = duration.rpartition(", ")
    parts: Sequence[str] = clock.split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
        return (float(days.split()[0]) if days else 0.0) * 86400 + hours * 3600 + minutes * 60 + seconds
    except (ValueError, IndexError):
        return None
