"""Exact match and F1 of an answer's text, as SQuAD v1.1's evaluation script counts them; ReCoRD's counts the same."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case; no ASCII punctuation, no English articles, single spaces."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(predicted: str, gold: str, normalised: Callable[[str], str] = normalise) -> float:
    """1 if the normalised texts are equal, else 0."""
    return float(normalised(predicted) == normalised(gold))


def f1(predicted: str, gold: str, normalised: Callable[[str], str] = normalise) -> float:
    """F1 of the words of the normalised texts, each counted as often as it occurs."""
    predicted_words, gold_words = normalised(predicted).split(), normalised(gold).split()
    common = sum((Counter(predicted_words) & Counter(gold_words)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted_words), common / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def best(score: Callable[[str, str], float], predicted: str, golds: Iterable[str]) -> float:
    """The best score over several right answers, 0 where there is none."""
    return max((score(predicted, gold) for gold in golds), default=0.0)
