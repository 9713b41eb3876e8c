"""Scores of sets of types: a case by hand, and random sets beside Ultra-Fine's formulas written anew."""

from __future__ import annotations

import random

import pytest

from luke_tasks.metrics.typing_scores import TypingScores


def scores(pairs: list[tuple[set[str], set[str]]]) -> dict[str, float]:
    metric = TypingScores()
    for gold, predicted in pairs:
        metric.update(gold=gold, predicted=predicted)
    return metric.compute()


def test_by_hand() -> None:
    """Four mentions: half right, exactly right, nothing predicted, nothing gold."""
    pairs = [({"person", "artist"}, {"person", "place"}), ({"time"}, {"time"}), ({"group"}, set()), (set(), {"event"})]
    assert scores(pairs) == pytest.approx({
        "micro_precision": 2 / 4, "micro_recall": 2 / 4, "micro_fscore": 0.5,
        "macro_precision": 1.5 / 3, "macro_recall": 1.5 / 3, "macro_fscore": 0.5,
        "loose_macro_precision": 1.5 / 4, "loose_macro_recall": 1.5 / 4, "loose_macro_fscore": 0.375,
        "strict_accuracy": 1 / 4,
    })  # fmt: skip


def test_nothing_at_all() -> None:
    assert set(scores([]).values()) == {0.0}
    assert scores([({"time"}, set())])["micro_fscore"] == 0.0
    assert tuple(scores([])) == TypingScores.names


def test_reset() -> None:
    metric = TypingScores()
    metric.update(gold={"a"}, predicted={"b"})
    metric.reset()
    metric.update(gold={"a"}, predicted={"a"})
    assert set(metric.compute().values()) == {1.0}


@pytest.mark.parametrize("seed", range(20))
def test_random_sets(seed: int) -> None:
    rng = random.Random(seed)
    pairs = [tuple({name for name in "abcdef" if rng.random() < 0.3} for _ in range(2)) for _ in range(40)]
    ours = scores(pairs)  # type: ignore[arg-type]

    decisions = [(name in gold, name in predicted) for gold, predicted in pairs for name in "abcdef"]
    hits, golds, guesses = (sum(map(test, decisions)) for test in (all, lambda d: d[0], lambda d: d[1]))
    assert ours["micro_precision"] == pytest.approx(hits / guesses)
    assert ours["micro_recall"] == pytest.approx(hits / golds)
    assert ours["micro_fscore"] == pytest.approx(2 * hits / (golds + guesses))

    precisions = [len(gold & guess) / len(guess) for gold, guess in pairs if guess]
    recalls = [len(gold & guess) / len(gold) for gold, guess in pairs if gold]
    for name, p, r in (
        ("macro", sum(precisions) / len(precisions), sum(recalls) / len(recalls)),
        ("loose_macro", sum(precisions) / len(pairs), sum(recalls) / len(pairs)),
    ):
        assert ours[f"{name}_precision"] == pytest.approx(p)
        assert ours[f"{name}_recall"] == pytest.approx(r)
        assert ours[f"{name}_fscore"] == pytest.approx(2 * p * r / (p + r))
    assert ours["strict_accuracy"] == sum(gold == guess for gold, guess in pairs) / len(pairs)
