"""Reading Jsonnet: what is answered to a program that fails, and what reaches one that does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luke_tasks.config import apply_overrides, load_config
from luke_tasks.errors import ConfigError
from tests.config_case import faults_of, write_base

NAME = "c.jsonnet"
LIBRARY = """local f(x) = x;
{
  train: std.extVar("LT_TRAIN"),
  broken: { a: 1 b: 2 },
}
"""

# What is laid over the base config by `import "base.json" + ...`, and the lines it gets.
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "no comma": (
        "{\n  a: 1\n  b: 2 }",
        ["c.jsonnet:3:3: not valid Jsonnet: expected a comma before next field"],
    ),
    "cut short": (
        "{\n  a: [1, 2",
        ["c.jsonnet:2:11: not valid Jsonnet: expected a comma before next array element"],
    ),
    "a key twice": (
        "{\n  trainer: {},\n  trainer: {},\n}",
        ["c.jsonnet:3:3: not valid Jsonnet: duplicate field: trainer"],
    ),
    "unknown variable": (
        "{\n  a: batch_size }",
        ["c.jsonnet:2:6: not valid Jsonnet: Unknown variable: batch_size"],
    ),
    "missing import": (
        '{\n  a: (import "lib/nope.libsonnet").x }',
        ['c.jsonnet:2:7: Jsonnet error: couldn\'t open import "lib/nope.libsonnet": no such file; '
         "imports are relative to the file they stand in"],
    ),
    "fault in an import": (
        '(import "./lib/broken.libsonnet")',
        ["lib/broken.libsonnet:4:18: not valid Jsonnet: expected a comma before next field"],
    ),
    "the program's own error": (
        '{\n  a: { b: error "choose\\na seed" } }',
        ["c.jsonnet:2:11: Jsonnet error: choose a seed"],
    ),
    "failed assert": (
        '{ assert self.x > 1 : "x is too small", x: 1 }',
        ["c.jsonnet:1:23: Jsonnet error: x is too small"],
    ),
    "missing field": (
        "{\n  a: self.b,\n}",
        ["c.jsonnet:2:6: Jsonnet error: field does not exist: b"],
    ),
    "error within the standard library": (
        '{\n  a: std.parseInt("three") }',
        ["c.jsonnet:2:6: Jsonnet error: three is not a base 10 integer"],
    ),
    "a function": (
        "{ a(x): x, b:\n function(x) x }",
        ["c.jsonnet:1:9: Jsonnet error: couldn't manifest function in JSON output"],
    ),
    "endless": (
        "local f(x) = f(x); f(1)",
        ["c.jsonnet:1:14: Jsonnet error: max stack frames exceeded"],
    ),
    "a list": (
        '["train"]',
        ['c.jsonnet: expected an object {...}, found ["train"]'],
    ),
    "empty": (
        "",
        ["c.jsonnet:1:1: not valid Jsonnet: unexpected end of file"],
    ),
    "NUL": (
        '{ a: "\0" }',
        ["c.jsonnet: holds a NUL character; expected a text file"],
    ),
    # -- environment variables
    "unset variable": (
        '(import "base.json") {\n  train_data_path: std.extVar("LT_TRAIN") }',
        ["train_data_path: environment variable LT_TRAIN is not set (asked for at c.jsonnet:2:20); set it: "
         "export LT_TRAIN=..."],
    ),
    "unset variable inside a string": (
        '(import "base.json") { train_data_path: "/data/%s/train.txt" % std.extVar("LT_NAME") }',
        ["train_data_path: environment variable LT_NAME is not set (asked for at c.jsonnet:1:64); set it: "
         "export LT_NAME=..."],
    ),
    "several variables, and another fault": (
        '(import "base.json") {\n  model+: { encoder+: { pretrained: std.extVar("LT_MODEL") } },\n'
        '  train_data_path: std.extVar("LT_TRAIN"),\n  data_loader: { batch_size: 0 },\n}',
        [
            "train_data_path: environment variable LT_TRAIN is not set (asked for at c.jsonnet:3:20); set it: "
            "export LT_TRAIN=...",
            "model.encoder.pretrained: environment variable LT_MODEL is not set (asked for at c.jsonnet:2:37); set it: "
            "export LT_MODEL=...",
            "data_loader.batch_size: expected a positive integer, found 0",
        ],
    ),
    "one variable in several places": (
        'local model = std.extVar("LT_MODEL");\n'
        '(import "base.json") { tokenizer: model, model+: { encoder+: { pretrained: model } } }',
        ["model.encoder.pretrained: environment variable LT_MODEL is not set (asked for at c.jsonnet:1:15, also for "
         "tokenizer); set it: export LT_MODEL=..."],
    ),
    "unset variable in an import": (
        '(import "base.json") { train_data_path: (import "lib/../lib/data.libsonnet").train }',
        ["train_data_path: environment variable LT_TRAIN is not set (asked for at lib/data.libsonnet:3:10); set it: "
         "export LT_TRAIN=..."],
    ),
    "unset variable that is parsed": (
        '(import "base.json") { random_seed: std.parseInt(std.extVar("LT_SEED")),\n'
        '  train_data_path: std.extVar("LT_TRAIN"), data_loader: { batch_size: "8" } }',
        [
            "train_data_path: environment variable LT_TRAIN is not set (asked for at c.jsonnet:2:20); set it: "
            "export LT_TRAIN=...",
            'data_loader.batch_size: expected a positive integer, found "8"',
            "random_seed: environment variable LT_SEED is not set (asked for at c.jsonnet:1:50); set it: "
            "export LT_SEED=...",
        ],
    ),
    "unset variable that only decides": (
        '(import "base.json") { random_seed: if std.extVar("LT_MODE") == "debug" then 1 else 2 }',
        ["c.jsonnet:1:40: environment variable LT_MODE is not set; set it: export LT_MODE=..."],
    ),
    "unset variable as a type": (
        '(import "base.json") { model+: { head: { type: std.extVar("LT_HEAD") } } }',
        ["model.head.type: environment variable LT_HEAD is not set (asked for at c.jsonnet:1:48); set it: "
         "export LT_HEAD=..."],
    ),
    "unset variable as a key": (
        '(import "base.json") { [std.extVar("LT_KEY")]: 1 }',
        ["c.jsonnet:1:25: environment variable LT_KEY is not set; set it: export LT_KEY=..."],
    ),
    "unset variable without which nothing works": (
        '(import "base.json") { trainer+: std.parseJson(std.extVar("LT_TRAINER")) }',
        ["c.jsonnet:1:48: environment variable LT_TRAINER is not set; set it: export LT_TRAINER=..."],
    ),
    "unset variable and a metric": (
        '(import "base.json") { trainer+: { validation_metric: "+" + std.extVar("LT_METRIC") } }',
        ["trainer.validation_metric: environment variable LT_METRIC is not set (asked for at c.jsonnet:1:61); set it: "
         "export LT_METRIC=..."],
    ),
}  # fmt: skip

HINT = """write it like '{"trainer.num_epochs": 1}'"""
OVERRIDES: dict[str, tuple[str, list[str]]] = {
    "no JSON": (
        "trainer.num_epochs=1",
        [f"--overrides:1:19: not valid Jsonnet: not a binary operator: =; {HINT}"],
    ),
    "cut short": (
        '{"a": ',
        [f"--overrides:1:6: not valid Jsonnet: unexpected end of file; {HINT}"],
    ),
    "a number": (
        "3",
        ["--overrides: expected an object {...}, found 3"],
    ),
    "unset variable": (
        '{ random_seed: std.extVar("LT_SEED") }',
        ["random_seed: environment variable LT_SEED is not set (asked for at --overrides:1:16); set it: "
         "export LT_SEED=..."],
    ),
    "a number has no keys": (
        '{"trainer.num_epochs.x": 1}',
        ['trainer.num_epochs: expected a positive integer, found {"x": 1}'],
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: the base config and a library."""
    write_base(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "broken.libsonnet").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "lib" / "data.libsonnet").write_text(LIBRARY.replace("1 b", "1, b"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", PROGRAMS)
def test_fault_of_a_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, lines = PROGRAMS[name]
    Path(NAME).write_text(text, encoding="utf-8")
    assert faults_of(capsys, NAME) == lines


@pytest.mark.parametrize("name", OVERRIDES)
def test_fault_of_overrides(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, lines = OVERRIDES[name]
    assert faults_of(capsys, "base.json", "-o", text) == lines


def test_data_in_place_of_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my data.csv").write_text('text,label\n"Fine, thanks",good\n', encoding="utf-8")
    (line,) = faults_of(capsys, "my data.csv")
    assert line.startswith("my data.csv:1:5: not valid Jsonnet: ")
    assert line.endswith("; if this is data, `luke-tasks init --train 'my data.csv'` writes a config for it")


def test_faults_of_file_and_overrides_come_together(capsys: pytest.CaptureFixture[str]) -> None:
    Path(NAME).write_text("{ a: nope }", encoding="utf-8")
    assert faults_of(capsys, NAME, "-o", "[]") == [
        "c.jsonnet:1:6: not valid Jsonnet: Unknown variable: nope",
        "--overrides: expected an object {...}, found []",
    ]


def test_files_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults_of(capsys, "nope.jsonnet") == ["nope.jsonnet: no such file; expected a Jsonnet or JSON file"]
    assert faults_of(capsys, "lib") == ["lib: is a directory; expected a Jsonnet or JSON file"]
    Path(NAME).write_bytes('{\n  a: "café" }'.encode("latin-1"))
    assert faults_of(capsys, NAME) == ["c.jsonnet:2: byte 0xe9 is not UTF-8; save the file in UTF-8"]


# -- what is read ---------------------------------------------------------------------------------------------------


def test_environment_reaches_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LT_TRAIN", "a b.txt")
    monkeypatch.setenv("LT_SEED", "7")
    monkeypatch.setenv("LT_ODD", "\udce9")  # bytes that are no UTF-8, as the system hands them over
    Path(NAME).write_text(
        '{ train: (import "lib/data.libsonnet").train, seed: std.parseInt(std.extVar("LT_SEED")) }', encoding="utf-8"
    )
    loaded = load_config(NAME, '{ "other": std.extVar("LT_TRAIN") }')
    assert loaded.values == {"train": "a b.txt", "seed": 7, "other": "a b.txt"}
    assert loaded.faults == []


def test_imports_are_relative_to_the_file(folder: Path) -> None:
    (folder / "configs" / "lib").mkdir(parents=True)
    (folder / "configs" / "lib" / "x.libsonnet").write_text('import "y.libsonnet"', encoding="utf-8")
    (folder / "configs" / "lib" / "y.libsonnet").write_text("{ y: 1 }", encoding="utf-8")
    (folder / "configs" / NAME).write_text('import "lib/x.libsonnet"', encoding="utf-8")
    assert load_config(folder / "configs" / NAME).values == {"y": 1}
    assert load_config(Path("configs") / NAME).values == {"y": 1}


def test_byte_order_mark_and_windows_lines() -> None:
    Path(NAME).write_bytes(b"\xef\xbb\xbf{\r\n  a: 1,\r\n}\r\n")
    assert load_config(NAME).values == {"a": 1}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ('{"a": {"b": 2}}', {"a": {"b": 2, "c": [1, {"d": 2}]}, "e": "name"}),
        ('{"a.b": 2}', {"a": {"b": 2, "c": [1, {"d": 2}]}, "e": "name"}),
        ("{ a: { b: 1 + 1 } }", {"a": {"b": 2, "c": [1, {"d": 2}]}, "e": "name"}),
        ('{"a": {"c.1.d": 3}}', {"a": {"b": 1, "c": [1, {"d": 3}]}, "e": "name"}),
        ('{"a.c.0": {"x": 1}}', {"a": {"b": 1, "c": [{"x": 1}, {"d": 2}]}, "e": "name"}),
        ('{"a.c": []}', {"a": {"b": 1, "c": []}, "e": "name"}),
        ('{"a": null, "f.g.h": 1}', {"a": None, "e": "name", "f": {"g": {"h": 1}}}),
        ('{"e.lr": 1}', {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": {"type": "name", "lr": 1}}),
        ("", {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": "name"}),
    ],
)
def test_overrides(overrides: str, expected: dict[str, object]) -> None:
    Path(NAME).write_text("{ a: { b: 1, c: [1, { d: 2 }] }, e: 'name' }", encoding="utf-8")
    assert load_config(NAME, overrides).values == expected


def test_overrides_of_plain_values_leave_them_alone() -> None:
    values = {"a": [{"b": 1}]}
    assert apply_overrides(values, json.dumps({"a.0.b": 2})) == {"a": [{"b": 2}]}
    assert values == {"a": [{"b": 1}]}
    with pytest.raises(ConfigError, match=r"^a\.1: --overrides names item 1 of a list that has 1 \(counted from 0\)$"):
        apply_overrides(values, json.dumps({"a.1": 2}))
    with pytest.raises(ConfigError, match=r"^a: environment variable LT_A is not set \(asked for at --overrides:1:5\)"):
        apply_overrides(values, '{a: std.extVar("LT_A")}')


def test_an_override_of_several_keys() -> None:
    """With commas between them, as in the space of a sweep; at any depth."""
    values = {"random_seed": 1, "trainer": {"lr": 1, "optimizer": {"eps": 1}}}
    assert apply_overrides(values, '{"random_seed, numpy_seed,trainer.seed": 7, trainer: {"lr,optimizer.eps": 2}}') == {
        "random_seed": 7, "numpy_seed": 7, "trainer": {"lr": 2, "optimizer": {"eps": 2}, "seed": 7}
    }  # fmt: skip
