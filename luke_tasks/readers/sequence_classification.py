"""Texts, or pairs of texts, to classes or to a number: GLUE's tasks (Wang et al. 2019) and whatever has their form.

In: TSV, CSV or JSON lines. Out: one window an example, `[CLS] text [SEP]` or `[CLS] text [SEP] text_pair [SEP]` as the
checkpoint joins pairs, with the entities that a JSON record names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from luke_tasks.data.features import Features, FloatArray, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.mentions import Mention, entity_ids, parse_mentions, place_mentions
from luke_tasks.readers.reader import Reader, WindowLength
from luke_tasks.readers.records import Record, TextFrame, get, get_id, get_string
from luke_tasks.readers.tables import TableFormat, column, table_records
from luke_tasks.registry import Encoding, Provided

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
_TEXTS_AT_ONCE = 1000


@dataclass
class TextExample:
    """A text, or a pair of texts."""

    id: str
    text: str
    text_pair: str | None
    label: str | list[str] | float | None  # one class, several, or a number; None when unlabelled
    where: str  # file:line
    mentions: list[Mention] = field(default_factory=list)  # entities of `text`


@dataclass(eq=False)
class TextFeatures(Features):
    """The whole text, or pair, in one window."""

    def targets(self, labels: Labels) -> IntArray | FloatArray | None:
        """() the class, (C,) 1 for each class of several, or () the number."""
        label, where = self.example.label, self.example.where
        if isinstance(label, str):
            return np.array(labels.index(label, where))
        if isinstance(label, list):
            targets = np.zeros(len(labels), dtype=np.int64)
            targets[[labels.index(name, where) for name in label]] = 1
            return targets
        return None if label is None else np.array(label, dtype=np.float32)


@Reader.register("sequence_classification")
class SequenceClassificationReader(Reader):
    """A record a line. With `text: "sentence1", text_pair: "sentence2", label: "gold_label"`, the table

        index   sentence1             sentence2              gold_label
        0       A man is eating.      A man eats something.  entailment

    gives `TextExample("file:2", "A man is eating.", "A man eats something.", "entailment", ...)`. JSON lines have the
    same keys; the label may be an integer, of several classes a list, and `"entities"` may name entities of the text
    as in `mentions.py`. Columns that are not named here are not read. A pair that does not fit the window loses pieces
    at the end of its longer text until both are of one length, then both do (`transformers`' `longest_first`).

    Args:
        tokenizer: of the encoder's checkpoint.
        problem_type: one class a text, any number of classes, or a number to predict.
        text: name of the column of the text.
        text_pair: name of the column of a second text; None: single texts.
        label: name of the column of the label; None: an unlabelled file, for `predict --use-dataset-reader`.
        columns: names of the columns of a file whose first line does not name them (CoLA).
        format: of the file, see `tables.py`.
        label_separator: between several classes in one cell.
        max_sequence_length: word pieces of a window, special tokens included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "sequence_classification"

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        problem_type: ProblemType = "single_label_classification",
        text: str = "text",
        text_pair: str | None = None,
        label: str | None = "label",
        columns: list[str] | None = None,
        format: TableFormat = "auto",
        label_separator: str = ",",
        max_sequence_length: WindowLength = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.problem_type = problem_type
        self.text, self.text_pair, self.label = text, text_pair, label
        self.columns = columns
        self.format: TableFormat = format
        self.label_separator = label_separator
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding
        self.has_labels = problem_type != "regression"

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Classes in one cell need something between them, and a pair needs room."""
        if values["label_separator"] == "":
            yield "label_separator", 'must not be empty; expected what stands between classes, such as ","'
        if values["text_pair"] is not None and values["max_sequence_length"] < 5:
            yield "max_sequence_length", f"{values['max_sequence_length']} leaves no room for a pair; give 5 or more"

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[TextExample]:
        for record, where in table_records(path, self.encoding, self.format, self.columns):
            with one_record:
                for option, name in (("text", self.text), ("text_pair", self.text_pair), ("label", self.label)):
                    if name is not None:
                        column(record, name, option, where)
                frame = TextFrame(get_string(record, self.text, where))
                pair = None if self.text_pair is None else _second_text(record, self.text_pair, where)
                label = None if self.label is None else self._gold(record[self.label], where)
                yield TextExample(where, frame.text, pair, label, where, parse_mentions(record, frame, where))

    def _gold(self, value: Any, where: str) -> str | list[str] | float:
        if self.problem_type == "regression":
            return _number(value, str(self.label), where)
        if self.problem_type == "single_label_classification":
            return _class_name(value, str(self.label), where)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(self.label_separator) if part.strip()]
        if not isinstance(value, list):
            raise DataError(f'{where}: "{self.label}" must be a list of classes, or a string with '
                            f"{self.label_separator!r} between them, found {describe(value)}")  # fmt: skip
        return list(dict.fromkeys(_class_name(item, str(self.label), where) for item in value))

    def labels_of(self, example: TextExample) -> Iterable[str]:
        if isinstance(example.label, str):
            return [example.label]
        return example.label if isinstance(example.label, list) else []

    def parse_input(self, record: Record, where: str) -> TextExample:
        """`{"text": ..., "text_pair": ..., "entities": [...]}`, or with the names of the columns; `"id"` is kept."""
        text_key = self.text if self.text in record else "text"
        frame = TextFrame(get_string(record, text_key, where))
        pair = None
        if self.text_pair is not None:
            pair = _second_text(record, self.text_pair if self.text_pair in record else "text_pair", where)
        elif record.get("text_pair") is not None:
            raise DataError(f'{where}: "text_pair" is there, but the model reads single texts; leave it out, or, if it '
                            """was trained on pairs, -o '{"dataset_reader.text_pair": "text_pair"}'""")  # fmt: skip
        id = get_id(record, where)
        return TextExample(id, frame.text, pair, None, where, parse_mentions(record, frame, where))

    def parse_line(self, line: str, where: str) -> Any:
        """A JSON object, a text, or two texts with a tab between them."""
        if self.text_pair is None or line.lstrip().startswith("{"):
            return super().parse_line(line, where)
        texts = line.rstrip("\r\n").split("\t")
        if len(texts) != 2:
            raise DataError(f"{where}: expected two texts with a tab between them, or a JSON object, found "
                            f"{len(texts)}: {line.rstrip()[:60]!r}")  # fmt: skip
        return self.parse_input({"text": texts[0], "text_pair": texts[1]}, where)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[TextExample]) -> list[TextFeatures]:
        stream, made = iter(examples), []
        while chunk := list(islice(stream, _TEXTS_AT_ONCE)):
            pieces = self.tokenizer.texts_to_pieces([example.text for example in chunk])
            pair_pieces = self.tokenizer.texts_to_pieces([example.text_pair or "" for example in chunk])
            made += [self._window(*parts) for parts in zip(chunk, pieces, pair_pieces, strict=True)]
        return made

    def _window(self, example: TextExample, pieces: list[int], pair_pieces: list[int]) -> TextFeatures:
        special, types = self.tokenizer.special, None
        num_special = 2 if example.text_pair is None else self.tokenizer.pair_layout.num_special
        kept, kept_pair = longest_first(len(pieces), len(pair_pieces), self.max_sequence_length - num_special)
        if kept + kept_pair < len(pieces) + len(pair_pieces):
            self.dropped[f"texts are longer than the window ({self.max_sequence_length} word pieces) and were cut"] += 1
        if example.text_pair is None:
            word_ids = np.array([special.cls, *pieces[:kept], special.sep])
        else:
            pair = self.tokenizer.pair(pieces[:kept], pair_pieces[:kept_pair])
            word_ids, types = pair.word_ids, pair.word_type_ids
        mentions, spans = example.mentions, np.zeros((0, 2), dtype=np.int64)
        if mentions:
            (with_offsets,) = self.tokenizer.texts_to_offset_pieces([example.text])
            mentions, spans = place_mentions(mentions, with_offsets.offsets[:kept], 1, self.dropped)  # 1: after [CLS]
        return TextFeatures(
            example=example,
            word_ids=word_ids,
            entity_ids=entity_ids(mentions, self.tokenizer.entity_vocab, self.dropped),
            entity_spans=spans,
            num_words=len(example.text.split()) + len((example.text_pair or "").split()),
            word_type_ids=types,
        )


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many pieces two texts keep in `room`: the longer one loses first; of an odd rest, the longer keeps more."""
    if first + second <= room:
        return first, second
    half = room // 2
    if first <= second:
        kept = min(first, half)
        return kept, room - kept
    kept = min(second, half)
    return room - kept, kept


def _second_text(record: Record, field: str, where: str) -> str:
    """May be blank, as some of GLUE's are."""
    value = get(record, field, where)
    if not isinstance(value, str):
        raise DataError(f'{where}: "{field}" must be a string, found {describe(value)}')
    return value


def _class_name(value: Any, field: str, where: str) -> str:
    """A class is a string or, as GLUE's are in JSON, an integer."""
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f'{where}: "{field}": a class must be a string that is not blank, or an integer, found '
                        f"{describe(value)}")  # fmt: skip
    return value


def _number(value: Any, field: str, where: str) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise DataError(f'{where}: "{field}" must be a number, as problem_type is "regression", found {describe(value)}')
