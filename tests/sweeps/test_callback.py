"""The end of a training at a callback's word, and the callback that asks the sweep."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.sweeps.trials import answer, answer_file
from luke_tasks.training.callbacks.callback import Callback, Callbacks
from luke_tasks.training.callbacks.sweep import SweepCallback
from tests.training.runs import metrics, steps, train
from tests.training.workers import said, train_in, used


class StopAt(Callback):
    """Stops after an epoch."""

    def __init__(self, *, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        if metrics["epoch"] == self.epoch:
            self.stop_reason = "enough for a test"


def test_a_callback_ends_a_training(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ends well: with metrics and archive."""
    monkeypatch.setattr(Callback, "_registry", {**Callback._registry, "stop_at": (StopAt, None)})
    run_dir = tmp_path / "run"
    changes = {"trainer.num_epochs": 5, "trainer.callbacks": [{"type": "stop_at", "epoch": 1}]}
    assert train(ner_config, run_dir, overrides=changes) == 0
    assert "stopping after epoch 2: enough for a test" in capsys.readouterr().err.splitlines()
    assert sorted(path.name for path in run_dir.glob("metrics_epoch_*")) == [
        "metrics_epoch_0.json", "metrics_epoch_1.json"
    ]  # fmt: skip
    assert json.loads((run_dir / "metrics.json").read_text())["epoch"] == 1
    assert (run_dir / "model.tar.gz").exists()


def asking(run_dir: Path, **options: Any) -> tuple[SweepCallback, Callbacks]:
    callback = SweepCallback(answer_file=str(answer_file(run_dir)), **options)
    callbacks = Callbacks([callback])
    callbacks.call("on_start", run_dir, {})
    return callback, callbacks


def test_it_waits_for_the_answer(tmp_path: Path) -> None:
    run_dir = tmp_path / "000"
    answer(run_dir, -1, stop=False)
    _, callbacks = asking(run_dir)
    threading.Timer(0.2, lambda: answer(run_dir, 0, stop=False)).start()
    began = time.monotonic()
    callbacks.call("on_epoch", {"epoch": 0})
    assert time.monotonic() - began > 0.15
    assert callbacks.stop_reason is None
    answer(run_dir, 1, stop=True)
    callbacks.call("on_epoch", {"epoch": 1})
    assert callbacks.stop_reason == "the sweep prunes this trial"


def test_an_epoch_that_is_done_again_has_its_answer(tmp_path: Path) -> None:
    """A trial that was recovered from before an epoch the sweep has answered to."""
    answer(tmp_path / "000", 3, stop=True)
    _, callbacks = asking(tmp_path / "000")
    callbacks.call("on_epoch", {"epoch": 2})
    assert callbacks.stop_reason is None


def test_without_a_sweep_it_asks_nothing(tmp_path: Path) -> None:
    _, callbacks = asking(tmp_path / "000")
    callbacks.call("on_epoch", {"epoch": 0})  # does not wait
    assert callbacks.stop_reason is None


def test_a_sweep_that_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answer(tmp_path / "000", -1, stop=False)
    _, callbacks = asking(tmp_path / "000", patience_seconds=0.1)
    callbacks.call("on_epoch", {"epoch": 0})
    assert "no answer from the sweep for 0.1 s: going on without it" in caplog.text
    callbacks.call("on_epoch", {"epoch": 1})
    assert caplog.text.count("no answer") == 1


def test_several_processes_are_pruned_together(ner_config: Path, tmp_path: Path) -> None:
    """The first asks the sweep, and tells the others."""
    run_dir = tmp_path / "run"
    answer(run_dir, 0, stop=True)
    callback = {"type": "sweep", "answer_file": str(answer_file(run_dir))}
    overrides = {"trainer.num_epochs": 3, "trainer.callbacks": [callback]}
    assert train_in(2, ner_config, run_dir, overrides=overrides) == [0, 0]
    assert "stopping after epoch 1: the sweep prunes this trial" in said(run_dir, 0).splitlines()
    assert [len(used(run_dir, rank)) for rank in (0, 1)] == [len(steps(run_dir))] * 2
    assert metrics(run_dir)["epoch"] == 0
    assert (run_dir / "model.tar.gz").exists()
