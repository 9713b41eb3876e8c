"""ReCoRD's exact match and F1: a case by hand, and random answers beside the scorer's formulas written anew."""

from __future__ import annotations

import random
import string

import pytest

from luke_tasks.metrics.record_scores import RecordScores


def scores(pairs: list[tuple[list[str], str | None]]) -> dict[str, float]:
    metric = RecordScores()
    for gold, predicted in pairs:
        metric.update(gold=gold, predicted=predicted)
    return metric.compute()


def test_by_hand() -> None:
    """Four queries: right but for case and article, the better of two answers, wrong, unanswered."""
    pairs: list[tuple[list[str], str | None]] = [
        (["The U.S."], "us"), (["Paris", "Barack Obama"], "Obama"), (["Paris"], "London"), (["Paris"], None),
    ]  # fmt: skip
    assert scores(pairs) == pytest.approx({"exact_match": 1 / 4, "f1": (1 + 2 / 3) / 4})


def test_nothing_and_reset() -> None:
    assert scores([]) == {"exact_match": 0.0, "f1": 0.0}
    assert tuple(scores([])) == RecordScores.names
    metric = RecordScores()
    metric.update(gold=["a b"], predicted="c")
    metric.reset()
    metric.update(gold=["b c"], predicted="b, c")
    assert metric.compute() == {"exact_match": 1.0, "f1": 1.0}


def words(text: str) -> list[str]:
    """As the scorer normalises, word by word: what is left between spaces once punctuation and articles are gone."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def overlap(predicted: list[str], gold: list[str]) -> float:
    """F1 as 2 · common / (lengths), the common words taken away one by one."""
    rest, common = list(gold), 0
    for word in predicted:
        if word in rest:
            rest.remove(word)
            common += 1
    return 2 * common / (len(predicted) + len(gold)) if common else 0.0


@pytest.mark.parametrize("seed", range(10))
def test_random_predictions(seed: int) -> None:
    rng = random.Random(seed)
    vocabulary = ["the", "Paris", "paris,", "Obama", "U.S.", "us", "an", "Barack", "Mr."]

    def text() -> str:
        return " ".join(rng.choices(vocabulary, k=rng.randint(1, 4)))

    pairs = [([text() for _ in range(rng.randint(1, 3))], text() if rng.random() < 0.9 else None) for _ in range(80)]
    exact = [max(words(one) == words(predicted) for one in gold) if predicted else 0 for gold, predicted in pairs]
    f1 = [max(overlap(words(predicted), words(one)) for one in gold) if predicted else 0 for gold, predicted in pairs]
    assert 0 < sum(exact) < len(pairs)
    assert scores(pairs) == pytest.approx({"exact_match": sum(exact) / len(pairs), "f1": sum(f1) / len(pairs)})
