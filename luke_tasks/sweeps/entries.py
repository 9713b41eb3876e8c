"""The entries of a space's `parameters`, checked one by one: keys, kinds of values, empty ranges, overlapping paths."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from luke_tasks.errors import Fault, describe, join_path
from luke_tasks.schema import nearest
from luke_tasks.sweeps.distributions import CHECKS, NEEDED, Parameter, tied_paths

_KEYS = (*CHECKS, "distribution", "parameters")
YAML_FLOAT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # YAML 1.1 reads it as a number only with a dot and a sign
YAML_HINT = "; YAML takes it for text: write it with a dot and a sign, as 1.0e-5"


def parse_parameters(given: dict[str, Any], place: str, prefix: str, faults: list[Fault]) -> Iterator[Parameter]:
    """The parameters of an object of entries, nested ones flattened; what is wrong is added to `faults`."""
    for key, entry in given.items():
        here = f"{place}.{key}"
        name = ",".join(f"{prefix}{path}" for path in tied_paths(key))
        if not isinstance(entry, dict):
            faults.append(Fault(here, f"expected an object, as {{values: [...]}}, found {describe(entry)}"))
            continue
        inner = entry.get("parameters")
        if inner is None:
            parameter = _parameter(name, here, entry, faults)
            if parameter is not None:
                yield parameter
        elif not isinstance(inner, dict) or not inner:
            faults.append(Fault(f"{here}.parameters", f"expected an object of parameters, found {describe(inner)}"))
        elif "," in key:
            faults.append(Fault(here, "several paths can be tied for one value, not for nested parameters"))
        else:
            others = [key for key in entry if key != "parameters"]
            if others:
                faults.append(Fault(here, f"has nested parameters, and so cannot have {', '.join(others)}"))
            yield from parse_parameters(inner, f"{here}.parameters", f"{name}.", faults)


def _parameter(name: str, place: str, entry: dict[str, Any], faults: list[Fault]) -> Parameter | None:
    number_before = len(faults)
    faults += unknown_keys(entry, _KEYS, place)
    for key, value in entry.items():
        if key in CHECKS and not CHECKS[key][0](value):
            shown = YAML_HINT if isinstance(value, str) and YAML_FLOAT.fullmatch(value) else ""
            faults.append(Fault(f"{place}.{key}", f"expected {CHECKS[key][1]}, found {describe(value)}{shown}"))
    distribution: Any = entry.get("distribution") or _inferred(entry)
    if distribution not in NEEDED:
        what = "says neither value, values, min and max, nor distribution"
        if "distribution" in entry:
            near = nearest(distribution, NEEDED) if isinstance(distribution, str) else ""
            what = f"no such distribution: {describe(distribution)}{near} (known: {', '.join(NEEDED)})"
        elif "min" in entry or "max" in entry:
            what = f"has {'min' if 'min' in entry else 'max'} only; give min and max"
        faults.append(Fault(place, what))
    if len(faults) > number_before:
        return None
    needed, optional = NEEDED[distribution]
    for key in needed:
        if key not in entry:
            faults.append(Fault(f"{place}.{key}", f'missing; the distribution "{distribution}" needs it'))
    for key in entry:
        if key not in (*needed, *optional, "distribution"):
            faults.append(Fault(f"{place}.{key}", f'not read with the distribution "{distribution}"; remove it'))
    if len(faults) == number_before:
        faults += [
            Fault(f"{place}.{key}" if key else place, message) for key, message in _value_faults(distribution, entry)
        ]
    if len(faults) > number_before:
        return None
    return Parameter(name, place, distribution, {key: entry[key] for key in entry if key != "distribution"})


def _inferred(entry: dict[str, Any]) -> str | None:
    """The distribution that W&B takes where an entry names none."""
    if "value" in entry:
        return "constant"
    if "values" in entry:
        return "categorical"
    if "min" in entry and "max" in entry:
        return "int_uniform" if all(isinstance(entry[key], int) for key in ("min", "max")) else "uniform"
    return None


def _value_faults(distribution: str, entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the values of an entry that has all it needs."""
    if distribution == "int_uniform":
        for key in ("min", "max"):
            if not isinstance(entry[key], int):
                yield key, f"expected an integer, found {describe(entry[key])}"
    if "min" in entry:
        low, high = entry["min"], entry["max"]
        if low >= high:
            yield "", f"an empty range: min {describe(low)} is not below max {describe(high)}"
        elif distribution.endswith("log_uniform_values") and low <= 0:
            yield "min", f"expected a number above 0 (a logarithmic scale), found {describe(low)}"
        elif distribution.endswith("log_uniform") and high > 700:
            yield "max", (f"expected an exponent of e, found {describe(high)}; for the values themselves, use "
                          f"{distribution}_values")  # fmt: skip
    values = entry.get("values", [])
    for index, value in enumerate(values):
        if any(type(value) is type(other) and value == other for other in values[:index]):
            yield f"values.{index}", f"{describe(value)} stands there twice"
    shares = entry.get("probabilities")
    if shares is not None and len(shares) != len(values):
        yield "probabilities", f"expected {len(values)}, one for each of values, found {len(shares)}"
    elif shares is not None and abs(sum(shares) - 1) > 1e-6:
        yield "probabilities", f"expected numbers that sum to 1, found a sum of {sum(shares):g}"


def overlaps(parameters: list[Parameter]) -> Iterator[Fault]:
    """A config key that two parameters set, or one of which one sets the inside."""
    places = [(path, parameter) for parameter in parameters for path in parameter.paths]
    for (path, parameter), (other_path, other) in itertools.combinations(places, 2):
        if f"{path}.".startswith(f"{other_path}.") or f"{other_path}.".startswith(f"{path}."):
            yield Fault(other.place, f"{other_path} is set by {parameter.place}, too; remove one of them")


def unknown_keys(values: dict[str, Any], known: tuple[str, ...], place: str) -> Iterator[Fault]:
    """A fault for each key that is none of `known`, with the nearest."""
    for key in values:
        if key not in known:
            near = nearest(key, known) or f" (known: {', '.join(known)})"
            yield Fault(join_path(place, key), f"unknown key{near}")


def is_positive_int(value: Any) -> bool:
    """Whether it is an integer above 0 (`true` is none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
