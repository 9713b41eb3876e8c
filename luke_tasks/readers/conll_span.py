"""CoNLL files for span-based NER: documents → windows whose entities are all candidate spans of one sentence.

The windows, candidate spans and splits are those of studio-ousia/luke's `examples/ner` (LUKE, Yamada et al. 2020,
section 4.3): a sentence stands amid as much of its document as the window holds, every word span of at most
`max_mention_length` word pieces is a `[MASK]` entity, and more than `max_entity_length` of them are shared out evenly
over several windows of the same words. With `context: "shared"` the spans of many sentences stand in one window.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.text import split_lines, split_words
from luke_tasks.data.tokenizer import MASK_ENTITY, Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.readers.columns import ColumnDocument, parse_columns
from luke_tasks.readers.reader import Reader, WindowLength, read_text, require_strings, require_text
from luke_tasks.readers.shared_context import Window, shared_windows
from luke_tasks.readers.tagging import Scheme, Span, Tag, detect_scheme, parse_tags, spans_of
from luke_tasks.readers.windows import candidate_spans, join_pieces, split_long_sentence, window_ids, with_context
from luke_tasks.registry import Encoding, PositiveInt, Provided

logger = logging.getLogger(__name__)

NON_ENTITY = "O"


@dataclass
class NerExample:
    """A document. Word indices are document-wide; spans are `[start, end)`."""

    id: str
    words: list[str]
    sentences: list[tuple[int, int]]  # words of each sentence; one after another, they are all words
    entities: list[Span] | None  # gold; None when unlabelled
    text: str  # the words in their original spacing, or joined by single spaces
    word_offsets: IntArray  # (N, 2) characters of each of the N words in `text`
    source: str = ""  # the file
    sentence_lines: list[int] = field(default_factory=list)  # first line of each sentence in the file

    def where(self, word: int) -> str:
        """`file:line` of a word, for messages; the id of an example that came from no file."""
        if not self.sentence_lines:
            return self.id
        sentence = bisect_right(self.sentences, word, key=lambda words: words[0]) - 1
        return f"{self.source}:{self.sentence_lines[sentence] + word - self.sentences[sentence][0]}"


@dataclass(eq=False)
class NerFeatures(Features):
    """One window: `entity_spans` are candidate spans in word pieces, `word_spans` the same in the document's words."""

    word_spans: IntArray  # (E, 2)
    span_labels: NDArray[np.object_] | None  # (E,) label names, "O" where no entity is; None when unlabelled
    where: str  # file:line of the sentence

    def targets(self, labels: Labels) -> IntArray | None:
        if self.span_labels is None:
            return None
        targets = np.full(len(self.span_labels), labels.index(NON_ENTITY, self.where))
        for index in np.flatnonzero(self.span_labels != NON_ENTITY):
            targets[index] = labels.index(self.span_labels[index], self.example.where(self.word_spans[index, 0]))
        return targets


@Reader.register("conll_span")
class ConllSpanReader(Reader):
    """Columns separated by spaces or tabs, the word first and its tag last; a blank line ends a sentence.

        EU NNP B-NP B-ORG
        rejects VBZ B-VP O
        German JJ B-NP B-MISC

    becomes `NerExample(words=["EU", "rejects", "German"], entities=[Span(0, 1, "ORG"), Span(2, 3, "MISC")], ...)`.
    `-DOCSTART-` lines separate documents; a file without them is one document. CoNLL-2003 has 4 columns, CoNLL-2002
    3 or 2, WNUT-17 2 with tabs; the first line decides, and all others must have as many.

    Args:
        tokenizer: of the encoder's checkpoint.
        max_sequence_length: word pieces of a window, special tokens included.
        max_entity_length: candidate spans of a window; a shared one has all of its sentences'.
        max_mention_length: word pieces of a candidate span; longer gold entities cannot be predicted and are counted.
        iob_scheme: how tags mark entities; `detect` looks at the whole file.
        encoding: of the file.
        context: `document`: a sentence is read amid its neighbours; `sentence`: alone, for files whose neighbouring
            sentences have nothing to do with each other (tweets), and faster; `shared`: many sentences in one window,
            whose words do not see the spans (see `readers/shared_context.py`), faster by far on documents.
        span_attention: what a span of a shared window attends to besides the words: to itself (`self`), or to all
            spans of its sentence (`sentence`). Otherwise all spans of a window see each other.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "ner"

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        max_sequence_length: WindowLength = 512,
        max_entity_length: PositiveInt = 128,
        max_mention_length: PositiveInt = 16,
        iob_scheme: Scheme | Literal["detect"] = "detect",
        encoding: Encoding = "utf-8",
        context: Literal["document", "sentence", "shared"] = "document",
        span_attention: Literal["self", "sentence"] = "self",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length
        self.max_entity_length = max_entity_length
        self.max_mention_length = max_mention_length
        self.iob_scheme = iob_scheme
        self.encoding = encoding
        self.context = context
        self.span_attention = span_attention
        if context == "shared":
            self.entity_attention = "self" if span_attention == "self" else "group"

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """What spans attend to is a choice in shared windows only."""
        if values["span_attention"] != "self" and values["context"] != "shared":
            yield "span_attention", (f'"{values["span_attention"]}" goes with "context": "shared", found '
                                     f'"{values["context"]}"')  # fmt: skip

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[NerExample]:
        yield from labelled_examples(read_documents(path, self.encoding), str(path), self.iob_scheme)

    def labels_of(self, example: NerExample) -> Iterable[str]:
        """`O` counts once a word, which makes it the first label as in AllenNLP's vocabulary."""
        yield from (NON_ENTITY for _ in example.words)
        yield from (entity.label for entity in example.entities or ())

    def parse_input(self, record: dict[str, Any], where: str) -> NerExample:
        """`{"text": ...}`, whose lines are sentences, or `{"words": [...]}`, one sentence; `"id"` is kept."""
        return parse_document(record, where)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[NerExample]) -> list[NerFeatures]:
        examples = list(examples)
        self.tokenizer.learn_words(word for example in examples for word in example.words)
        return [features for example in examples for features in self._encode_document(example)]

    def _encode_document(self, example: NerExample) -> Iterator[NerFeatures]:
        """The windows of a document. Candidates of all its sentences are found at once; windows hold slices of them."""
        if not example.words:
            return
        capacity, special = self.max_sequence_length - 2, self.tokenizer.special  # 2: [CLS] and [SEP]
        pieces = self.tokenizer.words_to_pieces(example.words)
        piece_ids, word_starts = join_pieces(pieces, capacity, self.dropped)  # (P,), (N + 1,)
        starts: list[int] = word_starts.tolist()
        sentences = [
            part
            for first, last in example.sentences
            for part in split_long_sentence(example.words, starts, first, last, capacity, self.dropped)
        ]
        word_spans, first_rows = candidate_spans(word_starts, sentences, self.max_mention_length)  # (C, 2), (N + 1,)
        piece_spans = word_starts[word_spans]  # (C, 2) of the document; in the loop, of the window
        rows: list[int] = first_rows.tolist()
        self._count_without_candidates(sum(rows[first] == rows[last] for first, last in sentences))
        labels = self._span_labels(example.entities, starts, rows) if example.entities is not None else None
        most = len(word_spans) if self.context == "shared" else self.max_entity_length  # candidates of a window
        mask_ids = np.full(min(len(word_spans), most), self.tokenizer.entity_vocab[MASK_ENTITY])
        known_ids: dict[tuple[int, int], IntArray] = {}  # sentences with the same window share its array
        for own, left, right in self._windows(sentences, starts, capacity):
            first, last = own[0][0], own[-1][1]
            begin, end = rows[first], rows[last]  # the candidates of the window's own sentences
            if begin == end:
                continue
            if (left, right) not in known_ids:
                known_ids[left, right] = window_ids(piece_ids, left, right, special.cls, special.sep)
            piece_spans[begin:end] -= left - 1  # 1: [CLS]
            where = example.where(first)
            groups = None
            if self.entity_attention == "group":
                groups = np.repeat(np.arange(len(own)), [rows[last] - rows[first] for first, last in own])
            num_words = sum(last - first for first, last in own if rows[first] < rows[last])
            num_parts = math.ceil((end - begin) / most)
            part_size = math.ceil((end - begin) / num_parts)
            for part in range(begin, end, part_size):
                chosen = slice(part, min(part + part_size, end))
                yield NerFeatures(
                    example=example,
                    word_ids=known_ids[left, right],
                    entity_ids=mask_ids[: chosen.stop - part],
                    entity_spans=piece_spans[chosen],
                    entity_attention=self.entity_attention,
                    entity_groups=groups,
                    num_words=num_words if part == begin else 0,
                    word_spans=word_spans[chosen],
                    span_labels=labels[chosen] if labels is not None else None,
                    where=where,
                )

    def _windows(self, sentences: Sequence[tuple[int, int]], starts: Sequence[int], capacity: int) -> Iterable[Window]:
        if self.context == "shared":
            return shared_windows(sentences, starts, capacity)
        if self.context == "sentence":
            return (Window([(first, last)], starts[first], starts[last]) for first, last in sentences)
        return (Window([(first, last)], *with_context(starts[first], starts[last], starts[-1], capacity))
                for first, last in sentences)  # fmt: skip

    def _span_labels(self, entities: Iterable[Span], starts: Sequence[int], rows: Sequence[int]) -> NDArray[np.object_]:
        """(C,) the label of each candidate; entities that are no candidate cannot be predicted and are counted.

        Args:
            starts: N + 1; first piece of each word.
            rows: N + 1; first candidate of each word.
        """
        labels = np.full(rows[-1], NON_ENTITY, dtype=object)
        for (start, end), label in {(entity.start, entity.end): entity.label for entity in entities}.items():
            row = rows[start] + end - start - 1
            if rows[start] <= row < rows[start + 1]:
                labels[row] = label
                continue
            if starts[end] - starts[start] > self.max_mention_length:
                what = f"entities are longer than max_mention_length ({self.max_mention_length} word pieces)"
            else:
                what = "entities lie across the cut of a sentence longer than the window"
            self.dropped[f"{what} and cannot be predicted; evaluation counts them as missed"] += 1
        return labels

    def _count_without_candidates(self, num_sentences: int) -> None:
        if num_sentences:
            what = f"sentences hold no span of at most max_mention_length ({self.max_mention_length} word pieces)"
            self.dropped[f"{what} and were left out"] += num_sentences


def parse_document(record: dict[str, Any], where: str) -> NerExample:
    """An unlabelled example from `{"text": ...}`, whose lines are sentences, or `{"words": [...]}`, one sentence.

    Raises:
        DataError: there is neither, or both.
    """
    id = where if record.get("id") is None else str(record["id"])
    if "words" in record and "text" in record:
        raise DataError(f'{where}: give "text" or "words", not both')
    if "words" in record:
        words = list(require_strings(record["words"], where, "words"))
        return plain_example(id, words, [(0, len(words))] if words else [])
    if "text" not in record:
        found = ", ".join(record) or "no key"
        raise DataError(f'{where}: expected "text" (a string) or "words" (a list of strings), found {found}')
    text = require_text(record["text"], where, "text")
    offsets: list[tuple[int, int]] = []
    sentences = []
    for line_start, line_end in split_lines(text):
        begin = len(offsets)
        offsets += [(line_start + start, line_start + end) for start, end in split_words(text[line_start:line_end])]
        if len(offsets) > begin:
            sentences.append((begin, len(offsets)))
    words = [text[start:end] for start, end in offsets]
    return NerExample(id, words, sentences, None, text, np.array(offsets, dtype=np.int64).reshape(-1, 2))


def read_documents(path: str | Path, encoding: str, tag_column: int | None = None) -> list[ColumnDocument]:
    """The documents of a column file. Raises DataError, also when there is none."""
    documents = list(parse_columns(path, read_text(path, encoding), tag_column))
    if not documents:
        raise DataError(f"{path}: holds no sentence, only blank or -DOCSTART- lines")
    return documents


def labelled_examples(
    documents: Sequence[ColumnDocument], source: str, scheme: Scheme | Literal["detect"]
) -> Iterator[NerExample]:
    """The documents of a file, with the entities that their tags mark; `detect` looks at all of them.

    Raises:
        DataError: a tag marks no entity and is not O, or cannot stand where it stands.
    """
    known: dict[str, Tag] = {}
    tagged = [[parse_tags(tags, source, line, known) for line, tags in zip(document.lines, document.tags, strict=True)]
              for document in documents]  # fmt: skip
    if scheme == "detect":
        scheme = detect_scheme(chain.from_iterable(tagged))
        logger.info("%s: tags read as %s", source, scheme.upper())
    for index, (document, sentences) in enumerate(zip(documents, tagged, strict=True)):
        example = column_example(f"doc{index}", document, source)
        example.entities = [
            span
            for (first, _), tags in zip(example.sentences, sentences, strict=True)
            for span in spans_of(tags, scheme, first)
        ]
        yield example


def column_example(id: str, document: ColumnDocument, source: str) -> NerExample:
    """A document of a file, without its tags."""
    ends = list(accumulate(map(len, document.words)))
    example = plain_example(id, list(chain.from_iterable(document.words)), list(zip([0, *ends], ends, strict=False)))
    example.source = source
    example.sentence_lines = document.lines
    return example


def plain_example(id: str, words: list[str], sentences: list[tuple[int, int]]) -> NerExample:
    """An unlabelled example whose text is the words joined by single spaces."""
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    ends = np.cumsum(lengths + 1) - 1
    return NerExample(id, words, sentences, None, " ".join(words), np.stack([ends - lengths, ends], axis=1))
