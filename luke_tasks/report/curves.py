"""The charts of a report: loss, scores and learning rate of one run, or of several over one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from luke_tasks.pages.charts import COLOURS, Series, line_chart
from luke_tasks.report.run import Run

_MOST_SCORES = 5  # in a chart
_LOG_FROM = 30.0  # largest loss / smallest
_SMOOTHED_FROM = 100  # steps; fewer can be looked at one by one
_FIRST = ("f1", "precision", "recall", "accuracy", "exact_match", "em")  # scores that come first, after the main one


def charts(runs: Sequence[Run]) -> Iterator[str]:
    """Each chart there is something to draw in."""
    if len(runs) == 1:
        yield from _of_one(runs[0])
        return
    yield from _of_several(runs)


def _of_one(run: Run) -> Iterator[str]:
    best = run.last.get("best_epoch")
    loss = [Series("training, mean of the epoch", run.curve("training_loss")),
            Series("validation", run.curve("validation_loss"))]  # fmt: skip
    if run.steps:
        loss.insert(0, Series("training, each step", _smoothed(run.step_curve("loss")), colour=COLOURS[-1]))
    shown = [one for one in loss if one.points]
    if shown:
        yield _loss("Loss", shown)
    names = _chosen(run)
    scores = [Series(name, run.curve(f"validation_{name}"), best=best if name == run.main_metric else None)
              for name in names]  # fmt: skip
    if scores:
        yield line_chart("Validation scores", scores, x_label="epoch", whole_x=True)
    labels = [key.removeprefix("validation_f1-") for key in run.last if key.startswith("validation_f1-")]
    if 1 < len(labels) <= len(COLOURS):
        series = [Series(name, run.curve(f"validation_f1-{name}")) for name in labels]
        yield line_chart("Validation F1 of each label", series, x_label="epoch", whole_x=True)
    if run.steps:
        yield line_chart(
            "Learning rate", [Series("learning rate", run.step_curve("lr"))], x_label="epoch", whole_x=True
        )


def _of_several(runs: Sequence[Run]) -> Iterator[str]:
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(runs))]
    pairs = list(zip(runs, colours, strict=True))
    for title, key in (("Training loss", "training_loss"), ("Validation loss", "validation_loss")):
        if any(run.curve(key) for run in runs):
            yield _loss(title, [Series(run.name, run.curve(key), colour=colour) for run, colour in pairs])
    for name in dict.fromkeys(name for run in runs for name in _chosen(run)[:3]):
        key = f"validation_{name}"
        series = [Series(run.name, run.curve(key), colour=colour,
                         best=run.last.get("best_epoch") if name == run.main_metric else None)
                  for run, colour in pairs]  # fmt: skip
        yield line_chart(f"Validation {name}", series, x_label="epoch", whole_x=True)
    if any(run.steps for run in runs):
        yield line_chart("Learning rate", [Series(run.name, run.step_curve("lr") if run.steps else (), colour=colour)
                                           for run, colour in pairs], x_label="epoch", whole_x=True)  # fmt: skip


def _loss(title: str, series: Sequence[Series]) -> str:
    """On a logarithmic axis where the values differ by much: their end is what one looks at."""
    values = [value for one in series for _, value in one.points if math.isfinite(value)]
    log = min(values, default=0.0) > 0 and max(values) > _LOG_FROM * min(values)
    return line_chart(f"{title} (logarithmic)" if log else title, series, x_label="epoch", whole_x=True, log_y=log)


def _chosen(run: Run) -> list[str]:
    """The main score first, then those that most people look at."""
    names = run.validation_scores()
    order = [run.main_metric, *_FIRST, *names]
    return [name for name in dict.fromkeys(order) if name in names][:_MOST_SCORES]


def _smoothed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A running mean, of a fiftieth of the steps, where they are many: single batches leap."""
    if len(points) < _SMOOTHED_FROM:
        return points
    width = max(len(points) // 50, 2)
    mean, found = points[0][1], []
    for x, value in points:
        mean += (value - mean) * 2 / (width + 1)
        found.append((x, mean))
    return found
