"""The plots of a sweep's page, as plotly figures in plain JSON: a list of traces and a layout each.

Enters: the records of a sweep. Leaves: what `Plotly.newPlot` takes. Colours of text, axes and background are the
page's, which knows whether the reader's screen is light or dark. plotly reads a little HTML in every text it shows, so
names and values of users are escaped here.
"""

from __future__ import annotations

import html
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.sweeps.records import Objective, SweepResult, TrialRecord
from luke_tasks.sweeps.results import short_names

_BLUE, _ORANGE, _GREY = "#4c86c6", "#e8843c", "#9a9a9a"
_FIVE = ("#e8843c", "#4c86c6", "#3fa66b", "#b76bc9", "#c9a227")  # of the learning curves, best trial first


@dataclass(frozen=True)
class Figure:
    """One plot.

    Args:
        title: shown above it.
        data, layout: plotly's traces and layout.
        note: what the reader must know to read it.
        small: takes a part of the page's width, beside others.
        min_width: pixels below which the reader scrolls sideways instead of looking at a squeezed plot.
    """

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    small: bool = False
    min_width: int = 0


def all_figures(result: SweepResult) -> list[Figure]:
    """Every plot there is something to show in, in the order of the page."""
    kinds: tuple[Callable[[SweepResult], Iterator[Figure]], ...] = (
        history, fronts, parallel_coordinates, importance, slices, learning_curves,
    )  # fmt: skip
    return [figure for make in kinds for figure in make(result)]


def history(result: SweepResult) -> Iterator[Figure]:
    """Value after value, one plot for each objective, and the best so far."""
    for index, objective in enumerate(result.objectives):
        complete = [trial for trial in result.complete if _value(trial, index) is not None]
        pruned = [trial for trial in result.trials if trial.state == "pruned" and _value(trial, index) is not None]
        data = []
        if complete:
            better = max if objective.goal == "maximize" else min
            best = itertools.accumulate((_value(trial, index) for trial in complete), better)  # type: ignore[arg-type]
            data.append({
                "type": "scatter", "mode": "lines", "name": "best so far", "x": [trial.number for trial in complete],
                "y": list(best), "line": {"color": _ORANGE, "shape": "hv"}, "hoverinfo": "skip",
            })  # fmt: skip
        if complete:
            data.append(_points(complete, index, "complete", {"color": _BLUE, "size": 9}))
        if pruned:
            marker = {"color": _GREY, "size": 9, "symbol": "circle-open", "line": {"width": 2}}
            data.append(_points(pruned, index, "pruned", marker))
        if data:
            layout = {"xaxis": {"title": {"text": "trial"}, **_whole_numbers(result)}, "yaxis": _axis(objective)}
            yield Figure(f"Optimisation history: {objective.name}", data, layout)


def fronts(result: SweepResult) -> Iterator[Figure]:
    """With several objectives: each pair of them, and the trials that no other beats in all."""
    front = {trial.number for trial in result.front()}
    for i, j in itertools.combinations(range(len(result.objectives)), 2):
        data = []
        for name, colour, chosen in (("other trials", _GREY, False), ("Pareto front", _ORANGE, True)):
            trials = [trial for trial in result.complete if (trial.number in front) is chosen]
            if trials:
                data.append({
                    "type": "scatter", "mode": "markers", "name": name,
                    "x": [_value(trial, i) for trial in trials], "y": [_value(trial, j) for trial in trials],
                    "text": [f"trial {trial.number}<br>{_hover(trial)}" for trial in trials],
                    "hovertemplate": "%{x}, %{y}<br>%{text}<extra></extra>", "marker": {"color": colour, "size": 10},
                })  # fmt: skip
        if data:
            first, second = result.objectives[i], result.objectives[j]
            note = "No other trial is better than one on the front in one objective and as good in all the others."
            yield Figure(f"Pareto front: {first.name} and {second.name}", data,
                         {"xaxis": _axis(first), "yaxis": _axis(second)}, note)  # fmt: skip


def parallel_coordinates(result: SweepResult) -> Iterator[Figure]:
    """One line a complete trial, through its parameters and objectives; it takes two trials to compare."""
    places = range(len(result.objectives))
    trials = [trial for trial in result.complete if all(_value(trial, place) is not None for place in places)]
    scales = varied(result, trials)
    if len(trials) < 2 or not scales:
        return
    dimensions = [scale.dimension([trial.parameters.get(scale.name) for trial in trials]) for scale in scales]
    dimensions += [
        {"label": _text(objective.name), "values": [trial.values[index] for trial in trials]}
        for index, objective in enumerate(result.objectives)
    ]
    objective = result.objectives[0]
    line = {
        "color": [trial.values[0] for trial in trials], "colorscale": "Viridis", "showscale": True,
        "reversescale": objective.goal == "minimize",
    }  # fmt: skip
    data = [{"type": "parcoords", "dimensions": dimensions, "line": line, "labelangle": -15}]
    note = (f"Colours: {objective.name}, yellow is best. Drag along an axis to keep the trials in that range, click it "
            "to keep them all; drag an axis by its name to move it.")  # fmt: skip
    layout = {"margin": {"l": 80, "r": 40, "t": 90, "b": 30}, "height": 430}
    yield Figure("Parallel coordinates", data, layout, note, min_width=120 * len(dimensions))


def importance(result: SweepResult) -> Iterator[Figure]:
    """How much of an objective's variation each parameter explains, as the search computed it."""
    for objective, explained in result.importances.items():
        shares = sorted(explained.items(), key=lambda item: item[1])
        if shares:
            data = [{
                "type": "bar", "orientation": "h", "x": [share for _, share in shares],
                "y": [_text(labels(result).get(name, name)) for name, _ in shares],
                "text": [f"{share:.2f}" for _, share in shares], "textposition": "outside",
                "cliponaxis": False, "marker": {"color": _BLUE}, "hoverinfo": "skip",
            }]  # fmt: skip
            room = [0, 1.15 * max(shares[-1][1], 1e-9)]  # for the numbers beside the bars
            layout = {"xaxis": {"title": {"text": "share of the variation"}, "range": room},
                      "yaxis": {"type": "category"}, "height": 120 + 34 * len(shares)}  # fmt: skip
            note = "An estimate from the trials made: a few trials give a hint, not a finding."
            yield Figure(f"Importance for {objective}", data, layout, note)


def slices(result: SweepResult) -> Iterator[Figure]:
    """Each parameter against each objective; later trials are darker."""
    for scale in varied(result, result.complete):
        for index, objective in enumerate(result.objectives):
            trials = [trial for trial in result.complete
                      if _value(trial, index) is not None and scale.name in trial.parameters]  # fmt: skip
            if not trials:
                continue
            numbers = [trial.number for trial in trials]
            data = [{
                "type": "scatter", "mode": "markers", "x": [scale.shown(t.parameters[scale.name]) for t in trials],
                "y": [_value(trial, index) for trial in trials], "text": [f"trial {number}" for number in numbers],
                "hovertemplate": "%{x}: %{y}<br>%{text}<extra></extra>",
                "marker": {"color": numbers, "colorscale": [[0, "#c5ddf5"], [1, "#2563ad"]], "size": 9,
                           "line": {"width": 1, "color": _GREY}},
            }]  # fmt: skip
            layout = {"xaxis": {"title": {"text": _text(scale.label)}, **scale.axis()}, "yaxis": _axis(objective),
                      "showlegend": False, "height": 300}  # fmt: skip
            yield Figure(f"{scale.label} and {objective.name}", data, layout, small=True)


def learning_curves(result: SweepResult, most: int = 5) -> Iterator[Figure]:
    """The objectives' validation scores and the training loss of the best trials, epoch by epoch."""
    best = [trial for trial in result.ranking() if trial.epochs][:most]
    scores = [objective.metric.removeprefix("best_") for objective in result.objectives]
    keys = [score for score in scores if score.startswith("validation_")]
    for key in dict.fromkeys([*keys, "training_loss"]):
        data = []
        for place, trial in enumerate(best):
            points = [
                (row.get("epoch", i) + 1, row[key]) for i, row in enumerate(trial.epochs) if _number(row.get(key))
            ]
            if points:
                state = "" if trial.state == "complete" else f" ({trial.state})"
                data.append({
                    "type": "scatter", "mode": "lines+markers", "name": f"trial {trial.number}{state}",
                    "x": [epoch for epoch, _ in points], "y": [value for _, value in points],
                    "line": {"color": _FIVE[place % len(_FIVE)]},
                    "hovertemplate": f"trial {trial.number}, epoch %{{x}}: %{{y}}<extra></extra>",
                })  # fmt: skip
        if data:
            title = key.replace("_", " ")
            few = max(len(trace["x"]) for trace in data) <= 12
            layout = {"xaxis": {"title": {"text": "epoch"}, **({"dtick": 1} if few else {"tickformat": "d"})},
                      "yaxis": {"title": {"text": _text(title)}}}  # fmt: skip
            yield Figure(f"Learning curves of the best trials: {title}", data, layout)


# -- parameters as axes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """How a parameter's values lie on an axis: `linear`, `log`, or `category` with all the values seen."""

    name: str
    label: str
    kind: str
    values: tuple[str, ...] = ()

    def shown(self, value: Any) -> Any:
        """A value as a plot with this axis takes it."""
        return _text(as_text(value)) if self.kind == "category" else value

    def axis(self) -> dict[str, Any]:
        """The axis of an ordinary plot."""
        if self.kind == "category":
            order = [_text(value) for value in self.values]
            return {"type": "category", "categoryorder": "array", "categoryarray": order}
        return {"type": self.kind, "exponentformat": "e"}

    def dimension(self, values: Sequence[Any]) -> dict[str, Any]:
        """The axis of a parallel-coordinates plot, which knows numbers only: names are counted, logarithms taken."""
        label = _text(self.label)
        if self.kind == "category":
            ticks = {"tickvals": list(range(len(self.values))), "ticktext": list(self.values)}  # shown as they are
            return {"label": label, "values": [self.values.index(as_text(value)) for value in values], **ticks}
        if self.kind == "log":
            logs = [math.log10(value) for value in values]
            low, high = min(logs), max(logs)
            at = [low + (high - low) * step / 4 for step in range(5)]
            return {"label": label, "values": logs, "tickvals": at, "ticktext": [f"{10**power:.2g}" for power in at]}
        return {"label": label, "values": list(values)}


def varied(result: SweepResult, trials: Sequence[TrialRecord]) -> list[Scale]:
    """The axes of the parameters that took more than one value in these trials."""
    scales = []
    for parameter in result.parameters:
        values = [trial.parameters.get(parameter.name) for trial in trials]
        seen = dict.fromkeys(as_text(value) for value in (*(parameter.choices or ()), *values))
        if len({as_text(value) for value in values}) < 2:
            continue
        label = labels(result)[parameter.name]
        if not all(_number(value) for value in values):  # names, true and false, lists; missing in some trial
            scales.append(Scale(parameter.name, label, "category", tuple(seen)))
        else:
            is_log = parameter.log and min(values) > 0  # type: ignore[type-var, operator]
            scales.append(Scale(parameter.name, label, "log" if is_log else "linear"))
    return scales


def labels(result: SweepResult) -> dict[str, str]:
    """The searched parameters' names, and how plots and tables show them: the ends of their paths."""
    names = [parameter.name for parameter in result.parameters]
    return dict(zip(names, short_names(names), strict=True))


def as_text(value: Any) -> str:
    """A parameter's value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def _points(trials: Sequence[TrialRecord], index: int, name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [trial.number for trial in trials],
        "y": [_value(trial, index) for trial in trials], "text": [_hover(trial) for trial in trials],
        "hovertemplate": "trial %{x}: %{y}<br>%{text}<extra></extra>", "marker": marker,
    }  # fmt: skip


def _axis(objective: Objective) -> dict[str, Any]:
    better = "higher" if objective.goal == "maximize" else "lower"
    return {"title": {"text": _text(f"{objective.name} ({better} is better)")}}


def _whole_numbers(result: SweepResult) -> dict[str, Any]:
    """An axis of trials has no halves, however few they are."""
    return {"dtick": 1} if len(result.trials) <= 12 else {"tickformat": "d"}


def _hover(trial: TrialRecord) -> str:
    return "<br>".join(_text(f"{name}: {as_text(value)}") for name, value in trial.parameters.items())


def _value(trial: TrialRecord, index: int) -> float | None:
    """The trial's score in an objective; None where it has none or it is no number."""
    value = trial.values[index] if index < len(trial.values) else None
    return value if _number(value) else None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _text(text: str) -> str:
    return html.escape(text, quote=False)
