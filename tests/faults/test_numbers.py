"""A loss or gradients that are no numbers: the run stops and says where, or leaves the step out and counts it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from luke_tasks.training import learner, loop
from luke_tasks.training.checkpoint import checkpoints
from tests.faults import setups
from tests.training.runs import assert_same_weights, metrics, steps, train

EVERY_STEP = {"save_every_num_batches": 1, "keep_most_recent_by_count": 100}


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `no_numbers` changes comes back."""
    monkeypatch.setattr(learner._Loss, "forward", learner._Loss.forward)


@pytest.mark.parametrize(
    ("what", "fault"),
    [("loss", r"the loss is inf"), ("gradient", r"the norm of the gradients is nan \(the loss is [\d.]+\)")],
)
@pytest.mark.parametrize("grad_norm", [1.0, None])
def test_it_stops(
    what: str, fault: str, grad_norm: float | None, ner_config: Path, ner_files: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run_dir = tmp_path / "run"
    setups.no_numbers((6,), what)
    assert train(ner_config, run_dir, overrides={"trainer.grad_norm": grad_norm}) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    train_file = re.escape(ner_files["train"])
    assert re.fullmatch(
        rf"epoch 2, step 6: {fault}; try a lower learning rate \(now [\d.e-]+\), trainer.grad_norm, precision fp32, or "
        rf'trainer.on_nan "skip" \(with -r, too\) to leave such steps out; examples of this step: '
        rf"{train_file}:\d+, .*; the last checkpoint is {re.escape(str(run_dir))}/checkpoint_epoch_1_step_4",
        line,
    ), line
    assert len(steps(run_dir)) == 5
    advised = {"trainer.grad_norm": grad_norm, "trainer.on_nan": "skip", "trainer.gradient_checkpointing": True}
    assert train(ner_config, run_dir, "-r", overrides=advised) == 0
    assert len(steps(run_dir)) == 8


def test_it_skips_and_counts(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    setups.no_numbers((2, 6, 7), "gradient")
    assert train(ner_config, run_dir, overrides={"trainer.on_nan": "skip", "trainer.moving_average": {}}) == 0
    logged = steps(run_dir)
    assert [step["step"] for step in logged if "skipped" in step] == [2, 6, 7]
    assert all(step["loss"] is None for step in logged if "skipped" in step)
    of_epochs = [json.loads((run_dir / f"metrics_epoch_{epoch}.json").read_text(encoding="utf-8")) for epoch in (0, 1)]
    assert [scores["skipped_steps"] for scores in of_epochs] == [1, 2]
    for epoch, scores in enumerate(of_epochs):
        losses = [step["loss"] for step in logged if step["epoch"] == epoch and step["loss"] is not None]
        assert scores["training_loss"] == pytest.approx(sum(losses) / len(losses))
    errors = capsys.readouterr().err
    assert "warning: epoch 2/2: 2 of 4 steps skipped, for their loss or gradients were no numbers" in errors


def test_a_skipped_step_changes_no_weight(ner_config: Path, tmp_path: Path) -> None:
    """The last step, skipped, leaves what the step before it made."""
    every = {"trainer.on_nan": "skip", "trainer.num_epochs": 1, "validation_data_path": None,
             "trainer.checkpointer": EVERY_STEP, "trainer.moving_average": {}}  # fmt: skip
    setups.no_numbers((4,), "loss")
    assert train(ner_config, tmp_path / "run", overrides=every) == 0
    before, after = (tmp_path / "run" / name for name in ("checkpoint_epoch_0_step_3", "checkpoint_epoch_0_step_4"))
    assert_same_weights(before / "model.safetensors", after / "model.safetensors")
    optimizers = [torch.load(path / "training.pt", weights_only=True)["optimizer"]["state"] for path in (before, after)]
    assert all(
        torch.equal(optimizers[0][index][name], optimizers[1][index][name])
        for index in optimizers[0] for name in optimizers[0][index]
    )  # fmt: skip


@pytest.mark.parametrize(("limit", "stops_at"), [(100, 4), (3, 3)])
def test_many_in_a_row_stop_it(
    limit: int, stops_at: int, ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Or all of an epoch, where it has fewer."""
    monkeypatch.setattr(loop, "MOST_SKIPPED_IN_A_ROW", limit)
    setups.no_numbers(tuple(range(1, 100)), "loss")
    assert train(ner_config, tmp_path / "run", overrides={"trainer.on_nan": "skip"}) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(
        f"epoch 1, step {stops_at}: the loss is inf, the last of {stops_at} such steps in a row; try "
    )
    assert line.endswith("; there is no checkpoint yet")


def test_recovering_with_skipped_steps(ner_config: Path, tmp_path: Path) -> None:
    """Their count goes on from the checkpoint."""
    overrides = {"trainer.on_nan": "skip", "trainer.checkpointer": EVERY_STEP}
    run_dir = tmp_path / "run"
    setups.no_numbers((2,), "gradient")
    assert train(ner_config, run_dir, overrides=overrides) == 0
    before, of_epoch = metrics(run_dir), (run_dir / "metrics_epoch_0.json").read_text(encoding="utf-8")
    for path in checkpoints(run_dir)[3:]:
        shutil.rmtree(path)
    assert train(ner_config, run_dir, "-r", overrides=overrides) == 0
    assert metrics(run_dir) == before
    for text in (of_epoch, (run_dir / "metrics_epoch_0.json").read_text(encoding="utf-8")):
        assert json.loads(text)["skipped_steps"] == 1


@pytest.fixture
def scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scaler of fp16, on the CPU and in fp32."""
    original = learner.make_accelerator

    def with_scaler(device: torch.device, precision: str) -> Any:
        accelerator = original(device, precision)
        accelerator.scaler = torch.amp.GradScaler("cpu")
        return accelerator

    monkeypatch.setattr(learner, "make_accelerator", with_scaler)


OVERFLOW = "the gradients are too large for fp16 at every scale (down to {}): {} steps in a row changed nothing"


@pytest.mark.usefixtures("scaler")
def test_an_overflow_at_every_scale(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setups.no_numbers(tuple(range(4, 1000)), "gradient")
    overrides = {"trainer.num_epochs": 30, "trainer.grad_norm": None}
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides=overrides) == 1
    errors = capsys.readouterr().err
    fault = OVERFLOW.format(0.062, 20)
    assert f"warning: {fault}; bf16 or fp32 has the room (trainer.precision)\n" in errors
    assert errors.splitlines()[-1].startswith(f"epoch 6, step 23: {fault}; try a lower learning rate ")
    assert len(steps(run_dir)) == 22


@pytest.mark.usefixtures("scaler")
def test_an_overflow_that_passes(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some dropped steps are how the scale is found, and those that `on_nan` leaves out are counted."""
    setups.no_numbers((1, 2, 3, *range(9, 30)), "gradient")
    overrides = {"trainer.num_epochs": 8, "trainer.grad_norm": None, "trainer.on_nan": "skip"}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    assert [step["step"] for step in steps(tmp_path / "run") if "skipped" in step] == [28, 29]
    assert capsys.readouterr().err.count(f"warning: {OVERFLOW.format(0.0078, 20)}") == 1
