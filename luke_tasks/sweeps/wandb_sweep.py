"""A space as a sweep of Weights & Biases: the file that `wandb sweep` takes, whose agents run `luke-tasks train`.

Two things differ from our space file. W&B's names of parameters are letters, digits, `_`, `.` and `-`, so that the
comma between tied paths becomes `--`. And every entry says its distribution: W&B would not take `min: 0, max: 0.5`
without it, which is what Jsonnet makes of `min: 0.0`.

Sources: https://docs.wandb.ai/models/sweeps/sweep-config-keys; the macros of `command` are filled in by
`wandb.sdk.launch.sweeps.utils.create_sweep_command_args`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.files import replacing
from luke_tasks.sweeps.check import CheckedSpace
from luke_tasks.sweeps.distributions import Parameter
from luke_tasks.sweeps.records import Objective
from luke_tasks.sweeps.space import Space

SWEEP_FILE = "wandb_sweep.yaml"
_TIE = "--"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_KEPT = ("entity", "project", "description", "name", "method", "early_terminate", "run_cap")


def write_wandb_sweep(
    config: str, checked: CheckedSpace, directory: Path, *, overrides: dict[str, Any] | None = None,
    include_packages: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write `directory/wandb_sweep.yaml`, and return its path.

    Args:
        config: the config file, as the agents are to read it: relative to the folder they are started in.
        checked: the space, and the config it goes with.
        overrides, include_packages: as `train` takes them.
    Raises:
        ConfigError: W&B cannot search this space; with every reason.
    """
    import yaml  # type: ignore[import-untyped,unused-ignore]

    values = wandb_sweep(config, checked, directory, overrides=overrides, include_packages=include_packages)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / SWEEP_FILE
    with replacing(path) as partial:
        partial.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def next_commands(path: Path) -> str:
    """What the user types next."""
    return (
        f"{path} is written; next, in this folder:\n"
        f"  wandb sweep {path}\n"
        "  wandb agent ENTITY/PROJECT/SWEEP    as `wandb sweep` says at its end; start as many agents as you like, on\n"
        "                                      every machine in a folder with the same config and data"
    )


def wandb_sweep(
    config: str, checked: CheckedSpace, directory: Path, *, overrides: dict[str, Any] | None = None,
    include_packages: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """The content of the file. Arguments and errors as `write_wandb_sweep`."""
    space = checked.space
    faults = [*_objective_faults(checked.objectives), *_name_faults(space.parameters)]
    if faults:
        raise ConfigError(faults)
    objective = checked.objectives[0]
    metric: dict[str, Any] = {"name": objective.metric, "goal": objective.goal}
    if objective.target is not None:
        metric["target"] = objective.target
    kept = {key: space.values[key] for key in _KEPT if key in space.values}
    for callback in checked.config.resolved["trainer"]["callbacks"] or []:
        if callback["type"] == "wandb":  # in a run of a sweep, W&B does not read these of the callback
            kept = {**{key: callback[key] for key in ("entity", "project") if callback.get(key)}, **kept}
    return {
        "program": space.values.get("program", "luke-tasks"),
        **kept,
        "metric": metric,
        "parameters": wandb_parameters(space),
        "command": space.values.get("command") or _command(config, directory, overrides, include_packages),
    }


def wandb_parameters(space: Space) -> dict[str, Any]:
    """The entries of a space, flat, as W&B takes them."""
    return {wandb_name(parameter.name): _entry(parameter) for parameter in space.parameters}


def wandb_name(name: str) -> str:
    """A parameter's name in W&B."""
    return _TIE.join(path.strip() for path in name.split(","))


def override_paths(given: dict[str, Any]) -> dict[str, Any]:
    """What an agent hands over, as overrides of the config: each tied path by itself."""
    return {path: value for name, value in given.items() for path in name.split(_TIE)}


def _entry(parameter: Parameter) -> dict[str, Any]:
    plain = parameter.distribution in ("constant", "categorical")  # `categorical` has another name with probabilities
    return dict(parameter.options) if plain else {"distribution": parameter.distribution, **parameter.options}


def _command(
    config: str, directory: Path, overrides: dict[str, Any] | None, include_packages: Sequence[str]
) -> list[str]:
    packages = [argument for name in include_packages for argument in ("--include-package", name)]
    more = ["-o", json.dumps(overrides)] if overrides else []
    return ["${env}", "${interpreter}", "-m", "luke_tasks.sweeps.wandb_run", config, "-s", str(directory), *more,
            *packages, "${args_json}"]  # fmt: skip


def _objective_faults(objectives: list[Objective]) -> Iterator[Fault]:
    if len(objectives) > 1:
        names = ", ".join(objective.name for objective in objectives)
        yield Fault("metric", f"Weights & Biases searches for one metric, found {names}; leave one, or search here")
    for objective in objectives:
        if objective.name == "duration":
            yield Fault("metric", "the duration is not logged as a number to Weights & Biases; search for a score")


def _name_faults(parameters: Sequence[Parameter]) -> Iterator[Fault]:
    for parameter in parameters:
        if not _NAME.fullmatch(wandb_name(parameter.name)) or _TIE in parameter.name:
            yield Fault(parameter.place, "Weights & Biases takes names of letters, digits, _, . and single - only, "
                                         f"found {describe(parameter.name)}")  # fmt: skip
