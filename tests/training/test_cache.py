"""A run with `data_loader.cache_dir` is the run without it: losses, metrics and weights bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.training.checkpoint import checkpoints
from tests.tiny import tiny_roberta
from tests.training.runs import assert_same_run, metrics, train

pytest.importorskip("datasets")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "batches",
    [{"batch_size": 8, "shuffle": True}, {"batch_size": 4, "shuffle": True, "bucket": True}, {"max_tokens": 120}],
    ids=["shuffle", "bucket", "max_tokens"],
)
def test_ner(
    batches: dict[str, Any], ner_config: Path, ner_files: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Several windows a document, and a test set."""
    overrides = {"data_loader": batches, "test_data_path": ner_files["valid"], "evaluate_on_test": True}
    assert train(ner_config, tmp_path / "own", overrides=overrides) == 0
    overrides["data_loader"] = {**batches, "cache_dir": str(tmp_path / "cache")}
    printed = []
    for name in ("made", "read"):
        capsys.readouterr()
        assert train(ner_config, tmp_path / name, overrides=overrides) == 0
        printed.append(capsys.readouterr().err)
        assert_same_run(tmp_path / name, tmp_path / "own")
    assert (
        f"windows (examples: 8) from {ner_files['train']}, written to the cache {tmp_path}/cache/train-" in printed[0]
    )
    assert f"windows (examples: 8) from {ner_files['train']}, read from the cache {tmp_path}/cache/train-" in printed[1]
    assert "test: " in printed[1] and f"from {ner_files['valid']}, read from the cache" in printed[1]


def test_several_windows_in_one_feature(tmp_path: Path) -> None:
    """Multiple choice: features within features."""
    records = [{"context": "Barack Obama was born", "question": "in", "choices": ["Honolulu", "two days"], "label": 0},
               {"context": "London is", "choices": ["four for 38", "old", "an innings"], "label": 1}]  # fmt: skip
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records * 3), encoding="utf-8")
    config: dict[str, Any] = {
        "dataset_reader": {"type": "multiple_choice", "max_sequence_length": 40},
        "train_data_path": str(data),
        "validation_data_path": str(data),
        "model": {"encoder": {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))},
                  "head": {"type": "multiple_choice"}},
        "data_loader": {"batch_size": 2, "shuffle": True},
        "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": "+accuracy", "cuda_device": -1},
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    assert train(path, tmp_path / "own") == 0
    assert train(path, tmp_path / "cached", overrides={"data_loader.cache_dir": str(tmp_path / "cache")}) == 0
    assert_same_run(tmp_path / "cached", tmp_path / "own")


def test_recovering(ner_config: Path, tmp_path: Path) -> None:
    """From a cache or without one, whichever the run began with."""
    overrides = {"trainer.checkpointer": {"keep_most_recent_by_count": 9}}
    with_cache = {**overrides, "data_loader.cache_dir": str(tmp_path / "cache")}
    assert train(ner_config, tmp_path / "own", overrides=overrides) == 0
    assert train(ner_config, tmp_path / "begun", overrides=overrides) == 0
    (tmp_path / "begun" / "metrics.json").unlink()
    last = checkpoints(tmp_path / "begun")[-1]
    for file in last.iterdir():
        file.unlink()
    last.rmdir()
    assert train(ner_config, tmp_path / "begun", "--recover", overrides=with_cache) == 0
    assert_same_run(tmp_path / "begun", tmp_path / "own")


def test_the_archive_needs_no_cache(ner_config: Path, tmp_path: Path, ner_files: dict[str, str]) -> None:
    """Nothing is written where an archive says, and scores are those of the run."""
    cache = tmp_path / "cache"
    assert train(ner_config, tmp_path / "run", overrides={"data_loader.cache_dir": str(cache)}) == 0
    cache.rename(tmp_path / "moved")
    scores = luke_tasks.load(tmp_path / "run" / "model.tar.gz", cuda_device=-1).evaluate(ner_files["valid"]).scores
    assert scores["f1"] == metrics(tmp_path / "run")["best_validation_f1"]
    assert not cache.exists()


def test_validation_may_have_another_loader(ner_config: Path, tmp_path: Path, ner_files: dict[str, str]) -> None:
    overrides = {"validation_data_loader": {"batch_size": 8, "cache_dir": str(tmp_path / "cache")}}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    assert [path.name[:6] for path in (tmp_path / "cache").iterdir() if path.is_dir()] == ["valid-"]


def test_unlabelled_training_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused each time, also when they were counted before."""
    data = tmp_path / "data.tsv"
    data.write_text("text\tlabel\na film\tgood\na waste\tbad\n", encoding="utf-8")
    config = {
        "dataset_reader": {"type": "sequence_classification", "text": "text", "label": None},
        "vocabulary": {"type": "from_files", "directory": str(tmp_path)},
        "train_data_path": str(data),
        "model": {"encoder": {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))},
                  "head": {"type": "sequence_classification"}},
        "data_loader": {"cache_dir": str(tmp_path / "cache")},
        "trainer": {"optimizer": {"lr": 5e-3}, "cuda_device": -1},
    }  # fmt: skip
    (tmp_path / "labels.txt").write_text("good\nbad\n", encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    overrides = {"dataset_reader.max_sequence_length": 20}
    for _ in range(2):
        assert train(tmp_path / "config.json", tmp_path / "run", overrides=overrides) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith(f"{data}: holds examples without a gold label: nothing can be learned from them")


@pytest.mark.parametrize(
    ("folder", "message"),
    [("config.json", "is a file; expected a folder"), ("config.json/cache", "is a file; expected a folder")],
)
def test_no_folder(
    folder: str, message: str, ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"data_loader.cache_dir": str(tmp_path / folder)}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 2
    assert capsys.readouterr().err == f"data_loader.cache_dir: {tmp_path}/config.json {message}\n"


@pytest.mark.parametrize("folder", ["", " ", "a\0b", 3])
def test_no_name_of_a_folder(folder: Any, ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"data_loader.cache_dir": folder}) == 2
    found = json.dumps(folder)
    assert capsys.readouterr().err == f"data_loader.cache_dir: expected the name of a folder, found {found}\n"


def test_without_datasets(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = luke_tasks.experiment_config.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "datasets" else find(name, *more)
    )
    assert train(ner_config, tmp_path / "run", overrides={"data_loader.cache_dir": str(tmp_path / "cache")}) == 2
    assert capsys.readouterr().err == ("data_loader.cache_dir: needs the package datasets, which is not installed: "
                                       "pip install 'luke-tasks[cache]'; or remove this key\n")  # fmt: skip


def test_datasets_is_imported_with_a_cache_only() -> None:
    code = "import luke_tasks.experiment, sys; print([m for m in ('datasets', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dry_run_makes_the_cache(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = json.dumps({"data_loader.cache_dir": str(tmp_path / "cache")})
    assert main(["train", str(ner_config), "-s", str(tmp_path / "run"), "--dry-run", "-o", overrides]) == 0
    assert "dry run: everything is read and built; nothing is trained or written but the cache of features\n" in (
        capsys.readouterr().err
    )
    assert sum(path.is_dir() for path in (tmp_path / "cache").iterdir()) == 2
