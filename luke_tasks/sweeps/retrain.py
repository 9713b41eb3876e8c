"""The best setting again, over several seeds: mean, spread, and the archive of the median run."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from luke_tasks.errors import Interrupted, TrainingError
from luke_tasks.files import replacing
from luke_tasks.sweeps.records import Objective, Retrained
from luke_tasks.sweeps.search import Launch, read_metrics, remove_weights
from luke_tasks.sweeps.trials import Job, Running
from luke_tasks.training.interrupts import interrupts

logger = logging.getLogger(__name__)
SEEDS = {"random_seed": 13370, "numpy_seed": 1337, "pytorch_seed": 133}  # a config's defaults
_POLL_SECONDS = 0.1


def seed_overrides(values: dict[str, Any], added: int) -> dict[str, int]:
    """The config's three seeds, each with `added` on top; 0 gives the best trial again."""
    return {name: int(values.get(name, default)) + added for name, default in SEEDS.items()}


def retrain(jobs: Sequence[Job], objectives: Sequence[Objective], directory: Path, *,
            shares: Sequence[Mapping[str, str]], launch: Launch) -> Retrained:  # fmt: skip
    """Run the jobs, except those that are done; see `Retrained`.

    Args:
        shares: the environment of each run at once, see `trials.share_of_machine`.
    Raises:
        TrainingError: a run failed.
        Interrupted: by a signal; the runs have saved their state.
    """
    waiting = [job for job in jobs if not (job.directory / "model.tar.gz").exists()]
    running: list[tuple[Job, Running, int]] = []  # with the index of its share
    with interrupts() as stopped:
        try:
            while waiting or running:
                while waiting and len(running) < len(shares):
                    share = min(set(range(len(shares))) - {used for _, _, used in running})
                    job = replace(waiting.pop(0), environment=shares[share])
                    running.append((job, launch(job), share))
                    logger.info("retraining with seeds + %d: %s", job.number, job.directory)
                for job, process, share in list(running):
                    code = process.poll()
                    if code is None:
                        continue
                    running.remove((job, process, share))
                    error = process.error() if code != 0 else None
                    process.kill(0)
                    if error is not None:
                        raise TrainingError(f"retraining with seeds + {job.number} failed: {error}; see {job.log}")
                    remove_weights(job.directory, also_best=False)
                    shown = ", ".join(f"{one.name} {value:.4f}" for one, value in zip(
                        objectives, values_of(job, objectives), strict=True))  # fmt: skip
                    logger.info("retrained with seeds + %d: %s", job.number, shown)
                if stopped.is_set():
                    for _, process, _ in running:
                        process.stop()
                    for _, process, _ in running:
                        process.kill()
                    running = []
                    raise Interrupted("interrupted while retraining; the same command goes on", 128 + stopped.signum)
                time.sleep(_POLL_SECONDS)
        finally:
            for _, process, _ in running:
                process.kill(0)
    return summarised(jobs, objectives, directory)


def summarised(jobs: Sequence[Job], objectives: Sequence[Objective], directory: Path) -> Retrained:
    """The runs' numbers; the median's archive is copied to `directory/model.tar.gz`.

    Raises:
        TrainingError: a run's metrics lack an objective.
    """
    contents = [read_metrics(job.directory) for job in jobs]
    values = [values_of(job, objectives) for job in jobs]
    sign = objectives[0].sign
    order = sorted(range(len(jobs)), key=lambda index: sign * values[index][0])  # worst first
    median = order[len(order) // 2]
    archive = directory / "model.tar.gz"
    with replacing(archive) as partial:
        shutil.copyfile(jobs[median].directory / "model.tar.gz", partial)
    numbers = [
        {name: float(value) for name, value in metrics.items()
         if isinstance(value, (int, float)) and not isinstance(value, bool) and not name.endswith("memory_MB")
         and "epoch" not in name}
        for metrics in contents
    ]  # fmt: skip
    return Retrained([job.number for job in jobs], [job.directory for job in jobs], numbers, values, median, archive)


def values_of(job: Job, objectives: Sequence[Objective]) -> list[float]:
    """The objectives' values of an ended run. Raises TrainingError where it has none."""
    metrics = read_metrics(job.directory)
    found = [objective.value_in(metrics) for objective in objectives]
    if None in found:
        lacking = objectives[found.index(None)].metric
        raise TrainingError(f"{job.directory}/metrics.json: {lacking} is {metrics.get(lacking)}")
    return [value for value in found if value is not None]
