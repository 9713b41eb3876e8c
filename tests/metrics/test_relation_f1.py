"""Accuracy and F1 of relations: cases by hand, and random predictions beside TACRED's and SemEval's rules."""

from __future__ import annotations

import random

import pytest

from luke_tasks.metrics.relation_f1 import RelationF1

NONE = "no_relation"


def scores(pairs: list[tuple[str, str]], *ignored: str) -> dict[str, float]:
    metric = RelationF1(ignored=ignored or (NONE,))
    for gold, predicted in pairs:
        metric.update(gold=gold, predicted=predicted)
    return metric.compute()


def test_by_hand() -> None:
    """Of per:title 1 is right among 2 predicted and 2 gold; of org:members 0 among 1 and 0; per:age 0 among 0 and 1."""
    pairs = [("per:title", "per:title"), ("per:title", NONE), (NONE, "per:title"), (NONE, NONE),
             (NONE, "org:members"), ("per:age", NONE)]  # fmt: skip
    assert scores(pairs) == pytest.approx({
        "accuracy": 2 / 6, "micro_precision": 1 / 3, "micro_recall": 1 / 3, "micro_fscore": 1 / 3,
        "macro_fscore": (0.5 + 0 + 0) / 3,
    })  # fmt: skip


def test_direction_belongs_to_the_class_but_not_to_the_relation() -> None:
    pairs = [("per:spouse(e1,e2)", "per:spouse(e2,e1)"), ("per:spouse(e2,e1)", "per:spouse(e2,e1)")]
    found = scores(pairs)
    assert found["accuracy"] == found["micro_precision"] == found["micro_recall"] == found["macro_fscore"] == 0.5


def test_ignored_labels() -> None:
    pairs = [("Other", "Other"), ("a(e1,e2)", "Other"), ("a(e2,e1)", "a(e2,e1)")]
    assert scores(pairs, "Other")["micro_fscore"] == pytest.approx(2 / 3)
    assert scores(pairs, "Other", "a(e1,e2)") == pytest.approx(
        {"accuracy": 2 / 3, "micro_precision": 0, "micro_recall": 0, "micro_fscore": 0, "macro_fscore": 0}
    )


def test_nothing_at_all() -> None:
    assert set(scores([]).values()) == {0.0}
    assert tuple(scores([])) == RelationF1.names
    assert scores([(NONE, NONE)]) == {"accuracy": 1.0, **dict.fromkeys(RelationF1.names[1:], 0.0)}


def test_reset() -> None:
    metric = RelationF1(ignored=[])
    metric.update(gold="a", predicted="b")
    metric.reset()
    metric.update(gold="a", predicted="a")
    assert set(metric.compute().values()) == {1.0}


@pytest.mark.parametrize("seed", range(20))
def test_tacred_micro(seed: int) -> None:
    """As TACRED's score.py counts: guessed, gold and correct by relation, `no_relation` apart."""
    rng = random.Random(seed)
    names = [NONE, NONE, NONE, "per:age", "per:title", "org:members"]
    pairs = [(rng.choice(names), rng.choice(names)) for _ in range(60)]
    correct = guessed = gold = 0
    for actual, guess in pairs:
        if actual == NONE and guess != NONE:
            guessed += 1
        elif actual != NONE and guess == NONE:
            gold += 1
        elif actual != NONE and guess != NONE:
            guessed += 1
            gold += 1
            correct += actual == guess
    precision, recall = correct / guessed, correct / gold
    found = scores(pairs)
    assert found["micro_precision"] == pytest.approx(precision)
    assert found["micro_recall"] == pytest.approx(recall)
    assert found["micro_fscore"] == pytest.approx(2 * precision * recall / (precision + recall) if correct else 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_directed_macro(seed: int) -> None:
    """As SemEval-2010's scorer takes direction into account, over the relations that occur."""
    rng = random.Random(seed)
    names = [NONE, *(f"{name}({way})" for name in ("a", "b/c", "d") for way in ("e1,e2", "e2,e1"))]
    pairs = [(rng.choice(names), rng.choice(names)) for _ in range(60)]
    f1s = []
    for relation in ("a", "b/c", "d"):
        gold = [actual == guess for actual, guess in pairs if actual.startswith(f"{relation}(")]
        guessed = [actual == guess for actual, guess in pairs if guess.startswith(f"{relation}(")]
        precision, recall = sum(guessed) / len(guessed), sum(gold) / len(gold)
        f1s.append(2 * precision * recall / (precision + recall) if sum(gold) else 0.0)
    assert scores(pairs)["macro_fscore"] == pytest.approx(sum(f1s) / 3)
    assert scores(pairs)["accuracy"] == sum(a == b for a, b in pairs) / 60
