"""What a data file is made of: its encoding, and whether it is columns, a table, JSON, or running text.

In: a path. Out: a `DataFile`, with as much of it parsed as a guess needs.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from luke_tasks.errors import DataError
from luke_tasks.readers.reader import read_text

Kind = Literal["columns", "kbp37", "json", "json_array", "jsonl", "table", "text"]
_LOOKED_AT = 20_000  # lines that a guess looks at
_KBP37 = re.compile(r"\S+\t.*<e[12]>.*</e[12]>")
_PACKED = {  # first bytes of files that are no text → what they are
    b"\x1f\x8b": "a gzip archive: unpack it (gunzip)",
    b"PK\x03\x04": "a zip archive or an Excel sheet: unpack it, or save the sheet as CSV",
    b"PAR1": "a Parquet file: write it as JSON lines (in pandas: to_json(orient='records', lines=True))",
    b"ARROW1": "an Arrow file: write it as JSON lines (in datasets: Dataset.to_json)",
    b"SQLite": "an SQLite database: export the table as CSV",
    b"%PDF": "a PDF: save its text",
}


@dataclass
class DataFile:
    """A data file, looked at.

    `rows` are the cells of each line of `columns` (an empty list: a blank line; `-DOCSTART-` and comments are left out)
    or of each row of a `table`, its header included; `records` the objects of `jsonl` and `json_array`; `value` the
    content of `json`.
    """

    path: Path
    encoding: str
    text: str
    kind: Kind
    delimiter: str = ""  # of rows; " " stands for any number of spaces
    rows: list[list[str]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    value: Any = None
    has_comments: bool = False  # lines of columns that begin with "# "
    is_uneven: bool = False  # not every line of columns has as many

    def first_lines(self, number: int = 3) -> str:
        """The first lines that are not blank, shortened and indented."""
        lines = [line for line in self.text[:20_000].splitlines() if line.strip()][:number]
        return "\n".join(f"      {line if len(line) <= 100 else line[:97] + '...'}" for line in lines)


def look_at(path: str | Path) -> DataFile:
    """Read a file and tell its kind.

    Raises:
        DataError: there is no such file, it is empty, or it holds no text.
    """
    path = Path(path)
    encoding = guess_encoding(path)
    text = read_text(path, encoding).replace("\r\n", "\n").replace("\r", "\n")
    start = text.lstrip()[:1]
    if start in "{[":
        found = _json_file(path, encoding, text, start)
        if found is not None:
            return found
    lines = text.split("\n")[:_LOOKED_AT]
    if any(_KBP37.match(line) for line in lines[:5]):
        return DataFile(path, encoding, text, "kbp37")
    found = _columns(path, encoding, text, lines) or _table(path, encoding, text)
    return found or DataFile(path, encoding, text, "text")


def guess_encoding(path: Path) -> str:
    """The encoding of a file: by its byte order mark, UTF-8 where all of it is, else what West European text was in.

    Raises:
        DataError: there is no such file, or it is packed or binary.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        files = ", ".join(sorted(entry.name for entry in path.iterdir() if entry.is_file())[:10]) or "no file"
        raise DataError(f"{path}: is a directory; name one file in it (it holds {files})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    for start, what in _PACKED.items():
        if data.startswith(start):
            raise DataError(f"{path}: is {what}, and give that file")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = data[:10_000]
    if zeros := head.count(0):
        odd = head[1::2].count(0)
        if zeros > len(head) / 4 and (odd == zeros or odd == 0):  # every second byte of plain letters
            return "utf-16-le" if odd else "utf-16-be"
        raise DataError(f"{path}: holds zero bytes: it is binary, not text; export it as text, CSV or JSON lines")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        has_c1 = any(0x80 <= byte < 0xA0 for byte in data)  # control characters in ISO-8859-1: hardly meant
        try:
            data.decode("cp1252")
        except UnicodeDecodeError:
            return "ISO-8859-1"
        return "cp1252" if has_c1 else "ISO-8859-1"
    return "utf-8"


def _json_file(path: Path, encoding: str, text: str, start: str) -> DataFile | None:
    """A file of JSON; None where a line of another kind happens to begin with a bracket."""
    records, parses = [], True
    for line in (line for line in text.split("\n")[:_LOOKED_AT] if line.strip()):
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError):
            parses = False
            break
    are_records = bool(records) and all(isinstance(record, dict) for record in records)
    if are_records and (len(records) > 1 or (parses and not isinstance(records[0].get("data"), list))):
        return DataFile(path, encoding, text, "jsonl", records=records)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if start == "{" or path.suffix.lower() in (".json", ".jsonl"):
            raise DataError(f"{path}: begins as JSON does, but is none: {error}") from None
        return None
    if isinstance(value, list):
        records = [record for record in value if isinstance(record, dict)]
        odd = next((number for number, one in enumerate(value, start=1) if not isinstance(one, dict)), None)
        if records and odd is not None:
            raise DataError(f"{path}: record {odd} is no JSON object as the others are: {str(value[odd - 1])[:80]!r}")
        return DataFile(path, encoding, text, "json_array", records=records, value=value)
    if isinstance(value, dict) and not isinstance(value.get("data"), list):
        return DataFile(path, encoding, text, "json", records=[value], value=value)
    return DataFile(path, encoding, text, "json", value=value)


def _columns(path: Path, encoding: str, text: str, lines: list[str]) -> DataFile | None:
    """A file of one word a line: as many short cells in nearly every line, and blank lines or tags."""
    has_comments = any(line.startswith("# ") for line in lines)
    kept = [line for line in lines if not line.startswith(("-DOCSTART", "# "))]
    filled = [line for line in kept if line.strip()]
    for delimiter in ("\t", " ", ",", ";"):
        rows = [cells_of(line, delimiter) for line in filled]
        (number, times), *_ = Counter(map(len, rows)).most_common(1) or [(0, 0)]
        if number < 2 or times < 0.95 * len(rows):
            continue
        if sum(" " in cell for row in rows for cell in row) > 0.02 * len(rows) * number:
            continue
        has_blank = len(kept) - (kept[-1:] == [""]) > len(filled)
        if not (has_blank or (delimiter in "\t " and _has_tags(rows))):
            continue
        if delimiter != "\t" and has_blank and not _has_tags(rows) and (delimiter != " " or number < 3):
            continue
        rows = [cells_of(line, delimiter) if line.strip() else [] for line in kept]
        return DataFile(path, encoding, text, "columns", delimiter=delimiter, rows=rows, has_comments=has_comments,
                        is_uneven=times < len(filled))  # fmt: skip
    return None


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line of columns."""
    if delimiter == " ":
        return line.replace("\t", " ").split()
    return [cell.strip(" ") for cell in line.rstrip(" \t").split(delimiter)]


def _has_tags(rows: list[list[str]]) -> bool:
    """Whether the last cells of lines, or the first, are each one of few, `O` among them."""
    columns = [Counter(row[place] for row in rows if row) for place in (-1, 0)]
    return any(("O" in cells or "o" in cells) and len(cells) < max(10, len(rows) / 4) for cells in columns)


def _table(path: Path, encoding: str, text: str) -> DataFile | None:
    """Rows with as many cells each: by the file's ending, or where no other reading is likely."""
    named = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    for delimiter in ("\t", ",", ";", "|"):
        rows = [row for row in _parsed(text, delimiter) if any(cell.strip() for cell in row)]
        if not rows:
            continue
        number, times = Counter(map(len, rows)).most_common(1)[0]
        is_even = number > 1 and times >= 0.98 * len(rows)
        if is_even and (named is not None or delimiter == "\t" or (len(rows) > 4 and times == len(rows))):
            return DataFile(path, encoding, text, "table", delimiter=delimiter, rows=rows)
    if named is not None:  # one column, or uneven
        return DataFile(path, encoding, text, "table", delimiter=named, rows=list(_parsed(text, named)))
    return None


def _parsed(text: str, delimiter: str) -> list[list[str]]:
    """Rows as `readers/tables.py` reads them: quotes count in all but TSV."""
    if delimiter == "\t":
        return [line.split("\t") for line in text.split("\n")[:_LOOKED_AT] if line.strip()]
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == _LOOKED_AT:
                break
    except csv.Error:
        return rows
    return rows
