"""ReCoRD: which entity of a passage belongs in the gap of a query (LUKE, Yamada et al. 2020, section 4.4).

In: the published JSON (Zhang et al. 2018), or raw input. Out: windows of a query and a stretch of its passage, with a
`[MASK]` entity on the query's gap and one on each candidate that the stretch holds whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.text import UNSPACED
from luke_tasks.data.tokenizer import MASK_ENTITY, Tokenizer
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.reader import Reader, WindowLength, require_text
from luke_tasks.readers.record_text import (
    PIECE_SOURCES,
    PLACEHOLDER,
    Passage,
    PassagePieces,
    QueryPieces,
    passage_pieces,
    query_pieces,
)
from luke_tasks.readers.records import (
    Record,
    Span,
    TextFrame,
    get,
    get_id,
    get_integer,
    get_record,
    get_records,
    get_string,
    json_array,
)
from luke_tasks.registry import Encoding, PositiveInt, Provided

_EXAMPLES_AT_ONCE = 256
_SPACED_LETTER = rf"[^\W{UNSPACED}]"  # what may not touch a whole word


@dataclass
class RecordExample:
    """A query about a passage; the queries of one article share theirs."""

    id: str
    query: str  # holds "@placeholder" once
    passage: Passage
    answers: Sequence[Span] | None  # where the passage names the missing entity; None when unlabelled
    where: str  # file and record

    def gold_answers(self) -> Sequence[Span]:
        """`answers`. Raises DataError when the example has none."""
        if self.answers is None:
            raise DataError(f'{self.where}: "answers" is missing or empty: nothing to learn from or to score against; '
                            "give them, or use `predict --use-dataset-reader`")  # fmt: skip
        return self.answers

    def gold_texts(self) -> list[str]:
        """The right answers in the passage's words."""
        return [self.passage.text[start:end] for start, end in self.gold_answers()]


@dataclass(eq=False)
class RecordFeatures(Features):
    """One window. Its first entity is the gap, the others are candidates: E = 1 + C."""

    candidates: Sequence[int]  # (C,) which ones of the passage

    def targets(self, labels: Labels) -> IntArray:
        """(C,) 1 where a candidate is an answer. Raises DataError when the example has none."""
        answers = set(self.example.gold_answers())
        return np.array(
            [self.example.passage.candidates[index] in answers for index in self.candidates], dtype=np.int64
        )


@Reader.register("record")
class RecordReader(Reader):
    """The published JSON of ReCoRD. `end` is the last character, `answers` may be missing (the test set), other fields
    are not read:

        {"data": [{"passage": {"text": "Ada Lo left Acme.\\n@highlight\\n\\nA founder left",
                               "entities": [{"start": 0, "end": 5}, {"start": 12, "end": 15}]},
                   "qas": [{"id": "q1", "query": "Shares of @placeholder fell.",
                            "answers": [{"start": 12, "end": 15, "text": "Acme"}]}]}, ...]}

    becomes `RecordExample("q1", "Shares of @placeholder fell.", Passage("Ada Lo left Acme...", [(0, 6), (12, 16)]),
    answers=[(12, 16)])`, and its window `[CLS] Shares of [PLACEHOLDER] fell. [SEP] [SEP] [ENTITY] Ada Lo [ENTITY] left
    [ENTITY] Acme [ENTITY]. [HIGHLIGHT] A founder left [SEP]`, as in LUKE's published code for ReCoRD.

    A passage is tokenized in the slices between its markers; SentencePiece puts a space before each slice, and BERT's
    word pieces begin a word there. (Where a slice that begins without a space holds `@highlight`, the published code
    reads part of it twice: here once.) Candidates that overlap are marked one inside the other.

    A long passage gives several windows; a candidate is left out of one that cuts it, and a window without candidate is
    left out. A query that is too long loses its end, or what comes first if its gap would go. All this is counted.

    Args:
        tokenizer: of the encoder's checkpoint.
        max_sequence_length: word pieces of a window, special tokens and markers included.
        stride: the next window starts so many word pieces of the passage further.
        max_query_length: word pieces of a query.
        max_mention_length: the position of an entity is the mean of at most so many word pieces, its first ones.
        encoding: of the file.

    Raises:
        ValueError: beside a query of `max_query_length` a window has no room for a candidate.
        DataError: see `read`.
    """

    task: ClassVar[str] = "record"
    has_labels = False
    input_form: ClassVar[str | None] = '{"query": "...", "passage": "...", "candidates": ["...", [start, end], ...]}'
    added_words: ClassVar[Mapping[str, str]] = PIECE_SOURCES

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        max_sequence_length: WindowLength = 512,
        stride: PositiveInt = 128,
        max_query_length: PositiveInt = 90,
        max_mention_length: PositiveInt = 30,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        limits = {"max_sequence_length": max_sequence_length, "max_query_length": max_query_length}
        for key, message in self.config_faults(limits):  # called from Python
            raise ValueError(f"{key}: {message}")
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length
        self.stride = stride
        self.max_query_length = max_query_length
        self.max_mention_length = max_mention_length
        self.encoding = encoding

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """A window must have room for a query and a candidate."""
        room = values["max_sequence_length"] - 7  # special tokens of a pair, a candidate of one piece and its markers
        if values["max_query_length"] > room:
            yield "max_query_length", (f"{values['max_query_length']} leaves no room for the passage in windows of "
                                       f"{values['max_sequence_length']} word pieces; give at most {room}, or longer "
                                       "windows")  # fmt: skip

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[RecordExample]:
        for article, where in json_array(path, self.encoding, "data", "article"):
            with one_record:
                passage = self._passage(get_record(article, "passage", where), f"{where}, passage")
                for number, query in enumerate(get_records(article, "qas", where), start=1):
                    id = str(query["id"]) if query.get("id") is not None else ""
                    query_where = f"{where}, query {number}" + (f" (id {id})" if id else "")
                    with one_record:
                        yield self._example(query, passage, id, query_where)

    def _example(self, query: Record, passage: Passage, id: str, where: str) -> RecordExample:
        answers = _answers(query, passage, where)
        if answers and not any(answer in passage.candidates for answer in answers):
            self.dropped["queries have no answer among the passage's entities: they can only be answered wrongly"] += 1
        return RecordExample(id or where, _query(query, where), passage, answers, where)

    def _passage(self, record: Record, where: str) -> Passage:
        frame = TextFrame(get_string(record, "text", where))
        spans = [
            _inclusive_span(entity, frame, f"{where}, entity {number}")
            for number, entity in enumerate(get_records(record, "entities", where), start=1)
        ]
        distinct = sorted(set(spans))
        if len(distinct) < len(spans):
            self.dropped["entities are listed twice in their passage, and taken once"] += len(spans) - len(distinct)
        return Passage(frame.text, distinct)

    def labels_of(self, example: RecordExample) -> Iterable[str]:
        return []

    def parse_input(self, record: Record, where: str) -> RecordExample:
        """`{"query": ..., "passage": ..., "candidates": [...]}`; a candidate is `[start, end)` in characters of the
        passage, or a string, which stands for every place where the passage has it as whole words. `"id"` is kept."""
        query = _query(record, where)
        frame = TextFrame(get_string(record, "passage", where))
        candidates = get(record, "candidates", where)
        if not isinstance(candidates, list | tuple) or not candidates:
            raise DataError(f'{where}: "candidates" must be a list of [start, end) or of strings, and hold one at '
                            f"least, found {describe(candidates)}")  # fmt: skip
        spans: set[Span] = set()
        for index, candidate in enumerate(candidates):
            field = f"candidates.{index}"
            if isinstance(candidate, str):
                spans.update(_places(require_text(candidate, where, field), frame.text, field, where))
            else:
                spans.add(frame.span(candidate, field, where))
        id = get_id(record, where)
        return RecordExample(id, query, Passage(frame.text, sorted(spans)), None, where)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[RecordExample]) -> Sequence[RecordFeatures]:
        stream = iter(examples)
        windows: list[RecordFeatures] = []
        while chunk := list(islice(stream, _EXAMPLES_AT_ONCE)):
            passages = {id(example.passage): example.passage for example in chunk}
            pieces = dict(zip(passages, passage_pieces(list(passages.values()), self.tokenizer), strict=True))
            queries = query_pieces([example.query for example in chunk], self.tokenizer)
            for example, query in zip(chunk, queries, strict=True):
                windows += self._windows(example, query, pieces[id(example.passage)])
        return windows

    def _windows(self, example: RecordExample, query: QueryPieces, passage: PassagePieces) -> list[RecordFeatures]:
        if len(query.ids) > self.max_query_length:
            query = query.shortened(self.max_query_length)
            self.dropped[f"queries are longer than max_query_length ({self.max_query_length} word pieces) and were "
                         "cut"] += 1  # fmt: skip
        layout = self.tokenizer.pair_layout
        capacity = self.max_sequence_length - len(query.ids) - layout.num_special
        windows: list[RecordFeatures] = []
        for start, end in passage.windows(capacity, self.stride):
            whole = np.flatnonzero((passage.spans[:, 0] >= start) & (passage.spans[:, 1] <= end))  # (C,)
            if not len(whole):
                self.dropped["windows hold no candidate and were left out"] += 1
                continue
            pair = self.tokenizer.pair(query.ids, passage.ids[start:end].tolist())
            spans = passage.spans[whole] + (pair.second_start - start)
            spans = np.concatenate([[[1 + query.gap, 2 + query.gap]], spans])  # (E, 2)
            spans[:, 1] = np.minimum(spans[:, 1], spans[:, 0] + self.max_mention_length)
            types = np.array([0, *[layout.second_type] * len(whole)]) if layout.second_type else None  # (E,)
            windows.append(
                RecordFeatures(
                    example=example,
                    word_ids=pair.word_ids,
                    word_type_ids=pair.word_type_ids,
                    entity_ids=np.full(len(spans), self.tokenizer.entity_vocab[MASK_ENTITY]),
                    entity_spans=spans,
                    entity_type_ids=types,
                    num_words=0 if windows else len(f"{example.query} {example.passage.text}".split()),
                    candidates=whole.tolist(),
                )
            )
        self._count_lost(example, windows)
        return windows

    def _count_lost(self, example: RecordExample, windows: Sequence[RecordFeatures]) -> None:
        candidates = example.passage.candidates
        whole = {candidates[index] for window in windows for index in window.candidates}
        if len(whole) < len(candidates):
            self.dropped["candidates fit whole into no window and were left out"] += len(candidates) - len(whole)
        if not whole:
            self.dropped["queries have no candidate in any window and stay unanswered"] += 1
        elif (
            example.answers is not None
            and whole.isdisjoint(example.answers)
            and (not set(candidates).isdisjoint(example.answers))
        ):
            self.dropped["queries have their answer in no window: they can only be answered wrongly"] += 1


def _query(record: Record, where: str) -> str:
    query = get_string(record, "query", where)
    if (count := query.count(PLACEHOLDER)) != 1:
        raise DataError(f'{where}: "query" must hold "{PLACEHOLDER}" once, found it {count} times in {describe(query)}')
    return query


def _answers(record: Record, passage: Passage, where: str) -> Sequence[Span] | None:
    """None where there are none: the test set."""
    if not record.get("answers"):
        return None
    spans = []
    for number, answer in enumerate(get_records(record, "answers", where), start=1):
        own_where = f"{where}, answer {number}"
        start, end = _inclusive_span(answer, TextFrame(passage.text), own_where)
        text, found = get_string(answer, "text", own_where), passage.text[start:end]
        if text != found:
            raise DataError(f'{own_where}: "text" is {describe(text)}, but from "start" {start} to "end" {end - 1} the '
                            f"passage has {describe(found)}; mend the one or the other")  # fmt: skip
        spans.append((start, end))
    return spans


def _inclusive_span(record: Record, frame: TextFrame, where: str) -> Span:
    """Characters `[start, end)` from `"start"` and `"end"`, the last one."""
    start, last = (get_integer(record, field, where) for field in ("start", "end"))
    if not 0 <= start <= last < len(frame.text):
        raise DataError(f'{where}: "start" {start}, "end" {last}: expected 0 <= start <= end < {len(frame.text)}, the '
                        "number of characters of the passage")  # fmt: skip
    return frame.span([start, last + 1], "start, end", where)


def _places(candidate: str, passage: str, field: str, where: str) -> list[Span]:
    """Where the passage has the candidate as whole words."""
    pattern = rf"(?<!{_SPACED_LETTER}){re.escape(candidate.strip())}(?!{_SPACED_LETTER})"
    found = [match.span() for match in re.finditer(pattern, passage)] if candidate.strip() else []
    if not found:
        raise DataError(f'{where}: "{field}": the passage does not have {describe(candidate)} as whole words; write it '
                        "as it stands there, or give its characters as [start, end)")  # fmt: skip
    return found
