"""Exact match and F1 of answers, as ReCoRD's evaluation script counts them (Zhang et al. 2018), between 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from luke_tasks.metrics import answer_text
from luke_tasks.metrics.metric import Metric, ratio


class RecordScores(Metric):
    """Means over queries of the best score over a query's right answers; an unanswered query counts 0."""

    names: ClassVar[tuple[str, ...]] = ("exact_match", "f1")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.num_queries = 0
        self.exact_match_sum = self.f1_sum = 0.0

    def update(self, *, gold: Iterable[str], predicted: str | None) -> None:
        """Add a query: its right answers, and what was answered (None: nothing)."""
        self.num_queries += 1
        if predicted is not None:
            gold = list(gold)
            self.exact_match_sum += answer_text.best(answer_text.exact_match, predicted, gold)
            self.f1_sum += answer_text.best(answer_text.f1, predicted, gold)

    def compute(self) -> dict[str, float]:
        sums = {"exact_match": self.exact_match_sum, "f1": self.f1_sum}
        return {name: ratio(total, self.num_queries) for name, total in sums.items()}
