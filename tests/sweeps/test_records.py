"""Ranking, fronts, seconds, and what a terminal shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luke_tasks.sweeps.records import Objective, ParameterRange, SweepResult, TrialRecord, seconds_of
from luke_tasks.sweeps.results import duration, number, report, short_names


def record(number: int, state: Any, *values: float, **more: Any) -> TrialRecord:
    return TrialRecord(
        number, more.pop("parameters", {}), state, list(values), 61.0, "", more.pop("error", None), Path(".")
    )


def result(trials: list[TrialRecord], *objectives: Objective) -> SweepResult:
    return SweepResult("s", list(objectives), [ParameterRange("trainer.optimizer.lr", low=1e-5, high=1e-3)], trials)


F1, TIME = Objective("f1", "maximize"), Objective("duration", "minimize")


def test_ranking() -> None:
    trials = [record(0, "failed", error="no memory"), record(1, "pruned", 0.9), record(2, "complete", 0.5),
              record(3, "running"), record(4, "complete", 0.7), record(5, "complete", 0.7)]  # fmt: skip
    found = result(trials, F1)
    assert [trial.number for trial in found.ranking()] == [4, 5, 2, 1, 0, 3]
    assert found.best() is trials[4]
    assert [row["rank"] for row in found.rows()] == [1, 2, 3, 4, 5, 6]
    assert result(trials, Objective("loss", "minimize")).best() is trials[2]
    assert result(trials[:1], F1).best() is None


def test_the_front() -> None:
    values = [(0.5, 10.0), (0.7, 20.0), (0.6, 30.0), (0.9, 40.0), (0.5, 12.0)]
    found = result([record(index, "complete", *pair) for index, pair in enumerate(values)], F1, TIME)
    assert [trial.number for trial in found.front()] == [3, 1, 0]
    assert [trial.number for trial in found.ranking()] == [3, 1, 0, 2, 4]


@pytest.mark.parametrize(("text", "seconds"), [
    ("0:00:01.500000", 1.5), ("1:02:03", 3723.0), ("1 day, 0:00:00", 86400.0), ("2 days, 1:00:00.5", 176400.5),
    ("soon", None), ("", None),
])  # fmt: skip
def test_seconds(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_values_in_metrics() -> None:
    metrics = {"best_validation_f1": 0.8, "validation_f1": 0.7, "training_loss": float("nan"), "validation_loss": True,
               "training_duration": "0:01:00"}  # fmt: skip
    names = ["f1", "best_validation_f1", "validation_f1", "training_loss", "validation_loss", "duration", "recall"]
    found = [Objective(name, "maximize").value_in(metrics) for name in names]
    assert found == [0.8, 0.8, 0.7, None, None, 60.0, None]


def test_what_a_terminal_shows() -> None:
    trials = [record(0, "complete", 0.8125, parameters={"trainer.optimizer.lr": 2e-5}),
              record(1, "failed", error="the loss is nan", parameters={"trainer.optimizer.lr": 5e-4})]  # fmt: skip
    found = result(trials, F1)
    found.importance_note = "there is one parameter only"
    assert list(report(found)) == [
        "rank  trial  state     f1      lr      time",
        "1     0      complete  0.8125  2e-05   1:01",
        "2     1      failed            0.0005  1:01",
        "trial 1 failed: the loss is nan",
        "importances cannot be said: there is one parameter only",
    ]


def test_short_forms() -> None:
    assert short_names(["trainer.optimizer.lr", "model.encoder.lr", "data_loader.batch_size", "a.x,b.x"]) == [
        "optimizer.lr", "encoder.lr", "batch_size", "x"
    ]  # fmt: skip
    assert [number(value) for value in (0.5, 1e-5, 12345.0, 3, "a", [1, 2], None)] == [
        "0.5000", "1e-05", "1.23e+04", "3", "a", "[1, 2]", "null"
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0.4, 61, 3723)] == ["0:00", "1:01", "1:02:03"]
