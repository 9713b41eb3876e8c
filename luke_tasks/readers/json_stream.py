"""JSON files that are one large array, or an object around one, parsed an item at a time.

In: a file. Out: the items of the array; only the text of the item being read is held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luke_tasks.errors import DataError
from luke_tasks.readers.reader import text_chunks

_SPACES = frozenset(" \n\r\t")


class JsonStream:
    """A place in the text of a JSON file, which moves forward. All methods raise DataError on what is no JSON.

    Args:
        path: the file.
        encoding: of the file.
    """

    def __init__(self, path: str | Path, encoding: str) -> None:
        self.path = path
        self._chunks = text_chunks(path, encoding)
        self._text = ""  # what has been read and not yet been left behind
        self._position = 0  # in `_text`
        self._line, self._column = 1, 0  # of the first character of `_text`: lines from 1, columns from 0
        self._decoder = json.JSONDecoder()

    @property
    def line(self) -> int:
        """The line of this place, from 1."""
        return self._line + self._text.count("\n", 0, self._position)

    def following(self) -> str:
        """The next 60 characters, for a message."""
        while len(self._text) - self._position < 60 and self._read_more():
            pass
        return self._text[self._position : self._position + 60]

    def next_sign(self) -> str:
        """The next character that is no space, left where it is; empty at the end of the file."""
        while True:
            while self._text[self._position : self._position + 1] in _SPACES:
                self._position += 1
            if self._position < len(self._text) or not self._read_more():
                return self._text[self._position : self._position + 1]

    def items(self, item: str) -> Iterator[tuple[Any, str]]:
        """The values of the array that begins here, each with `file: item N`; then the place is behind the array."""
        self._skip("[", str(self.path))
        number = 0
        while self.next_sign() != "]":
            number += 1
            where = f"{self.path}: {item} {number}"
            if number > 1:
                self._skip(",", where)
            yield self._value(where), where
        self._position += 1

    def enter_object(self, key: str) -> None:
        """Go to the value of `key` in the object that begins here. The values before it are parsed, and left."""
        if self.next_sign() != "{":
            raise DataError(f'{self.path}:{self.line}: expected one JSON object {{"{key}": [...]}}, found '
                            f"{self.following()!r}")  # fmt: skip
        self._position += 1
        names: list[str] = []
        while self.next_sign() != "}":
            names.append(self._key(is_first=not names))
            if names[-1] == key:
                return
            self._value(str(self.path))
        raise DataError(f'{self.path}: "{key}" is missing; found {", ".join(names) or "no key"}')

    def leave_object(self, key: str) -> None:
        """Go from behind the value of `key` to behind the object. The values in between are parsed, and left."""
        while self.next_sign() != "}":
            if self._key(is_first=False) == key:
                raise DataError(f'{self.path}:{self.line}: "{key}" stands in the object twice; keep one of them')
            self._value(str(self.path))
        self._position += 1

    def expect_end(self) -> None:
        """Raises DataError when more than spaces follows."""
        if self.next_sign():
            raise DataError(f"{self.path}:{self.line}: the JSON has ended, but more follows: {self.following()!r}; "
                            "write one JSON value a file")  # fmt: skip

    def _key(self, *, is_first: bool) -> str:
        where = str(self.path)
        if not is_first:
            self._skip(",", where)
        if self.next_sign() != '"':
            raise self._error(where, "Expecting a key in double quotes", self._position)
        name = str(self._value(where))
        self._skip(":", where)
        return name

    def _skip(self, sign: str, where: str) -> None:
        if self.next_sign() != sign:
            raise self._error(where, f"Expecting '{sign}' delimiter", self._position)
        self._position += 1

    def _value(self, where: str) -> Any:
        """The value that begins here, or after spaces."""
        self.next_sign()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
                if len(self._text) - end <= 2 and self._read_more():
                    continue  # a number may go on: 1 and .5, 1 and e+5
                if "\\u" in self._text[self._position : end]:
                    json.dumps(value, ensure_ascii=False).encode("utf-8")
                break
            except json.JSONDecodeError as error:
                size = len(self._text) - self._position
                if not self._read_more():  # else the value may only have been cut
                    raise self._error(where, error.msg, error.pos) from None
                while len(self._text) - self._position < 2 * size and self._read_more():
                    pass  # twice as much each time: a long value is not parsed anew for each chunk
            except UnicodeEncodeError:
                raise DataError(f"{where}: holds half a character (a lone \\ud800 to \\udfff): "
                                f"{self.following()!r}") from None  # fmt: skip
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: JSON that cannot be read ({error})") from None
        self._position = end
        return value

    def _read_more(self) -> bool:
        """Read a chunk, and leave behind what lies before this place. False at the end of the file."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        left = self._text[: self._position]
        self._line += left.count("\n")
        self._column = len(left) - left.rfind("\n") - 1 if "\n" in left else self._column + len(left)
        self._text = self._text[self._position :] + chunk
        self._position = 0
        return True

    def _error(self, where: str, reason: str, position: int) -> DataError:
        """What is wrong at `position` of `_text`, where this place then is."""
        before = self._text[:position]
        line = self._line + before.count("\n")
        column = len(before) - before.rfind("\n") if "\n" in before else self._column + len(before) + 1
        self._position = position
        return DataError(f"{where}: no valid JSON ({reason} at line {line} column {column}): "
                         f"{self.following()!r}; mend the file there")  # fmt: skip
