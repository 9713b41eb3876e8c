"""Tasks for tables with a record a row: which column is the text, which the second text, which the label."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from luke_tasks.errors import listed
from luke_tasks.own_data.column_fits import word_table_fits
from luke_tasks.own_data.fit import Conversion, Fit, Unreadable, names
from luke_tasks.own_data.kinds import DataFile

_TEXT_NAMES = ("text", "sentence", "sentence1", "text1", "text_a", "premise", "question1", "review", "content", "body",
               "message", "tweet", "document")  # fmt: skip
_PAIR_NAMES = ("text_pair", "sentence2", "text2", "text_b", "hypothesis", "question2")
_LABEL_NAMES = ("label", "labels", "class", "category", "gold_label", "target", "sentiment", "score", "rating", "stars",
                "intent", "topic", "y")  # fmt: skip
_NO_CLASS = re.compile(
    r"\d{1,4}([-./:])\d{1,2}\1\d{1,4}([ T].*)?|\d{1,2}:\d\d(:\d\d)?|https?://.*|\S+@\S+\.\w+"
)  # dates
_MOST_CLASSES = 200
LABEL_SIGN = "__label__"  # before each class of a line, as fastText has it
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}


@dataclass(frozen=True)
class Columns:
    """Names of columns that the user gave; None: to be guessed."""

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None


def table_fits(file: DataFile, chosen: Columns) -> Iterator[Fit]:
    """Fits of a TSV or CSV file. Raises Unreadable when a column that was chosen is not there."""
    header = [cell.strip() for cell in file.rows[0]]
    yield from word_table_fits(file, header)
    swag = {"sent1", "ending0", "ending1", "label"} <= {*header}
    found = f"found a table of {len(header)} columns separated by {_SEPARATORS[file.delimiter]}"
    has_header = _has_header(file.rows, chosen)
    columns = header if has_header else [f"column{index}" for index in range(1, len(header) + 1)]
    rows = [dict(zip(columns, row, strict=True)) for row in file.rows[int(has_header) :] if len(row) == len(columns)]
    options: dict[str, Any] = {} if has_header else {"columns": columns}
    conversion = None
    ending = file.path.suffix.lower()
    if file.delimiter in ";|":
        conversion = Conversion("commas between the columns", ".csv", partial(_as_csv, file))
    elif ending != {"\t": ".tsv", ",": ".csv"}[file.delimiter]:
        options["format"] = "tsv" if file.delimiter == "\t" else "csv"
    if swag:
        yield Fit("multiple_choice", {"type": "multiple_choice", **options}, f"{found}: SWAG's", {}, conversion)
    found += f": {listed(columns, 8)}" if has_header else ", without a line that names them"
    fit = text_fit(rows, columns, found, chosen)
    if fit is not None:
        reasons = fit.reasons | ({} if has_header else {"columns": "the file's first line does not name them"})
        yield Fit(fit.task, fit.options | options, fit.seen, reasons, conversion)


def text_fit(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], found: str, chosen: Columns | None = None
) -> Fit | None:
    """The fit for classes or numbers of texts; None where no column is a text, or none a label.

    Raises:
        Unreadable: a column that was chosen is not there.
    """
    chosen = chosen or Columns()
    for flag, name in (("--text", chosen.text), ("--text-pair", chosen.text_pair), ("--label", chosen.label)):
        if name is not None and name not in columns:
            raise Unreadable(f"{flag}: there is no column {name!r}; the file has {listed(list(columns), 20)}")
    strings = {
        name: [str(row[name]) for row in rows if isinstance(row.get(name), str | int | float)] for name in columns
    }
    lists = [name for name in columns if rows and all(_is_classes(row.get(name)) for row in rows)]
    label = chosen.label or _label_column({name: values for name, values in strings.items() if values}, lists)
    texts = [name for name in columns if name != label and strings[name] and _words(strings[name]) > 1.2]
    named = [name for name in texts if name.lower() in _TEXT_NAMES]
    longest = sorted(texts, key=lambda name: -_words(strings[name]))
    text = chosen.text or next(iter([*named, *longest]), None)
    if text is None or label is None or not rows:
        return None
    second = [name for name in texts if name != text and name.lower() in _PAIR_NAMES]
    pair = chosen.text_pair or next(iter(second), None)
    options: dict[str, Any] = {"type": "sequence_classification"}
    reasons = {}
    options |= {"text": text} if text != "text" else {}
    options |= {"text_pair": pair} if pair is not None else {}
    options |= {"label": label} if label != "label" else {}
    if label in lists:
        options["problem_type"] = "multi_label_classification"
        values = [str(name) for row in rows for name in row[label]]
    else:
        values = strings[label]
        if _are_measures(values):
            options["problem_type"] = "regression"
    if "problem_type" in options:
        what = {"regression": "the labels are numbers"}.get(options["problem_type"], "each label is a list of classes")
        reasons["problem_type"] = what
    if options.get("problem_type") == "regression":
        numbers = [float(value) for value in values]
        classes = f"numbers from {min(numbers):g} to {max(numbers):g}"
    else:
        classes = f"{len(set(values)):,} classes: {names(values)}"
    reasons["type"] = classes
    second_text = f', second text in "{pair}"' if pair is not None else ""
    seen = f'{found}; text in "{text}"{second_text}, label in "{label}": {classes}'
    return Fit("sequence_classification", options, seen, reasons)


def fasttext_fit(file: DataFile, lines: Sequence[str]) -> Fit:
    """The fit of a file whose lines begin with `__label__CLASS`."""
    classes = names(line.split()[0].removeprefix(LABEL_SIGN) for line in lines)
    several = sum(line.split()[1:2] != [] and line.split()[1].startswith(LABEL_SIGN) for line in lines)
    left_out = (
        f"; of several labels the first is kept, which drops others on {several:,} of the lines" if several else ""
    )
    conversion = Conversion(f"a table of text and label{left_out}", ".tsv", partial(_of_fasttext, lines))
    return Fit("sequence_classification", {"type": "sequence_classification"},
               f"found lines that begin with {LABEL_SIGN}: {classes}", {"type": classes}, conversion)  # fmt: skip


def _of_fasttext(lines: Sequence[str]) -> str:
    """One class a text, the first."""
    rows = []
    for line in lines:
        labels = [word for word in line.split() if word.startswith(LABEL_SIGN)]
        text = " ".join(word for word in line.split() if not word.startswith(LABEL_SIGN))
        rows.append(f"{text}\t{labels[0].removeprefix(LABEL_SIGN)}\n")
    return "".join(["text\tlabel\n", *rows])


def _has_header(rows: Sequence[Sequence[str]], chosen: Columns) -> bool:
    """Whether the first row names the columns: short, all different, and no cell of it comes again below."""
    first = [cell.strip() for cell in rows[0]]
    wanted = [name for name in (chosen.text, chosen.text_pair, chosen.label) if name is not None]
    if wanted:  # "column2" is how columns without a name are called here
        return not all(re.fullmatch(r"column\d+", name) for name in wanted) or wanted[0] in first
    if len({*first}) < len(first) or any(len(cell) > 40 for cell in first):
        return False
    if not first[0] and all(first[1:]):  # the index that pandas writes
        return True
    if not all(first):
        return False
    known = {*_TEXT_NAMES, *_PAIR_NAMES, *_LABEL_NAMES, "id", "idx", "index", "sent1"}
    if any(cell.lower() in known for cell in first):
        return True
    below = [{row[index].strip() for row in rows[1:] if index < len(row)} for index in range(len(first))]
    return not any(cell in cells or _is_number(cell) for cell, cells in zip(first, below, strict=True))


def _label_column(strings: Mapping[str, Sequence[str]], lists: Sequence[str]) -> str | None:
    """By its name, else the last one with few values, each of few words; dates, times and addresses are no classes."""
    few = []
    for name, values in strings.items():
        distinct = set(values)
        is_few = 1 < len(distinct) <= min(_MOST_CLASSES, max(2, len(values) // 2)) and _words(list(distinct)) <= 4
        is_few = is_few and not all(_NO_CLASS.fullmatch(value.strip()) for value in distinct)
        if is_few or (_are_measures(values) and name.lower() in _LABEL_NAMES):
            few.append(name)
    candidates = [*lists, *few]
    by_name = [known for known in _LABEL_NAMES for name in candidates if name.lower() == known]
    if by_name:
        return next(name for name in candidates if name.lower() == by_name[0])
    return candidates[-1] if candidates else None


def _are_measures(values: Sequence[str]) -> bool:
    """Whether they are numbers of a scale, and no numbered classes."""
    has_fractions = any("." in value and not value.endswith(".0") for value in values)
    return has_fractions and all(map(_is_number, values))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_classes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int) for item in value)


def _words(values: Sequence[str]) -> float:
    """Words of a value, on average over the first thousand."""
    sample = values[:1000]
    return sum(Counter(value.strip())[" "] + 1 for value in sample) / max(1, len(sample))


def _as_csv(file: DataFile) -> str:
    """All rows with commas between their cells."""
    written = io.StringIO()
    rows = csv.reader(io.StringIO(file.text, newline=""), delimiter=file.delimiter)
    csv.writer(written, lineterminator="\n").writerows(row for row in rows if any(cell.strip() for cell in row))
    return written.getvalue()
