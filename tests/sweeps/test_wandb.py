"""A space as a sweep of Weights & Biases: the file, and an agent's run, by the real client against a fake server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from luke_tasks.__main__ import main
from luke_tasks.config import load_config
from luke_tasks.errors import ConfigError, LukeTasksError
from luke_tasks.sweeps import wandb_run
from luke_tasks.sweeps.check import CheckedSpace, check_space
from luke_tasks.sweeps.space import parse_space, read_space
from luke_tasks.sweeps.wandb_sweep import (
    next_commands,
    override_paths,
    wandb_parameters,
    wandb_sweep,
    write_wandb_sweep,
)
from tests.conftest import ROOT
from tests.sweeps.fake_wandb import SWEEP, FakeWandb, serving
from tests.training.runs import steps

SPACE: dict[str, Any] = {
    "name": "small",
    "method": "random",
    "run_cap": 3,
    "metric": {"name": "f1", "goal": "maximize"},
    "parameters": {
        "trainer": {"parameters": {"optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}}},
        "model.encoder.dropout": {"min": 0, "max": 0.5},
        "data_loader.batch_size": {"values": [8, 16]},
        "random_seed,numpy_seed, pytorch_seed": {"min": 1, "max": 9},
        "trainer.num_epochs": {"value": 1},
    },
    "early_terminate": {"type": "hyperband", "min_iter": 1},
}


@pytest.fixture
def space(ner_config: Path) -> CheckedSpace:
    return checked(ner_config, SPACE)


def checked(config: Path, space: dict[str, Any], **overrides: Any) -> CheckedSpace:
    return check_space(parse_space(space), load_config(config, json.dumps(overrides)))


def test_file(space: CheckedSpace, ner_config: Path, tmp_path: Path) -> None:
    path = write_wandb_sweep(str(ner_config), space, tmp_path / "sweep", overrides={"trainer.patience": 2},
                             include_packages=["mine"])  # fmt: skip
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert sweep == {
        "program": "luke-tasks", "name": "small", "method": "random", "run_cap": 3,
        "early_terminate": {"type": "hyperband", "min_iter": 1},
        "metric": {"name": "best_validation_f1", "goal": "maximize"},  # as the callback logs it
        "parameters": {
            "trainer.optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
            "model.encoder.dropout": {"distribution": "uniform", "min": 0, "max": 0.5},
            "data_loader.batch_size": {"values": [8, 16]},
            "random_seed--numpy_seed--pytorch_seed": {"distribution": "int_uniform", "min": 1, "max": 9},
            "trainer.num_epochs": {"value": 1},
        },
        "command": ["${env}", "${interpreter}", "-m", "luke_tasks.sweeps.wandb_run", str(ner_config), "-s",
                    str(tmp_path / "sweep"), "-o", '{"trainer.patience": 2}', "--include-package", "mine",
                    "${args_json}"],
    }  # fmt: skip
    assert f"wandb sweep {path}\n" in next_commands(path) and "wandb agent" in next_commands(path)


def test_wandbs_own_check_takes_the_file(space: CheckedSpace, ner_config: Path, tmp_path: Path) -> None:
    """It refuses a mixture of an integer and a fraction without a distribution, as `dropout` is in the space."""
    from wandb.apis.public.sweeps import _validate_config_and_fill_distribution

    with pytest.raises(ValueError, match="ambiguous"):
        _validate_config_and_fill_distribution(SPACE)
    sweep = wandb_sweep(str(ner_config), space, tmp_path)
    assert _validate_config_and_fill_distribution(sweep) == sweep


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "sweeps").glob("*.jsonnet")), ids=lambda path: path.stem)
def test_shipped_spaces(path: Path) -> None:
    from wandb.apis.public.sweeps import _validate_config_and_fill_distribution

    space = read_space(path)
    written = {"method": space.method, "parameters": wandb_parameters(space)}
    assert _validate_config_and_fill_distribution(written) == written
    names = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # W&B's schema says so of every parameter
    assert all(names.fullmatch(name) for name in written["parameters"])
    paths = [path for parameter in space.parameters for path in parameter.paths]
    assert list(override_paths(written["parameters"])) == paths


def test_metric_and_project_of_the_config(ner_config: Path, tmp_path: Path) -> None:
    plain = {"method": "grid", "parameters": {"data_loader.batch_size": {"values": [8]}}}
    callbacks = [{"type": "wandb", "project": "luke", "entity": "us"}]
    sweep = wandb_sweep("c", checked(ner_config, plain, **{"trainer.callbacks": callbacks}), tmp_path)
    assert sweep["metric"] == {"name": "best_validation_f1", "goal": "maximize"}
    assert (sweep["project"], sweep["entity"]) == ("luke", "us")
    own = wandb_sweep("c", checked(ner_config, {**plain, "project": "other"}, **{"trainer.callbacks": callbacks}),
                      tmp_path)  # fmt: skip
    assert (own["project"], own["entity"]) == ("other", "us")


def test_own_command_is_kept(ner_config: Path, tmp_path: Path) -> None:
    command = ["${env}", "luke-tasks", "train", "c.jsonnet", "-s", "run", "-o", "${args_json}"]
    sweep = wandb_sweep("c", checked(ner_config, {**SPACE, "program": "p", "command": command}), tmp_path)
    assert (sweep["program"], sweep["command"]) == ("p", command)


def test_what_wandb_cannot_search(ner_config: Path, tmp_path: Path) -> None:
    space = {"method": "random", "metric": "+f1,-duration", "parameters": {"data_loader.batch_size": {"values": [8]}}}
    with pytest.raises(ConfigError) as error:
        wandb_sweep("c", checked(ner_config, space), tmp_path / "sweep")
    assert str(error.value).splitlines() == [
        "metric: Weights & Biases searches for one metric, found f1, duration; leave one, or search here",
        "metric: the duration is not logged as a number to Weights & Biases; search for a score",
    ]
    assert not (tmp_path / "sweep").exists()


def test_tied_paths_come_back() -> None:
    assert override_paths({"a.b--c": 1, "d": [2]}) == {"a.b": 1, "c": 1, "d": [2]}


def test_run_of_an_agent(ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments of `train`: parameters over the config, the callback beside the config's own, a directory a run."""
    own = {"trainer.callbacks": [{"type": "tensorboard"}], "trainer.patience": 2}
    changes = {**own, **override_paths({"random_seed--numpy_seed": 5})}
    monkeypatch.setenv("WANDB_RUN_ID", "abc")
    command = wandb_run.train_command(str(ner_config), tmp_path, changes, ["mine"])
    run_dir = tmp_path / "wandb_runs" / "abc"
    assert command[:5] == ["train", str(ner_config), "-s", str(run_dir), "-o"]
    assert json.loads(command[5]) == {
        "trainer.callbacks": [{"type": "tensorboard"}, {"type": "wandb"}], "trainer.patience": 2, "random_seed": 5,
        "numpy_seed": 5,
    }  # fmt: skip
    assert command[6:] == ["--include-package", "mine"]

    run_dir.mkdir(parents=True)
    (run_dir / "out.log").write_text("", encoding="utf-8")
    with_wandb = {"trainer.callbacks": [{"type": "wandb", "tags": ["x"]}]}
    resumed = wandb_run.train_command(str(ner_config), tmp_path, with_wandb, [])
    assert json.loads(resumed[5]) == with_wandb and resumed[6:] == ["-r"]

    monkeypatch.delenv("WANDB_RUN_ID")
    with pytest.raises(LukeTasksError, match="is run by `wandb agent`"):
        wandb_run.train_command(str(ner_config), tmp_path, {}, [])


def test_wandb_sweep_and_agent(ner_config: Path, space: CheckedSpace, tmp_path: Path) -> None:
    """The real `wandb sweep` and `wandb agent` on our file; the run is `luke-tasks train`, with wandb offline."""
    directory = tmp_path / "sweep"
    path = write_wandb_sweep(str(ner_config), space, directory)
    chosen = {"trainer.optimizer.lr": 2e-4, "data_loader.batch_size": 16, "model.encoder.dropout": 0.25,
              "random_seed--numpy_seed--pytorch_seed": 7, "trainer.num_epochs": 1}  # fmt: skip
    wandb = [sys.executable, "-m", "wandb"]
    with serving(FakeWandb([chosen])) as fake:
        environment = {
            **os.environ, "WANDB_BASE_URL": fake.url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false",
            "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_CONFIG_DIR": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }  # fmt: skip
        made = subprocess.run([*wandb, "sweep", "-p", "luke", "-e", "tester", str(path)], env=environment, text=True,
                              capture_output=True, timeout=120)  # fmt: skip
        assert made.returncode == 0 and f"wandb agent tester/luke/{SWEEP}" in made.stderr
        run = subprocess.run([*wandb, "agent", "--count", "1", f"tester/luke/{SWEEP}"], env=environment, text=True,
                             capture_output=True, timeout=240)  # fmt: skip
    assert fake.sweep is not None and yaml.safe_load(fake.sweep) == yaml.safe_load(path.read_text(encoding="utf-8"))
    run_dir = directory / "wandb_runs" / "run0"
    assert (run_dir / "model.tar.gz").exists(), run.stderr
    config = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    assert config["trainer"]["optimizer"]["lr"] == 2e-4 and config["data_loader"]["batch_size"] == 16
    assert [config[f"{name}_seed"] for name in ("random", "numpy", "pytorch")] == [7, 7, 7]
    assert config["trainer"]["num_epochs"] == 1 and len(steps(run_dir)) == 2
    assert [callback["type"] for callback in config["trainer"]["callbacks"]] == ["wandb"]
    log = (run_dir / "out.log").read_text(encoding="utf-8")
    assert "switched off" not in log and list(run_dir.glob("wandb/offline-run-*-run0/*.wandb")), run.stderr


def test_command_line(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps(SPACE), encoding="utf-8")
    directory = tmp_path / "sweep"
    command = ["sweep", str(ner_config), str(space), "-s", str(directory), "-o", '{"trainer.patience": 1 + 1}']
    assert main([*command, "--wandb", "--dry-run"]) == 0 and not directory.exists()
    assert main([*command, "--wandb"]) == 0
    written = yaml.safe_load((directory / "wandb_sweep.yaml").read_text(encoding="utf-8"))
    assert written["command"][-3:] == ["-o", '{"trainer.patience": 2}', "${args_json}"]
    assert f"wandb sweep {directory / 'wandb_sweep.yaml'}" in capsys.readouterr().out
    assert [path.name for path in directory.iterdir()] == ["wandb_sweep.yaml"]
