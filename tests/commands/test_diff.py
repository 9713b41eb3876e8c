"""`diff`: configs, runs, archives and weights, two at a time."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from luke_tasks.__main__ import main
from luke_tasks.comparison import ABSENT, config_differences
from tests.commands.run_folders import write_run
from tests.config_case import BASE, write_base

WEIGHTS = {"a": [1.0, 2.0], "b": [[3.0, 4.0]], "c": [0.0]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    write_run(Path("one"), f1=(0.5, 0.8), weights=WEIGHTS)
    write_run(Path("two"), f1=(0.5, 0.9), trainer__optimizer__lr=0.1, trainer__optimizer__betas=[0.9, 0.98],
              weights={**WEIGHTS, "b": [[3.0, 7.0]]})  # fmt: skip
    return tmp_path


def diff(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["diff", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_two_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(capsys, "one", "two") == [
        "- one",
        "+ two",
        "",
        "config: 2 different",
        "  trainer.optimizer.lr",
        "    - 1e-05",
        "    + 0.1",
        "  trainer.optimizer.betas",
        "    - [0.9, 0.999]",
        "    + [0.9, 0.98]",
        "",
        "metrics: 3 different",
        "  metric                -    +  change",
        "  training_loss       0.2  0.1    -0.1",
        "  validation_f1       0.8  0.9    +0.1",
        "  best_validation_f1  0.8  0.9    +0.1",
        "",
        "weights: tensors: 2 the same, 1 changed",
        "  tensor  shape   largest difference  relative norm",
        "  b       (1, 2)                   3            0.6",  # |(3, 7) - (3, 4)| = 3, |(3, 4)| = 5
    ]


def test_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    lines = diff(capsys, "one", "one", "--exit-code")
    assert lines[2:] == ["", "config: the same", "", "metrics: the same", "", "weights: tensors: 3 the same"]
    assert main(["diff", "one", "two", "--exit-code"]) == 1
    assert main(["diff", "one/best.safetensors", "two/best.safetensors", "--exit-code"]) == 1


def test_run_and_archive_of_other_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("three"), weights={"a": [1.0, 2.0, 3.0], "b": WEIGHTS["b"], "d": [0.0]}, model__head={"type": "ner"})
    with tarfile.open("model.tar.gz", "w:gz") as tar:
        tar.add("three/config.json", "config.json")
        tar.add("three/best.safetensors", "weights.safetensors")
    assert diff(capsys, "one", "model.tar.gz")[2:] == [
        "",
        "config: 1 different",
        "  model.head.dropout",
        "    - 0.1",
        "    + (not there)",
        "",
        "weights: tensors: 1 the same, 1 of another shape, 1 only in the first, 1 only in the second",
        "  - c",
        "  + d",
        "  a: (2) → (3)",
    ]
    assert "weights" not in "\n".join(diff(capsys, "one", "model.tar.gz", "--no-weights"))


def test_many_tensors_are_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    for name, shift in (("x", 0.0), ("y", 1.0)):
        write_run(Path(name), weights={f"layer.{index}": [1.0 + shift * index] for index in range(1, 31)})
    lines = diff(capsys, "x", "y")
    assert lines[-1] == "  and 10 more, which differ less; --all shows them"
    assert lines[-21].split() == ["layer.30", "(1)", "30", "30"]
    assert diff(capsys, "x", "y", "--all")[-1].split() == ["layer.1", "(1)", "1", "1"]


def test_two_configs_with_their_defaults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = write_base(folder)
    other = json.loads(json.dumps(BASE))
    other["data_loader"] = {"batch_size": 8, "shuffle": False}  # the default, said
    other["trainer"]["optimizer"]["parameter_groups"][0][1] = {"weight_decay": 0.5}
    Path("other.json").write_text(json.dumps(other), encoding="utf-8")
    assert diff(capsys, str(base), "other.json")[3:] == [
        "config: 1 different",
        "  trainer.optimizer.parameter_groups.0.1.weight_decay",
        "    - 0.0",
        "    + 0.5",
    ]


def test_differences_in_lists_and_kinds() -> None:
    first = {"a": [1, 2], "b": [{"c": 1}], "d": True, "e": None, "f": [[1]]}
    second = {"a": [1, 3], "b": [{"c": 2}], "d": 1, "f": [[1], [2]]}
    assert list(config_differences(first, second)) == [
        ("a", [1, 2], [1, 3]), ("b.0.c", 1, 2), ("d", True, 1), ("e", None, ABSENT), ("f", [[1]], [[1], [2]]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "none"], "none: no such file or directory; expected a config (.jsonnet, .json), the directory of a "
                          "run, a model.tar.gz, or a .safetensors file"),
        (["one", "empty"], "empty: there is no config.json in it; expected the directory of a run, or a model.tar.gz"),
        (["one", "bad.tar.gz"], "bad.tar.gz: not a readable model.tar.gz, perhaps cut short or damaged (Not a gzipped "
                                "file (b'no'))"),
        (["bad.json", "one"], "bad.json: expected an object {...}, found []"),
        (["bad.json", "one/best.safetensors"], "bad.json: expected an object {...}, found []"),
        (["no_weights", "one/best.safetensors"], "no_weights and one/best.safetensors: one is weights, the other has "
                                                 "none: there is nothing to compare"),
    ],
)  # fmt: skip
def test_wrong_requests(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("bad.tar.gz").write_text("no", encoding="utf-8")
    Path("bad.json").write_text("[]", encoding="utf-8")
    write_run(Path("no_weights"))
    assert main(["diff", *arguments]) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_damaged_weights_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("two/best.safetensors").write_bytes(b"\0" * 20)
    assert main(["diff", "one", "two"]) == 2
    assert "not a readable safetensors file" in capsys.readouterr().err
