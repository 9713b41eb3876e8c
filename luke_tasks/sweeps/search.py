"""The loop of a sweep: ask, start, watch, tell; several trials at once; stopped and resumed at any moment."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.errors import Interrupted, TrainingError
from luke_tasks.files import is_partial
from luke_tasks.sweeps.check import CheckedSpace
from luke_tasks.sweeps.progress import Row, SweepProgress
from luke_tasks.sweeps.records import SweepResult
from luke_tasks.sweeps.study import SweepStudy, read_epochs
from luke_tasks.sweeps.trials import GRACE_SECONDS, Job, Running, TrialProcess, answer, answered, now
from luke_tasks.training.interrupts import interrupts

logger = logging.getLogger(__name__)
MOST_FAILURES = 5  # in a row
_POLL_SECONDS = 0.1

Launch = Callable[[Job], Running]


@dataclass
class Limits:
    """When no more trials are started, and how many run at once.

    Args:
        trials: in all, those of earlier starts included; None: no limit.
        own: whether those of other sweeps that share the study do not count.
        seconds: of this start; None: no limit. Trials that run then go on to their end.
    """

    trials: int | None
    seconds: float | None
    workers: int
    own: bool = False


@dataclass
class _Slot:
    """A trial in progress."""

    job: Job
    running: Running
    row: Row
    worker: int
    epochs: int = 0  # seen so far


class Search:
    """Runs the trials of a study, each in `directory/trials/NNN`.

    Args:
        make_job: number, values, worker → what to run.
        num_epochs: values → epochs of the whole run; None where the config does not say.
        launch: starts a job; a process by default.
        keep: best trials of which weights and archive stay; of the others metrics and logs do.
    """

    def __init__(
        self, checked: CheckedSpace, study: SweepStudy, limits: Limits, *, progress: SweepProgress,
        make_job: Callable[[int, dict[str, Any], int], Job], num_epochs: Callable[[dict[str, Any]], int | None],
        launch: Launch = TrialProcess, keep: int = 1,
    ) -> None:  # fmt: skip
        self.checked, self.study, self.limits, self.make_job = checked, study, limits, make_job
        self.num_epochs = num_epochs
        self.launch, self.progress, self.keep = launch, progress, keep
        self.slots: list[_Slot] = []
        self.failures: list[str] = []  # in a row
        self.target_reached = False

    def run(self) -> None:
        """Until the limits are reached, the grid is done, or the objective's target is met.

        Raises:
            Interrupted: by a signal; the running trials have saved their state.
            TrainingError: too many failures in a row.
        """
        began = time.monotonic()
        resumed = list(self.study.resumable())
        self.progress.earlier = self.study.count(own=self.limits.own) - len(resumed)
        first = self.checked.objectives[0]
        self.target_reached = any(trial.state == "complete" and first.reached(trial.values[0])
                                  for trial in self.study.records())  # fmt: skip
        with interrupts() as stopped, self.progress:
            try:
                while True:
                    if stopped.is_set():
                        raise Interrupted(self._interrupt(), 128 + stopped.signum)
                    out_of_time = self.limits.seconds is not None and time.monotonic() - began > self.limits.seconds
                    if not (out_of_time or self.target_reached or len(self.failures) >= MOST_FAILURES):
                        self._fill(resumed)
                    if not self.slots:
                        break
                    for slot in list(self.slots):
                        self._watch(slot)
                    self.progress.refresh()
                    time.sleep(_POLL_SECONDS)
            finally:
                for slot in self.slots:  # something unforeseen: leave nothing running
                    slot.running.kill(0)
        if len(self.failures) >= MOST_FAILURES:
            raise TrainingError(f"{MOST_FAILURES} trials in a row failed, so the sweep stops; the last one: "
                                f"{self.failures[-1]}")  # fmt: skip

    def _fill(self, resumed: list[tuple[int, dict[str, Any]]]) -> None:
        while len(self.slots) < self.limits.workers:
            is_resumed = bool(resumed)
            if is_resumed:
                number, parameters = resumed.pop(0)
            elif self.limits.trials is not None and self.study.count(own=self.limits.own) >= self.limits.trials:
                return
            else:
                asked = self.study.ask()
                if asked is None:
                    return
                number, parameters = asked
            self._start(number, parameters, is_resumed)

    def _start(self, number: int, parameters: dict[str, Any], is_resumed: bool) -> None:
        worker = min(set(range(self.limits.workers)) - {slot.worker for slot in self.slots})
        job = self.make_job(number, parameters, worker)
        self.study.started(number, job.directory, now())
        row = Row(number, parameters, "running", time.monotonic(), num_epochs=self.num_epochs(parameters))
        self.progress.begin(row, resumed=is_resumed)
        self.slots.append(_Slot(job, self.launch(job), row, worker))

    def _watch(self, slot: _Slot) -> None:
        code = slot.running.poll()  # first, so that what is read below is all there is
        self._read_epochs(slot)
        if code is None:
            return
        slot.running.kill(0)  # also what it may have left behind
        self.slots.remove(slot)
        slot.row.seconds = time.monotonic() - slot.row.began
        self._end(slot, code)
        self.progress.end(slot.row)
        self._tidy()

    def _read_epochs(self, slot: _Slot) -> None:
        for metrics in read_epochs(slot.job.directory, start=slot.epochs):
            value = self.checked.objectives[0].value_in(metrics)
            self.progress.epoch(slot.row, value)
            if slot.job.asks and slot.epochs > answered(slot.job.directory)[0]:
                stop = value is not None and self.study.report(slot.job.number, slot.epochs + 1, value)
                is_last = slot.epochs + 1 == slot.row.num_epochs  # then it is complete, whatever the others did
                answer(slot.job.directory, slot.epochs, stop=stop and not is_last)
            slot.epochs += 1

    def _end(self, slot: _Slot, code: int) -> None:
        """Tell the study how a trial ended."""
        number, row, objectives = slot.job.number, slot.row, self.checked.objectives
        metrics = read_metrics(slot.job.directory) if code == 0 else {}
        values = [objective.value_in(metrics) for objective in objectives]
        given = [value for value in values if value is not None]
        if code != 0:
            row.state, row.error = "failed", slot.running.error()
        elif len(given) < len(objectives):
            lacking = next(objective for objective, value in zip(objectives, values, strict=True) if value is None)
            row.state, row.error = "failed", f"{lacking.metric} is {metrics.get(lacking.metric)} in metrics.json"
        elif answered(slot.job.directory)[1]:
            row.state = "pruned"
        else:
            row.state = "complete"
            self.target_reached = self.target_reached or objectives[0].reached(given[0])
        if given:
            row.last = given[0]
        is_scored = row.state in ("complete", "pruned")
        self.study.finish(number, row.state, given if is_scored else [], row.seconds, row.error)  # type: ignore[arg-type]
        self.failures = [*self.failures, f"trial {number}: {row.error}"] if row.state == "failed" else []

    def _tidy(self) -> None:
        """Remove checkpoints of ended trials, and weights and archives of all but the best."""
        records = self.study.records()
        result = SweepResult("", self.checked.objectives, [], records)
        best = [trial for trial in result.ranking() if trial.state == "complete"]
        several = len(self.checked.objectives) > 1  # then each trial of the front is a best one
        kept = {trial.number for trial in best[: max(self.keep, len(result.front()) if several else 0)]}
        own = {slot.job.directory for slot in self.slots}
        for trial in records:
            if trial.state != "running" and trial.directory not in own and trial.directory.is_dir():
                remove_weights(trial.directory, also_best=trial.number not in kept)

    def _interrupt(self) -> str:
        for slot in self.slots:
            slot.running.stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(slot.running.poll() is None for slot in self.slots) and time.monotonic() < deadline:
            for slot in self.slots:
                self._read_epochs(slot)  # one may be waiting for its answer
            time.sleep(_POLL_SECONDS)
        for slot in self.slots:
            slot.running.kill(0)
        count, self.slots = len(self.slots), []
        return f"interrupted; {count} running trial{'s' if count != 1 else ''} stopped; the same command goes on"


def remove_weights(directory: Path, *, also_best: bool) -> None:
    """Take the checkpoints of an ended run away; also its archive and its best weights, if asked."""
    for path in directory.glob("checkpoint_*"):
        shutil.rmtree(path)
    for path in directory.iterdir():
        if (is_partial(path) and path.is_file()) or (also_best and path.name in ("model.tar.gz", "best.safetensors")):
            path.unlink()


def read_metrics(directory: Path) -> dict[str, Any]:
    """A run's `metrics.json`; empty where there is none."""
    path = directory / "metrics.json"
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return metrics
