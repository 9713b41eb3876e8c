"""Scores of answers to questions, as the evaluation scripts of SQuAD v1.1 and v2.0 count them.

Like there, `exact_match`, `f1` and all of v2.0's run from 0 to 100; the scores of single windows, which no script has,
from 0 to 1, as in the original.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from luke_tasks.metrics.answer_text import best, exact_match, f1, normalise
from luke_tasks.metrics.metric import Metric

Normaliser = Callable[[str], str]


def score(predicted: str, golds: Sequence[str], normalised: Normaliser = normalise) -> tuple[float, float]:
    """Exact match and F1 of an answer, the best over the right ones, each from 0 to 1 (v1.1's script).

    Where there is no right answer, "" is (v2.0's).
    """
    if not golds:
        return (1.0, 1.0) if not normalised(predicted) else (0.0, 0.0)
    return (best(lambda a, b: exact_match(a, b, normalised), predicted, golds),
            best(lambda a, b: f1(a, b, normalised), predicted, golds))  # fmt: skip


class AnswerScores(Metric):
    """Exact match and F1; with `unanswerable`, also v2.0's.

    | name | over |
    |---|---|
    | `HasAns_exact`, `HasAns_f1` | questions with an answer |
    | `NoAns_exact`, `NoAns_f1` | questions without |
    | `best_exact`, `best_f1` | all, at the best thresholds, `best_exact_thresh` and `best_f1_thresh` |

    The best thresholds are those that v2.0's script finds in `null_odds.json` beside predictions that always give an
    answer (a `null_threshold` above all odds): "" for questions whose null odds are above the threshold.
    """

    names: ClassVar[tuple[str, ...]] = ("exact_match", "f1")
    unanswerable_names: ClassVar[tuple[str, ...]] = (
        "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1",
        "best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh",
    )  # fmt: skip

    def __init__(self, *, unanswerable: bool = False) -> None:
        self.unanswerable = unanswerable
        self.reset()

    def reset(self) -> None:
        self._scores: list[tuple[float, float, bool]] = []  # exact match, F1, whether the question has an answer
        self._gains: list[tuple[float, float, float]] = []  # of the best span over "" in both, and its null odds

    def update(
        self, *, golds: Sequence[str], predicted: str, best_span: str = "", null_odds: float = 0.0,
        normalised: Normaliser = normalise,
    ) -> None:  # fmt: skip
        """Add a question.

        Args:
            golds: its right answers; none: it has none.
            predicted: the answer given, perhaps "".
            best_span: the best answer that is not "", for the best thresholds.
            null_odds: how far no answer is above `best_span`.
        """
        has_answer = bool(golds)
        if self.unanswerable:
            golds = [gold for gold in golds if normalised(gold)]  # v2.0's script does not count "the" as an answer
            gain = score(best_span, golds, normalised) if has_answer else (-float(bool(best_span)),) * 2
            self._gains.append((*gain, null_odds))
        self._scores.append((*score(predicted, golds, normalised), has_answer))

    def compute(self) -> dict[str, float]:
        found = dict(zip(self.names, _means(self._scores), strict=True))
        if not self.unanswerable:
            return found
        parts = [_means([one for one in self._scores if one[2] is has_answer]) for has_answer in (True, False)]
        values = (*parts[0], *parts[1], *self._best_threshold(0), *self._best_threshold(1))
        return found | dict(zip(self.unanswerable_names, values, strict=True))

    def _best_threshold(self, place: int) -> tuple[float, float]:
        """The best mean score (`place`: which) and the lowest threshold that reaches it.

        From a threshold below all odds, where every answer is "", upwards, one more question answered at each step.
        """
        current = best_sum = float(sum(not has_answer for *_, has_answer in self._scores))
        threshold = 0.0
        for gains in sorted(self._gains, key=lambda one: one[2]):
            current += gains[place]
            if current > best_sum:
                best_sum, threshold = current, gains[2]
        return 100 * best_sum / max(len(self._gains), 1), threshold


def _means(scores: Sequence[tuple[float, float, bool]]) -> tuple[float, float]:
    """Mean exact match and F1, from 0 to 100."""
    number = max(len(scores), 1)
    return 100 * sum(exact for exact, _, _ in scores) / number, 100 * sum(f1 for _, f1, _ in scores) / number


class WindowScores(Metric):
    """Of single windows: whether the best span is the gold one, and whether its two ends are the likeliest pieces.

    A window without the answer has `[CLS]` for gold. `per_instance_em` and `per_instance_f1` compare the best span's
    text with the right answers, also in windows that do not hold one.
    """

    names: ClassVar[tuple[str, ...]] = (
        "span_accuracy", "span_start_accuracy", "span_end_accuracy", "per_instance_em", "per_instance_f1",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._sums = [0.0] * len(self.names)
        self._number = 0

    def update(
        self, *, span: bool, start: bool, end: bool, predicted: str, golds: Sequence[str],
        normalised: Normaliser = normalise,
    ) -> None:  # fmt: skip
        """Add a window; `span`, `start` and `end` say what is right, `predicted` is the best span's text."""
        values = (span, start, end, *score(predicted, golds, normalised))
        self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]
        self._number += 1

    def compute(self) -> dict[str, float]:
        return {name: total / max(self._number, 1) for name, total in zip(self.names, self._sums, strict=True)}
