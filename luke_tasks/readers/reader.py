"""What every reader does: file → examples → features, and raw input → an example."""

from __future__ import annotations

import codecs
import json
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import IncrementalNewlineDecoder
from pathlib import Path
from typing import Annotated, Any, ClassVar

from luke_tasks.data.features import EntityAttention, Features
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import are_collected, fault
from luke_tasks.registry import Check, Registrable

logger = logging.getLogger(__name__)
WindowLength = Annotated[
    int, Check(lambda value: value > 2, "an integer above 2, as [CLS] and [SEP] take two", schema={"minimum": 3})
]
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BYTES_AT_ONCE = 1 << 20


class Reader(Registrable, ABC):
    """Base of the dataset readers. `dataset_reader` in a config.

    Subclasses parse their format (`read`), cut examples into windows (`encode`), and make an example of what a user
    gives `predict` (`parse_input`).
    """

    task: ClassVar[str]  # heads name the tasks they solve; reader and head of an experiment must agree
    max_sequence_length: int  # word pieces of a window, special tokens included
    tokenizer: Tokenizer
    entity_attention: EntityAttention = "all"  # what the entities of its windows attend to
    names_entities: bool = False  # whether its windows, or its labels, hold entities other than the four special ones
    has_labels: bool = True  # False: the task has no classes (answers are spans, scores, candidates): `Labels` is empty
    min_labels: ClassVar[int] = 2  # with fewer classes there is nothing to learn
    input_form: ClassVar[str | None] = None  # the JSON of raw input, where plain text cannot say what the task needs
    added_words: ClassVar[Mapping[str, str]] = {}  # word pieces the task needs → the one whose embedding each copies

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()  # what → how often, since the last report

    @abstractmethod
    def read(self, path: str | Path) -> Iterator[Any]:
        """The examples of a file. Raises DataError (`file:line: ...`) on the first bad record."""

    @abstractmethod
    def encode(self, examples: Iterable[Any]) -> Sequence[Features]:
        """The windows of some examples, in order; an example without anything to predict gives none."""

    @abstractmethod
    def labels_of(self, example: Any) -> Iterable[str]:
        """The gold labels of an example, each as often as the loss sees it; none where `has_labels` is False."""

    @abstractmethod
    def parse_input(self, record: dict[str, Any], where: str) -> Any:
        """An example from one JSON object of raw input. Raises DataError, beginning with `where`, when it is unfit."""

    def parse_line(self, line: str, where: str) -> Any:
        """An example from one line of raw input: a JSON object, or else plain text, unless `input_form` is set."""
        stripped = line.strip()
        if not stripped.startswith("{"):
            if self.input_form is not None:
                raise DataError(f"{where}: expected a JSON object, {self.input_form}, found {stripped[:60]!r}")
            return self.parse_input({"text": line.rstrip("\r\n")}, where)
        return self.parse_input(parse_json(stripped, where), where)

    def files(self) -> Iterable[Path]:
        """Files besides the data file that its windows depend on, for the cache of features, which is made again when
        their content changes. Those that a config's key names by path are known without this."""
        return ()

    def report_dropped(self, path: str | Path) -> None:
        """Log what `encode` had to leave out since the last report, once for each kind."""
        for what, count in self.dropped.items():
            logger.warning("%s: %d %s", path, count, what)
        self.dropped.clear()

    def read_encoded(self, path: str | Path) -> tuple[Sequence[Any], Sequence[Features]]:
        """All examples and windows of a file, with the report. Raises DataError, also when there is none."""
        examples = list(self.read(path))
        if not examples:
            raise DataError(f"{path}: the file holds no example")
        features = self.encode(examples)
        self.report_dropped(path)
        return examples, features


def read_text(path: str | Path, encoding: str) -> str:
    """The text of a data file, all at once; see `text_chunks`."""
    return "".join(text_chunks(path, encoding))


def text_lines(path: str | Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a data file with their numbers from 1; see `text_chunks`.

    They end at `\\n`, `\\r\\n` or `\\r`, which are left out; U+2028 and the like stand within lines.
    """
    newlines = IncrementalNewlineDecoder(None, translate=True)
    number, begun = 1, list[str]()  # the pieces of a line that the chunks have not ended yet
    for chunk in text_chunks(path, encoding):
        first, *rest = newlines.decode(chunk).split("\n")
        begun.append(first)
        if rest:
            yield number, "".join(begun)
            yield from enumerate(rest[:-1], start=number + 1)
            number, begun = number + len(rest), [rest[-1]]
    first, *rest = ("".join(begun) + newlines.decode("", final=True)).split("\n")
    yield from enumerate([first, *rest], start=number)


def text_chunks(path: str | Path, encoding: str) -> Iterator[str]:
    """The text of a data file, a piece at a time, so that no more than a piece is held; a byte order mark is dropped.

    Raises:
        DataError: there is no such file, it is a directory, unreadable, empty, or not in this encoding.
    """
    path = Path(path)
    line, is_blank, is_first = 1, True, True
    try:
        "a".encode(encoding)  # refuses what is no encoding of text, as "base64"
        with path.open("rb") as file:
            data = file.read(_BYTES_AT_ONCE)
            if data.startswith(_UTF16_MARKS) and encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
                raise DataError(f'{path}:1: begins as UTF-16 does, not {encoding}; set dataset_reader.encoding to '
                                '"utf-16", or save the file as UTF-8')  # fmt: skip
            decoder = codecs.getincrementaldecoder(_of_known_order(encoding, data))()
            while True:
                is_last = not data
                is_blank = is_blank and not data.strip()
                text = _decoded(decoder, data, is_last, path, line, encoding)
                text.encode("utf-8")  # some encodings can express half a character, which nothing can tokenize or print
                if "\0" in text:
                    line += text.count("\n", 0, text.index("\0"))
                    raise DataError(f"{path}:{line}: holds a zero byte, so it is not {encoding} text; if it is UTF-16, "
                                    'set dataset_reader.encoding to "utf-16-le" or "utf-16-be"')  # fmt: skip
                yield text.removeprefix("\ufeff") if is_first else text
                if is_last:
                    break
                line += text.count("\n")
                is_first = is_first and not text
                data = file.read(_BYTES_AT_ONCE)
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; expected a data file") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line += error.object.count(b"\n", 0, error.start)
        raise DataError(f"{path}:{line}: byte 0x{error.object[error.start]:02x} is not {encoding}; give the file's "
                        'encoding as dataset_reader.encoding, for instance "ISO-8859-1"') from None  # fmt: skip
    except LookupError:
        raise DataError(f"{path}: dataset_reader.encoding: unknown encoding {encoding!r}; expected a name such as "
                        '"utf-8", "utf-16" or "ISO-8859-1"') from None  # fmt: skip
    except ValueError as error:  # UnicodeError, or an encoding's name with a zero byte
        raise DataError(f"{path}: cannot be read as {encoding}: {error}") from None
    if is_blank:
        raise DataError(f"{path}: the file is empty")


def _decoded(
    decoder: codecs.IncrementalDecoder, data: bytes, is_last: bool, path: Path, line: int, encoding: str
) -> str:
    """The text of the next bytes, which begin in this line. Raises UnicodeDecodeError; within `all_faults`, each line
    that is not in the encoding is noted instead, and its bad bytes become U+FFFD."""
    before = decoder.getstate()
    try:
        text = decoder.decode(data, is_last)
    except UnicodeDecodeError:
        if not are_collected():
            raise
        decoder.errors = "replace"
        decoder.setstate(before)
        text = decoder.decode(data, is_last)
    if decoder.errors == "replace":
        for number, part in enumerate(text.split("\n") if "\ufffd" in text else (), start=line):
            if "\ufffd" in part:
                fault(DataError(f"{path}:{number}: holds bytes that are not {encoding}; give the file's encoding as "
                                'dataset_reader.encoding, for instance "ISO-8859-1"'))  # fmt: skip
    return text


def _of_known_order(encoding: str, data: bytes) -> str:
    """`encoding`, with its byte order where the file that begins with `data` has no mark to tell it."""
    name = codecs.lookup(encoding).name
    marks = {"utf-16": _UTF16_MARKS, "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)}.get(name)
    return encoding if marks is None or data.startswith(marks) else f"{name}-le"


def require_text(value: Any, where: str, field: str) -> str:
    """`value` if it is a string that can be written as UTF-8, else a DataError that names `where` and `field`."""
    if not isinstance(value, str):
        raise DataError(f'{where}: "{field}" must be a string, found {json.dumps(value, ensure_ascii=False)[:60]}')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f'{where}: "{field}" holds half a character (a lone \\ud800 to \\udfff): {value[:60]!r}'
        ) from None
    return value


def parse_json(line: str, where: str) -> Any:
    """The value of a line that begins with a bracket. Raises DataError, beginning with `where`, when it is not JSON."""
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: no valid JSON object ({error.msg} at column {error.colno}): {line[:60]!r}; a line "
                        "that begins with { must be one") from None  # fmt: skip
    except UnicodeEncodeError:
        raise DataError(f"{where}: holds half a character (a lone \\ud800 to \\udfff): {line[:60]!r}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataError(f"{where}: JSON that cannot be read ({error}): {line[:60]!r}") from None
    return value


def require_strings(value: Any, where: str, field: str) -> Sequence[str]:
    """`value` if it is a list of strings that are not blank, else a DataError that names `where` and `field`."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise DataError(f'{where}: "{field}" must be a list of words (strings that are not blank), found '
                        f"{describe(value)}")  # fmt: skip
    for item in value:
        require_text(item, where, field)
    return value
