"""Accuracy and F1 of relations, leaving out those that say there is none: TACRED's micro F1 and KBP37's macro F1.

A label's direction, "(e1,e2)" or "(e2,e1)" at its end as KBP37 and SemEval-2010 write it, belongs to the class but not
to the relation that is averaged over: "per:spouse(e1,e2)" predicted as "per:spouse(e2,e1)" is a wrong prediction of
per:spouse. TACRED's labels have no direction, and its micro F1 is that of its `score.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import ClassVar

from luke_tasks.metrics.metric import Metric, ratio

_DIRECTION = re.compile(r"\((e1,e2|e2,e1)\)$")


class RelationF1(Metric):
    """Accuracy over all classes; micro and macro scores over relations that are not ignored.

    `macro_fscore` is the mean F1 of the relations that occur, in gold or in prediction. Without any prediction the
    precision is 0 (TACRED's `score.py` prints 1; its F1 is the same).

    Args:
        ignored: labels that are no relation.
    """

    names: ClassVar[tuple[str, ...]] = (
        "accuracy", "micro_precision", "micro_recall", "micro_fscore", "macro_fscore"
    )  # fmt: skip

    def __init__(self, *, ignored: Collection[str]) -> None:
        self.ignored = frozenset(without_direction(label) for label in ignored)
        self.reset()

    def reset(self) -> None:
        self.num_examples = self.num_right = 0
        self._correct: Counter[str] = Counter()  # relation → how often
        self._gold: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()

    def update(self, *, gold: str, predicted: str) -> None:
        """Add an example, with the full labels."""
        self.num_examples += 1
        self.num_right += gold == predicted
        self._gold[without_direction(gold)] += 1
        self._predicted[without_direction(predicted)] += 1
        self._correct[without_direction(gold)] += gold == predicted

    def compute(self) -> dict[str, float]:
        relations = (self._gold.keys() | self._predicted.keys()) - self.ignored
        counts = [(self._correct[name], self._predicted[name], self._gold[name]) for name in relations]
        correct, predicted, gold = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
        return {
            "accuracy": ratio(self.num_right, self.num_examples),
            "micro_precision": ratio(correct, predicted),
            "micro_recall": ratio(correct, gold),
            "micro_fscore": ratio(2 * correct, predicted + gold),
            "macro_fscore": ratio(sum(ratio(2 * c, p + g) for c, p, g in sorted(counts)), len(counts)),
        }


def without_direction(label: str) -> str:
    """The relation that a class belongs to."""
    return _DIRECTION.sub("", label)
