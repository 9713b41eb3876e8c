"""An archive to predict with, and how its predictions are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from luke_tasks.__main__ import main
from luke_tasks.training.archive import write_archive
from tests.training.runs import train


@pytest.fixture(scope="session")
def archive(tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny NER model with a head so large that it finds many things, if the wrong ones."""
    folder = tmp_path_factory.mktemp("bulk")
    config = {
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 64, "max_mention_length": 8},
        "train_data_path": ner_files["train"],
        "validation_data_path": ner_files["valid"],
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir)}, "head": {"type": "ner"}},
        "data_loader": {"batch_size": 12},
        "trainer": {"num_epochs": 1, "cuda_device": -1, "optimizer": {"type": "adamw", "lr": 1e-3}},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert train(folder / "config.json", folder / "run") == 0
    weights = load_file(folder / "run" / "best.safetensors")
    generator = torch.Generator().manual_seed(1)
    for name in [name for name in weights if name.startswith("head.")]:
        weights[name] = torch.randn(weights[name].shape, generator=generator)
    save_file(weights, folder / "run" / "best.safetensors")
    return str(write_archive(folder / "run"))


def lines(number: int, word: str = "London") -> str:
    """So many different lines of text."""
    return "".join(f"{word} beat Phil Simmons by {index} runs in Hawaii\n" for index in range(1, number + 1))


def read(folder: Path) -> dict[str, Any]:
    """All predictions in a folder of outputs, by id."""
    records = [json.loads(line) for path in sorted(folder.rglob("*.jsonl"))
               for line in path.read_text(encoding="utf-8").splitlines()]  # fmt: skip
    by_id = {record["id"]: record for record in records}
    assert len(by_id) == len(records)
    return by_id


def predict(archive: str, *arguments: str) -> int:
    """The command on the CPU; its exit status."""
    return main(["predict", archive, *arguments, "--cuda-device", "-1"])


def plain(archive: str, capsys: pytest.CaptureFixture[str], *files: str) -> dict[str, Any]:
    """Its predictions on standard output, by id."""
    capsys.readouterr()
    assert predict(archive, *files) == 0
    return {record["id"]: record for record in map(json.loads, capsys.readouterr().out.splitlines())}


def alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same predictions, up to the rounding of other batches."""
    assert found.keys() == expected.keys()
    for id, record in expected.items():
        own = found[id]
        assert own["text"] == record["text"]
        assert [(e["text"], e["label"]) for e in own["entities"]] == [
            (e["text"], e["label"]) for e in record["entities"]
        ]
        assert [e["score"] for e in own["entities"]] == pytest.approx(
            [e["score"] for e in record["entities"]], abs=1e-5
        )
