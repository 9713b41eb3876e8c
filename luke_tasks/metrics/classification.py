"""Scores of classified texts, GLUE's among them, by scikit-learn and SciPy.

| problem | scores |
|---|---|
| one class a text | accuracy, micro and macro F1, Matthews' correlation (CoLA), each class's F1 (MRPC, QQP: `f1-1`) |
| several classes | accuracy (all classes of the text right), micro and macro F1, F1 of each class |
| a number | Pearson's and Spearman's correlation (STS-B), mean squared error |
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import numpy as np

from luke_tasks.metrics.metric import Metric


class ClassScores(Metric):
    """One class a text. `macro_fscore` is the mean F1 of the classes that occur, in gold or in prediction.

    Args:
        labels: the classes, each with its F1 under `f1-CLASS`.
    """

    names: ClassVar[tuple[str, ...]] = ("accuracy", "micro_fscore", "macro_fscore", "matthews", "f1-*")

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self.reset()

    def reset(self) -> None:
        self._gold: list[str] = []
        self._predicted: list[str] = []

    def update(self, *, gold: str, predicted: str) -> None:
        """Add a text."""
        self._gold.append(gold)
        self._predicted.append(predicted)

    def compute(self) -> dict[str, float]:
        of_each = [f"f1-{label}" for label in self.labels]
        if not self._gold:
            return dict.fromkeys(["accuracy", "micro_fscore", "macro_fscore", "matthews", *of_each], 0.0)
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

        f1s = f1_score(self._gold, self._predicted, labels=self.labels, average=None, zero_division=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one class only: the correlation is 0
            matthews = float(matthews_corrcoef(self._gold, self._predicted))
        return {
            "accuracy": float(accuracy_score(self._gold, self._predicted)),
            "micro_fscore": float(f1_score(self._gold, self._predicted, average="micro")),
            "macro_fscore": float(f1_score(self._gold, self._predicted, average="macro", zero_division=0)),
            "matthews": matthews,
            **dict(zip(of_each, map(float, f1s), strict=True)),
        }


class ClassSetScores(Metric):
    """Any number of classes a text. `macro_fscore` is the mean F1 of all classes, 0 for those that never occur.

    Args:
        labels: the classes.
    """

    names: ClassVar[tuple[str, ...]] = ("accuracy", "micro_fscore", "macro_fscore", "f1-*")

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self.reset()

    def reset(self) -> None:
        self._gold: list[list[bool]] = []  # of each text: whether each class holds
        self._predicted: list[list[bool]] = []

    def update(self, *, gold: Collection[str], predicted: Collection[str]) -> None:
        """Add a text."""
        self._gold.append([label in gold for label in self.labels])
        self._predicted.append([label in predicted for label in self.labels])

    def compute(self) -> dict[str, float]:
        of_each = [f"f1-{label}" for label in self.labels]
        if not self._gold:
            return dict.fromkeys(["accuracy", "micro_fscore", "macro_fscore", *of_each], 0.0)
        from sklearn.metrics import accuracy_score, f1_score

        gold, predicted = np.array(self._gold), np.array(self._predicted)  # (texts, C)
        f1s = np.atleast_1d(f1_score(gold, predicted, average=None, zero_division=0))
        return {
            "accuracy": float(accuracy_score(gold, predicted)),
            "micro_fscore": float(f1_score(gold, predicted, average="micro", zero_division=0)),
            "macro_fscore": float(f1s.mean()),
            **dict(zip(of_each, map(float, f1s), strict=True)),
        }


class RegressionScores(Metric):
    """Correlation of predicted with gold numbers; 0 where one side is constant, which has none."""

    names: ClassVar[tuple[str, ...]] = ("pearson", "spearman", "mean_squared_error")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._gold: list[float] = []
        self._predicted: list[float] = []

    def update(self, *, gold: float, predicted: float) -> None:
        """Add a text."""
        self._gold.append(gold)
        self._predicted.append(predicted)

    def compute(self) -> dict[str, float]:
        gold, predicted = np.array(self._gold), np.array(self._predicted)
        error = float(np.mean((gold - predicted) ** 2)) if len(gold) else 0.0
        if len(set(self._gold)) < 2 or len(set(self._predicted)) < 2:
            return {"pearson": 0.0, "spearman": 0.0, "mean_squared_error": error}
        from scipy.stats import pearsonr, spearmanr

        return {
            "pearson": _statistic(pearsonr(gold, predicted)),
            "spearman": _statistic(spearmanr(gold, predicted)),
            "mean_squared_error": error,
        }


def _statistic(result: Any) -> float:
    return float(result.statistic)
