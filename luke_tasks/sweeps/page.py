"""A sweep as one HTML page: plots, the ranked table, the space, the best setting, its runs over seeds.

The page holds plotly.js (from the package `plotly`, extra `luke-tasks[sweep]`) and asks the network for nothing, so it
can be kept, mailed and read offline. Every text that comes from a user is escaped: names of parameters and studies, and
errors, may hold anything.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing
from luke_tasks.pages.shell import section, table, whole_page
from luke_tasks.sweeps.figures import Figure, all_figures, as_text, labels
from luke_tasks.sweeps.page_style import SCRIPT
from luke_tasks.sweeps.records import ParameterRange, SweepResult, TrialRecord
from luke_tasks.sweeps.results import duration, number


def write_page(result: SweepResult, path: Path) -> None:
    """Write the page of a sweep, replacing `path` in one step.

    Raises:
        LukeTasksError: plotly is not installed.
    """
    check_plotly(path)
    from plotly.offline import get_plotlyjs

    text = page(result, get_plotlyjs())
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_plotly(path: Path) -> None:
    """Raises LukeTasksError where the page `path` could not be written for want of plotly."""
    try:
        import plotly.offline  # noqa: F401
    except ImportError:
        raise LukeTasksError(f"{path}: the page's plots need plotly; pip install 'luke-tasks[sweep]'") from None


def page(result: SweepResult, plotly_js: str) -> str:
    """The page's HTML. `plotly_js` is put in once, as it is."""
    figures = all_figures(result)
    plots = [{"data": figure.data, "layout": figure.layout} for figure in figures]
    sections = [
        section("Best setting", _best(result)),
        section("Retrained over seeds", _retrained(result)) if result.retrained else "",
        *_plots(figures, result),
        section("Trials", _trials(result)),
        section("Space", _space(result)),
    ]
    content = f"<p>{escape(_summary(result))}</p>\n" + "\n".join(filter(None, sections))
    return whole_page(f"Sweep {result.name}", content, scripts=[plotly_js, SCRIPT], data={"figures": plots},
                      may_eval=True)  # fmt: skip


# -- sections -------------------------------------------------------------------------------------------------------


def _summary(result: SweepResult) -> str:
    states = [trial.state for trial in result.trials]
    counts = [f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed", "running")
              if state in states]  # fmt: skip
    hours = duration(sum(trial.seconds for trial in result.trials))
    many = f"{len(states)} trial{'' if len(states) == 1 else 's'}"
    goals = ", ".join(f"{objective.name} ({objective.goal})" for objective in result.objectives)
    return f"{many}{': ' if counts else ''}{', '.join(counts)}; {hours} of training. Searched for: {goals}."


def _best(result: SweepResult) -> str:
    front = result.front()
    if not front:
        return "<p>No trial has come to its end.</p>"
    several = len(result.objectives) > 1
    intro = ""
    if len(front) > 1:
        words = "are beaten by no other in all objectives" if several else "are equally good"
        intro = f"<p>{len(front)} trials {words}.</p>"
    header = ["trial", *(objective.name for objective in result.objectives), *_parameter_names(result, front)]
    rows = [[str(trial.number), *map(number, trial.values),
             *(_setting(trial, name) for name in _parameter_names(result, front))] for trial in front]  # fmt: skip
    if len(front) > 1:
        return intro + table(header, rows)
    return table(["", f"trial {front[0].number}"], [list(pair) for pair in zip(header[1:], rows[0][1:], strict=True)])


def _retrained(result: SweepResult) -> str:
    retrained = result.retrained
    if retrained is None:
        return ""
    runs = len(retrained.seeds)
    names = {objective.metric: objective.name for objective in result.objectives}
    summary = retrained.summary()
    ordered = sorted(summary, key=lambda metric: (metric not in names, not metric.startswith("test_"), metric))
    rows = [
        [metric, f"{number(mean)} ± {deviation:.2g}", *(number(run[metric]) for run in retrained.metrics)]
        for metric in ordered
        for mean, deviation in [summary[metric]]
    ]
    header = ["metric", f"mean ± sd of {runs}", *(f"seed +{seed}" for seed in retrained.seeds)]
    first, seed = escape(result.objectives[0].name), retrained.seeds[retrained.median]
    archive = escape(str(retrained.archive))
    median = f"<p>The archive <code>{archive}</code> is that of seed +{seed}, the median of {first}.</p>"
    return median + table(header, rows)


def _plots(figures: list[Figure], result: SweepResult) -> Iterator[str]:
    """A place for each plot; small ones beside one another under one heading."""
    if not figures:
        yield section("Plots", "<p>There is nothing to plot yet.</p>")
    if not result.importances and result.importance_note:
        yield section("Importance", f"<p>{escape(result.importance_note)}</p>")
    for is_small, group in itertools.groupby(enumerate(figures), key=lambda item: item[1].small):
        if is_small:
            places = "".join(_plot(*item) for item in group)
            yield section("Slices", f'<p class="note">Darker: later trials.</p><div class="grid">{places}</div>')
        else:
            yield from (section(figure.title, _plot(index, figure)) for index, figure in group)


def _plot(index: int, figure: Figure) -> str:
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    width = f' style="min-width:{figure.min_width}px"' if figure.min_width else ""
    return (f'<div>{note}<div class="scroll"><div class="plot" role="img" aria-label="{escape(figure.title)}" '
            f'data-figure="{index}"{width}></div></div></div>')  # fmt: skip


def _trials(result: SweepResult) -> str:
    if not result.trials:
        return "<p>No trial was started.</p>"
    ranked = result.ranking()
    names = _parameter_names(result, ranked)
    header = ["rank", "trial", "state", *(objective.name for objective in result.objectives), "time", "epochs", *names]
    if any(trial.error for trial in ranked):
        header.append("error")
    rows = []
    for rank, trial in enumerate(ranked, start=1):
        values = [number(value) for value in trial.values] or [""] * len(result.objectives)
        row = [str(rank), str(trial.number), trial.state, *values, duration(trial.seconds), str(len(trial.epochs)),
               *(_setting(trial, name) for name in names)]  # fmt: skip
        rows.append(row + ([trial.error or ""] if "error" in header else []))
    shown = labels(result)
    return table([shown.get(name, name) for name in header], rows)


def _space(result: SweepResult) -> str:
    rows = [[parameter.name, _range(parameter)] for parameter in result.parameters]
    file = escape(json.dumps(result.space, indent=2, ensure_ascii=False, default=repr))
    whole = f"<details><summary>The space file</summary><pre>{file}</pre></details>" if result.space else ""
    return (table(["parameter", "searched"], rows) if rows else "<p>No parameter was searched.</p>") + whole


def _range(parameter: ParameterRange) -> str:
    if parameter.choices is not None:
        return ", ".join(as_text(choice) for choice in parameter.choices)
    low, high = number(parameter.low), number(parameter.high)
    return f"{low} to {high}{', on a logarithmic scale' if parameter.log else ''}"


# -- pieces ---------------------------------------------------------------------------------------------------------


def _parameter_names(result: SweepResult, trials: Iterable[TrialRecord]) -> list[str]:
    """Those searched, and whatever else the trials were given that differs among them."""
    searched = [parameter.name for parameter in result.parameters]
    given = dict.fromkeys(name for trial in trials for name in trial.parameters)
    return [*searched, *(name for name in given if name not in searched)]


def _setting(trial: TrialRecord, name: str) -> str:
    return number(trial.parameters[name]) if name in trial.parameters else ""
