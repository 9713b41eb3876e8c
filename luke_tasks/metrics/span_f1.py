"""Precision, recall and F1 of labelled spans, as `seqeval` (the CoNLL-2000/2003 scorer's rules) counts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from luke_tasks.metrics.metric import Metric


class LabelledSpan(Protocol):
    """Words `[start, end)` and a type."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def label(self) -> str: ...


class SpanF1(Metric):
    """Exact-match scores over documents, micro-averaged, and per type under `precision-TYPE`, `recall-TYPE`, `f1-TYPE`.

    The types given are always reported, with 0 where there is neither a gold nor a predicted one; others when met.

    Every gold entity of the file counts, also one the reader could not offer as a candidate (longer than
    `max_mention_length`, or cut by the window): it is a missed entity. The original system left those out of its gold
    set, so its recall is higher by their share; they are logged when the file is read.
    """

    def __init__(self, types: Iterable[str] = ()) -> None:
        self.types = tuple(types)
        self.reset()

    def reset(self) -> None:
        self._gold: list[list[str]] = []
        self._predicted: list[list[str]] = []

    def update(self, *, gold: Iterable[LabelledSpan], predicted: Iterable[LabelledSpan], num_words: int) -> None:
        """Add a document of `num_words` words. Neither `gold` nor `predicted` spans may overlap among themselves."""
        self._gold.append(_iob2(gold, num_words))
        self._predicted.append(_iob2(predicted, num_words))

    def compute(self) -> dict[str, float]:
        names = ("precision", "recall", "f1")
        scores = dict.fromkeys([*names, *(f"{name}-{label}" for label in self.types for name in names)], 0.0)
        if not any(tag != "O" for tags in (*self._gold, *self._predicted) for tag in tags):
            return scores
        from seqeval.metrics import classification_report  # here: with sklearn below it, it takes as long as torch
        from seqeval.scheme import IOB2

        report = classification_report(
            self._gold, self._predicted, output_dict=True, mode="strict", scheme=IOB2, zero_division=0
        )
        for name, row in report.items():
            if name not in ("macro avg", "weighted avg"):
                suffix = "" if name == "micro avg" else f"-{name}"
                for key, column in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                    scores[f"{key}{suffix}"] = float(row[column])
        return scores


def _iob2(spans: Iterable[LabelledSpan], num_words: int) -> list[str]:
    """Non-overlapping spans as one tag a word."""
    tags = ["O"] * num_words
    for span in spans:
        tags[span.start : span.end] = [f"B-{span.label}"] + [f"I-{span.label}"] * (span.end - span.start - 1)
    return tags
