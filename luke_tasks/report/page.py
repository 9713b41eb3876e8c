"""The report's page from the runs' records: summary, curves, tables of labels, errors, config, environment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing
from luke_tasks.mistakes.judging import MATRIX_FORMS, TABLE_FORMS, Judged, judge
from luke_tasks.pages import charts, predictions
from luke_tasks.pages.charts import number
from luke_tasks.pages.shell import section, table, whole_page
from luke_tasks.report.curves import charts as curves
from luke_tasks.report.errors import Compared, chosen, compare, error_html
from luke_tasks.report.run import Run
from luke_tasks.report.style import SCRIPT, STYLE
from luke_tasks.report.tables import compared_f1, confusion_matrix, label_table
from luke_tasks.runs import flat

_KIND_HELP = {
    "spans": "boundary: the right place in part; type: the right place, another label; missed: nothing predicted "
    "there; spurious: nothing is there.",
    "number": "All texts whose number is not exactly right, the furthest off first.",
    "fillings": "Hidden words and names. Letters' case does not count.",
}
_UNITS = {"spans": "sentences", "words": "sentences", "answers": "questions", "candidates": "queries"}
_ONE_LABEL_FORMS = ("words", "label", "choice")
_LOOKS = {"gold": ("gold", 140), "wrong": ("predicted, wrong", 0), "right": ("predicted, right", 140)}


def write_report(runs: Sequence[Run], path: Path, *, most_errors: int) -> None:
    """Write the page of one run, or of several side by side, replacing `path` in one step.

    Args:
        most_errors: that the page shows.
    Raises:
        LukeTasksError: the runs' predictions are of different kinds, so that they cannot be compared.
    """
    text = report_page(runs, most_errors=most_errors)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def report_page(runs: Sequence[Run], *, most_errors: int) -> str:
    """The page's HTML; see `write_report`."""
    judged = {run.name: [judge(case) for case in run.answers.cases] for run in runs if run.answers is not None}
    forms = dict.fromkeys(one.case.form for of_run in judged.values() for one in of_run)
    if len(forms) > 1:
        raise LukeTasksError(f"these runs answer in different forms ({', '.join(forms)}): their errors cannot be laid "
                             "side by side; report them one by one, or with --no-predictions")  # fmt: skip
    form = next(iter(forms), "")
    parts = [
        ("Summary", _summary(runs)),
        ("Curves", _grid(curves(runs))),
        ("Settings that differ", _differences(runs)),
        ("Labels", _labels(judged, form)),
        ("Errors", _errors(runs, judged, form, most_errors)),
        ("Config", "".join(_config(run, len(runs) == 1) for run in runs)),
        ("Environment", _environment(runs)),
    ]
    shown = [(title, content) for title, content in parts if content]
    links = "".join(f'<a href="#{_name(title)}">{escape(title)}</a>' for title, _ in shown)
    content = f"<nav>{links}</nav>" + "\n".join(section(title, part, name=_name(title)) for title, part in shown)
    title = f"Run {runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs: {', '.join(run.name for run in runs)}"
    return whole_page(title, content, style=predictions.STYLE + charts.STYLE + STYLE, scripts=[SCRIPT])


def _name(title: str) -> str:
    return title.lower().replace(" ", "-")


def _grid(figures: Iterator[str]) -> str:
    drawn = "".join(figures)
    return f'<div class="charts">{drawn}</div>' if drawn else ""


# -- summary --------------------------------------------------------------------------------------------------------


def _summary(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return _tiles(runs[0]) + _scores(runs)
    facts = [_facts(run) for run in runs]
    names = list(dict.fromkeys(name for fact in facts for name in fact))
    rows = [[name, *(fact.get(name, "") for fact in facts)] for name in names]
    of_runs = table(["", *(run.name for run in runs)], rows)
    return f'<div class="pair"><div>{_scores(runs)}</div><div>{of_runs}</div></div>'


def _tiles(run: Run) -> str:
    tiles = "".join(f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
                    for name, value in _facts(run).items())  # fmt: skip
    message = run.end.get("message")
    why = f'<p class="note">{escape(str(message))}</p>' if message else ""
    return f'<div class="tiles">{tiles}</div>{why}'


def _facts(run: Run) -> dict[str, str]:
    last, facts = run.last, {}
    best = last.get(f"best_validation_{run.main_metric}")
    if isinstance(best, int | float):
        facts[f"best validation {run.main_metric}"] = number(best)
    if last:
        planned = run.config.get("trainer", {}).get("num_epochs", "?")
        facts["best epoch"] = str(last.get("best_epoch", 0) + 1)
        facts["epochs"] = f"{len(run.epochs)} of {planned}"
        facts["training time"] = str(last.get("training_duration", "")).partition(".")[0]
    if run.words_per_second:
        facts["words a second"] = number(run.words_per_second)
    memory = last.get("peak_worker_0_memory_MB")
    if isinstance(memory, int | float):
        facts["peak memory"] = f"{memory / 1024:.1f} GB"
    facts["state"] = run.status
    return {name: value for name, value in facts.items() if value}


def _scores(runs: Sequence[Run]) -> str:
    """Scores of the best epoch, of the test data, and of the answers that the report looks at."""
    columns = [run.scores() for run in runs]
    names = list(dict.fromkeys(name for scores in columns for name in scores))
    if not names:
        return '<p class="note">No epoch is over yet.</p>'
    rows = []
    for name in names:
        values = [scores.get(name) for scores in columns]
        rows.append([name.replace("best_validation_", "validation ").replace("test_", "test "),
                     *("" if value is None else f"{value:.4f}" for value in values)])  # fmt: skip
    scores = table(["at the best epoch", *(run.name for run in runs)], rows, numbers=range(1, len(runs) + 1))
    if len(runs) > 1:
        return scores
    return f"<details{' open' if len(rows) <= 8 else ''}><summary>All scores</summary>{scores}</details>"


def _differences(runs: Sequence[Run]) -> str:
    """The keys of the configs that have not the same value in all runs."""
    if len(runs) == 1:
        return ""
    configs = [dict(flat(run.config)) for run in runs]
    absent = object()
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [
        [name, *("" if name not in config else json.dumps(config[name], ensure_ascii=False) for config in configs)]
        for name in names
        if any(config.get(name, absent) != configs[0].get(name, absent) for config in configs)
    ]
    if not rows:
        return '<p class="note">The configs are the same.</p>'
    return table(["key", *(run.name for run in runs)], rows)


# -- labels and errors ----------------------------------------------------------------------------------------------


def _labels(judged: dict[str, list[Judged]], form: str) -> str:
    if form not in TABLE_FORMS:
        return ""
    parts = []
    if len(judged) > 1:
        parts.append(compared_f1(list(judged.items())))
    for name, of_run in judged.items():
        matrix = ""
        if form in MATRIX_FORMS:
            note = "A span with a wrong boundary counts as missed and as spurious." if form == "spans" else ""
            matrix = f'<div><h3>Confusion matrix</h3>{confusion_matrix(of_run)}<p class="note">{note}</p></div>'
        accuracy = '<p class="note">F1 of all is the share that is right.</p>' if form in _ONE_LABEL_FORMS else ""
        both = f'<div class="pair"><div><h3>Each label</h3>{label_table(of_run)}{accuracy}</div>{matrix}</div>'
        parts.append(both if len(judged) == 1 else f"<details><summary>{escape(name)}</summary>{both}</details>")
    return "".join(parts)


def _errors(runs: Sequence[Run], judged: dict[str, list[Judged]], form: str, most: int) -> str:
    asked = [run for run in runs if run.answers is not None]
    if not judged or not form:
        return ""
    errors = compare([(run.answers.data_key, judged[run.name]) for run in asked if run.answers is not None])
    cases = max(len(of_run) for of_run in judged.values())
    unit = _UNITS.get(form, "texts")
    files = ", ".join(dict.fromkeys(run.answers.data for run in asked if run.answers is not None))
    intro = f"<p>{escape(files)}: {len(errors):,} of {cases:,} {unit} with an error.</p>"
    if len(asked) > 1:
        each = [f"{run.name} {sum(number in one.wrong for one in errors):,}" for number, run in enumerate(asked)]
        both = sum(len(one.wrong) == len(asked) for one in errors)
        intro += f"<p>{escape(', '.join(each))}; all of them in {both:,}.</p>"
    if not errors:
        return intro
    shown = chosen(errors, most)
    if len(shown) < len(errors):
        left = len(errors) - len(shown)
        intro += (f'<p class="note">{len(shown):,} of them are here, of each kind in turn; {left:,} more are not: '
                  "--errors N of the command shows more.</p>")  # fmt: skip
    help = _KIND_HELP.get(form, "")
    intro += f'<p class="note">{escape(help)}</p>' if help else ""
    names = [run.name for run in asked]
    cards = "\n".join(error_html(one, names) for one in shown)
    return intro + _key(form) + _filters(errors, shown, names) + f'<div id="cards">{cards}</div>'


def _key(form: str) -> str:
    """What the looks of spans mean."""
    if form not in ("spans", "answers", "candidates"):
        return ""
    marks = " ".join(
        f'<mark class="lt-{look}" style="--h:{hue}">{words}</mark>' for look, (words, hue) in _LOOKS.items()
    )
    return f'<p class="lt key">{marks}</p>'


def _filters(errors: Sequence[Compared], shown: Sequence[Compared], names: Sequence[str]) -> str:
    kinds = Counter(kind for one in errors for kind in one.kinds)
    labels = {label for one in shown for judged in one.by_run.values() for label in judged.labels}
    controls = [
        _select("kind", "kind of error", [(kind, f"{kind} ({count:,})") for kind, count in kinds.most_common()])
    ]
    if labels:
        controls.append(_select("label", "label", [(name, name) for name in sorted(labels)]))
    if len(names) > 1:
        only = [(f"only {number}", f"only {name} errs") for number, name in enumerate(names)]
        any_of = [(f"any {number}", f"{name} errs") for number, name in enumerate(names)] if len(names) > 2 else []
        controls.append(_select("who", "run", [*only, *any_of, (f"all {len(names)}", "all err")]))
    search = '<input id="words" type="search" placeholder="search in the text" aria-label="search in the text">'
    return f'<div class="filters">{"".join(controls)}{search}<span id="count" class="note" role="status"></span></div>'


def _select(name: str, title: str, options: Sequence[tuple[str, str]]) -> str:
    entries = "".join(f'<option value="{escape(value.replace("|", "/"))}">{escape(words)}</option>'
                      for value, words in options)  # fmt: skip
    return f'<select id="{name}" aria-label="{title}"><option value="">any {title}</option>{entries}</select>'


# -- config and environment -----------------------------------------------------------------------------------------


def _config(run: Run, alone: bool) -> str:
    text = escape(json.dumps(run.config, indent=2, ensure_ascii=False))
    title = "The config with every default filled in" if alone else run.name
    return f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>"


def _environment(runs: Sequence[Run]) -> str:
    facts = []
    for run in runs:
        versions: dict[str, Any] = run.start.get("versions") or run.meta
        machine = {name: value for name, value in (run.start.get("machine") or {}).items() if name != "host"}
        named = {"luke-tasks" if name == "version" else name: value for name, value in versions.items()}
        facts.append({"directory": run.directory, **named, **machine, "begun": "".join(run.begun[:1]),
                      "gone on with": ", ".join(run.begun[1:])})  # fmt: skip
    names = dict.fromkeys(name for fact in facts for name, value in fact.items() if value)
    rows = [[name, *(str(fact.get(name) or "") for fact in facts)] for name in names]
    return table(["", *(run.name for run in runs)], rows)
