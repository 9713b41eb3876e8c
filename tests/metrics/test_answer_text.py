"""Exact match and F1 of answers, on cases worked by hand after SQuAD's evaluation script."""

from __future__ import annotations

import pytest

from luke_tasks.metrics.answer_text import best, exact_match, f1, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [("The  Super Bowl!", "super bowl"), ("an A-list", "alist"), ("theatre", "theatre"), ("“a”", "“ ”"), ("the", "")],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("predicted", "gold", "em", "overlap"),
    [
        ("the Denver Broncos", "Denver Broncos.", 1.0, 1.0),
        ("Denver", "Denver Broncos", 0.0, 2 / 3),
        ("Broncos Broncos", "Denver Broncos", 0.0, 0.5),  # a word counts as often as both have it
        ("", "Denver", 0.0, 0.0),
        ("the", "", 1.0, 0.0),  # nothing is left of either: equal, but no word in common
    ],
)
def test_scores_worked_by_hand(predicted: str, gold: str, em: float, overlap: float) -> None:
    assert exact_match(predicted, gold) == em
    assert f1(predicted, gold) == pytest.approx(overlap)


def test_best_over_several_answers() -> None:
    assert best(f1, "Denver", ["Paris", "Denver Broncos"]) == pytest.approx(2 / 3)
    assert best(f1, "Denver", []) == 0.0
