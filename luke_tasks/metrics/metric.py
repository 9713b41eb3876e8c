"""What a metric is: it is fed example by example during an evaluation, and then asked."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Metric(ABC):
    """Base of metrics. A fresh one starts empty; `reset` empties it again. `update` is each metric's own."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Name → value over everything since the last reset."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything."""


def ratio(part: float, whole: float) -> float:
    """`part / whole`, and 0 where there is no whole."""
    return part / whole if whole else 0.0
