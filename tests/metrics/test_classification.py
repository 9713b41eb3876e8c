"""Scores of classified texts, worked by hand."""

from __future__ import annotations

import math

import pytest

from luke_tasks.metrics.classification import ClassScores, ClassSetScores, RegressionScores


def test_one_class() -> None:
    """Of "a": 2 right, 1 missed, 1 too many; of "b": 1 right, 1 missed, 1 too many; "c" never occurs."""
    scores = ClassScores(["a", "b", "c"])
    for gold, predicted in [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", "a")]:
        scores.update(gold=gold, predicted=predicted)
    a, b = 4 / 6, 2 / 4  # 2 right / (2 right + 1 missed + 1 too many), doubled
    # Two classes: Matthews is (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)), "a" being positive.
    matthews = (2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2)
    assert scores.compute() == pytest.approx(
        {"accuracy": 0.6, "micro_fscore": 0.6, "macro_fscore": (a + b) / 2, "matthews": matthews, "f1-a": a, "f1-b": b,
         "f1-c": 0.0}
    )  # fmt: skip
    scores.reset()
    assert set(scores.compute().values()) == {0.0}
    scores.update(gold="a", predicted="a")
    assert (scores.compute()["accuracy"], scores.compute()["matthews"]) == (1.0, 0.0)


def test_several_classes() -> None:
    scores = ClassSetScores(["a", "b", "c"])
    assert set(scores.compute().values()) == {0.0}
    scores.update(gold=["a", "b"], predicted={"a": 0.9})
    scores.update(gold=[], predicted=[])
    scores.update(gold=["b"], predicted=["b", "a"])
    # "a": 1 right, 1 too many: F1 2/3; "b": 1 right, 1 missed: 2/3; all: 2 right of 3 predicted and of 3 gold.
    assert scores.compute() == pytest.approx(
        {"accuracy": 1 / 3, "micro_fscore": 2 / 3, "macro_fscore": 4 / 9, "f1-a": 2 / 3, "f1-b": 2 / 3, "f1-c": 0.0}
    )


def test_regression() -> None:
    scores = RegressionScores()
    assert set(scores.compute().values()) == {0.0}
    for gold, predicted in [(1.0, 2.0), (2.0, 4.0), (3.0, 3.0)]:
        scores.update(gold=gold, predicted=predicted)
    # Both have mean difference 0 from (1, 2, 3) and (2, 4, 3): covariance 1 of deviations (−1, 0, 1)·(−1, 1, 0) = 1,
    # each of variance 2; ranks are (1, 2, 3) and (1, 3, 2).
    assert scores.compute() == pytest.approx({"pearson": 0.5, "spearman": 0.5, "mean_squared_error": 5 / 3})
    scores.reset()
    for gold in (1.0, 2.0):
        scores.update(gold=gold, predicted=0.5)
    assert scores.compute() == pytest.approx({"pearson": 0.0, "spearman": 0.0, "mean_squared_error": 1.25})
