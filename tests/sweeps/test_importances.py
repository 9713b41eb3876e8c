"""What the parameters explain of the scores, and why it cannot always be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luke_tasks.sweeps import search
from luke_tasks.sweeps.sweep import sweep
from tests.sweeps.fakes import Launcher


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_POLL_SECONDS", 0.0)


def test_importances(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """The score depends on the learning rate alone. After three trials, nothing can be said."""
    first = sweep(ner_config, lr_space, tmp_path / "s", trials=3, launch=Launcher())
    assert first.importances == {} and first.importance_note == "3 complete trials are too few; 4 are needed"
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=8, launch=Launcher())
    shares = result.importances["f1"]
    assert sum(shares.values()) == pytest.approx(1) and result.importance_note is None
    assert shares["trainer.optimizer.lr"] > 0.9


def test_one_parameter(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    del lr_space["parameters"]["data_loader.batch_size"]
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=2, launch=Launcher())
    assert (result.importances, result.importance_note) == ({}, "there is one parameter only")
