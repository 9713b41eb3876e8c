"""What many tests need: a tiny LUKE, a small NER file, and a config that trains the one on the other."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything imports the hub's client
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a shell's background, which runs under test would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]

SENTENCES = [
    "Beyoncé/PER lives in Los/LOC Angeles/LOC",
    "Phil/PER Simmons/PER took four for 38 on Friday",
    "Leicestershire/ORG beat Somerset/ORG by an innings",
    "Barack/PER Obama/PER was born in Honolulu/LOC",
    "London/LOC is the capital of the United/LOC Kingdom/LOC",
    "EU/ORG rejects German call to boycott British lamb",
]


def conll(sentences: list[str], documents_of: int = 3) -> str:
    """`word/TYPE` texts as a CoNLL-2003 file in IOB2."""
    lines = []
    for index, sentence in enumerate(sentences):
        if index % documents_of == 0:
            lines += ["-DOCSTART- -X- -X- O", ""]
        previous = ""
        for token in sentence.split():
            word, _, label = token.partition("/")
            prefix = ("I-" if label == previous else "B-") if label else "O"
            lines.append(f"{word} -X- -X- {prefix}{label}")
            previous = label
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def tiny_luke_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import tiny_luke

    return tiny_luke(tmp_path_factory.mktemp("checkpoint") / "luke")


@pytest.fixture(scope="session")
def ner_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_ner_files(tmp_path_factory.mktemp("ner"))


def write_ner_files(folder: Path) -> dict[str, str]:
    """`ner_files` in a folder of one's own."""
    (folder / "train.txt").write_text(conll(SENTENCES * 4), encoding="utf-8")
    (folder / "valid.txt").write_text(conll(SENTENCES[::-1]), encoding="utf-8")
    return {"train": str(folder / "train.txt"), "valid": str(folder / "valid.txt")}


@pytest.fixture
def ner_config(tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path: Path) -> Path:
    """A config file that trains a tiny LUKE for 2 epochs of 6 steps."""
    return write_ner_config(tmp_path, tiny_luke_dir, ner_files)


def write_ner_config(folder: Path, tiny_luke_dir: Path, ner_files: dict[str, str]) -> Path:
    """`ner_config` in a folder of its own, for fixtures that several tests share."""
    config: dict[str, Any] = {
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 64, "max_mention_length": 8,
                           "max_entity_length": 20},
        "train_data_path": ner_files["train"],
        "validation_data_path": ner_files["valid"],
        "model": {
            "encoder": {"type": "luke", "pretrained": str(tiny_luke_dir)},
            "head": {"type": "ner", "features": "token+entity"},
        },
        "data_loader": {"batch_size": 8, "shuffle": True},
        "trainer": {
            "num_epochs": 2,
            "cuda_device": -1,
            "optimizer": {"type": "adamw", "lr": 1e-3},
            "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_ratio": 0.1},
            "grad_norm": 1.0,
            "validation_metric": "+f1",
        },
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
