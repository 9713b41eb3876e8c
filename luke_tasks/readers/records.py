"""Data files of JSON records (one a line, or one array), and the fields of a record, each with a clear message.

`where` begins every message: `file:line`, or `file: record 3` within an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.json_stream import JsonStream
from luke_tasks.readers.reader import parse_json, require_strings, require_text, text_lines

Record = dict[str, Any]
Span = tuple[int, int]  # characters [start, end) of a text


@dataclass(frozen=True)
class TextFrame:
    """A text, and what the spans given with it count: its characters, or the words it was joined from."""

    text: str
    word_offsets: Sequence[Span] | None = None  # None: spans count characters

    @classmethod
    def of_words(cls, words: Sequence[str]) -> TextFrame:
        """The words joined by single spaces."""
        offsets, start = [], 0
        for word in words:
            offsets.append((start, start + len(word)))
            start += len(word) + 1
        return cls(" ".join(words), offsets)

    @classmethod
    def of_record(cls, record: Record, where: str) -> TextFrame:
        """From `"words"` (a list of strings) or `"text"` (a string), not both: spans would count one or the other."""
        if "words" in record and "text" in record:
            raise DataError(f'{where}: "text" and "words" are both there; leave out the one that spans do not count')
        if "words" in record:
            return cls.of_words(require_strings(record["words"], where, "words"))
        if "text" not in record:
            raise DataError(f'{where}: expected "text" (a string) or "words" (a list of strings), found '
                            f"{', '.join(record) or 'no key'}")  # fmt: skip
        return cls(get_string(record, "text", where))

    def span(self, value: Any, field: str, where: str) -> Span:
        """The characters of a span `[start, end)` that a record gives.

        Raises:
            DataError: it is no pair of integers, lies outside the text, or covers nothing but spaces.
        """
        unit, size = ("characters", len(self.text)) if self.word_offsets is None else ("words", len(self.word_offsets))
        is_pair = (
            isinstance(value, list | tuple)
            and len(value) == 2
            and all(isinstance(number, Integral) and not isinstance(number, bool) for number in value)
        )
        if not is_pair or not 0 <= value[0] < value[1] <= size:
            raise DataError(f'{where}: "{field}": expected [start, end) in {unit}, 0 <= start < end <= {size}, found '
                            f"{describe(value)}")  # fmt: skip
        start, end = int(value[0]), int(value[1])
        if self.word_offsets is not None:
            start, end = self.word_offsets[start][0], self.word_offsets[end - 1][1]
        if not self.text[start:end].strip():
            raise DataError(f'{where}: "{field}": {describe(value)} covers only spaces; give the {unit} of the entity')
        return start, end


def json_lines(path: str | Path, encoding: str) -> Iterator[tuple[Record, str]]:
    """The object of each line that is not blank, with its `file:line`. Raises DataError when a line is none."""
    for number, line in text_lines(path, encoding):
        line = line.strip()
        if not line:
            continue
        where = f"{path}:{number}"
        with one_record:
            if not line.startswith("{"):
                found = "a JSON array" if line.startswith("[") else "something else"
                raise DataError(f"{where}: expected one JSON object a line, found {found}: {line[:60]!r}; write each "
                                "record as {...} on a line of its own")  # fmt: skip
            yield parse_json(line, where), where


def json_array(
    path: str | Path, encoding: str, key: str | None = None, item: str = "record"
) -> Iterator[tuple[Record, str]]:
    """The objects of a file that is one JSON array, one by one, each with `file: record N` (counted from 1).

    No more of the file is held than one object needs.

    Args:
        key: the file is one JSON object instead, and the array is its value under this key.
        item: what messages call an object of the array.
    Raises:
        DataError: it is no array, no JSON, or holds something else than objects.
    """
    stream = JsonStream(path, encoding)
    if key is None and stream.next_sign() != "[":
        raise DataError(f"{path}:{stream.line}: expected one JSON array of {item}s, [{{...}}, {{...}}], found "
                        f"{stream.following()!r}; put the {item}s into one array")  # fmt: skip
    if key is not None:
        stream.enter_object(key)
        if stream.next_sign() != "[":
            raise DataError(f'{path}:{stream.line}: "{key}" must be a JSON array of {item}s, [{{...}}, {{...}}], found '
                            f"{stream.following()!r}")  # fmt: skip
    for number, (record, where) in enumerate(stream.items(item), start=1):
        with one_record:
            if not isinstance(record, dict):
                raise DataError(f"{path}: {item} {number}: expected a JSON object {{...}}, found {describe(record)}")
            yield record, f"{where} (id {record['id']})" if record.get("id") is not None else where
    if key is not None:
        stream.leave_object(key)
    stream.expect_end()


def get(record: Record, field: str, where: str) -> Any:
    """A field that must be there. Raises DataError when it is not."""
    if field not in record:
        raise DataError(f'{where}: "{field}" is missing; found {", ".join(record) or "no key"}')
    return record[field]


def get_record(record: Record, field: str, where: str) -> Record:
    """A field that must be an object."""
    value = get(record, field, where)
    if not isinstance(value, dict):
        raise DataError(f'{where}: "{field}" must be a JSON object {{...}}, found {describe(value)}')
    return value


def get_records(record: Record, field: str, where: str) -> list[Record]:
    """A field that must be an array of objects."""
    value = get(record, field, where)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DataError(f'{where}: "{field}" must be an array of JSON objects, found {describe(value)}')
    return value


def get_string(record: Record, field: str, where: str) -> str:
    """A field that must be a string which is not blank."""
    value = get(record, field, where)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f'{where}: "{field}" must be a string that is not blank, found {describe(value)}')
    return require_text(value, where, field)


def get_id(record: Record, where: str, field: str = "id") -> str:
    """What a record calls itself; where it stands if it has no name."""
    return where if record.get(field) is None else str(record[field])


def get_integer(record: Record, field: str, where: str) -> int:
    """A field that must be an integer."""
    value = get(record, field, where)
    if type(value) is not int:
        raise DataError(f'{where}: "{field}" must be an integer, found {describe(value)}')
    return value
