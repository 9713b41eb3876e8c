"""`print-results`: a table over runs, whatever has become of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.commands import print_results
from luke_tasks.training.run_lock import run_lock
from tests.commands.run_folders import LOG_TIME, write, write_run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    write_run(Path("runs/a"), f1=(0.5, 0.8, 0.7))
    write_run(Path("runs/deep/b"), f1=(0.9,), trainer__optimizer__lr=0.1)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["print-results", *arguments]) == 0
    return capsys.readouterr().out


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(capsys, *arguments, "--format", "json"))
    return found


def test_main_metric_and_the_keys_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "runs").splitlines() == [
        "run          state  epochs  best_validation_f1     lr",
        "runs/a       ended       3                 0.8  1e-05",
        "runs/deep/b  ended       1                 0.9    0.1",
    ]


def test_formats_hold_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "runs", "--format", "markdown").splitlines() == [
        "| run | state | epochs | best_validation_f1 | lr |",
        "| --- | --- | --: | --: | --: |",
        "| runs/a | ended | 3 | 0.8 | 1e-05 |",
        "| runs/deep/b | ended | 1 | 0.9 | 0.1 |",
    ]
    rows = list(csv.DictReader(printed(capsys, "runs", "--format", "csv").splitlines()))
    assert rows[1] == {
        "run": "runs/deep/b", "state": "ended", "epochs": "1", "best_validation_f1": "0.9",
        "trainer.optimizer.lr": "0.1",
    }  # fmt: skip
    assert table(capsys, "runs")[0] == {
        "run": "runs/a", "state": "ended", "epochs": 3, "best_validation_f1": 0.8, "error": "",
        "config": {"trainer.optimizer.lr": 1e-5},
    }  # fmt: skip


def test_columns_are_chosen_and_sorted_by(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "runs", "--keys", "*loss", "epoch", "--config-keys", "model.head.*", "--sort", "epoch")
    assert lines.splitlines()[0].split() == ["run", "state", "epochs", "training_loss", "epoch", "type", "dropout"]
    for column, first in (("best_validation_f1", "runs/deep/b"), ("lr", "runs/deep/b"), ("run", "runs/a")):
        assert table(capsys, "runs", "--sort", column)[0]["run"] == first
        assert table(capsys, "runs", "--sort", column, "--reverse")[-1]["run"] == first
    by_loss = table(capsys, "runs", "--keys", "training_loss", "--sort", "training_loss")
    assert [round(one["training_loss"], 2) for one in by_loss] == [0.1, 0.3]


def test_runs_that_have_not_ended_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("more/killed"), f1=(0.4, 0.3), ended=False)
    write_run(Path("more/failed"), ended=False, log=f"{LOG_TIME} ERROR luke_tasks: TrainingError: no memory\n")
    write_run(Path("more/by_ctrl_c"), ended=False, log=f"{LOG_TIME} ERROR luke_tasks: Interrupted: interrupted; ...\n")
    write_run(Path("more/broken"), f1=(0.4,))
    Path("more/broken/metrics.json").write_text('{"epoch": ', encoding="utf-8")
    write_run(Path("more/busy"), f1=(0.6,), ended=False)
    Path("more/metrics_only").mkdir()
    write(Path("more/metrics_only/metrics.json"), {"epoch": 4, "best_validation_f1": 0.2})
    with run_lock(Path("more/busy")):
        found = table(capsys, "more", "--sort", "best_validation_f1")
    assert [(Path(one["run"]).name, one["state"], one["epochs"], one["best_validation_f1"]) for one in found] == [
        ("busy", "running", 1, 0.6), ("killed", "stopped", 2, 0.4), ("metrics_only", "ended", 5, 0.2),
        ("broken", "broken", 1, None), ("by_ctrl_c", "stopped", 0, None), ("failed", "failed", 0, None),
    ]  # fmt: skip
    errors = {Path(one["run"]).name: one["error"] for one in found}
    assert errors["failed"] == "TrainingError: no memory"
    assert errors["broken"].startswith("metrics.json: no valid JSON: ")
    assert "TrainingError: no memory" in printed(capsys, "more")


def test_a_run_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["run"] for one in table(capsys, "runs/a", "runs")] == ["runs/a", "runs/deep/b"]
    write_run(Path("runs/a/inner"), f1=(0.1,))  # a copy inside of a run is the run's own
    assert len(table(capsys, "runs")) == 2


def test_narrow_terminal_gets_blocks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert printed(capsys, "runs").splitlines()[:5] == [
        "runs/a", "  state: ended", "  epochs: 3", "  best_validation_f1: 0.8", "  lr: 1e-05"
    ]  # fmt: skip
    assert printed(capsys, "runs/a", "--config-keys").splitlines() == [
        "runs/a", "  state: ended", "  epochs: 3", "  best_validation_f1: 0.8"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: no such directory; expected a directory with runs in it"),
        (["runs/a/config.json"], "runs/a/config.json: is a file; expected a directory with runs in it"),
        (["empty"], "empty: no run in there; a run is a directory with metrics.json, out.log, or config.json and "
                    "meta.json in it"),
        (["runs", "--keys", "best_validation_f2"],
         "--keys: no run has a metric like 'best_validation_f2'; did you mean best_validation_f1?"),
        (["runs", "--config-keys", "*.learning"],
         "--config-keys: no run has a key of a config like '*.learning' (there are dataset_reader.context, "
         "dataset_reader.type, model.head.dropout, model.head.type, trainer.callbacks, trainer.num_epochs, "
         "trainer.optimizer.betas, trainer.optimizer.lr, trainer.optimizer.type, trainer.validation_metric)"),
        (["runs", "--sort", "f1"],
         "--sort: there is no column 'f1'; did you mean best_validation_f1? (columns: run, state, epochs, "
         "best_validation_f1, trainer.optimizer.lr, error)"),
        (["runs", "--sort", "state_of"],
         "--sort: there is no column 'state_of'; did you mean state? (columns: run, state, epochs, "
         "best_validation_f1, trainer.optimizer.lr, error)"),
    ],
)  # fmt: skip
def test_wrong_requests(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["print-results", *arguments]) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_no_column_is_named_by_an_index() -> None:
    names = ["trainer.callbacks.0.type", "trainer.callbacks.1.type", "model.head.type", "model.head.labels.0"]
    shown = ["callbacks.0.type", "callbacks.1.type", "head.type", "labels.0"]
    assert print_results._short_names(names) == dict(zip(names, shown, strict=True))
