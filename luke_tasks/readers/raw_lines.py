"""Raw input as `predict` reads it: lines of text or of JSON → examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from luke_tasks.errors import DataError
from luke_tasks.readers.reader import Reader


def parse_lines(reader: Reader, lines: Iterable[bytes], name: str, first_number: int = 1) -> Iterator[Any]:
    """An example for each line that is not blank. Lines are UTF-8 whatever the terminal's own encoding is.

    Args:
        name: of the file, for ids and messages.
        first_number: of the first of `lines` in the file.
    Raises:
        DataError: a line is not UTF-8, or not what the task needs; it begins with `name:number`.
    """
    for number, line in enumerate(lines, start=first_number):
        try:
            text = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
        except UnicodeDecodeError as error:
            shown = f"byte 0x{line[error.start]:02x}"
            raise DataError(f"{name}:{number}: {shown} is not UTF-8; save the text as UTF-8") from None
        if text.strip():
            yield reader.parse_line(text, f"{name}:{number}")
