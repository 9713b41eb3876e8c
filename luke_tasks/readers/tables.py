"""Data files of one record a line in columns (TSV, CSV), or as JSON lines: the forms in which GLUE and the like come.

Out: one object a record, column → text (of JSON: any value), and where it stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import fault
from luke_tasks.readers.reader import read_text
from luke_tasks.readers.records import Record, json_lines

TableFormat = Literal["auto", "tsv", "csv", "jsonl"]
_BY_ENDING: dict[str, TableFormat] = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}


def table_records(
    path: str | Path, encoding: str, file_format: TableFormat, columns: Sequence[str] | None
) -> Iterator[tuple[Record, str]]:
    """The records of a file, each with its `file:line`.

    Args:
        file_format: `tsv`: cells between tabs, taken as they stand, quotes too (GLUE's form); `csv`: commas, and
            double quotes around cells that need them (RFC 4180); `auto`: what the file's name ends in.
        columns: names of the columns of a table without a header line; None: the first line names them.
    Raises:
        DataError: a row has another number of cells than the header, or is not of the format.
    """
    if file_format == "auto":
        ending = Path(path).suffix.lower()
        if ending not in _BY_ENDING:
            raise DataError(f"{path}: cannot tell the format by the ending {ending!r}: expected "
                            f"{', '.join(_BY_ENDING)}; or set dataset_reader.format")  # fmt: skip
        file_format = _BY_ENDING[ending]
    if file_format == "jsonl":
        yield from json_lines(path, encoding)
        return
    text = read_text(path, encoding)
    rows = _tsv_rows(text) if file_format == "tsv" else _csv_rows(text, path)
    header, origin = columns, "dataset_reader.columns"
    for cells, line in rows:
        if header is None:
            header, origin = cells, f"line {line}"
            repeated = [name for name in header if header.count(name) > 1]
            if repeated:
                raise DataError(f"{path}:{line}: the header names the column {describe(repeated[0])} twice; rename one")
        elif len(cells) != len(header):
            found = f"{len(cells)}: {describe(cells)}"
            fault(DataError(f"{path}:{line}: expected {len(header)} columns as {origin} has, found {found}"))
        else:
            yield dict(zip(header, cells, strict=True)), f"{path}:{line}"


def column(record: Record, name: str, option: str, where: str) -> Any:
    """The value of the column that a reader's option names. Raises DataError, with what to do, when there is none."""
    if name in record:
        return record[name]
    unlabelled = ", or is null for a file without labels" if option == "label" else ""
    raise DataError(f'{where}: "{name}" is missing; found {", ".join(record) or "no key"}; dataset_reader.{option} '
                    f"names the column{unlabelled}")  # fmt: skip


def _tsv_rows(text: str) -> Iterator[tuple[list[str], int]]:
    """The cells of each line that is not blank, with its number. Not splitlines(): U+2028 stands within lines."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip():
            yield line.split("\t"), number


def _csv_rows(text: str, path: str | Path) -> Iterator[tuple[list[str], int]]:
    """The cells of each row that is not blank, with the number of its first line (a quoted cell may hold newlines)."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # the default refuses long documents
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{line}: no valid CSV ({error}); a cell with a comma, quote or newline stands in "
                            'double quotes, and a quote in it is written ""') from None  # fmt: skip
        if any(cell.strip() for cell in cells):
            yield cells, line
