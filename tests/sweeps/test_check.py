"""A space that cannot work is refused before the first trial: exit status 2, all faults at once, nothing written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.sweeps.sweep import check

ROOT = Path(__file__).parents[2]
EXTERNAL = re.compile(r"std\.extVar\(\s*[\"'](\w+)[\"']\s*\)")


def refused(config: Path, space: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    path = tmp_path / "space.json"
    path.write_text(json.dumps(space), encoding="utf-8")
    assert main(["sweep", str(config), str(path), "-s", str(tmp_path / "s")]) == 2
    assert not (tmp_path / "s").exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_values_and_paths(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {
        "method": "random",
        "metric": {"name": "f2", "goal": "maximize"},
        "parameters": {
            "trainer.optimizer.lr": {"min": -0.5, "max": 0.5},
            "trainer.num_epochs": {"values": [1, 2.5, "three", 4]},
            "trainer.optimiser.lr": {"values": [1]},
            "trainer.optimizer.wieght_decay": {"values": [0.1, 0.2]},
            "trainer.callbacks.0.type": {"values": ["wandb"]},
            "random_seed,numpy_seed": {"values": [1, -1]},
        },
    }
    epochs, seeds = "a positive integer", "an integer from 0 to 4294967295"
    place = "parameters.random_seed,numpy_seed.values.1: -1"
    *lines, metric = refused(ner_config, space, tmp_path, capsys)
    assert metric.startswith('metric: the head "ner" computes no "f2"; did you mean f1?')
    assert lines == sorted([
        "parameters.trainer.optimizer.lr.min: -0.5: trainer.optimizer.lr: expected a number above 0, found -0.5",
        f"parameters.trainer.num_epochs.values.1: 2.5: trainer.num_epochs: expected {epochs}, found 2.5",
        f'parameters.trainer.num_epochs.values.2: "three": trainer.num_epochs: expected {epochs}, found "three"',
        "parameters.trainer.optimiser.lr.values.0: 1: trainer.optimiser: unknown key; did you mean optimizer?",
        "parameters.trainer.optimizer.wieght_decay.values.0: 0.1: trainer.optimizer.wieght_decay: unknown for AdamW; "
        "did you mean weight_decay?",
        'parameters.trainer.callbacks.0.type.values.0: "wandb": trainer.callbacks: expected a list [...], found '
        '{"0": {"type": "wandb"}}',
        f"{place}: random_seed: expected {seeds}, found -1",
        f"{place}: numpy_seed: expected {seeds}, found -1",
    ], key=_order)  # fmt: skip


def test_nothing_to_search(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"method": "random", "parameters": {"trainer.num_epochs": {"value": 2}}}  # the same trial twenty times
    (line,) = refused(ner_config, space, tmp_path, capsys)
    assert line == "parameters: nothing to search: each has one value; give one of them values, or min and max"


def _order(line: str) -> tuple[str, bool]:
    """By parameter, for Jsonnet sorts keys; those of one parameter as they come."""
    return line.partition(".values")[0].partition(".min")[0], "numpy_seed: " in line


def test_faults_of_the_config_itself(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are said once, beside those of the space."""
    values = json.loads(ner_config.read_text())
    values["trainer"]["patiense"] = 3
    ner_config.write_text(json.dumps(values), encoding="utf-8")
    space = {"method": "random", "parameters": {"trainer.num_epochs": {"values": [0, 1, 2]}}}
    assert refused(ner_config, space, tmp_path, capsys) == [
        "trainer.patiense: unknown key; did you mean patience?",
        "parameters.trainer.num_epochs.values.0: 0: trainer.num_epochs: expected a positive integer, found 0",
    ]


def test_metrics(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"method": "random", "metric": "+f2,-duration,+best_validation_f1-PER",
             "parameters": {"trainer.num_epochs": {"values": [1, 2]}}}  # fmt: skip
    (line,) = refused(ner_config, space, tmp_path, capsys)
    assert line.startswith('metric: the head "ner" computes no "f2"; did you mean f1? (known: precision, recall, f1, ')


def test_a_score_without_validation_data(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parameters = {"validation_data_path": {"value": None}, "trainer.num_epochs": {"values": [1, 2]}}
    space = {"method": "random", "metric": "+f1", "parameters": parameters}
    assert refused(ner_config, space, tmp_path, capsys) == [
        'metric: "f1" is a score on validation data, but the config has no validation_data_path'
    ]


def test_the_metric_of_the_config(ner_config: Path) -> None:
    checked = check(ner_config, {"method": "random", "parameters": {"trainer.num_epochs": {"values": [1, 2]}}})
    assert [(one.name, one.goal) for one in checked.objectives] == [("f1", "maximize")]


def test_a_dry_run(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "space.yaml").write_text(
        "method: grid\nmetric: +f1\nparameters:\n  random_seed, numpy_seed: {values: [1, 2, 3]}\n"
        "  trainer.num_epochs: {values: [1, 2]}\n",
        encoding="utf-8",
    )
    arguments = ["sweep", str(ner_config), str(tmp_path / "space.yaml"), "-s", str(tmp_path / "s"), "--dry-run"]
    assert main(arguments) == 0
    assert not (tmp_path / "s").exists()
    assert capsys.readouterr().err.splitlines() == [
        "6 trials of a grid of 6, 1 at once, to maximize f1; searched: random_seed = numpy_seed, trainer.num_epochs",
        "dry run: config and space go together; nothing is trained or written",
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "sweeps").glob("*.jsonnet")), ids=lambda path: path.stem)
def test_shipped_spaces(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes with the config that its head names."""
    monkeypatch.chdir(ROOT)
    named = re.search(
        r"^//   allennlp sweep (\S+\.jsonnet) (\S+\.jsonnet)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert named is not None and Path(named[2]) == path.relative_to(ROOT)
    for source in (ROOT / "configs").rglob("*.*sonnet"):
        for variable in EXTERNAL.findall(source.read_text(encoding="utf-8")):
            (tmp_path / variable).write_text("", encoding="utf-8")
            monkeypatch.setenv(variable, str(tmp_path / variable))
    checked = check(named[1], path)
    assert checked.space.run_cap is not None
    assert all(objective.name.startswith("best_validation_") for objective in checked.objectives)  # as wandb logs it


def test_every_task_has_a_space() -> None:
    tasks = {folder.name for folder in (ROOT / "configs").iterdir()} - {"lib", "sweeps"}
    assert {path.stem for path in (ROOT / "configs" / "sweeps").glob("*.jsonnet")} == tasks | {"quickstart"}
