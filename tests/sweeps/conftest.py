"""What the tests of sweeps share: a space over `ner_config`, and what makes fake trials quick."""

from __future__ import annotations

from typing import Any

import pytest

from luke_tasks import files
from luke_tasks.sweeps import search
from luke_tasks.sweeps.study import SweepStudy


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that takes time: no waiting, no forests for the importances, no flushing of files to the disk."""
    monkeypatch.setattr(search, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(SweepStudy, "importances", lambda self: ({}, "not asked for"))
    monkeypatch.setattr(files, "_flush", lambda path: None)


@pytest.fixture
def lr_space() -> dict[str, Any]:
    """A random search over the learning rate, and a choice."""
    return {
        "method": "random",
        "metric": {"name": "f1", "goal": "maximize"},
        "parameters": {
            "trainer.optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
            "data_loader.batch_size": {"values": [4, 8]},
        },
    }
