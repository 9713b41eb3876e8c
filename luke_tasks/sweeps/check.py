"""A space against its config, before the first trial: every value that will be tried is laid over the config once."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from luke_tasks.config import LoadedConfig, merge_overrides
from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.heads.head import Head
from luke_tasks.schema import nearest
from luke_tasks.sweeps.entries import YAML_FLOAT, YAML_HINT
from luke_tasks.sweeps.records import Objective
from luke_tasks.sweeps.space import Space, parse_objectives

_OTHERS = ("training_loss", "duration")


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
    """See that every value of the space makes a valid config: all choices, both ends of ranges, a parameter at a time.

    Raises:
        ConfigError: with every fault, those of a value at its place in the space.
        PluginError: a package of the user's own cannot be imported.
    """
    tried = {parameter.name: parameter.ends() for parameter in space.parameters}
    first = {name: ends[0][1] for name, ends in tried.items()}
    config, base = _checked(loaded, first, include_packages)
    alone, alone_faults = _checked(loaded, {}, include_packages)
    own = [fault for fault in alone_faults if fault in base]  # of the config by itself
    faults = list(own)
    for parameter in space.parameters:
        said: set[Fault] = set()  # once a parameter: a path that is no key is so with every value
        for key, value in tried[parameter.name]:
            hint = YAML_HINT if isinstance(value, str) and YAML_FLOAT.fullmatch(value) else ""
            for fault in _checked(loaded, {**first, parameter.name: value}, include_packages)[1]:
                is_new = fault not in base or (fault not in own and _concerns(fault.path, parameter.paths))
                if is_new and fault not in said:
                    faults.append(Fault(f"{parameter.place}.{key}", f"{describe(value)}: {fault}{hint}"))
                said.add(fault)
    objectives = list(space.objectives)
    if (readable := config or alone) is not None:  # a faulty value of the space does not hide a faulty metric
        objectives = objectives or parse_objectives(readable.resolved["trainer"]["validation_metric"])
        faults += metric_faults(objectives, readable.resolved)
    if faults or config is None:
        raise ConfigError(faults)
    return CheckedSpace(space, merge_overrides(loaded.values, space.constants), config, objectives)


def _checked(
    loaded: LoadedConfig, overrides: dict[str, Any], include_packages: Sequence[str]
) -> tuple[CheckedConfig | None, Sequence[Fault]]:
    """The config with `overrides` laid over, or its faults."""
    try:
        values = merge_overrides(loaded.values, overrides)
        return check_config(values, loaded.faults, include_packages, for_training=True), ()
    except ConfigError as error:
        return None, error.faults


def _concerns(path: str, keys: Sequence[str]) -> bool:
    """Whether a fault at `path` is about one of `keys`: at it, in it, or around it."""
    return any(f"{path}.".startswith(f"{key}.") or f"{key}.".startswith(f"{path}.") for key in keys)


def metric_faults(objectives: Sequence[Objective], resolved: dict[str, Any]) -> Iterator[Fault]:
    """What a run of this config does not compute."""
    head_type = resolved["model"]["head"]["type"]
    head = Head.registered()[head_type]
    known = (*getattr(head, "metric_names", ()), "loss", *_OTHERS)
    has_validation = resolved.get("validation_data_path") is not None
    for objective in objectives:
        name = objective.name
        if name in _OTHERS:
            continue
        score = name.removeprefix("best_").removeprefix("validation_")
        if not any(fnmatch.fnmatchcase(score, pattern) for pattern in known):
            listed = ", ".join(known)
            yield Fault("metric", f'the head "{head_type}" computes no {describe(name)}'
                                  f"{nearest(score, known)} (known: {listed}; also with validation_ or "
                                  "best_validation_ before it)")  # fmt: skip
        elif not has_validation:
            yield Fault("metric", f"{describe(name)} is a score on validation data, but the config has no "
                                  "validation_data_path")  # fmt: skip
