"""Tables as text: aligned for eyes, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence

from luke_tasks.errors import printable

Row = Sequence[str]


def aligned(header: Row, rows: Sequence[Row], indent: str = "") -> list[str]:
    """Lines with two spaces between columns; columns of numbers to the right."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    is_number = [all(_is_number(cell) for cell in column) for column in zip(*cells[1:], strict=True)]
    return [f"{indent}{'  '.join(map(_padded, row, widths, is_number))}".rstrip() for row in cells]


def blocks(header: Row, rows: Sequence[Row]) -> list[str]:
    """A block of `name: value` lines for each row, the first value as its heading: for terminals too narrow."""
    lines: list[str] = []
    for first, *rest in rows:
        lines.append(printable(first))
        lines += [f"  {name}: {printable(cell)}" for name, cell in zip(header[1:], rest, strict=True) if cell]
    return lines


def fitted(header: Row, rows: Sequence[Row], indent: str = "") -> list[str]:
    """`aligned`, or `blocks` on a terminal that is too narrow for it (`COLUMNS` says how wide one is)."""
    lines = aligned(header, rows, indent)
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    if has_width and max(map(width, lines)) > shutil.get_terminal_size().columns:
        return [indent + line for line in blocks(header, rows)]
    return lines


def markdown(header: Row, rows: Sequence[Row]) -> list[str]:
    """A Markdown table."""
    numbers = [all(_is_number(row[index]) for row in rows) for index in range(len(header))]
    rule = ["--:" if is_number else "---" for is_number in numbers]
    lines = [header, rule, *rows]
    return [f"| {' | '.join(printable(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def comma_separated(header: Row, rows: Sequence[Row]) -> list[str]:
    """CSV (RFC 4180, but for the ends of lines)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().splitlines()


def width(text: str) -> int:
    """Columns of a terminal that the text takes: wide characters take two, those that combine none."""
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
               for sign in text)  # fmt: skip


def _padded(cell: str, columns: int, to_the_right: bool) -> str:
    space = " " * (columns - width(cell))
    return space + cell if to_the_right else cell + space


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True
