"""A task that luke-tasks does not have, from a user's package: config, training, archive, prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import luke_tasks
from luke_tasks.__main__ import main
from tests.conftest import conll
from tests.tasks.head_check import check_head
from tests.tiny import tiny_roberta

PLUGIN = ("--include-package", "tests.plugins.sentiment")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    text = "good\tWhat a film\nbad\tWhat a waste\ngood\tA capital innings\nbad\tNo runs on Friday\n"
    (tmp_path / "train.tsv").write_text(text * 4, encoding="utf-8")
    content: dict[str, Any] = {
        "dataset_reader": {"type": "test_sentiment"},
        "train_data_path": str(tmp_path / "train.tsv"),
        "validation_data_path": str(tmp_path / "train.tsv"),
        "model": {"encoder": {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))},
                  "head": {"type": "test_sentiment"}},
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {"num_epochs": 2, "optimizer": {"lr": 1e-3}, "validation_metric": "+accuracy", "cuda_device": -1},
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_it_passes_the_check_of_every_head(config: Path, tmp_path: Path) -> None:
    main(["predict", "nowhere", "nothing", *PLUGIN])  # imports nothing yet: the files are looked at first
    import tests.plugins.sentiment  # noqa: F401 (registers the classes)

    check_head(config, tmp_path, ["What a film", {"text": "No runs"}])


def test_ner_data_given_to_another_tasks_archive(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert main(["train", str(config), "-s", str(run_dir), *PLUGIN]) == 0
    data = tmp_path / "ner.txt"
    data.write_text(conll(["Paris/LOC is old"]), encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(run_dir), str(data), *PLUGIN]) == 2
    message = capsys.readouterr().err.strip()
    assert message == f"{data}:1: expected label<TAB>text, found '-DOCSTART- -X- -X- O'"
    assert luke_tasks.load(run_dir, include_packages=[PLUGIN[1]])("What a film").label in ("good", "bad")
