"""`find-lr`: the learning rates it goes through, what it writes, and what it says."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from luke_tasks.__main__ import main
from luke_tasks.training.learner import Learner, Step
from luke_tasks.training.lr_search import Point, Range, suggest

OVERRIDES: dict[str, Any] = {
    "trainer.num_gradient_accumulation_steps": 2, "data_loader.batch_size": 4, "trainer.moving_average": {},
    "trainer.optimizer": {"lr": 1e-3, "parameter_groups": [[["head"], {"lr": 5e-3}]]},
}  # fmt: skip


def find_lr(config: Path, directory: Path, *flags: str, overrides: dict[str, Any] | None = None) -> int:
    return main(["find-lr", str(config), "-s", str(directory), "--file-friendly-logging",
                 "-o", json.dumps(overrides or OVERRIDES), *flags])  # fmt: skip


def test_what_it_writes(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step takes the batches of two, and each parameter group keeps its ratio to the optimizer's own rate."""
    seen: list[tuple[list[float], int]] = []
    whole = Learner.step

    def step(self: Learner, batches: Any, count: int) -> Step:
        seen.append(([group["lr"] for group in self.optimizer.param_groups], count))
        return whole(self, batches, count)

    monkeypatch.setattr(Learner, "step", step)
    directory = tmp_path / "lr"
    assert find_lr(ner_config, directory, "--num-batches", "16", "--start-lr", "1e-4", "--end-lr", "1") == 0
    expected = np.geomspace(1e-4, 1, 16)
    assert [lr for _, lr in (rates for rates, _ in seen)] == pytest.approx(expected)  # that of all but the head
    assert [lr for lr, _ in (rates for rates, _ in seen)] == pytest.approx(5 * expected)
    assert max(count for _, count in seen) == 2  # at the end of an epoch, what is left

    result = json.loads((directory / "lr-losses.json").read_text(encoding="utf-8"))
    assert [point["lr"] for point in result["points"]] == pytest.approx(expected)
    losses = [point["loss"] for point in result["points"]]
    assert min(losses) < losses[0] < losses[-1]  # it learned, then diverged
    assert 1e-4 <= result["falls_from"] <= result["suggested_lr"] <= result["lowest"] < 1
    with (directory / "lr-losses.csv").open(encoding="utf-8") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == losses
    drawn = ElementTree.parse(directory / "lr-losses.svg").getroot()
    assert f"suggested {result['suggested_lr']:.2g}" in "".join(drawn.itertext())
    captured = capsys.readouterr()
    assert captured.out.startswith(f"suggested learning rate: {result['suggested_lr']:.2g} (the config has 0.001)\n")

    assert find_lr(ner_config, directory) == 2
    assert "holds lr-losses.json, lr-losses.csv, lr-losses.svg already; -f" in capsys.readouterr().err


def test_stopping(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--num-batches", "30", "--start-lr", "1e-3", "--end-lr", "1000", "--stopping-factor", "3", "--linear")
    assert find_lr(ner_config, tmp_path, *flags) == 0
    result = json.loads((tmp_path / "lr-losses.json").read_text(encoding="utf-8"))
    losses = [point["loss"] for point in result["points"]]
    assert len(losses) < 30 and result["stopped"] is not None
    assert all(loss <= 3 * min(losses[: index + 1]) for index, loss in enumerate(losses[:-1]))
    assert f"stopped after {len(losses)} of 30 steps: at " in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "message"), [
    (("--start-lr", "0"), "--start-lr: expected a number above 0, found 0"),
    (("--start-lr", "nan"), "--start-lr: expected a number above 0, found nan"),
    (("--start-lr", "1", "--end-lr", "0.1"), "--start-lr 1: expected less than --end-lr, which is 0.1"),
    (("--num-batches", "1"), "--num-batches: expected 2 at least, found 1"),
    (("--stopping-factor", "-2"), "--stopping-factor: expected a number above 0, found -2"),
])  # fmt: skip
def test_wrong_requests(
    flags: tuple[str, ...], message: str, ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_lr(ner_config, tmp_path / "lr", *flags) == 2
    assert capsys.readouterr().err.strip() == message
    assert not (tmp_path / "lr").exists()


def test_the_suggestion_is_the_steepest_place() -> None:
    """A loss that falls as a sigmoid of the logarithm around 1e-3, and rises from 0.1 on; with noise."""
    rates = np.array(Range(1e-6, 1.0, 121).values())
    x = np.log10(rates)
    loss = 2.0 - 1.5 / (1 + np.exp(-4 * (x + 3))) + 3 * np.maximum(x + 1, 0) ** 2
    noise = np.random.default_rng(0).normal(0, 0.02, len(x))
    found = suggest([Point(float(lr), float(value)) for lr, value in zip(rates, loss + noise, strict=True)])
    assert found.lr is not None and found.falls_from is not None and found.lowest is not None
    assert abs(np.log10(found.lr) + 3) < 0.3
    assert 1e-5 < found.falls_from < found.lr
    assert 0.01 < found.lowest < 0.2
    assert np.abs(np.array(found.smoothed) - loss).max() < 0.15


def test_a_loss_that_never_falls() -> None:
    assert suggest([Point(10.0**power, 1.0 + power / 10) for power in range(12)]).lr is None
    assert suggest([Point(1e-3, 1.0), Point(1e-2, 0.5)]).lr is None  # too few to say
