"""Extractive question answering: which stretch of a context answers a question (LUKE, Yamada et al. 2020, section 4.5).

In: SQuAD-form JSON (see `squad_format.py`). Out: windows `[CLS] question [SEP] part of the context [SEP]`, with the
Wikipedia entities that a linker finds in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Pair, Pieces, Tokenizer
from luke_tasks.readers.entity_linker import EntityLinker, Mention
from luke_tasks.readers.reader import Reader, WindowLength
from luke_tasks.readers.records import Record, Span, get_id, get_string
from luke_tasks.readers.squad_format import GoldAnswer, Languages, SquadExample, read_squad
from luke_tasks.registry import Encoding, NonNegativeInt, PositiveInt, Provided

_WORD = re.compile(r"\S+")
_CHUNK = 1024  # questions that are tokenized together
_MAX_SPECIAL = 4  # special tokens of a pair: RoBERTa has 4, BERT 3


@dataclass(eq=False)
class SquadFeatures(Features):
    """A question and a part of its context."""

    context_span: Span  # word pieces [start, end) of the context within `word_ids`
    offsets: NDArray[np.int32]  # (N, 2) characters of the context that its N pieces here stand for
    answer_span: Span | None  # word pieces [start, end) of the first answer; None: it is not whole in this window

    def targets(self, labels: Labels) -> IntArray:
        """(2,) first and last word piece of the answer; twice 0, `[CLS]`, where the window does not hold it.

        Raises DataError when the example is unlabelled.
        """
        self.example.gold_answers()
        start, end = self.answer_span or (0, 1)
        return np.array([start, end - 1])


@dataclass(frozen=True)
class _Context:
    """The N word pieces of a context."""

    ids: list[int]
    offsets: NDArray[np.int32]  # (N, 2) characters
    num_words: int

    def pieces_of(self, answer: GoldAnswer) -> Span | None:
        """The pieces that hold a character of the answer; None where none does (a control character, for one)."""
        first = int(np.searchsorted(self.offsets[:, 1], answer.start, side="right"))
        last = int(np.searchsorted(self.offsets[:, 0], answer.start + len(answer.text), side="left"))
        return (first, last) if first < last else None


@Reader.register("transformers_squad")
class SquadReader(Reader):
    """SQuAD v1.1 and v2.0, XQuAD, MLQA: one JSON file.

        {"version": "1.1", "data": [{"title": "Super_Bowl_50", "paragraphs": [{"context": "Denver won in 2016.",
         "qas": [{"id": "56be", "question": "Who won?", "answers": [{"text": "Denver", "answer_start": 0}]}]}]}]}

    becomes `SquadExample("56be", "Super Bowl 50", "Who won?", "Denver won in 2016.", [GoldAnswer("Denver", 0)], ...)`.
    In v2.0 `"is_impossible": true` stands by questions that the context does not answer. Questions without the key
    `"answers"` are unlabelled: for `predict --use-dataset-reader`.

    A context is cut at whitespace and its words are tokenized on their own, with a space before them. One that does not
    fit the window beside its question gives several windows. Of several answers the first is learned. A window that
    does not hold the whole of it learns that there is none, and a question whose answer is whole in no window is
    counted; so are questions that are cut.

    Args:
        tokenizer: of the encoder's checkpoint.
        max_sequence_length: word pieces of a window, special tokens included.
        stride: word pieces that neighbouring windows of a context share.
        max_query_length: word pieces of a question; longer ones are cut.
        skip_impossible_questions: leave out windows without an answer, for training on v1.1; not for evaluation, where
            a question without a window gets no answer, and the others are shown where theirs is. Counted.
        languages: of questions and of contexts, as `["en", "de"]`; by default as XQuAD's and MLQA's file names say, and
            English for any other.
        wiki_entity_linker: finds the entities of question and context; None: there are none.
        max_num_entity_features: entities of a window; more are left out and counted.
        encoding: of the file.

    Raises:
        ValueError: beside a question of `max_query_length` a window has no room for more than what windows share.
        DataError: see `read`.
    """

    task: ClassVar[str] = "question_answering"
    has_labels = False
    input_form: ClassVar[str | None] = '{"question": "...", "context": "..."}'

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        max_sequence_length: WindowLength = 384,
        stride: NonNegativeInt = 128,
        max_query_length: PositiveInt = 64,
        skip_impossible_questions: bool = False,
        languages: tuple[str, str] | None = None,
        wiki_entity_linker: EntityLinker | None = None,
        max_num_entity_features: PositiveInt = 128,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        limits = {"max_sequence_length": max_sequence_length, "max_query_length": max_query_length, "stride": stride}
        for key, message in self.config_faults(limits):  # called from Python
            raise ValueError(f"{key}: {message}")
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length
        self.stride = stride
        self.max_query_length = max_query_length
        self.skip_impossible_questions = skip_impossible_questions
        self.languages = Languages(*languages, languages[1]) if languages else None
        self.linker = wiki_entity_linker
        self.names_entities = wiki_entity_linker is not None
        self.max_num_entity_features = max_num_entity_features
        self.encoding = encoding
        if self.linker is not None:
            self.linker.use(tokenizer)

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Beside the longest question there must be room for more than what windows share."""
        room = values["max_sequence_length"] - values["max_query_length"] - _MAX_SPECIAL
        if room < 1:
            yield "max_query_length", (f"{values['max_query_length']} leaves no room for the context in windows of "
                                       f"{values['max_sequence_length']} word pieces; give less than "
                                       f"{values['max_query_length'] + room}, or longer windows")  # fmt: skip
        elif values["stride"] >= room:
            yield "stride", (f"windows share {values['stride']} word pieces, but beside a question of "
                             f"{values['max_query_length']} and {_MAX_SPECIAL} special tokens only {room} of the "
                             f"context fit into {values['max_sequence_length']}; give less than {room}")  # fmt: skip

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[SquadExample]:
        return read_squad(path, self.encoding, self.languages or Languages.of_file(path))

    def labels_of(self, example: SquadExample) -> Iterable[str]:
        return ()

    def parse_input(self, record: Record, where: str) -> SquadExample:
        """`{"question": ..., "context": ...}`; `"id"` is kept, and `"title"`, the article, is for the entity linker."""
        question, context = (get_string(record, field, where) for field in ("question", "context"))
        title = get_string(record, "title", where) if record.get("title") is not None else ""
        id = get_id(record, where)
        return SquadExample(id, title.replace("_", " "), question, context, None, self.languages or Languages(), where)

    def files(self) -> Iterable[Path]:
        """Those of the linker."""
        return () if self.linker is None else self.linker.files()

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[SquadExample]) -> Sequence[SquadFeatures]:
        stream = iter(examples)
        windows: list[SquadFeatures] = []
        while chunk := list(islice(stream, _CHUNK)):
            contexts = self._tokenize_contexts(list(dict.fromkeys(example.context for example in chunk)))
            questions = self.tokenizer.texts_to_offset_pieces([example.question for example in chunk])
            for example, question in zip(chunk, questions, strict=True):
                windows += self._windows(example, question, contexts[example.context])
        return windows

    def _tokenize_contexts(self, texts: Sequence[str]) -> dict[str, _Context]:
        """Each distinct word once: its pieces do not depend on its neighbours."""
        spans = [[found.span() for found in _WORD.finditer(text)] for text in texts]
        words = [[(" " if start else "") + text[start:end] for start, end in own]
                 for text, own in zip(texts, spans, strict=True)]  # fmt: skip
        distinct = list(dict.fromkeys(word for own in words for word in own))
        pieces = dict(zip(distinct, self.tokenizer.texts_to_offset_pieces(distinct), strict=True))
        contexts = {}
        for text, own_spans, own_words in zip(texts, spans, words, strict=True):
            ids: list[int] = []
            offsets: list[tuple[int, int]] = []
            for (start, _), word in zip(own_spans, own_words, strict=True):
                shift = start - word.startswith(" ")  # the space that was put before the word
                ids += pieces[word].ids
                offsets += [
                    (max(first + shift, start), max(last + shift, start)) for first, last in pieces[word].offsets
                ]
            array = np.array(offsets, dtype=np.int32).reshape(-1, 2)
            contexts[text] = _Context(ids, np.maximum.accumulate(array, axis=0), len(own_spans))
        return contexts

    def _windows(self, example: SquadExample, question: Pieces, context: _Context) -> list[SquadFeatures]:
        """The windows of a question, from left to right."""
        if len(question.ids) > self.max_query_length:
            self.dropped[f"questions are longer than {self.max_query_length} word pieces and were cut"] += 1
        query = question.ids[: self.max_query_length]
        room = self.max_sequence_length - len(query) - self.tokenizer.pair_layout.num_special
        answer = context.pieces_of(example.answers[0]) if example.answers else None
        linked = self._link_question(example, question)
        windows: list[SquadFeatures] = []
        start, end = 0, room
        while True:
            offsets = context.offsets[start:end]
            pair = self.tokenizer.pair(query, context.ids[start:end])
            answer_span = None
            if answer is not None and start <= answer[0] and answer[1] <= end:
                answer_span = (answer[0] - start + pair.second_start, answer[1] - start + pair.second_start)
            if self.skip_impossible_questions and example.answers is not None and answer_span is None:
                self.dropped["windows without an answer were left out (skip_impossible_questions: for training; scores "
                             "on this file are too good)"] += 1  # fmt: skip
            else:
                mentions = linked + self._link_context(example, offsets, pair.second_start)
                windows.append(SquadFeatures(
                    example=example,
                    word_ids=pair.word_ids,
                    word_type_ids=pair.word_type_ids,
                    num_words=0 if windows else context.num_words + len(example.question.split()),
                    context_span=(pair.second_start, pair.second_start + len(offsets)),
                    offsets=offsets,
                    answer_span=answer_span,
                    **self._entities(mentions, pair),
                ))  # fmt: skip
            if end >= len(context.ids):
                break
            start, end = end - self.stride, end - self.stride + room
        if example.answers and all(window.answer_span is None for window in windows):
            what = "were left out" if self.skip_impossible_questions else "are learned as if they had none"
            self.dropped[f"questions have an answer that no window holds whole, and {what}"] += 1
        elif example.answers is not None and not windows:
            self.dropped["questions have no answer and were left out (skip_impossible_questions)"] += 1
        return windows

    # -- entities ---------------------------------------------------------------------------------------------------

    def _link_question(self, example: SquadExample, question: Pieces) -> list[Mention]:
        if self.linker is None:
            return []
        languages = example.languages
        candidates = self.linker.candidates(example.title, languages.title, languages.question)
        if candidates is None:
            why = "are of articles without mention candidates" if example.title else 'have no "title" to link by'
            self.dropped[f"questions {why}, and got no entities"] += 1
            return []
        found = self.linker.link(
            example.question, question.offsets[: self.max_query_length], candidates, languages.question
        )
        return [Mention(mention.entity_id, mention.start + 1, mention.end + 1) for mention in found]  # after [CLS]

    def _link_context(self, example: SquadExample, offsets: NDArray[np.int32], context_start: int) -> list[Mention]:
        if self.linker is None:
            return []
        languages = example.languages
        title_language = languages.title if languages.question == languages.context else languages.context
        candidates = self.linker.candidates(example.title, title_language, languages.context)
        if candidates is None:
            return []
        found = self.linker.link(example.context, offsets.tolist(), candidates, languages.context)
        return [Mention(mention.entity_id, mention.start + context_start, mention.end + context_start)
                for mention in found]  # fmt: skip

    def _entities(self, mentions: Sequence[Mention], pair: Pair) -> Mapping[str, Any]:
        if len(mentions) > self.max_num_entity_features:
            self.dropped[f"windows have more than {self.max_num_entity_features} entities; the last were left out"] += 1
            mentions = mentions[: self.max_num_entity_features]
        spans = np.array([(mention.start, mention.end) for mention in mentions], dtype=np.int64).reshape(
            -1, 2
        )  # (E, 2)
        types = None if pair.word_type_ids is None else pair.word_type_ids[spans[:, 0]]  # (E,)
        ids = np.array([mention.entity_id for mention in mentions], dtype=np.int64)  # (E,)
        return {"entity_ids": ids, "entity_spans": spans, "entity_type_ids": types}
