"""A small valid config and the way the tests of configs run it: in a folder of its own, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.experiment_config import discover_all
from luke_tasks.registry import Registrable

BASE: dict[str, Any] = {
    "dataset_reader": {"type": "conll_span", "max_sequence_length": 64},
    "train_data_path": "train.txt",
    "validation_data_path": "valid.txt",
    "model": {"encoder": {"type": "luke", "pretrained": "luke"}, "head": {"type": "ner", "features": "token+entity"}},
    "data_loader": {"batch_size": 8},
    "trainer": {
        "optimizer": {
            "type": "adamw",
            "lr": 1e-3,
            "parameter_groups": [[["bias", "LayerNorm"], {"weight_decay": 0}]],
        },
        "validation_metric": "+f1",
        "callbacks": [{"type": "tensorboard"}, {"type": "wandb", "project": "luke"}],
    },
}


NAMES = {
    "Reader": ("conll_span",),
    "Head": ("ner", "span_ner"),
    "Encoder": ("luke", "transformer"),
    "Optimizer": ("adamw", "huggingface_adamw", "sgd"),
    "LearningRateScheduler": ("constant_with_warmup", "custom_linear_with_warmup", "linear_with_warmup"),
    "Callback": ("tensorboard", "wandb"),
}


def keep_to_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all registered classes but those in `NAMES`, so that messages that list them stay the same."""
    discover_all()
    for part in Registrable.__subclasses__():
        if part.__name__ in NAMES and part.__module__.startswith("luke_tasks."):
            known = {name: part._registry[name] for name in NAMES[part.__name__]}
            monkeypatch.setattr(part, "_registry", known)


def write_base(folder: Path) -> Path:
    """`base.json` and the data files it names."""
    for name in ("train.txt", "valid.txt"):
        (folder / name).write_text("Paris B-LOC\n", encoding="utf-8")
    path = folder / "base.json"
    path.write_text(json.dumps(BASE), encoding="utf-8")
    return path


def faults_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines that `allennlp train` answers a wrong request with: exit status 2, nothing else, nothing written."""
    assert main(["train", *arguments, "-s", "run"]) == 2
    assert not Path("run").exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()
