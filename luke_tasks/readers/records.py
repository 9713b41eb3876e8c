"""Data files of JSON records (one a line, or one array), and the fields of a record, each with a clear message.

`where` begins every message: `file:line`, or `file: record 3` within an array.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.errors import DataError, describe
from luke_tasks.readers.reader import parse_json, read_text, require_strings

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
        """From `"words"` (a list of strings), or else `"text"` (a string)."""
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
        is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(type(number) is int for number in value)
        if not is_pair or not 0 <= value[0] < value[1] <= size:
            raise DataError(f'{where}: "{field}": expected [start, end) in {unit}, 0 <= start < end <= {size}, found '
                            f"{describe(value)}")  # fmt: skip
        start, end = value
        if self.word_offsets is not None:
            start, end = self.word_offsets[start][0], self.word_offsets[end - 1][1]
        if not self.text[start:end].strip():
            raise DataError(f'{where}: "{field}": {describe(value)} covers only spaces; give the {unit} of the entity')
        return start, end


def json_lines(path: str | Path, encoding: str) -> Iterator[tuple[Record, str]]:
    """The object of each line that is not blank, with its `file:line`. Raises DataError when a line is none."""
    text = read_text(path, encoding)
    number = start = 0
    while start < len(text):  # a line at a time; not splitlines(), as U+2028 and the like stand within lines
        number += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end].strip()
        start = end + 1
        if not line:
            continue
        where = f"{path}:{number}"
        if not line.startswith("{"):
            found = "a JSON array" if line.startswith("[") else "something else"
            raise DataError(f"{where}: expected one JSON object a line, found {found}: {line[:60]!r}; write each "
                            "record as {...} on a line of its own")  # fmt: skip
        yield parse_json(line, where), where


def json_array(
    path: str | Path, encoding: str, key: str | None = None, item: str = "record"
) -> Iterator[tuple[Record, str]]:
    """The objects of a file that is one JSON array, one by one, each with `file: record N` (counted from 1).

    Args:
        key: the file is one JSON object instead, and the array stands under this key of it (`{"data": [...]}`).
        item: what messages call an object of the array.
    Raises:
        DataError: it is no array, no JSON, or holds something else than objects.
    """
    text = read_text(path, encoding)
    decoder = json.JSONDecoder()
    position = _skip_spaces(text, 0) if key is None else _value_of_key(text, key, path)
    if text[position : position + 1] != "[":
        line = text.count("\n", 0, position) + 1
        found = f"found {text[position : position + 60]!r}"
        if key is not None:
            raise DataError(f'{path}:{line}: "{key}" must be a JSON array of {item}s, [{{...}}, {{...}}], {found}')
        raise DataError(f"{path}:{line}: expected one JSON array of records, [{{...}}, {{...}}], {found}; put the "
                        "records into one array")  # fmt: skip
    position = _skip_spaces(text, position + 1)
    number = 0
    while text[position : position + 1] != "]":
        number += 1
        where = f"{path}: {item} {number}"
        try:
            if number > 1:
                if text[position : position + 1] != ",":
                    raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
                position = _skip_spaces(text, position + 1)
            record, end = decoder.raw_decode(text, position)
            if "\\u" in text[position:end]:
                json.dumps(record, ensure_ascii=False).encode("utf-8")
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: no valid JSON ({error.msg} at line {error.lineno} column {error.colno}): "
                            f"{text[error.pos : error.pos + 60]!r}; mend the file there") from None  # fmt: skip
        except UnicodeEncodeError:
            raise DataError(f"{where}: holds half a character (a lone \\ud800 to \\udfff): "
                            f"{text[position : position + 60]!r}") from None  # fmt: skip
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: JSON that cannot be read ({error})") from None
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected a JSON object {{...}}, found {describe(record)}")
        position = _skip_spaces(text, end)
        yield record, f"{where} (id {record['id']})" if "id" in record else where


def get(record: Record, field: str, where: str) -> Any:
    """A field that must be there. Raises DataError when it is not."""
    if field not in record:
        raise DataError(f'{where}: "{field}" is missing; found {", ".join(record) or "no key"}')
    return record[field]


def get_string(record: Record, field: str, where: str) -> str:
    """A field that must be a string which is not blank."""
    value = get(record, field, where)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f'{where}: "{field}" must be a string that is not blank, found {describe(value)}')
    return value


def get_integer(record: Record, field: str, where: str) -> int:
    """A field that must be an integer."""
    value = get(record, field, where)
    if type(value) is not int:
        raise DataError(f'{where}: "{field}" must be an integer, found {describe(value)}')
    return value


def _value_of_key(text: str, key: str, path: str | Path) -> int:
    """Where the value of `key` begins in the JSON object that the text is. Raises DataError when it is not there."""
    decoder = json.JSONDecoder()
    position = _skip_spaces(text, 0)
    if text[position : position + 1] != "{":
        line = text.count("\n", 0, position) + 1
        raise DataError(f'{path}:{line}: expected one JSON object {{"{key}": [...]}}, found '
                        f"{text[position : position + 60]!r}")  # fmt: skip
    position = _skip_spaces(text, position + 1)
    found: list[str] = []
    try:
        while text[position : position + 1] != "}":
            if found:
                position = _skip_spaces(text, _after(text, position, ","))
            name, position = decoder.raw_decode(text, position)
            position = _skip_spaces(text, _after(text, _skip_spaces(text, position), ":"))
            if name == key:
                return position
            found.append(str(name))
            position = _skip_spaces(text, decoder.raw_decode(text, position)[1])
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: no valid JSON ({error.msg} at line {error.lineno} column {error.colno}): "
                        f"{text[error.pos : error.pos + 60]!r}; mend the file there") from None  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: JSON that cannot be read ({error})") from None
    raise DataError(f'{path}: "{key}" is missing; found {", ".join(found) or "no key"}')


def _after(text: str, position: int, delimiter: str) -> int:
    if text[position : position + 1] != delimiter:
        raise json.JSONDecodeError(f"Expecting '{delimiter}' delimiter", text, position)
    return position + 1


def _skip_spaces(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\n", "\r", "\t"):
        position += 1
    return position
