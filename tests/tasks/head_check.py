"""The check every head passes: it trains, saves, reloads, predicts alike, and every weight receives a gradient."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import luke_tasks
from luke_tasks.data.loader import collate
from luke_tasks.trained import load_trained
from tests.training.runs import metrics, train


def check_head(
    config: Path,
    tmp_path: Path,
    raw_inputs: list[Any],
    overrides: dict[str, Any] | None = None,
    without_gradient: tuple[str, ...] = (),
    unused: str = "$.",
    shared_by_all: tuple[str, ...] = (),
) -> None:
    """Train `config` in `tmp_path`, and hold the archive against the run.

    `without_gradient` names weights that cannot reach this loss, with the reason beside it in the test; the regular
    expression `unused`, those that the task's data never use; `shared_by_all`, those that move all scores of a softmax
    together, which get nothing but rounding.
    """
    run_dir = tmp_path / "run"
    assert train(config, run_dir, overrides=overrides) == 0
    run_metrics = metrics(run_dir)
    resolved = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))

    predictor = luke_tasks.load(run_dir / "model.tar.gz", cuda_device=-1)
    evaluation = predictor.evaluate(resolved["validation_data_path"])
    for name, value in evaluation.scores.items():
        if name != "loss":  # a mean over batches, which have another size here
            assert value == pytest.approx(run_metrics[f"best_validation_{name}"], rel=1e-5, abs=1e-6), name

    alike = luke_tasks.load(run_dir, cuda_device=-1)
    assert [p.to_json() for p in predictor(raw_inputs)] == [p.to_json() for p in alike(raw_inputs)]
    one_by_one = [predictor(raw_input).to_json() for raw_input in raw_inputs]
    for single, batched in zip(one_by_one, (p.to_json() for p in predictor(raw_inputs)), strict=True):
        assert_alike({**single, "id": ""}, {**batched, "id": ""})  # an id may say which input of a list it was
    json.dumps(one_by_one)

    check_gradients(run_dir, without_gradient, unused, shared_by_all)


def check_gradients(
    run_dir: Path, allowed: tuple[str, ...], unused: str = "$.", shared_by_all: tuple[str, ...] = ()
) -> None:
    """Every weight of the trained model takes part in the loss."""
    trained = load_trained(run_dir)
    path = trained.config.resolved["validation_data_path"]
    _, features = trained.reader.read_encoded(path)
    batch = collate(features, pad_id=trained.pad_id, labels=trained.labels)
    loss = trained.model.train()(batch).loss
    assert loss is not None
    loss.backward()
    gradients = {name: weight.grad for name, weight in trained.model.named_parameters()}
    without = [name for name, gradient in gradients.items() if gradient is None]
    assert without == [name for name in gradients if re.search(unused, name)]
    zero = [name for name, gradient in gradients.items() if gradient is not None and not gradient.abs().sum() > 0]
    # Softmax does not change when all of a row's scores move together, so a key's bias gets nothing but rounding.
    assert [name for name in zero if not name.endswith(("key.bias", *shared_by_all))] == list(allowed)


def assert_alike(a: Any, b: Any) -> None:
    """Equal JSON, numbers up to what another padding changes."""
    if isinstance(a, float):
        assert a == pytest.approx(b, abs=1e-5)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_alike(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for first, second in zip(a, b, strict=True):
            assert_alike(first, second)
    else:
        assert a == b
