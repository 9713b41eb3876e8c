"""What a wrong config is answered with, word for word. Each case lays overrides over a valid config."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.training.callbacks.callback import Callback
from tests.config_case import faults_of, keep_to_names, write_base

READER_KEYS = ("max_sequence_length, max_entity_length, max_mention_length, iob_scheme, encoding, context, "
               "span_attention")  # fmt: skip
METRICS = "precision, recall, f1, span_accuracy, precision-*, recall-*, f1-*, loss; * is any label"
PAIR = "a list of 2: [a list [...], an object {...}]"
TOP_LEVEL = (
    "dataset_reader, validation_dataset_reader, train_data_path, validation_data_path, test_data_path, "
    "evaluate_on_test, datasets_for_vocab_creation, vocabulary, tokenizer, model, data_loader, validation_data_loader, "
    "trainer, distributed, random_seed, numpy_seed, pytorch_seed"
)

CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    # -- keys
    "misspelt at the top": (
        {"trian_data_path": "train.txt"},
        ["trian_data_path: unknown key; did you mean train_data_path?"],
    ),
    "unknown at the top": (
        {"foo": {"bar": 1}},
        [f"foo: unknown key (known: {TOP_LEVEL})"],
    ),
    "misspelt in a part": (
        {"trainer.num_epoch": 3},
        ["trainer.num_epoch: unknown key; did you mean num_epochs?"],
    ),
    "misspelt in a registered part": (
        {"model.head.droput": 0.1},
        ["model.head.droput: unknown for NerHead; did you mean dropout?"],
    ),
    "unknown in a registered part": (
        {"dataset_reader.lower_case": True},
        [f"dataset_reader.lower_case: unknown for ConllSpanReader (known: {READER_KEYS})"],
    ),
    "misspelt four levels down": (
        {"trainer.optimizer.parameter_groups.0.1.weight_decy": 0},
        ["trainer.optimizer.parameter_groups.0.1.weight_decy: unknown key; did you mean weight_decay?"],
    ),
    "misspelt in a list": (
        {"trainer.callbacks.1.projct": "x"},
        ["trainer.callbacks.1.projct: unknown for WandbCallback; did you mean project?"],
    ),
    "what the program provides is no key": (
        {"model.head.hidden_size": 768},
        ["model.head.hidden_size: unknown for NerHead (known: features, dropout)"],
    ),
    "a key with spaces": (
        {"a key: odd": 1},
        [f'"a key: odd": unknown key (known: {TOP_LEVEL})'],
    ),
    "of another optimizer": (
        {"trainer.optimizer": {"type": "sgd", "lr": 1, "betas": None, "eps": 1}, "model.encoder": {"pretrained": None}},
        [
            "model.encoder.pretrained: expected a string, found null",
            "trainer.optimizer.betas: unknown for SGD (known: lr, momentum, weight_decay, parameter_groups)",
            "trainer.optimizer.eps: unknown for SGD (known: lr, momentum, weight_decay, parameter_groups)",
        ],
    ),
    # -- types
    "string for an integer": (
        {"data_loader.batch_size": "8"},
        ['data_loader.batch_size: expected a positive integer, found "8"'],
    ),
    "true for an integer": (
        {"data_loader.batch_size": True},
        ["data_loader.batch_size: expected a positive integer, found true"],
    ),
    "fraction for an integer": (
        {"trainer.num_epochs": 2.5},
        ["trainer.num_epochs: expected a positive integer, found 2.5"],
    ),
    "number for a string": (
        {"train_data_path": 3},
        ["train_data_path: expected a string, found 3"],
    ),
    "string for true or false": (
        {"data_loader.shuffle": "true"},
        ['data_loader.shuffle: expected true or false, found "true"'],
    ),
    "string for a number": (
        {"trainer.optimizer.lr": "1e-5"},
        ['trainer.optimizer.lr: expected a number above 0, found "1e-5"'],
    ),
    "object for a list": (
        {"trainer.callbacks": {"type": "wandb"}},
        ['trainer.callbacks: expected a list [...], found {"type": "wandb"}'],
    ),
    "list for an object": (
        {"data_loader": [8]},
        ["data_loader: expected an object {...}, found [8]"],
    ),
    "string for an object": (
        {"trainer": "default"},
        ['trainer: expected an object {...}, found "default"'],
    ),
    "null": (
        {"trainer.num_epochs": None, "data_loader": None},
        [
            "data_loader: expected an object {...}, found null",
            "trainer.num_epochs: expected a positive integer, found null",
        ],
    ),
    "list too short": (
        {"trainer.optimizer.betas": [0.9]},
        ["trainer.optimizer.betas: expected a list of 2: [a number between 0 and 1, a number between 0 and 1], "
         "found [0.9]"],
    ),
    "inside a list": (
        {"trainer.optimizer.betas": [0.9, 98], "trainer.callbacks.1.tags": ["a", 3]},
        [
            "trainer.optimizer.betas.1: expected a number between 0 and 1, found 98",
            "trainer.callbacks.1.tags.1: expected a string, found 3",
        ],
    ),
    "a long value": (
        {"data_loader.batch_size": "x" * 100},
        [f'data_loader.batch_size: expected a positive integer, found "{"x" * 56}...'],
    ),
    "one of several choices": (
        {"dataset_reader.iob_scheme": "iob3"},
        ['dataset_reader.iob_scheme: expected one of "iob1", "iob2", "io", "bioes", "detect", found "iob3"'],
    ),
    # -- registered names
    "unknown type": (
        {"model.encoder.type": "lukee"},
        ['model.encoder.type: no Encoder is registered as "lukee"; did you mean luke? (registered: luke, transformer)'],
    ),
    "unknown type, none like it": (
        {"dataset_reader.type": "my_reader"},
        ['dataset_reader.type: no Reader is registered as "my_reader" (registered: conll_span); a class of your own is '
         "brought in with --include-package"],
    ),
    "unknown type in a list": (
        {"trainer.callbacks.0.type": "tensorbord"},
        ['trainer.callbacks.0.type: no Callback is registered as "tensorbord"; did you mean tensorboard? '
         "(registered: tensorboard, wandb)"],
    ),
    "unknown type in short": (
        {"trainer.learning_rate_scheduler": "linear_with_warmups"},
        ['trainer.learning_rate_scheduler: no LearningRateScheduler is registered as "linear_with_warmups"; did you '
         "mean linear_with_warmup? (registered: constant_with_warmup, custom_linear_with_warmup, linear_with_warmup)"],
    ),
    "type is no string": (
        {"model.head.type": ["ner"], "model.encoder.type": None},
        [
            "model.encoder.type: expected one of luke, transformer, found null",
            'model.head.type: expected one of ner, span_ner, found ["ner"]',
        ],
    ),
    "no type": (
        {"validation_dataset_reader": {"encoding": "utf-8"}, "trainer.learning_rate_scheduler": {"warmup_steps": 3}},
        [
            "validation_dataset_reader.type: missing; expected one of conll_span",
            "trainer.learning_rate_scheduler.type: missing; expected one of constant_with_warmup, "
            "custom_linear_with_warmup, linear_with_warmup",
        ],
    ),
    "number for a registered part": (
        {"model.encoder": 3},
        ['model.encoder: expected an object {"type": ...} (types: luke, transformer), found 3'],
    ),
    "type of a part that has one": (
        {"model.type": "basic_classifier"},
        ['model.type: expected "encoder_head", found "basic_classifier"'],
    ),
    # -- between parts
    "validated with another attention pattern": (
        {"dataset_reader.context": "shared", "validation_dataset_reader": {"type": "conll_span"}},
        [
            'validation_dataset_reader.context: "document" does not go with dataset_reader.context "shared"; give both '
            "the same"
        ],
    ),
    "two attention patterns": (
        {
            "dataset_reader.context": "shared",
            "validation_dataset_reader": {"type": "conll_span", "context": "shared", "span_attention": "sentence"},
        },
        [
            'validation_dataset_reader.span_attention: "sentence" does not go with dataset_reader.span_attention '
            '"self"; give both the same'
        ],
    ),
    # -- values
    "negative epochs": (
        {"trainer.num_epochs": -1},
        ["trainer.num_epochs: expected a positive integer, found -1"],
    ),
    "batch of nothing": (
        {"data_loader.batch_size": 0},
        ["data_loader.batch_size: expected a positive integer, found 0"],
    ),
    "dropout above 1": (
        {"model.head.dropout": 1.5},
        ["model.head.dropout: expected a number between 0 and 1, found 1.5"],
    ),
    "a seed numpy cannot take": (
        {"numpy_seed": 2**32},
        ["numpy_seed: expected an integer from 0 to 4294967295, found 4294967296"],
    ),
    "bad regex in a parameter group": (
        {"trainer.optimizer.parameter_groups.0.0.1": "(LayerNorm"},
        ['trainer.optimizer.parameter_groups.0.0.1: expected a regular expression, found "(LayerNorm": missing ), '
         "unterminated subpattern at position 0"],
    ),
    "parameter group of one regex without its list": (
        {"trainer.optimizer.parameter_groups": [["bias", {"weight_decay": 0}]]},
        ['trainer.optimizer.parameter_groups.0.0: expected a list [...], found "bias"'],
    ),
    "parameter groups without their outer list": (
        {"trainer.optimizer.parameter_groups": [["bias"], {"weight_decay": 0}]},
        [
            f'trainer.optimizer.parameter_groups.0: expected {PAIR}, found ["bias"]',
            f'trainer.optimizer.parameter_groups.1: expected {PAIR}, found {{"weight_decay": 0}}',
        ],
    ),
    # -- between parts
    "metric without sign": (
        {"trainer.validation_metric": "f1"},
        [
            'trainer.validation_metric: expected "+" (higher is better) or "-" (lower is better) and a metric\'s name, '
            'such as "+f1", found "f1"'
        ],
    ),
    "two kinds of mixed precision": (
        {"trainer.use_amp": True, "trainer.precision": "bf16"},
        ['trainer.use_amp: asks for fp16, but precision says "bf16"; remove one of them'],
    ),
    "metric the head does not compute": (
        {"trainer.validation_metric": "+f2"},
        [f'trainer.validation_metric: the head "ner" computes no "f2"; did you mean f1? (computed: {METRICS})'],
    ),
    "entity features without entities": (
        {"model.encoder.type": "transformer"},
        ['model.head.features: "token+entity" needs vectors of entities, which the encoder "transformer" does not '
         'give; use "token"'],
    ),
    "patience without validation": (
        {"trainer.patience": 3, "validation_data_path": None},
        ["trainer.patience: counts epochs without a better validation score, but there is no validation_data_path; "
         "give it, or remove this key"],
    ),
    "test without test data": (
        {"evaluate_on_test": True},
        ["evaluate_on_test: is true, but there is no test_data_path; give it, or remove this key"],
    ),
    "warm-up said twice": (
        {"trainer.learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 9, "warmup_ratio": 0.1}},
        ["trainer.learning_rate_scheduler.warmup_ratio: give warmup_steps or warmup_ratio, not both"],
    ),
    "vocabulary without its folder": (
        {"vocabulary": {"type": "from_files"}},
        ['vocabulary.directory: missing; type "from_files" reads the labels from this folder, the vocabulary/ of a '
         "run"],
    ),
    "vocabulary in a folder that has none": (
        {"vocabulary": {"type": "from_files", "directory": "labels"}},
        ["vocabulary.directory: there is no labels/labels.txt; expected the vocabulary/ of a run"],
    ),
    "vocabulary folder without the type": (
        {"vocabulary": {"directory": "labels"}},
        ['vocabulary.directory: read only with type "from_files"; give that type, or remove this key'],
    ),
    "labels from data that is not there": (
        {"datasets_for_vocab_creation": ["train", "test", "dev"]},
        [
            'datasets_for_vocab_creation.2: expected one of "train", "validation", "test", found "dev"',
            'datasets_for_vocab_creation.1: "test" is named, but there is no test_data_path',
        ],
    ),
    "distributed": (
        {"distributed": {"cuda_devices": [0, 1], "strategy": "fsdp"}, "trainer.cuda_device": 0,
         "trainer.moving_average": {}, "trainer.compile": True, "trainer.precision": "fp16",
         "trainer.auto_batch_size": True, "model.encoder.entity_embeddings_on": "cpu"},
        [
            'model.encoder.entity_embeddings_on: is "cpu", which goes with one process only; remove this key, and let '
            'distributed.strategy "fsdp" share the table out',
            'model.encoder.entity_embeddings_on: is "cpu", where "fp16" cannot scale gradients; use trainer.precision '
            '"bf16" or "fp32"',
            "trainer.cuda_device: is 0, while distributed.cuda_devices is [0, 1]; remove one of them",
            'trainer.moving_average: does not go with distributed.strategy "fsdp"; remove it, or use "ddp"',
            'trainer.compile: does not go with distributed.strategy "fsdp"; remove it, or use "ddp"',
            'trainer.auto_batch_size: does not go with distributed.strategy "fsdp", for it tries the whole model; '
            'remove it, or use "ddp"',
            'trainer.precision: "fp16" does not go with distributed.strategy "fsdp"; use "bf16" or "fp32"',
        ],
    ),
    # -- files
    "no such data": (
        {"train_data_path": "data/train.txt", "test_data_path": "/nowhere/test.txt"},
        [
            'train_data_path: there is no file "data/train.txt" in {cwd}',
            'test_data_path: there is no file "/nowhere/test.txt"',
        ],
    ),
    "data is a directory": (
        {"train_data_path": "."},
        ['train_data_path: "." is a directory; expected a data file'],
    ),
    # -- overrides
    "list index out of range": (
        {"trainer.callbacks.2.type": "wandb", "trainer.callbacks.x": 3},
        [
            "trainer.callbacks.2: --overrides names item 2 of a list that has 2 (counted from 0)",
            "trainer.callbacks.x: --overrides names item x of a list that has 2 (counted from 0)",
        ],
    ),
    # -- all at once
    "many faults": (
        {
            "traner": {},
            "dataset_reader.max_mention_length": 0,
            "train_data_path": "nope.txt",
            "model.encoder.type": "lukee",
            "model.head.droput": 0.2,
            "data_loader.batch_size": "8",
            "trainer.num_epochs": -1,
            "trainer.validation_metric": "+f2",
            "trainer.callbacks.7.type": "wandb",
            "random_seed": 1.5,
        },
        [
            "traner: unknown key; did you mean trainer?",
            "dataset_reader.max_mention_length: expected a positive integer, found 0",
            'train_data_path: there is no file "nope.txt" in {cwd}',
            'model.encoder.type: no Encoder is registered as "lukee"; did you mean luke? '
            "(registered: luke, transformer)",
            "model.head.droput: unknown for NerHead; did you mean dropout?",
            'data_loader.batch_size: expected a positive integer, found "8"',
            "trainer.callbacks.7: --overrides names item 7 of a list that has 2 (counted from 0)",
            "trainer.num_epochs: expected a positive integer, found -1",
            f'trainer.validation_metric: the head "ner" computes no "f2"; did you mean f1? (computed: {METRICS})',
            "random_seed: expected an integer from 0 to 4294967295, found 1.5",
        ],
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with the base config."""
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    keep_to_names(monkeypatch)


@pytest.mark.parametrize("name", CASES)
def test_fault(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides, lines = CASES[name]
    assert faults_of(capsys, "base.json", "-o", json.dumps(overrides)) == [
        line.replace("{cwd}", str(tmp_path)) for line in lines
    ]


def test_a_part_without_options(capsys: pytest.CaptureFixture[str]) -> None:
    class Bare(Callback):
        pass

    Callback.register("bare")(Bare)  # gone with the names that the fixture hides
    overrides = {"trainer.callbacks": [{"type": "bare", "folder": "x"}]}
    assert faults_of(capsys, "base.json", "-o", json.dumps(overrides)) == [
        "trainer.callbacks.0.folder: unknown for Bare; it has no options"
    ]


def test_missing_keys(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.jsonnet").write_text("{ model: { head: {} }, trainer: { optimizer: { type: 'sgd' } } }", encoding="utf-8")
    assert faults_of(capsys, "c.jsonnet") == [
        'dataset_reader: missing; expected an object {"type": ...} (types: conll_span)',
        "train_data_path: missing; expected a string",
        'model.encoder: missing; expected an object {"type": ...} (types: luke, transformer)',
        "model.head.type: missing; expected one of ner, span_ner",
        "data_loader: missing; expected an object {...}",
        "trainer.optimizer.lr: missing for SGD; expected a number above 0",
    ]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_forbidden_data(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.txt").chmod(0)
    assert faults_of(capsys, "base.json") == ['train_data_path: "train.txt" cannot be read: permission denied']
