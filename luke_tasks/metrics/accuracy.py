"""Accuracy: the share of items given their gold class."""

from __future__ import annotations

from collections.abc import Sequence

from luke_tasks.metrics.metric import Metric, ratio


class Accuracy(Metric):
    """Share of items whose predicted class is the gold class."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.num_correct = 0
        self.num_total = 0

    def update(self, *, gold: Sequence[object], predicted: Sequence[object]) -> None:
        """Add some items, gold and predicted in the same order."""
        self.num_correct += sum(a == b for a, b in zip(gold, predicted, strict=True))
        self.num_total += len(gold)

    def compute(self) -> dict[str, float]:
        return {"accuracy": ratio(self.num_correct, self.num_total)}
