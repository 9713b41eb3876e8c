"""The space file: Jsonnet, JSON or YAML in the schema of Weights & Biases' sweeps, read and checked as a whole.

Keys of `parameters` are override paths, as `-o` takes them; one key may name several with commas between, which then
get the same value. What W&B alone reads (`program`, `command`, `entity`, ...) is kept as it is.

Beyond W&B's schema: `metric` may be a string of one or several objectives, as `"+f1,-duration"`; where it is missing,
it is the config's `trainer.validation_metric`. `early_terminate.strict` is W&B's own. Jsonnet has one kind of number:
`min: 0.0, max: 1.0` are integers there as everywhere, so say `distribution: "uniform"`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from luke_tasks.config import load_config, read_text
from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.schema import nearest
from luke_tasks.sweeps.distributions import CHECKS, Parameter
from luke_tasks.sweeps.entries import is_positive_int, overlaps, parse_parameters, unknown_keys
from luke_tasks.sweeps.records import Objective

METHODS = ("grid", "random", "bayes")
_TOP_KEYS = ("program", "entity", "project", "description", "name", "method", "metric", "parameters",
             "early_terminate", "command", "run_cap")  # fmt: skip
_STOP_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")


@dataclass(frozen=True)
class EarlyTerminate:
    """When a trial is compared with the others: at these epochs, and goes on among the best `1/eta` of them.

    W&B's `hyperband`: at `min_iter`, `min_iter * eta`, ...; or, by `max_iter` and `s`, at `max_iter / eta`, ...,
    `max_iter / eta ** s`.
    """

    min_epochs: int
    eta: int
    max_epochs: int | None = None


@dataclass(frozen=True)
class Space:
    """A space without faults.

    Args:
        objectives: empty where the file names no metric.
        parameters: in the file's order (Jsonnet sorts keys), constants included.
        run_cap: trials at most; None: the file does not say.
        values: the file's content, for W&B and the records.
    """

    name: str | None
    method: Literal["grid", "random", "bayes"]
    objectives: tuple[Objective, ...]
    parameters: tuple[Parameter, ...]
    early_terminate: EarlyTerminate | None = None
    run_cap: int | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def searched(self) -> list[Parameter]:
        """The parameters that are no constants."""
        return [parameter for parameter in self.parameters if not parameter.is_constant]

    @property
    def constants(self) -> dict[str, Any]:
        """Name → value of the others."""
        return {parameter.name: parameter.options["value"] for parameter in self.parameters if parameter.is_constant}

    def grid_size(self) -> int:
        """How many combinations a grid has."""
        return math.prod(len(parameter.grid() or ()) for parameter in self.searched)

    def combination(self, index: int) -> dict[str, Any]:
        """The values of combination `index` of a grid, the last parameter changing fastest."""
        chosen = {}
        for parameter in reversed(self.searched):
            values = parameter.grid() or []
            index, place = divmod(index, len(values))
            chosen[parameter.name] = values[place]
        return {parameter.name: chosen[parameter.name] for parameter in self.searched}


def read_space(source: str | Path | dict[str, Any]) -> Space:
    """Read a space file, or take its content.

    Raises:
        ConfigError: with every fault found.
    """
    if isinstance(source, dict):
        return parse_space(source)
    path = Path(source)
    if path.suffix not in (".yaml", ".yml"):
        loaded = load_config(path)
        if loaded.faults:
            raise ConfigError(loaded.faults)
        return parse_space(loaded.values)
    return parse_space(_read_yaml(path))


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped,unused-ignore]

    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
        raise ConfigError([Fault(where, f"not valid YAML: {getattr(error, 'problem', None) or error}")]) from None
    if not isinstance(values, dict):
        raise ConfigError([Fault(str(path), f"expected keys and values, found {describe(values)}")])
    result: dict[str, Any] = json.loads(json.dumps(values, default=str))  # keys are strings, dates are text
    return result


def parse_space(values: dict[str, Any]) -> Space:
    """Check the content of a space file. Raises ConfigError with every fault found."""
    faults = list(unknown_keys(values, _TOP_KEYS, ""))
    method = values.get("method")
    if method not in METHODS:
        near = nearest(method, METHODS) if isinstance(method, str) else ""
        what = f"found {describe(method)}{near}" if "method" in values else 'missing; "bayes" learns from the trials'
        faults.append(Fault("method", f"expected one of {', '.join(METHODS)}; {what}"))
    objectives = tuple(_objectives(values.get("metric"), faults))
    parameters: list[Parameter] = []
    given = values.get("parameters")
    if isinstance(given, dict) and given:
        parameters = list(parse_parameters(given, "parameters", "", faults))
    else:
        faults.append(Fault("parameters", f"expected an object of at least one parameter, found {describe(given)}"))
    faults += overlaps(parameters)
    if not faults and method != "grid" and all(parameter.is_constant for parameter in parameters):
        faults.append(Fault("parameters", "nothing to search: each has one value; give one of them values, or min and "
                                          "max"))  # fmt: skip
    if method == "grid":
        faults += [Fault(parameter.place, f"a grid cannot go through all values of {parameter.distribution}; give "
                                          'values, whole numbers, or q_uniform, or use method "random"')
                   for parameter in parameters if parameter.grid() is None]  # fmt: skip
    early = _early_terminate(values.get("early_terminate"), faults)
    if early is not None and len(objectives) > 1:
        faults.append(Fault("early_terminate", "trials of several objectives cannot be compared before their end; "
                                               "remove it, or search for one objective"))  # fmt: skip
    run_cap = values.get("run_cap")
    if run_cap is not None and not is_positive_int(run_cap):
        faults.append(Fault("run_cap", f"expected a positive integer, found {describe(run_cap)}"))
    name = values.get("name")
    if name is not None and not isinstance(name, str):
        faults.append(Fault("name", f"expected a string, found {describe(name)}"))
    if faults:
        raise ConfigError(faults)
    assert method in METHODS
    return Space(name, method, objectives, tuple(parameters), early, run_cap, values)


# -- the rest -------------------------------------------------------------------------------------------------------


def parse_objectives(text: str) -> list[Objective]:
    """`"+f1,-duration"`: `+` is to be maximised. Raises ValueError with what is wrong."""
    found = []
    for part in text.split(","):
        sign, name = part.strip()[:1], part.strip()[1:]
        if sign not in ("+", "-") or not name:
            raise ValueError(f'expected "+" (higher is better) or "-" and a metric\'s name, found {describe(part)}')
        found.append(Objective(name, "maximize" if sign == "+" else "minimize"))
    names = [objective.name for objective in found]
    if len(set(names)) < len(names):
        raise ValueError(f"a metric stands there twice: {describe(text)}")
    return found


def _objectives(metric: Any, faults: list[Fault]) -> list[Objective]:
    if metric is None:
        return []
    if isinstance(metric, dict):
        faults += unknown_keys(metric, ("name", "goal", "target"), "metric")
    name = metric.get("name") if isinstance(metric, dict) else metric
    if not isinstance(name, str) or not name:
        expected = 'an object {name, goal}, or a string as "+f1" or "+f1,-duration"'
        faults.append(Fault("metric", f"expected {expected}, found {describe(metric)}"))
        return []
    goal, target = (metric.get("goal"), metric.get("target")) if isinstance(metric, dict) else (None, None)
    if goal is None and (name[0] in "+-" or not isinstance(metric, dict)):
        try:
            return parse_objectives(name)
        except ValueError as error:
            faults.append(Fault("metric", str(error)))
            return []
    if goal not in ("maximize", "minimize"):
        what = f"found {describe(goal)}" if goal is not None else "missing"
        faults.append(Fault("metric.goal", f'{what}; say whether {describe(name)} is to be "maximize" or "minimize"'))
    if target is not None and not CHECKS["min"][0](target):
        faults.append(Fault("metric.target", f"expected a number, found {describe(target)}"))
    return [Objective(name, goal, target)] if goal in ("maximize", "minimize") else []


def _early_terminate(given: Any, faults: list[Fault]) -> EarlyTerminate | None:
    if given is None:
        return None
    path = "early_terminate"
    if not isinstance(given, dict) or given.get("type") != "hyperband":
        faults.append(Fault(path, f'expected an object {{type: "hyperband", min_iter: ...}}, found {describe(given)}'))
        return None
    number_before = len(faults)
    faults += unknown_keys(given, _STOP_KEYS, path)
    for key in ("min_iter", "max_iter", "s"):
        if key in given and not is_positive_int(given[key]):
            faults.append(Fault(f"{path}.{key}", f"expected a positive integer, found {describe(given[key])}"))
    eta = given.get("eta", 3)
    if not is_positive_int(eta) or eta < 2:
        faults.append(Fault(f"{path}.eta", f"expected an integer of at least 2, found {describe(eta)}"))
    if ("min_iter" in given) == ("max_iter" in given):
        faults.append(Fault(path, "expected either min_iter, or max_iter with s (in epochs)"))
    elif "max_iter" in given and "s" not in given:
        faults.append(Fault(f"{path}.s", "missing; max_iter needs it: how often trials are compared before it"))
    if len(faults) > number_before:
        return None
    if "min_iter" in given:
        return EarlyTerminate(given["min_iter"], eta)
    return EarlyTerminate(max(1, given["max_iter"] // eta ** given["s"]), eta, given["max_iter"])
