"""The distributions of Weights & Biases' sweep files, each as one coordinate to search and its way to a value.

Optuna searches plain ranges and choices. A distribution it lacks (quantised on a logarithmic scale, normal, beta, ...)
is searched on an underlying coordinate, and `Parameter.value` turns that into the value the config gets: the bounds of
`log_uniform` become powers of e, a normal distribution is searched by its quantile between 0 and 1.

Source of the meanings: https://docs.wandb.ai/models/sweeps/sweep-config-keys ("Distribution options for random and
Bayesian search").
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from luke_tasks.sweeps.records import ParameterRange

_EDGE = 0.01  # the quantiles that stand for the ends of an unbounded distribution

# distribution → keys it must have, keys it may have
NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": (("value",), ()),
    "categorical": (("values",), ("probabilities",)),
    "int_uniform": (("min", "max"), ()),
    "uniform": (("min", "max"), ()),
    "q_uniform": (("min", "max"), ("q",)),
    "log_uniform": (("min", "max"), ()),
    "log_uniform_values": (("min", "max"), ()),
    "q_log_uniform": (("min", "max"), ("q",)),
    "q_log_uniform_values": (("min", "max"), ("q",)),
    "inv_log_uniform": (("min", "max"), ()),
    "inv_log_uniform_values": (("min", "max"), ()),
    "normal": ((), ("mu", "sigma")),
    "q_normal": ((), ("mu", "sigma", "q")),
    "log_normal": ((), ("mu", "sigma")),
    "q_log_normal": ((), ("mu", "sigma", "q")),
    "beta": ((), ("a", "b")),
    "q_beta": ((), ("a", "b", "q")),
}


@dataclass(frozen=True)
class Coordinate:
    """What is searched: an integer or a real number from `low` to `high`, or one of `choices`.

    Choices are plain scalars; a list or an object stands there as its JSON.
    """

    kind: Literal["int", "float", "choice"]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    step: float | None = None  # from `low` on; None: all numbers


@dataclass(frozen=True)
class Parameter:
    """One entry of a space.

    Args:
        name: its key, nested keys joined by dots; commas tie several config keys to one value.
        place: where it stands in the file, for faults.
        distribution: one of `NEEDED`.
        options: the entry's other keys.
    """

    name: str
    place: str
    distribution: str
    options: dict[str, Any]

    @property
    def paths(self) -> list[str]:
        """The dotted paths of the config keys it sets."""
        return tied_paths(self.name)

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to search."""
        return self.distribution == "constant"

    @property
    def coordinate(self) -> Coordinate:
        """What is searched for it (not of a constant)."""
        options, name = self.options, self.distribution
        if name == "categorical":
            if "probabilities" in options:
                return Coordinate("float")  # by quantile
            return Coordinate("choice", choices=tuple(_scalar(value) for value in options["values"]))
        if name == "int_uniform":
            return Coordinate("int", options["min"], options["max"])
        if name in ("uniform", "q_uniform"):
            return Coordinate("float", float(options["min"]), float(options["max"]))
        if "log_uniform" in name:
            return Coordinate("float", *self._log_bounds(), log=True)
        return Coordinate("float")  # by quantile

    def value(self, searched: Any) -> Any:
        """The config's value for a point of `coordinate`."""
        name, options = self.distribution, self.options
        if name == "categorical":
            if "probabilities" in options:
                sums = itertools.accumulate(options["probabilities"])
                index = next((i for i, total in enumerate(sums) if searched < total), len(options["values"]) - 1)
                return options["values"][index]
            return next(value for value in options["values"] if _scalar(value) == searched
                        and type(_scalar(value)) is type(searched))  # fmt: skip
        if name == "int_uniform":
            return int(searched)
        value = self._quantile(searched) if self.coordinate == Coordinate("float") and self._is_unbounded else searched
        return self._quantised(value) if name.startswith("q_") else float(value)

    def searched_for(self, value: Any) -> Any:
        """The point of `coordinate` that gives one of `grid`'s values."""
        if self.distribution == "categorical" and "probabilities" in self.options:
            shares = self.options["probabilities"]
            index = self.options["values"].index(value)
            return sum(shares[:index]) + shares[index] / 2
        if self.distribution == "q_uniform":
            return min(max(float(value), float(self.options["min"])), float(self.options["max"]))
        return _scalar(value)

    def ends(self) -> list[tuple[str, Any]]:
        """What is tried on the config before the first trial: key of the entry, value. All of them, or both ends."""
        options = self.options
        if self.is_constant:
            return [("value", options["value"])]
        if self.distribution == "categorical":
            return [(f"values.{index}", value) for index, value in enumerate(options["values"])]
        if self._is_unbounded:
            return [(f"at {quantile:.0%}", self.value(quantile)) for quantile in (_EDGE, 1 - _EDGE)]
        low, high = self.coordinate.low, self.coordinate.high
        names = ("max", "min") if self.distribution.startswith("inv_log_uniform") else ("min", "max")
        return [(names[0], self.value(low)), (names[1], self.value(high))]

    def grid(self) -> list[Any] | None:
        """All values, for a grid search; None where there is no end of them."""
        options, name = self.options, self.distribution
        if name == "constant":
            return [options["value"]]
        if name == "categorical":
            return list(options["values"])
        if name == "int_uniform":
            return list(range(options["min"], options["max"] + 1))
        if name == "q_uniform":
            step = options.get("q", 1)
            first, last = round(options["min"] / step), round(options["max"] / step)
            return [self._quantised(number * step) for number in range(first, last + 1)]
        return None

    def searched_range(self) -> ParameterRange:
        """As the records show it."""
        if self.distribution == "categorical":
            return ParameterRange(self.name, choices=tuple(self.options["values"]))
        (_, low), (_, high) = self.ends()
        return ParameterRange(self.name, low=low, high=high, log="log" in self.distribution and low > 0)

    @property
    def _is_unbounded(self) -> bool:
        return self.distribution.endswith(("normal", "beta"))

    def _log_bounds(self) -> tuple[float, float]:
        low, high = float(self.options["min"]), float(self.options["max"])
        if self.distribution.endswith("_values"):
            return low, high
        if self.distribution == "inv_log_uniform":  # log(1/x) is uniform
            low, high = -high, -low
        return math.exp(low), math.exp(high)

    def _quantile(self, share: float) -> float:
        """The value below which so much of the distribution lies; its very ends would be infinite."""
        share = min(max(share, 1e-9), 1 - 1e-9)
        if self.distribution.endswith("beta"):
            from scipy.special import betaincinv

            return float(betaincinv(self.options.get("a", 1), self.options.get("b", 1), share))
        value = statistics.NormalDist(self.options.get("mu", 0), self.options.get("sigma", 1)).inv_cdf(share)
        return math.exp(value) if "log_normal" in self.distribution else value

    def _quantised(self, value: float) -> float | int:
        """`round(value / q) * q`, without the tail of digits that binary fractions add; an integer for an integer q."""
        step = self.options.get("q", 1)
        if isinstance(step, int):
            return round(value / step) * step
        return round(round(value / step) * step, max(0, 2 - math.floor(math.log10(step))))


def tied_paths(name: str) -> list[str]:
    """The dotted paths in a key that may name several, with commas between."""
    return [path.strip() for path in name.split(",")]


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "min": (lambda value: _is_number(value), "a number"),
    "max": (lambda value: _is_number(value), "a number"),
    "mu": (lambda value: _is_number(value), "a number"),
    "sigma": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "q": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "a": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "b": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "values": (lambda value: isinstance(value, list) and bool(value), "a list of at least one value"),
    "probabilities": (
        lambda value: isinstance(value, list) and all(_is_number(item) and item >= 0 for item in value),
        "a list of numbers of at least 0",
    ),
    "value": (lambda value: True, "a value"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _scalar(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value
