"""`tune`, `best-params` and `retrain` with the files and flags of allennlp-optuna."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.sweeps import tune
from luke_tasks.sweeps.trials import Job
from tests.sweeps.fakes import FakeRun

pytestmark = pytest.mark.usefixtures("quick")

HPARAMS = [
    {"type": "float", "attributes": {"name": "lr", "low": 1e-5, "high": 1e-2, "log": True}},
    {"type": "int", "attributes": {"name": "batch_size", "low": 4, "high": 8, "step": 2, "default": 4}},
    {"type": "categorical", "attributes": {"name": "epochs", "choices": [1, 2]}},
]


@pytest.fixture
def folder(ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `config.jsonnet`, which reads its variables, and `hparams.json`."""
    values = json.loads(ner_config.read_text(encoding="utf-8"))
    values["trainer"]["optimizer"]["lr"] = "@lr"
    values["trainer"]["num_epochs"] = "@epochs"
    values["data_loader"]["batch_size"] = "@batch_size"
    text = json.dumps(values)
    for name in ("lr", "epochs", "batch_size"):
        text = text.replace(f'"@{name}"', f'std.parseJson(std.extVar("{name}"))')
    (tmp_path / "config.jsonnet").write_text(text, encoding="utf-8")
    (tmp_path / "hparams.json").write_text(json.dumps(HPARAMS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Launcher:
    """Fake runs whose loss is the farther from 0 the farther the learning rate is from 1e-3."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> FakeRun:
        self.jobs.append(job)
        lr = float(job.environment["lr"])
        run = FakeRun(job, lambda overrides, epochs: abs(lr - 1e-3), int(job.environment["epochs"]), None)
        metrics = run.metrics
        run.metrics = lambda: {**metrics(), "best_validation_loss": abs(lr - 1e-3)}  # type: ignore[method-assign]
        return run


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Launcher:
    fake = Launcher()
    monkeypatch.setattr(tune, "TrialProcess", fake)
    return fake


def shared_cache(directory: Path) -> dict[str, str]:
    """What lets trials share what is read and encoded, where `datasets` is there."""
    return {"data_loader.cache_dir": f"{directory}/cache"} if importlib.util.find_spec("datasets") else {}


def test_tune(folder: Path, launcher: Launcher, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["tune", "config.jsonnet", "hparams.json", "-s", "out", "--study-name", "test", "--n-trials", "4"]
    assert main(arguments) == 0
    assert [job.directory.name for job in launcher.jobs] == ["trial_0", "trial_1", "trial_2", "trial_3"]
    for job in launcher.jobs:
        assert job.overrides == shared_cache(folder / "out") and str(job.config) == "config.jsonnet"
        assert job.environment["batch_size"] in ("4", "6", "8") and job.environment["epochs"] in ("1", "2")
        assert 1e-5 <= float(job.environment["lr"]) <= 1e-2
    assert "lr" not in os.environ
    best = json.loads((folder / "out" / "trials.json").read_text())["trials"][0]
    assert best["best_validation_loss"] == min(abs(float(job.environment["lr"]) - 1e-3) for job in launcher.jobs)
    chosen = "".join(line for line in (folder / "out" / "best.jsonnet").open() if not line.startswith("//"))
    assert json.loads(chosen)["trainer"]["optimizer"]["lr"] == best["lr"]

    capsys.readouterr()
    assert main(["best-params", "--study-name", "test"]) == 0
    assert capsys.readouterr().out == f"lr={best['lr']} batch_size={best['batch_size']} epochs={best['epochs']}\n"
    assert main(["best-params", "--study-name", "tset"]) == 2
    assert "there is no such study in sqlite:///allennlp_optuna.db (studies: ['test'])" in capsys.readouterr().err

    # the same command again is done; another directory needs the flag, and makes as many trials of its own
    assert main(arguments) == 0 and len(launcher.jobs) == 4
    elsewhere = [argument if argument != "out" else "out2" for argument in arguments]
    assert main(elsewhere) == 2
    assert "has a study of this name; --skip-if-exists works on it" in capsys.readouterr().err
    assert main([*elsewhere, "--skip-if-exists"]) == 0 and len(launcher.jobs) == 8


def test_pruner_and_sampler(folder: Path, launcher: Launcher) -> None:
    (folder / "optuna.json").write_text(json.dumps({
        "pruner": {"type": "HyperbandPruner", "attributes": {"min_resource": 1, "reduction_factor": 5}},
        "sampler": {"type": "TPESampler", "attributes": {"n_startup_trials": 5, "seed": 3}},
    }), encoding="utf-8")  # fmt: skip
    arguments = ["tune", "config.jsonnet", "hparams.json", "--serialization-dir", "out", "--n-trials", "3"]
    goal = ["--metrics", "validation_f1", "--direction", "maximize"]
    assert main([*arguments, *goal, "--optuna-param-path", "optuna.json"]) == 0
    answer_file = str(folder / "out" / "trial_0.answer.json")
    assert launcher.jobs[0].overrides == {
        **shared_cache(folder / "out"), "trainer.callbacks": [{"type": "sweep", "answer_file": answer_file}]
    }  # fmt: skip


def test_retrain(
    folder: Path, launcher: Launcher, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["tune", "config.jsonnet", "hparams.json", "-s", "out", "--n-trials", "1"]) == 0
    for name, value in launcher.jobs[0].environment.items():
        monkeypatch.setenv(name, value)  # so that they are taken back at the end
        monkeypatch.delenv(name)
    assert main(["retrain", "config.jsonnet", "-s", "final", "--study-name", "out", "--dry-run"]) == 0
    shown = " ".join(f"{name}={value}" for name, value in launcher.jobs[0].environment.items())
    assert f"with {shown}" in capsys.readouterr().err.splitlines()
    assert dict(os.environ).items() >= launcher.jobs[0].environment.items()


def test_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*arguments: str) -> list[str]:
        assert main(["tune", "config.jsonnet", "hparams.json", "-s", "out", *arguments]) == 2
        assert not (folder / "out").exists()
        return capsys.readouterr().err.splitlines()

    (metric,) = refused("--metrics", "best_validation_f2")
    assert metric.startswith('metric: the head "ner" computes no "best_validation_f2"; did you mean f1?')
    bad: list[Any] = [
        {"type": "flaot", "attributes": {"name": "lr"}},
        {"type": "float", "attributes": {"low": 1, "high": 2}},
        {"type": "int", "attributes": {"name": "batch_size", "low": 4.5, "hihg": 8}},
        {"type": "float", "attributes": {"name": "lr", "low": 2, "high": 1}},
        {"type": "categorical", "attributes": {"name": "epochs", "choices": []}},
    ]
    (folder / "hparams.json").write_text(json.dumps(bad), encoding="utf-8")
    assert refused() == [
        'hparams.json: 0.type: expected one of int, float, categorical, found "flaot"; did you mean float?',
        "hparams.json: 1.attributes.name: missing; expected the name of an external variable",
        "hparams.json: batch_size.hihg: unknown; did you mean high?",
        "hparams.json: batch_size.high: missing",
        "hparams.json: batch_size.low: expected an integer, found 4.5",
        'hparams.json: lr: low is above high: {"name": "lr", "low": 2, "high": 1}',
        "hparams.json: epochs.choices: expected a list of at least one value, found []",
    ]
    choices = {"type": "categorical", "attributes": {"name": "epochs", "choices": [1, "x"]}}
    worse = [HPARAMS[0], {"type": "int", "attributes": {"name": "batch_size", "low": 0, "high": 8}}, choices]
    (folder / "hparams.json").write_text(json.dumps(worse), encoding="utf-8")
    (batches, epochs) = refused()
    assert batches == "data_loader.batch_size: expected a positive integer, found 0"
    assert epochs.startswith('epochs.choices.1: "x": ')  # std.parseJson cannot read it
