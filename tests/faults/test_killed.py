"""SIGKILL at every kind of moment: the run goes on, and ends as one that was never stopped, bit for bit."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Moment, Run, assert_same_run, evaluation_fault

OVERRIDES: dict[str, Any] = {
    "trainer.checkpointer.save_every_num_batches": 2, "trainer.num_epochs": 3, "data_loader.batch_size": 4,
    "trainer.num_gradient_accumulation_steps": 2, "trainer.moving_average": {"decay": 0.9},
}  # fmt: skip

MOMENTS = {
    "in a step": Moment("call", "luke_tasks.training.learner:Learner.step", 5, after=True),
    "in a validation": Moment("call", "luke_tasks.training.learner:Learner.forward", 2),
    "weights half written": Moment("call", "luke_tasks.training.checkpoint:save_file", 3, after=True),
    "optimizer half written": Moment("call", "torch:save", 2, after=True),
    "checkpoint not yet renamed": Moment("os.rename", "checkpoint_*", 3),
    "old checkpoint renamed, not removed": Moment("shutil.rmtree", "checkpoint_*.partial"),
    "best weights, but not the checkpoint": Moment("os.rename", "metrics_epoch_1.json.partial"),
    "before anything but the log": Moment("open", "config.json.partial"),
    "labels half written": Moment("call", "luke_tasks.data.labels:Labels.save", 1, after=True),
    "archive half written": Moment("call", "tarfile:TarFile.add", 3),
    "archive not yet renamed": Moment("os.rename", "model.tar.gz.partial"),
    "all but the exit": Moment("os.remove", ".lock"),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_killed(name: str, whole: Run, tmp_path: Path, ner_files: dict[str, str]) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    killed = run.start(setup=functools.partial(MOMENTS[name], run.run_dir)).wait()
    assert killed.status == -9, killed.errors
    assert evaluation_fault(run.evaluate(ner_files["valid"])) is None
    recovered = run.recover()
    assert recovered.status == 0, recovered.errors
    assert_same_run(run.run_dir, whole.run_dir)
