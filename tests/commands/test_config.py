"""`config`: every value of the resolved config, and the line, override, variable or default it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.experiment_config import read_config
from luke_tasks.jsonnet_origins import value_origins
from tests.config_case import write_base

LIBRARY = """\
// shared by all
{
  optimizer(lr, name="adamw"):: {
    type: name,
    lr: lr,
    weight_decay: 0.01,  // 0.02 was worse
  },
  local deep = 2,
  steps:: deep * 4,
  shuffle:: true,
}
"""
CONFIG = """\
local lib = import 'lib.libsonnet';
local large = false;
{
  dataset_reader: { type: "conll_span", max_sequence_length: 64 },
  train_data_path: std.extVar("CONFIG_TEST_FOLDER") + "/train.txt",
  validation_data_path: std.extVar('CONFIG_TEST_VALID'),
  model: {
    encoder: { type: "luke", pretrained: if large then "luke-large" else "luke" },
    head: "ner",
  },
  data_loader: {
    batch_size: lib.steps,
    shuffle: lib.shuffle,
  },
  random_seed: std.parseInt(std.extVar("CONFIG_TEST_SEED")),
  trainer: {
    /* "num_epochs": 9 */ num_epochs: 3,
    validation_metric: "+f1",
    patience: null,
    optimizer: lib.optimizer(1e-3) + { betas: [0.9, 0.98] },
    callbacks: [{ type: "tensorboard" } for _ in std.range(1, 2)],
  },
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib.libsonnet").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "own.jsonnet").write_text(CONFIG, encoding="utf-8")
    for name, value in (("FOLDER", str(tmp_path)), ("VALID", "valid.txt"), ("SEED", "11")):
        monkeypatch.setenv(f"CONFIG_TEST_{name}", value)
    return tmp_path


def config(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["config", *arguments]) == 0
    return capsys.readouterr().out


def sources(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[Any, str]]:
    listed = json.loads(config(capsys, *arguments, "--json"))
    return {entry["path"]: (entry["value"], entry["source"]) for entry in listed}


def test_each_value_names_its_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sources(capsys, "own.jsonnet", "-o", '{"trainer.callbacks.1.type": "wandb", "evaluate_on_test": false}')
    expected = {
        "dataset_reader.max_sequence_length": (64, "own.jsonnet:4"),
        "dataset_reader.max_entity_length": (128, "default of ConllSpanReader (luke_tasks/readers/conll_span.py)"),
        "validation_data_path": ("valid.txt", "environment variable CONFIG_TEST_VALID, at own.jsonnet:6"),
        "random_seed": (11, "environment variable CONFIG_TEST_SEED, at own.jsonnet:15"),
        "train_data_path": (f"{folder}/train.txt",
                            "computed from environment variable CONFIG_TEST_FOLDER, at own.jsonnet:5, own.jsonnet:5"),
        "model.type": ("encoder_head", "default of ModelConfig (luke_tasks/experiment_config.py)"),
        "model.encoder.pretrained": ("luke", "own.jsonnet:8"),
        "model.head.type": ("ner", "own.jsonnet:9"),  # the short form
        "model.head.dropout": (0.1, "default of NerHead (luke_tasks/heads/ner.py)"),
        "data_loader.batch_size": (8, "computed from lib.libsonnet:8, lib.libsonnet:9"),
        "data_loader.shuffle": (True, "lib.libsonnet:10"),
        "trainer.num_epochs": (3, "own.jsonnet:17"),
        "trainer.patience": (None, "own.jsonnet:19"),
        "trainer.grad_norm": (None, "default of Trainer (luke_tasks/training/trainer.py)"),
        "trainer.optimizer.type": ("adamw", "lib.libsonnet:3"),
        "trainer.optimizer.lr": (0.001, "own.jsonnet:20"),
        "trainer.optimizer.weight_decay": (0.01, "lib.libsonnet:6"),
        "trainer.optimizer.betas.0": (0.9, "own.jsonnet:20"),
        "trainer.callbacks.0.type": ("tensorboard", "own.jsonnet:21"),
        "trainer.callbacks.1.type": ("wandb", "override"),
        "evaluate_on_test": (False, "override"),
        "numpy_seed": (1337, "default of ExperimentConfig (luke_tasks/experiment_config.py)"),
    }  # fmt: skip
    assert {path: found.get(path) for path in expected} == expected


def test_what_is_printed_is_the_resolved_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = config(capsys, "own.jsonnet")
    assert '    "num_epochs": 3,  // own.jsonnet:17\n' in printed
    assert '  "trainer": {  // Trainer, luke_tasks/training/trainer.py\n' in printed
    assert '      "betas": [0.9, 0.98],  // own.jsonnet:20\n' in printed
    assert "\x1b" not in printed
    Path("resolved.jsonnet").write_text(printed, encoding="utf-8")
    assert read_config("resolved.jsonnet").resolved == read_config("own.jsonnet").resolved


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        # the same value in both branches, and one that decides between them
        ('local x = "a"; { v: if x == "a" then 5 else 5 }', {"v": "p.jsonnet:1"}),
        ('local x = "a";\n{\n v: if x == "a"\n then 5\n else 5 }', {"v": "p.jsonnet:4"}),
        ("{ v: 1 + 1 }", {"v": "computed from p.jsonnet:1"}),
        ('{ v: std.length("abc") }', {"v": "computed in p.jsonnet"}),
        ("{\n v: -1,\n w: 3 - 1 }", {"v": "p.jsonnet:2", "w": "computed from p.jsonnet:3"}),
        ("{\n v: 'it\\'s \"so\"', w: @'a''b' }", {"v": "p.jsonnet:2", "w": "p.jsonnet:2"}),
        ('{ ["a" + k]: k\n for k in ["x",\n "y"] }', {"ax": "computed in p.jsonnet", "ay": "computed in p.jsonnet"}),
        ('{ v: { w: 1 },\n u: $.v { w: 2 } }', {"v.w": "p.jsonnet:1", "u.w": "p.jsonnet:2"}),
        ('# 7\n{ v: [7, // 7\n 7], w: |||\n  7\n||| }', {"v.0": "p.jsonnet:2", "v.1": "p.jsonnet:3",
                                                         "w": "computed in p.jsonnet"}),
        ('assert true; { v: {}, w: true }', {"v": "computed in p.jsonnet", "w": "p.jsonnet:1"}),
    ],
)  # fmt: skip
def test_no_line_is_claimed_that_is_not_right(
    program: str, expected: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _jsonnet

    Path("p.jsonnet").write_text(program, encoding="utf-8")
    found = value_origins(Path("p.jsonnet"), json.loads(_jsonnet.evaluate_snippet("p", program)))
    assert {".".join(map(str, place)): source for place, source in found.items()} == expected


def test_old_config_names_its_old_keys(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SEED", "3"), ("TRANSFORMERS_MODEL_NAME", "luke"), ("KIND", "luke"), ("TRAIN_DATA_PATH", "a"),
                        ("VALIDATION_DATA_PATH", "b")):  # fmt: skip
        monkeypatch.setenv(name, value)
    old = Path(__file__).parents[1] / "interop" / "upstream" / "ner.jsonnet"
    monkeypatch.chdir(old.parent)
    found = sources(capsys, old.name)
    expected = {
        "model.encoder.pretrained": ("luke", "environment variable TRANSFORMERS_MODEL_NAME, at shared.libsonnet:2, "
                                             "as model.feature_extractor.embedder.model_name"),
        "model.encoder.use_entity_aware_attention": (
            False, "computed in ner.jsonnet or what it imports, as "
                   "model.feature_extractor.embedder.use_entity_aware_attention"
        ),
        "model.head.type": ("ner", "ner.jsonnet:7, as model.type"),
        "model.head.dropout": (0.1, "default of NerHead (luke_tasks/heads/ner.py)"),
        "trainer.num_epochs": (5, "ner.jsonnet:3"),
    }  # fmt: skip
    assert {path: found.get(path) for path in expected} == expected


def test_faults_are_those_of_train(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "own.jsonnet", "-o", '{"trainer.num_epoch": 3, "data_loader.batch_size": 0}']) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "data_loader.batch_size: expected a positive integer, found 0",
        "trainer.num_epoch: unknown key; did you mean num_epochs?",
    ]
    assert main(["config", "none.jsonnet"]) == 2
    assert capsys.readouterr().err == "none.jsonnet: no such file; expected a Jsonnet or JSON file\n"
