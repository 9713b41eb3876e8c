"""A learning-rate range test (Smith 2017, "Cyclical Learning Rates", section 3.3): a short training whose learning rate
grows from step to step; where its loss falls fastest is a learning rate to try.

Enters: a model, its trainer and its data. Leaves: the loss at each learning rate. Nothing is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from luke_tasks.data.loader import collate, count_words
from luke_tasks.errors import TrainingError
from luke_tasks.heads.head import Model
from luke_tasks.training.auto_batch_size import fitting_halvings, halved
from luke_tasks.training.learner import Learner
from luke_tasks.training.trainer import Trainer, TrainingData

_LEAST_POINTS = 5  # for a line through some of them


@dataclass(frozen=True)
class Range:
    """The learning rates to go through.

    Args:
        start, end: the first and the last, above 0.
        num_steps: optimizer steps, one for each.
        linear: equal differences between them; False: equal ratios.
    """

    start: float
    end: float
    num_steps: int
    linear: bool = False

    def values(self) -> list[float]:
        """One for each step."""
        spaced = np.linspace if self.linear else np.geomspace
        return [float(value) for value in spaced(self.start, self.end, self.num_steps)]


@dataclass(frozen=True)
class Point:
    """The loss of the step that was made at a learning rate: before it, so it shows what the steps until then did."""

    lr: float
    loss: float


class Search(NamedTuple):
    """What was gone through."""

    points: list[Point]
    stopped: str | None  # why it stopped before the end; None: it did not
    config_lr: float  # the optimizer's own


@dataclass(frozen=True)
class Suggestion:
    """What the losses say.

    Attributes:
        smoothed: the loss at each point, on the straight line through its neighbours.
        lr: where the loss falls fastest; None: it nowhere falls.
        falls_from, lowest: learning rates where it begins to fall, and where it is lowest; None with `lr`.
        width: points a line goes through.
    """

    smoothed: list[float]
    lr: float | None
    falls_from: float | None
    lowest: float | None
    width: int


def losses_over(
    rates: Range, trainer: Trainer, model: Model, data: TrainingData, *, seed: int, device: torch.device,
    num_processes: int = 1, stopping_factor: float | None = None,
    advance: Callable[[int, float], None] = lambda words, loss: None,
) -> Search:  # fmt: skip
    """Train with a growing learning rate.

    It is the optimizer's own; those of parameter groups keep their ratio to it. A step takes as many batches as one of
    the training. Schedule and moving average are left out.

    Args:
        num_processes: of the training, whose batches for a step are gathered here by one process.
        stopping_factor: stop when the loss is above so many times the lowest so far; None: go through all.
        advance: called after each step with its words and loss.
    Raises:
        TrainingError: memory is not enough, or the first loss is no number.
    """
    if trainer.auto_batch_size:
        trainer, data = halved(trainer, data, fitting_halvings(trainer, model, data, seed=seed, device=device))
    trainer.learning_rate_scheduler = trainer.moving_average = None
    learner = Learner(trainer, model, device, total_steps=rates.num_steps)
    model.train()
    own_lr: float = learner.optimizer.defaults["lr"]
    ratios = [options["lr"] / own_lr for options in learner.optimizer.param_groups]
    groups = _groups(data, seed, trainer.num_gradient_accumulation_steps * num_processes)
    points: list[Point] = []
    for lr, group in zip(rates.values(), groups, strict=False):
        for options, ratio in zip(learner.optimizer.param_groups, ratios, strict=True):
            options["lr"] = lr * ratio
        batches = [(collate([data.features[index] for index in rows], pad_id=data.pad_id, labels=data.labels), True)
                   for rows in group]  # fmt: skip
        step = learner.step(batches, len(group))
        loss = step.loss_sum / len(group)
        if step.fault is not None:
            if not points:
                raise TrainingError(f"learning rate {lr:g}, the first: {step.fault}; check the data, or begin lower")
            return Search(points, f"at {lr:.2g}, {step.fault}", own_lr)
        points.append(Point(lr, loss))
        advance(sum(count_words(data.features, rows) for rows in group), loss)
        lowest = min(point.loss for point in points)
        if stopping_factor is not None and loss > stopping_factor * lowest:
            why = f"at {lr:.2g}, the loss, {loss:.4g}, is above {stopping_factor:g} times the lowest, {lowest:.4g}"
            return Search(points, why, own_lr)
    return Search(points, None, own_lr)


def suggest(points: Sequence[Point]) -> Suggestion:
    """Where the loss falls fastest, before it is lowest.

    At each point a straight line is laid through it and its neighbours (a tenth of all points, 5 at least), the loss
    over the logarithm of the learning rate: its height is the smoothed loss, its slope says how fast the loss falls.
    """
    width = max(_LEAST_POINTS, len(points) // 10 | 1)
    if len(points) < _LEAST_POINTS:
        return Suggestion([point.loss for point in points], None, None, None, width)
    x = np.log10([point.lr for point in points])
    y = np.array([point.loss for point in points])
    heights, slopes = [], []
    for index in range(len(points)):
        first = min(max(index - width // 2, 0), len(points) - width)
        near = slice(first, first + width)
        slope, height = np.polyfit(x[near] - x[index], y[near], 1)
        heights.append(float(height))
        slopes.append(float(slope))
    lowest = int(np.argmin(heights))
    steepest = int(np.argmin(slopes[: lowest + 1]))
    if slopes[steepest] >= 0:
        return Suggestion(heights, None, None, None, width)
    # It begins to fall where the slope, going back from the steepest place, was last less than a tenth of it.
    flat = [index for index in range(steepest) if slopes[index] > slopes[steepest] / 10]
    return Suggestion(heights, points[steepest].lr, points[flat[-1] if flat else 0].lr, points[lowest].lr, width)


def _groups(data: TrainingData, seed: int, step_size: int) -> Iterator[list[list[int]]]:
    """The batches of each step, as lists of windows: those of a training, epoch after epoch, without an end."""
    for epoch in itertools.count():
        order = data.loader.order(data.features, seed=seed, epoch=epoch)
        for start in range(0, len(order), step_size):
            yield order[start : start + step_size]
