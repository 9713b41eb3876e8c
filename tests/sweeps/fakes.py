"""Fast trials for tests whose subject is the search: nothing is trained, the files of a run are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from luke_tasks.files import write_json
from luke_tasks.sweeps.study import read_epochs
from luke_tasks.sweeps.trials import Job, answer, answered

Score = Callable[[dict[str, Any], int], float]  # parameters, epochs done → f1


def lr_score(overrides: dict[str, Any], epochs: int) -> float:
    """Best at a learning rate of 1e-3; better with every epoch."""
    from math import log10

    return round(0.9 - abs(log10(overrides["trainer.optimizer.lr"]) + 3) / 10 - 0.1 / epochs, 6)


class FakeRun:
    """A run that makes an epoch each time it is looked at, and asks to go on as a real one does."""

    def __init__(self, job: Job, score: Score, num_epochs: int, fail: str | None) -> None:
        self.job, self.score, self.num_epochs, self.fail = job, score, num_epochs, fail
        self.done, self.code = len(read_epochs(job.directory)), None if fail is None else 1
        self.stopped = False
        job.directory.mkdir(parents=True, exist_ok=True)
        if job.asks and answered(job.directory)[0] == -1:
            answer(job.directory, -1, stop=False)

    def poll(self) -> int | None:
        if self.code is not None:
            return self.code
        if self.stopped:
            self.code = 143
            return self.code
        asked, stop = answered(self.job.directory)
        if self.job.asks and asked < self.done - 1:
            return None  # waits for the answer
        if stop or self.done == self.num_epochs:
            write_json(self.job.directory / "metrics.json", self.metrics())
            (self.job.directory / "model.tar.gz").write_text(json.dumps(self.job.overrides), encoding="utf-8")
            (self.job.directory / "best.safetensors").write_text("weights", encoding="utf-8")
            self.code = 0
            return 0
        self.done += 1
        write_json(self.job.directory / f"metrics_epoch_{self.done - 1}.json", self.metrics())
        return None

    def metrics(self) -> dict[str, Any]:
        value = self.score(self.job.overrides, self.done)
        return {"epoch": self.done - 1, "best_validation_f1": value, "validation_f1": value,
                "training_duration": str(timedelta(seconds=self.done * 2))}  # fmt: skip

    def error(self) -> str:
        return self.fail or ""

    def stop(self) -> None:
        self.stopped = True

    def kill(self, grace_seconds: float = 0.0) -> None:
        self.code = self.code if self.code is not None else -9


class Launcher:
    """Starts fake runs and remembers them. `fails`: trial number → its error."""

    def __init__(self, score: Score = lr_score, num_epochs: int = 2, fails: dict[int, str] | None = None) -> None:
        self.score, self.num_epochs, self.fails = score, num_epochs, fails or {}
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> FakeRun:
        self.jobs.append(job)
        return FakeRun(job, self.score, self.num_epochs, self.fails.get(job.number))
