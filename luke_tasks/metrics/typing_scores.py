"""Scores of sets of types: micro-averaged as the LUKE paper reports, and those of Ultra-Fine Entity Typing's scorer.

| name | precision is the mean of correct/predicted over | recall is the mean of correct/gold over |
|---|---|---|
| `macro_*` | mentions with a prediction | mentions with a gold type |
| `loose_macro_*` | all mentions (0 where nothing is predicted) | all mentions (0 where nothing is gold) |

`micro_*` counts types over all mentions; `strict_accuracy` is the share of mentions whose set of types is quite right.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from luke_tasks.metrics.metric import Metric, ratio


class TypingScores(Metric):
    """Precision, recall and F1 in three averages, and strict accuracy."""

    names: ClassVar[tuple[str, ...]] = (
        *(f"{average}_{name}" for average in ("micro", "macro", "loose_macro")
          for name in ("precision", "recall", "fscore")),
        "strict_accuracy",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.num_mentions = self.num_exact = 0
        self.num_correct = self.num_predicted = self.num_gold = 0  # types
        self.num_with_prediction = self.num_with_gold = 0  # mentions
        self.precision_sum = self.recall_sum = 0.0  # of the mentions

    def update(self, *, gold: Collection[str], predicted: Collection[str]) -> None:
        """Add a mention."""
        gold, predicted = set(gold), set(predicted)
        correct = len(gold & predicted)
        self.num_mentions += 1
        self.num_exact += gold == predicted
        self.num_correct += correct
        self.num_predicted += len(predicted)
        self.num_gold += len(gold)
        if predicted:
            self.num_with_prediction += 1
            self.precision_sum += correct / len(predicted)
        if gold:
            self.num_with_gold += 1
            self.recall_sum += correct / len(gold)

    def compute(self) -> dict[str, float]:
        mentions = self.num_mentions
        return {
            **_scores("micro", self.num_correct, self.num_predicted, self.num_correct, self.num_gold),
            **_scores("macro", self.precision_sum, self.num_with_prediction, self.recall_sum, self.num_with_gold),
            **_scores("loose_macro", self.precision_sum, mentions, self.recall_sum, mentions),
            "strict_accuracy": ratio(self.num_exact, mentions),
        }


def _scores(average: str, precise: float, predicted: int, recalled: float, gold: int) -> dict[str, float]:
    precision, recall = ratio(precise, predicted), ratio(recalled, gold)
    f1 = ratio(2 * precision * recall, precision + recall)
    return {f"{average}_precision": precision, f"{average}_recall": recall, f"{average}_fscore": f1}
