"""CoNLL's column files: one word a line, a blank line after each sentence, `-DOCSTART-` lines between documents.

Columns are separated by tabs or by spaces; the first line decides, and all others must have as many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from luke_tasks.errors import DataError
from luke_tasks.readers.faults import fault, one_record


@dataclass
class ColumnDocument:
    """Sentences as they stand in the file."""

    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)  # of each word, as written
    lines: list[int] = field(default_factory=list)  # first line of each sentence


def parse_columns(path: str | Path, text: str, tag_column: int | None = None) -> Iterator[ColumnDocument]:
    """The documents of a file that have a sentence.

    Args:
        tag_column: the column of the tags, counted from 1; None: the last.
    Raises:
        DataError: a line has another shape than the first, or there is no such column.
    """
    document = ColumnDocument()
    words: list[str] = []
    tags: list[str] = []
    shape: _Shape | None = None

    def end_sentence(line_number: int) -> None:
        if words:
            document.words.append(words.copy())
            document.tags.append(tags.copy())
            document.lines.append(line_number - len(words))
            words.clear()
            tags.clear()

    number = 0
    # Not splitlines(): U+2028, U+0085 and the like stand within lines.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if line.startswith("-DOCSTART"):
            end_sentence(number)
            if document.words:
                yield document
            document = ColumnDocument()
        elif not line or line.isspace():
            end_sentence(number)
        else:
            with one_record:
                shape = shape or _Shape.of(line, number, path, tag_column)
            if shape is None:
                continue
            columns = shape.columns(line)
            if len(columns) != shape.num_columns or not columns[0]:
                fault(shape.fault(line, columns, f"{path}:{number}"))
                columns = shape.placeholder  # the words after it keep their lines
            words.append(columns[0])
            tags.append(columns[shape.tag_index])
    end_sentence(number + 1)
    if document.words:
        yield document


@dataclass(frozen=True)
class _Shape:
    """How a file's lines are written, as its first one shows."""

    separator: Literal["tabs", "spaces"]
    num_columns: int
    line: int  # the first
    tag_index: int

    @classmethod
    def of(cls, line: str, number: int, path: str | Path, tag_column: int | None) -> _Shape:
        separator: Literal["tabs", "spaces"] = "tabs" if "\t" in line.strip(" \t") else "spaces"
        num_columns = len(cls(separator, 0, number, 0).columns(line))
        if num_columns < 2:
            raise DataError(f"{path}:{number}: expected at least 2 columns (the word, ..., its tag) separated by tabs "
                            f"or spaces, found 1: {line[:80]!r}")  # fmt: skip
        if tag_column is not None and tag_column > num_columns:
            raise DataError(f"{path}:{number}: expected a label in column {tag_column} (dataset_reader.label_column), "
                            f"found {num_columns} columns: {line[:80]!r}")  # fmt: skip
        return cls(separator, num_columns, number, num_columns - 1 if tag_column is None else tag_column - 1)

    def columns(self, line: str) -> list[str]:
        """The columns of a line; only tabs can leave one empty."""
        if self.separator == "tabs":
            return [column.strip(" ") for column in line.rstrip(" \t").split("\t")]
        return list(filter(None, line.replace("\t", " ").split(" ")))  # other spaces, as U+00A0, stand within words

    @property
    def placeholder(self) -> list[str]:
        """The columns of a word without entity, in place of a faulty line."""
        return ["?", *["O"] * (self.num_columns - 1)]

    def fault(self, line: str, columns: list[str], where: str) -> DataError:
        """What is wrong with a line whose columns are not as many as the first line's, or which has no word."""
        if len(columns) != self.num_columns:
            return DataError(f"{where}: expected {self.num_columns} columns separated by {self.separator} as in line "
                             f"{self.line}, found {len(columns)}: {line[:80]!r}")  # fmt: skip
        return DataError(f"{where}: expected a word in the first column, found nothing: {line[:80]!r}")
