"""Scores of hidden words and entities that a model fills in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from luke_tasks.metrics.metric import Metric, ratio

_HIGHEST = 700.0  # exp of more is no float


class FillingScores(Metric):
    """Share of hidden word pieces and of hidden entities whose likeliest filling is right, and the perplexity of word
    pieces: exp of the mean negative log-probability (base e) of the right one. 0 where nothing is hidden."""

    names: ClassVar[tuple[str, ...]] = ("word_accuracy", "entity_accuracy", "perplexity")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.num_words = self.num_right_words = 0
        self.num_entities = self.num_right_entities = 0
        self.log_probability = 0.0  # summed over word pieces

    def update_words(self, *, right: Sequence[bool], log_probabilities: Sequence[float]) -> None:
        """Add hidden word pieces: whether the likeliest is right, and the log-probability of the right one."""
        self.num_words += len(right)
        self.num_right_words += sum(right)
        self.log_probability += sum(log_probabilities)

    def update_entities(self, *, right: Sequence[bool]) -> None:
        """Add hidden entities."""
        self.num_entities += len(right)
        self.num_right_entities += sum(right)

    def compute(self) -> dict[str, float]:
        words = self.num_words
        return {
            "word_accuracy": ratio(self.num_right_words, words),
            "entity_accuracy": ratio(self.num_right_entities, self.num_entities),
            "perplexity": math.exp(min(-self.log_probability / words, _HIGHEST)) if words else 0.0,
        }
