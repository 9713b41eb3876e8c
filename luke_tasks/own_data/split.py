"""Cutting a data file in two, for those who have no validation data: whole documents or records, at random."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Sequence

from luke_tasks.errors import DataError
from luke_tasks.own_data.kinds import DataFile

_SEED = 13370
_FEW_ARTICLES = 10  # below, SQuAD's paragraphs are divided: people put all of theirs into one article
Join = Callable[[Sequence[str]], str]


def split(file: DataFile, share: float, *, has_header: bool = True) -> tuple[str, str, str]:
    """The two contents, training and validation, and what was divided, as "documents".

    Args:
        share: of the units, at least one, that becomes validation data. The same file gives the same division.
        has_header: of a table: whether its first row names the columns, and stands in both parts.
    Raises:
        DataError: there is one unit only.
    """
    units, join, name = _units(file, has_header)
    if len(units) < 2:
        raise DataError(f"{file.path}: cannot be divided, as the number of its {name} is {len(units)}; give a file "
                        "with --validation")  # fmt: skip
    number = min(len(units) - 1, max(1, round(len(units) * share)))
    chosen = {*random.Random(_SEED).sample(range(len(units)), number)}
    parts = ([unit for i, unit in enumerate(units) if (i in chosen) is held_out] for held_out in (False, True))
    train, validation = (join(part) for part in parts)
    return train, validation, f"{len(units) - number:,} and {number:,} {name}"


def _units(file: DataFile, has_header: bool) -> tuple[Sequence[str], Join, str]:
    """What stays together, how it is written again, and its name."""
    if file.kind == "columns":
        documents = [part for part in re.split(r"(?m)^(?=-DOCSTART)", file.text) if part.strip()]
        if len(documents) > 2:
            return documents, "".join, "documents"
        blocks = re.split(r"\n[ \t]*\n", re.sub(r"(?m)^-DOCSTART.*", "", file.text))
        return [one for one in blocks if one.strip()], _blocks, "sentences"
    if file.kind == "kbp37":
        lines = [line for line in file.text.split("\n") if line.strip() and not line.startswith("Comment:")]
        pairs = ["\n".join(lines[index : index + 2]) for index in range(0, len(lines), 2)]
        return pairs, _blocks, "sentences"
    if file.kind == "table" and file.delimiter != "\t":
        rows = [row for row in csv.reader(io.StringIO(file.text, newline=""), delimiter=file.delimiter) if any(row)]
        written = [_csv_row(row, file.delimiter) for row in rows]
        return _rows(written, has_header)
    if file.kind in ("table", "jsonl", "text"):
        lines = [f"{line}\n" for line in file.text.split("\n") if line.strip()]
        if file.kind == "table":
            return _rows(lines, has_header)
        return lines, "".join, "records" if file.kind == "jsonl" else "lines"
    if file.kind == "json":
        units, name = file.value["data"], "articles"
        if len(units) < _FEW_ARTICLES and all(isinstance(one, dict) and "paragraphs" in one for one in units):
            units, name = [{**one, "paragraphs": [part]} for one in units for part in one["paragraphs"]], "paragraphs"
        articles = [json.dumps(one, ensure_ascii=False) for one in units]
        rest = {key: value for key, value in file.value.items() if key != "data"}
        head = json.dumps(rest, ensure_ascii=False)[:-1] + (", " if rest else "")
        return articles, lambda part: head + '"data": [\n' + ",\n".join(part) + "\n]}\n", name
    records = [json.dumps(one, ensure_ascii=False) for one in file.value]
    return records, lambda part: "[\n" + ",\n".join(part) + "\n]\n", "records"


def _rows(written: Sequence[str], has_header: bool) -> tuple[Sequence[str], Join, str]:
    head = written[:1] if has_header else []
    return written[len(head) :], lambda part: "".join([*head, *part]), "rows"


def _blocks(part: Sequence[str]) -> str:
    return "".join(block.strip("\n") + "\n\n" for block in part)


def _csv_row(row: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(row)
    return line.getvalue()
