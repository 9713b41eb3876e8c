"""What the tests of sweeps share: a space over `ner_config`, and no waiting between two looks at the trials."""

from __future__ import annotations

from typing import Any

import pytest

from luke_tasks.sweeps import search


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_POLL_SECONDS", 0.0)


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
