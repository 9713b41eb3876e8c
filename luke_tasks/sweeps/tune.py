"""`allennlp tune`, as the plugin allennlp-optuna had it: a search over the external variables of a Jsonnet config.

`hparams.json` lists parameters, each with the method of Optuna's `Trial` that suggests it and that method's arguments:

    [{"type": "float", "attributes": {"name": "lr", "low": 1e-5, "high": 5e-5, "log": true}},
     {"type": "categorical", "attributes": {"name": "batch_size", "choices": [4, 8]}}]

A trial's values are environment variables of its run, where the config reads them: `std.parseJson(std.extVar("lr"))`.
The rest is a sweep (`sweep.py`). Facts about the plugin: https://github.com/himkt/allennlp-optuna, 0.1.7.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.config import load_config
from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.schema import nearest
from luke_tasks.sweeps.check import CheckedSpace, metric_faults
from luke_tasks.sweeps.distributions import Coordinate
from luke_tasks.sweeps.records import Objective, ParameterRange, SweepResult
from luke_tasks.sweeps.results import write_best_values, write_tables
from luke_tasks.sweeps.space import Space
from luke_tasks.sweeps.sweep import Sweep, SweepOptions
from luke_tasks.sweeps.trials import Job, TrialProcess

_ATTRIBUTES = {"int": ("low", "high", "step", "log"), "float": ("low", "high", "step", "log"),
               "categorical": ("choices",)}  # fmt: skip
_NEEDED = {"int": ("low", "high"), "float": ("low", "high"), "categorical": ("choices",)}


@dataclass(frozen=True)
class Variable:
    """A searched variable; it stands where a space has a `Parameter`."""

    name: str
    coordinate: Coordinate
    is_constant: bool = False

    def value(self, searched: Any) -> Any:
        """As it is."""
        return searched

    def ends(self) -> list[tuple[str, Any]]:
        """What is tried on the config before the first trial."""
        if self.coordinate.kind == "choice":
            return [(f"choices.{index}", value) for index, value in enumerate(self.coordinate.choices)]
        kind = int if self.coordinate.kind == "int" else float
        return [("low", kind(self.coordinate.low)), ("high", kind(self.coordinate.high))]

    def searched_range(self) -> ParameterRange:
        """As the records show it."""
        if self.coordinate.kind == "choice":
            return ParameterRange(self.name, choices=self.coordinate.choices)
        return ParameterRange(self.name, low=self.coordinate.low, high=self.coordinate.high, log=self.coordinate.log)


def read_variables(path: Path) -> list[Variable]:
    """Read `hparams.json`. Raises ConfigError with every fault found."""
    entries = _read_json(path)
    if not isinstance(entries, list) or not entries:
        raise ConfigError([Fault(str(path), "expected a list of {type, attributes}, found " + describe(entries))])
    faults: list[Fault] = []
    found = [variable for index, entry in enumerate(entries) if (variable := _variable(index, entry, faults))]
    names = [variable.name for variable in found]
    faults += [Fault(name, "stands there twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise ConfigError([Fault(f"{path}: {fault.path}", fault.message) for fault in faults])
    return found


def _variable(index: int, entry: Any, faults: list[Fault]) -> Variable | None:
    kind, given = (entry.get("type"), entry.get("attributes")) if isinstance(entry, dict) else (None, None)
    if kind not in _ATTRIBUTES:
        near = nearest(kind, _ATTRIBUTES) if isinstance(kind, str) else ""
        faults.append(Fault(f"{index}.type", f"expected one of {', '.join(_ATTRIBUTES)}, found {describe(kind)}{near}"))
        return None
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(name, str) or not name:
        faults.append(Fault(f"{index}.attributes.name", "missing; expected the name of an external variable"))
        return None
    number_before = len(faults)
    for key in given:
        if key not in ("name", "default", *_ATTRIBUTES[kind]):  # `default` is the plugin's, and not searched
            faults.append(Fault(f"{name}.{key}", f"unknown{nearest(key, _ATTRIBUTES[kind])}"))
    for key in _NEEDED[kind]:
        if key not in given:
            faults.append(Fault(f"{name}.{key}", "missing"))
    for key in ("low", "high", "step"):
        value = given.get(key)
        wanted = (int,) if kind == "int" else (int, float)
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            what = "an integer" if kind == "int" else "a number"
            faults.append(Fault(f"{name}.{key}", f"expected {what}, found {describe(value)}"))
    choices = given.get("choices", [None])
    if not isinstance(choices, list) or not choices:
        faults.append(Fault(f"{name}.choices", f"expected a list of at least one value, found {describe(choices)}"))
    if len(faults) > number_before:
        return None
    if kind == "categorical":
        return Variable(name, Coordinate("choice", choices=tuple(choices)))
    low, high, step, log = given["low"], given["high"], given.get("step"), bool(given.get("log", False))
    if low > high or (log and low <= 0) or (step is not None and (log or step <= 0)):
        why = "low is above high" if low > high else "log needs a low above 0, and no step; a step is above 0"
        faults.append(Fault(name, f"{why}: {describe(given)}"))
        return None
    return Variable(name, Coordinate("int" if kind == "int" else "float", low, high, log, step=step))


def read_optuna_options(path: Path | None) -> tuple[Any, Any]:
    """Pruner and sampler of an `--optuna-param-path` file: `{"pruner": {"type", "attributes"}, "sampler": {...}}`.

    Raises:
        ConfigError: Optuna has no such class, or it does not take these arguments.
    """
    import optuna

    content = _read_json(path) if path is not None else {}
    made, faults = {}, []
    for key, module in (("pruner", optuna.pruners), ("sampler", optuna.samplers)):
        given = content.get(key) if isinstance(content, dict) else None
        if given is None:
            continue
        try:
            made[key] = getattr(module, given["type"])(**given.get("attributes", {}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            faults.append(Fault(f"{path}: {key}", f"{describe(given)}: {error}"))
    if faults:
        raise ConfigError(faults)
    return made.get("pruner"), made.get("sampler")


def check_tune(
    config: Path, variables: Sequence[Variable], objective: Objective, include_packages: Sequence[str]
) -> CheckedSpace:
    """See that the config is valid with every choice and both ends of ranges; the rest of the variables at their first.

    Raises:
        ConfigError: with every fault.
    """
    first = {variable.name: variable.ends()[0][1] for variable in variables}
    values, checked, base = _checked(config, first, include_packages)
    faults = list(base)  # each shows its key and value
    for variable in variables:
        for key, value in variable.ends()[1:]:
            found = _checked(config, {**first, variable.name: value}, include_packages)[2]
            faults += [Fault(f"{variable.name}.{key}", f"{describe(value)}: {fault}") for fault in found
                       if fault not in base]  # fmt: skip
    if checked is not None:
        faults += metric_faults([objective], checked.resolved)
    if faults or checked is None:
        raise ConfigError(faults)
    parameters: Any = tuple(variables)
    content = {variable.name: list(variable.coordinate.choices) or [variable.coordinate.low, variable.coordinate.high]
               for variable in variables}  # fmt: skip
    return CheckedSpace(Space(None, "bayes", (objective,), parameters, values=content), values, checked, [objective])


def _checked(
    config: Path, variables: dict[str, Any], include_packages: Sequence[str]
) -> tuple[dict[str, Any], CheckedConfig | None, Sequence[Fault]]:
    """The config's values with these variables, checked, and its faults."""
    with _environment(variables):
        try:
            loaded = load_config(config)
            return loaded.values, check_config(loaded.values, loaded.faults, include_packages, for_training=True), ()
        except ConfigError as error:
            return {}, None, error.faults


class Tune(Sweep):
    """A sweep over external variables, in the plugin's names: `trial_N/` in its directory."""

    def __init__(self, checked: CheckedSpace, directory: Path, options: SweepOptions, config: Path, *, pruner: Any,
                 sampler: Any) -> None:  # fmt: skip
        super().__init__(checked, directory, options, TrialProcess)
        self.config, self.pruner, self.sampler = config, pruner, sampler

    def trial_job(self, number: int, parameters: dict[str, Any], worker: int) -> Job:
        """What `train` is to do for a trial."""
        directory, asks = self.directory / f"trial_{number}", self.pruner is not None
        overrides = {**self.data_overrides(), **(self.asking(directory, parameters) if asks else {})}
        return Job(number, self.config, directory, overrides, asks, as_variables(parameters), self.flags())

    def values_of(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The config of a trial, where it reads its variables."""
        with _environment(parameters):
            return load_config(self.config).values

    def write(self, result: SweepResult) -> None:
        """Tables, and the best config."""
        write_tables(result)
        best = result.best()
        if best is not None:
            write_best_values(result, self.values_of(best.parameters), self.options.include_packages)


def as_variables(parameters: dict[str, Any]) -> dict[str, str]:
    """Values as Jsonnet's `std.parseJson(std.extVar(...))` reads them back; texts as they are."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}


@contextmanager
def _environment(parameters: dict[str, Any]) -> Iterator[None]:
    """These variables are set while the block runs."""
    before = {name: os.environ.get(name) for name in parameters}
    os.environ.update(as_variables(parameters))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}")]) from None
    except ValueError as error:
        raise ConfigError([Fault(str(path), f"no valid JSON: {error}")]) from None
