"""What a data file is for: every task it suits, the likeliest first, or an answer that says what would suit one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from luke_tasks.errors import listed
from luke_tasks.own_data.column_fits import column_fits
from luke_tasks.own_data.fit import Fit, Unreadable
from luke_tasks.own_data.formats import FORMATS, MEANINGS, formats_of
from luke_tasks.own_data.kinds import DataFile
from luke_tasks.own_data.record_fits import record_fits
from luke_tasks.own_data.table_fits import LABEL_SIGN, Columns, fasttext_fit, table_fits

logger = logging.getLogger(__name__)


def fits_of(file: DataFile, columns: Columns) -> list[Fit]:
    """The tasks a file suits, the likeliest first; none twice."""
    fits: dict[str, Fit] = {}
    try:
        for fit in _fits(file, columns):
            fits.setdefault(fit.task, fit)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # a record unlike the others
        logger.debug("%s: the guess ended early: %r", file.path, error)
    return list(fits.values())


def fit_for(file: DataFile, fits: list[Fit], task: str) -> Fit:
    """The fit for a task. Raises Unreadable, with the file's first lines and the task's formats, when there is none."""
    for fit in fits:
        if fit.task == task:
            return fit
    lines = [f"{file.path}: no reader of {task} ({MEANINGS[task]}) takes this; it begins with", file.first_lines()]
    lines += _hints(file)
    if fits:
        others = " or ".join(f"--task {fit.task} ({MEANINGS[fit.task]})" for fit in fits)
        lines.append(f"It looks like data for {others}: {fits[0].seen}.")
    number = "one of these formats" if len(FORMATS[task]) > 1 else "this format"
    raise Unreadable("\n".join([*lines, f"{task} reads {number}:", formats_of(task)]))


def unknown(file: DataFile) -> Unreadable:
    """The answer where a file suits no task and none was named."""
    lines = [f"{file.path}: cannot tell which task this is for; it begins with", file.first_lines(),
             *_hints(file),
             "Name the task, and the formats it reads are shown: --task",
             *(f"  {task:<24} {meaning}" for task, meaning in MEANINGS.items())]  # fmt: skip
    return Unreadable("\n".join(lines))


def _hints(file: DataFile) -> Iterator[str]:
    """What keeps a file from being read, where that can be told."""
    for key, value in file.records[0].items() if file.records else ():
        if isinstance(value, list) and "tag" in key.lower() and value and all(type(item) is int for item in value):
            yield (f'"{key}" holds numbers: write the names of the tags in their place (of a data set of `datasets`: '
                   f'features["{key}"].feature.names)')  # fmt: skip
    if file.kind == "json" and file.records:
        keys = listed(list(file.records[0]), 8)
        yield f"It is one JSON object with the keys {keys}: write each record on a line of its own."


def _fits(file: DataFile, columns: Columns) -> Iterator[Fit]:
    if file.kind == "columns":
        yield from column_fits(file)
    elif file.kind == "table":
        yield from table_fits(file, columns)
    elif file.kind == "kbp37":
        yield Fit("relation_classification", {"type": "relation_classification", "dataset": "kbp37"},
                  "found KBP37's pairs of lines: a sentence with <e1> and <e2>, and its relation")  # fmt: skip
    elif file.kind == "text":
        lines = [line for line in file.text.split("\n") if line.strip()]
        if lines and all(line.startswith(LABEL_SIGN) for line in lines):
            yield fasttext_fit(file, lines)
        if sum(len(line.split()) for line in lines) > 3 * len(lines):
            options = {"type": "masked_text"}
            if file.path.suffix.lower() in (".json", ".jsonl"):
                options["format"] = "text"
            yield Fit("masked_lm", options, f"found running text, {len(lines):,} lines")
    else:
        yield from record_fits(file, columns)
