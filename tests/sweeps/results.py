"""Helpers: the records of made-up sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luke_tasks.sweeps.records import Objective, ParameterRange, State, SweepResult, TrialRecord

F1 = Objective("f1", "maximize")
DURATION = Objective("duration", "minimize")
LR = ParameterRange("trainer.optimizer.lr", low=1e-5, high=1e-3, log=True)
BATCH = ParameterRange("data_loader.batch_size", choices=(8, 16))
SCHEME = ParameterRange("dataset_reader.scheme", choices=("iob1", "io"))


def trial(
    number: int, state: State = "complete", values: list[float] | None = None, *, error: str | None = None,
    num_epochs: int = 2, **parameters: Any,
) -> TrialRecord:  # fmt: skip
    """A trial; its learning curve ends at its first value."""
    given = {LR.name: 1e-5 * 2**number, BATCH.name: 8 if number % 2 else 16, SCHEME.name: "iob1", **parameters}
    scores = values or []
    epochs = [
        {"epoch": epoch, "training_loss": 1.0 / (epoch + 1), "validation_f1": scores[0] * (epoch + 1) / num_epochs}
        for epoch in range(num_epochs if scores else 0)
    ]
    return TrialRecord(number, given, state, scores, 10.0 + number, "2026-11-22T10:00:00+00:00", error,
                       Path(f"sweep/trials/{number:03}"), epochs)  # fmt: skip


def result(*trials: TrialRecord, objectives: tuple[Objective, ...] = (F1,), **more: Any) -> SweepResult:
    """A sweep over three parameters."""
    return SweepResult("made up", list(objectives), [LR, BATCH, SCHEME], list(trials), **more)
