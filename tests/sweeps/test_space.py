"""The space file: distributions, nesting, tied paths, and its faults, all at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.errors import ConfigError
from luke_tasks.sweeps.distributions import NEEDED, Parameter
from luke_tasks.sweeps.entries import parse_parameters
from luke_tasks.sweeps.records import Objective, ParameterRange
from luke_tasks.sweeps.space import EarlyTerminate, parse_space, read_space

METRIC = {"name": "f1", "goal": "maximize"}


def faults_of(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_space(values)
    return str(caught.value).splitlines()


def parameter(**entry: Any) -> Parameter:
    faults: list[Any] = []
    (found,) = parse_parameters({"x": entry}, "parameters", "", faults)
    assert not faults
    return found


# distribution, its options, a point of what is searched, the value it gives
POINTS = [
    ("int_uniform", {"min": 2, "max": 5}, 3, 3),
    ("uniform", {"min": 0, "max": 1}, 0.25, 0.25),
    ("q_uniform", {"min": 0, "max": 1, "q": 0.1}, 0.34, 0.3),
    ("log_uniform", {"min": 0, "max": 1}, math.e, math.e),
    ("log_uniform_values", {"min": 1e-5, "max": 1e-3}, 1e-4, 1e-4),
    ("q_log_uniform", {"min": 0, "max": 5}, 20.4, 20),
    ("q_log_uniform_values", {"min": 8, "max": 64, "q": 8}, 19.0, 16),
    ("inv_log_uniform", {"min": 1, "max": 2}, math.exp(-1.5), math.exp(-1.5)),
    ("inv_log_uniform_values", {"min": 0.1, "max": 0.5}, 0.2, 0.2),
    ("normal", {"mu": 3, "sigma": 2}, 0.5, 3.0),
    ("q_normal", {"mu": 3.2, "sigma": 2, "q": 0.5}, 0.5, 3.0),
    ("log_normal", {"mu": 1}, 0.5, math.e),
    ("q_log_normal", {"mu": 1}, 0.5, 3),
    ("beta", {"a": 2, "b": 2}, 0.5, 0.5),
    ("q_beta", {"a": 2, "b": 2, "q": 0.25}, 0.45, 0.5),
]


@pytest.mark.parametrize(("name", "options", "point", "value"), POINTS, ids=[point[0] for point in POINTS])
def test_value(name: str, options: dict[str, Any], point: float, value: float) -> None:
    found = parameter(distribution=name, **options)
    assert found.value(point) == pytest.approx(value)
    low, high = found.coordinate.low, found.coordinate.high
    assert low <= point <= high
    assert [found.value(end) for end in (low, high)] == sorted(found.value(end) for end in (low, high))


def test_every_distribution_is_tested() -> None:
    assert {point[0] for point in POINTS} | {"constant", "categorical"} == set(NEEDED)


def test_exponents() -> None:
    assert parameter(distribution="log_uniform", min=-9, max=-5).ends() == [
        ("min", pytest.approx(math.exp(-9))), ("max", pytest.approx(math.exp(-5)))
    ]  # fmt: skip
    assert parameter(distribution="inv_log_uniform", min=1, max=2).searched_range() == ParameterRange(
        "x", low=pytest.approx(math.exp(-2)), high=pytest.approx(math.exp(-1)), log=True
    )


def test_inferred_distributions() -> None:
    kinds = [parameter(value=3), parameter(values=[1, "a"]), parameter(min=1, max=3), parameter(min=1, max=3.5)]
    assert [kind.distribution for kind in kinds] == ["constant", "categorical", "int_uniform", "uniform"]


def test_probabilities() -> None:
    found = parameter(values=["a", "b", "c"], probabilities=[0.2, 0.5, 0.3])
    assert [found.value(share) for share in (0.1, 0.3, 0.69, 0.71, 1.0)] == ["a", "b", "b", "c", "c"]
    assert [found.value(found.searched_for(value)) for value in "abc"] == ["a", "b", "c"]


def test_choices_keep_their_kind() -> None:
    """1 and true are equal in Python; a list is searched as its JSON."""
    values = [1, True, "1", [1, 2], {"a": 1}, None]
    found = parameter(values=values)
    got = [found.value(choice) for choice in found.coordinate.choices]
    assert [json.dumps(value) for value in got] == [json.dumps(value) for value in values]


def test_nested_and_tied_parameters() -> None:
    space = parse_space({
        "method": "bayes",
        "metric": METRIC,
        "parameters": {
            "trainer": {"parameters": {"optimizer": {"parameters": {"lr,weight_decay": {"min": 0.0, "max": 0.5}}},
                                       "num_epochs": {"value": 3}}},
            "random_seed, numpy_seed": {"values": [1, 2]},
        },
    })  # fmt: skip
    assert [item.name for item in space.parameters] == [
        "trainer.optimizer.lr,trainer.optimizer.weight_decay", "trainer.num_epochs", "random_seed,numpy_seed"
    ]  # fmt: skip
    assert space.parameters[0].paths == ["trainer.optimizer.lr", "trainer.optimizer.weight_decay"]
    assert space.constants == {"trainer.num_epochs": 3}
    assert [item.name for item in space.searched] == [space.parameters[0].name, "random_seed,numpy_seed"]


def test_grid() -> None:
    space = parse_space({
        "method": "grid",
        "metric": METRIC,
        "parameters": {"a": {"values": ["x", "y"]}, "b": {"min": 1, "max": 3}, "c": {"value": 7},
                       "d": {"distribution": "q_uniform", "min": 0, "max": 0.2, "q": 0.1}},
    })  # fmt: skip
    combinations = [space.combination(index) for index in range(space.grid_size())]
    assert len(combinations) == 18 == len({json.dumps(one) for one in combinations})
    assert combinations[0] == {"a": "x", "b": 1, "d": 0.0}
    assert combinations[-1] == {"a": "y", "b": 3, "d": 0.2}


def test_metric_forms() -> None:
    parameters = {"a": {"values": [1]}}
    string = parse_space({"method": "random", "metric": "+f1,-duration", "parameters": parameters})
    assert string.objectives == (Objective("f1", "maximize"), Objective("duration", "minimize"))
    assert parse_space({"method": "random", "parameters": parameters}).objectives == ()
    target = parse_space({"method": "bayes", "metric": {**METRIC, "target": 0.9}, "parameters": parameters})
    assert target.objectives[0].reached(0.95) and not target.objectives[0].reached(0.85)


@pytest.mark.parametrize(("given", "expected"), [
    ({"type": "hyperband", "min_iter": 3}, EarlyTerminate(3, 3)),
    ({"type": "hyperband", "min_iter": 2, "eta": 2, "strict": True}, EarlyTerminate(2, 2)),
    ({"type": "hyperband", "max_iter": 27, "s": 2}, EarlyTerminate(3, 3, 27)),
])  # fmt: skip
def test_early_terminate(given: dict[str, Any], expected: EarlyTerminate) -> None:
    space = {"method": "random", "metric": METRIC, "parameters": {"a": {"values": [1]}}, "early_terminate": given}
    assert parse_space(space).early_terminate == expected


def test_all_faults_at_once() -> None:
    assert faults_of({
        "methd": "grid",
        "metric": {"name": "f1", "gaol": "maximize"},
        "run_cap": 0,
        "early_terminate": {"type": "hyperband"},
        "parameters": {
            "a.b": {"min": 1},
            "a": {"values": [1, 1]},
            "c": {"min": "1e-5", "max": 3},
            "d": {"distribution": "normall"},
            "e": {"distribution": "log_uniform_values", "min": 0, "max": 1},
            "f": {"min": 3, "max": 3},
            "g": {"values": [1, 2], "q": 3},
            "h": {"parameters": {"i": 3}},
            "j": {"values": ["x", "y"], "probabilities": [0.5]},
            "k": {"distribution": "int_uniform", "min": 1, "max": 2.5},
            "l": {"vales": [1]},
        },
    }) == [
        "methd: unknown key; did you mean method?",
        'method: expected one of grid, random, bayes; missing; "bayes" learns from the trials',
        "metric.gaol: unknown key; did you mean goal?",
        'metric.goal: missing; say whether "f1" is to be "maximize" or "minimize"',
        "parameters.a.b: has min only; give min and max",
        "parameters.a.values.1: 1 stands there twice",
        'parameters.c.min: expected a number, found "1e-5"; YAML takes it for text: write it with a dot and a sign, '
        "as 1.0e-5",
        'parameters.d: no such distribution: "normall"; did you mean normal? (known: ' + ", ".join(NEEDED) + ")",
        "parameters.e.min: expected a number above 0 (a logarithmic scale), found 0",
        "parameters.f: an empty range: min 3 is not below max 3",
        'parameters.g.q: not read with the distribution "categorical"; remove it',
        "parameters.h.parameters.i: expected an object, as {values: [...]}, found 3",
        "parameters.j.probabilities: expected 2, one for each of values, found 1",
        "parameters.k.max: expected an integer, found 2.5",
        "parameters.l.vales: unknown key; did you mean values?",
        "parameters.l: says neither value, values, min and max, nor distribution",
        "early_terminate: expected either min_iter, or max_iter with s (in epochs)",
        "run_cap: expected a positive integer, found 0",
    ]  # fmt: skip


def test_faults_of_the_whole() -> None:
    assert faults_of({
        "method": "grid",
        "metric": "+f1,-duration",
        "early_terminate": {"type": "hyperband", "min_iter": 1},
        "parameters": {"t.lr": {"min": 0.0, "max": 0.5}, "t": {"values": [1]}},
    }) == [
        "parameters.t: t is set by parameters.t.lr, too; remove one of them",
        "parameters.t.lr: a grid cannot go through all values of uniform; give values, whole numbers, or q_uniform, or "
        'use method "random"',
        "early_terminate: trials of several objectives cannot be compared before their end; remove it, or search for "
        "one objective",
    ]  # fmt: skip


def test_files_of_all_kinds_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.jsonnet").write_text(
        "local lr = { min: 1e-5, max: 5e-5, distribution: 'log_uniform_values' };\n"
        "{ method: 'bayes', metric: { name: 'f1', goal: 'maximize' }, parameters: { 'trainer.optimizer.lr': lr } }",
        encoding="utf-8",
    )
    (tmp_path / "s.yaml").write_text(
        "method: bayes\nmetric: {name: f1, goal: maximize}\nparameters:\n"
        "  trainer.optimizer.lr: {min: 1.0e-5, max: 5.0e-5, distribution: log_uniform_values}\n",
        encoding="utf-8",
    )
    (tmp_path / "s.json").write_text(json.dumps(read_space(tmp_path / "s.yaml").values), encoding="utf-8")
    spaces = [read_space(tmp_path / f"s.{kind}") for kind in ("jsonnet", "yaml", "json")]
    assert spaces[0] == spaces[1] == spaces[2]


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("method: [grid\nmetric: x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"s\.yaml:2:7: not valid YAML: .*expected ',' or '\]'"):
        read_space(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'expected keys and values, found \["a"\]'):
        read_space(tmp_path / "s.yaml")
