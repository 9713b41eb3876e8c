"""A space against its config, before the first trial: every value that will be tried is laid over the config once."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from luke_tasks.config import LoadedConfig, apply_overrides
from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.registry import Registrable
from luke_tasks.schema import nearest
from luke_tasks.sweeps.entries import YAML_FLOAT, YAML_HINT
from luke_tasks.sweeps.records import Objective
from luke_tasks.sweeps.space import Space, parse_objectives

_EPOCH_NAMES = ("loss",)  # what validation gives besides the head's metrics


@dataclass(frozen=True)
class CheckedSpace:
    """A space that goes with its config.

    Args:
        values: the config's plain values, constants laid over.
        config: the checked config with the first value of every parameter.
        objectives: the space's, or the config's `trainer.validation_metric`.
    """

    space: Space
    values: dict[str, Any]
    config: CheckedConfig
    objectives: list[Objective]


def check_space(space: Space, loaded: LoadedConfig, include_packages: Sequence[str] = ()) -> CheckedSpace:
    """See that every value of the space makes a valid config: all choices, both ends of ranges; one parameter at a time.

    Raises:
        ConfigError: with every fault, those of a value at its place in the space.
        PluginError: a package of the user's own cannot be imported.
    """
    tried = {parameter.name: parameter.ends() for parameter in space.searched}
    first = {name: ends[0][1] for name, ends in tried.items()}
    values, base_faults = _laid_over(loaded.values, {**space.constants, **first})
    own_paths = {path: parameter.place for parameter in space.parameters for path in parameter.paths}
    config: CheckedConfig | None = None
    faults: list[Fault] = []
    try:
        config = check_config(values, [*loaded.faults, *base_faults], include_packages, for_training=True)
    except ConfigError as error:
        faults = [fault for fault in error.faults if not _is_within(fault.path, own_paths)]
    for parameter in space.parameters:
        for key, value in [("value", parameter.options["value"])] if parameter.is_constant else tried[parameter.name]:
            overrides = {**space.constants, **first, parameter.name: value}
            tried_values, override_faults = _laid_over(loaded.values, overrides)
            found = [*override_faults, *_config_faults(tried_values, include_packages)]
            for fault in found:
                if fault not in faults and (_is_within(fault.path, parameter.paths) or fault not in base_faults):
                    hint = YAML_HINT if isinstance(value, str) and YAML_FLOAT.fullmatch(value) else ""
                    faults.append(Fault(f"{parameter.place}.{key}", f"{describe(value)}: {fault}{hint}"))
    if config is not None:
        objectives = list(space.objectives) or parse_objectives(config.resolved["trainer"]["validation_metric"])
        faults += _metric_faults(objectives, config.resolved)
    faults = _without_echoes(faults)
    if faults or config is None:
        raise ConfigError(faults)
    constant_values, _ = _laid_over(loaded.values, space.constants)
    return CheckedSpace(space, constant_values, config, objectives)


def _laid_over(values: dict[str, Any], overrides: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    try:
        return apply_overrides(values, json.dumps(overrides)), []
    except ConfigError as error:
        return values, list(error.faults)


def _config_faults(values: dict[str, Any], include_packages: Sequence[str]) -> Sequence[Fault]:
    try:
        check_config(values, [], include_packages, for_training=True)
    except ConfigError as error:
        return error.faults
    return ()


def _is_within(path: str, known: Any) -> bool:
    return any(f"{path}.".startswith(f"{one}.") for one in known)


def _without_echoes(faults: list[Fault]) -> list[Fault]:
    """A fault of the config shows once, not again for each value that is laid over it."""
    plain = {str(fault) for fault in faults}
    seen: set[str] = set()
    kept = []
    for fault in faults:
        _, _, inner = fault.message.partition(": ")
        if fault.path.startswith("parameters.") and inner in plain:
            continue
        if str(fault) not in seen:
            kept.append(fault)
        seen.add(str(fault))
    return kept


def _metric_faults(objectives: Sequence[Objective], resolved: dict[str, Any]) -> Iterator[Fault]:
    from luke_tasks.heads.head import Head

    head_type = resolved["model"]["head"]["type"]
    head = _registered(Head, head_type)
    known = (*getattr(head, "metric_names", ()), *_EPOCH_NAMES)
    has_validation = resolved.get("validation_data_path") is not None
    for objective in objectives:
        name = objective.name
        if name in ("duration", "training_loss"):
            continue
        score = name.removeprefix("best_").removeprefix("validation_")
        if not any(fnmatch.fnmatchcase(score, pattern) for pattern in known):
            listed = ", ".join((*known, "training_loss", "duration"))
            yield Fault("metric", f'the head "{head_type}" computes no {describe(name)}'
                                  f"{nearest(score, (*known, 'training_loss', 'duration'))} (known: {listed}; also with "
                                  "validation_ or best_validation_ before it)")  # fmt: skip
        elif not has_validation:
            yield Fault("metric", f"{describe(name)} is a score on validation data, but the config has no "
                                  "validation_data_path")  # fmt: skip


def _registered(base: type[Registrable], name: str) -> Any:
    return base.registered()[name]
