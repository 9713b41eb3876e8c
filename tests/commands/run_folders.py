"""Folders as runs leave them, written by hand: no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "conll_span", "context": "sentence"},
    "model": {"head": {"type": "ner", "dropout": 0.1}},
    "trainer": {
        "optimizer": {"type": "adamw", "lr": 1e-5, "betas": [0.9, 0.999]},
        "num_epochs": 3,
        "validation_metric": "+f1",
        "callbacks": None,
    },
}
LOG_TIME = "2026-11-22 14:49:37,627"


def write_run(
    path: Path, *, f1: tuple[float, ...] = (), ended: bool = True, log: str = "", weights: Any = None, **config: Any
) -> Path:
    """A run with so many epochs; `config` has dotted paths with `__` for the dots."""
    path.mkdir(parents=True)
    values = json.loads(json.dumps(CONFIG))
    for key, value in config.items():
        *parents, last = key.split("__")
        target = values
        for parent in parents:
            target = target[parent]
        target[last] = value
    write(path / "config.json", values)
    write(path / "meta.json", {})
    (path / "out.log").write_text(f"{LOG_TIME} INFO luke_tasks.x: begun\n{log}", encoding="utf-8")
    for epoch, score in enumerate(f1):
        metrics = {"epoch": epoch, "training_loss": 1.0 - score, "validation_f1": score,
                   "best_validation_f1": max(f1[: epoch + 1])}  # fmt: skip
        write(path / f"metrics_epoch_{epoch}.json", metrics)
        if ended:
            write(path / "metrics.json", metrics)
    if weights is not None:
        save_file({name: torch.tensor(value) for name, value in weights.items()}, path / "best.safetensors")
    return path


def write(path: Path, value: Any) -> None:
    """As JSON."""
    path.write_text(json.dumps(value), encoding="utf-8")
