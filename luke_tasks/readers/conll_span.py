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
from luke_tasks.readers.shared_context import SharedWindow, shared_windows
from luke_tasks.readers.tagging import Scheme, Span, Tag, detect_scheme, parse_tag, spans_of
from luke_tasks.readers.windows import cut_long_words, split_long_sentence, with_context
from luke_tasks.registry import Encoding, PositiveInt, Provided

logger = logging.getLogger(__name__)

NON_ENTITY = "O"


@dataclass
class NerExample:
    """A document. Word indices are document-wide; spans are `[start, end)`."""

    id: str
    words: list[str]
    sentences: list[tuple[int, int]]  # words of each sentence
    entities: list[Span] | None  # gold; None when unlabelled
    text: str  # the words in their original spacing, or joined by single spaces
    word_offsets: list[tuple[int, int]]  # characters of each word in `text`
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
        tagged = [(document, parse_tags(document, path)) for document in read_documents(path, self.encoding)]
        scheme = self.iob_scheme
        if scheme == "detect":
            scheme = detect_scheme(sentence for _, tags in tagged for sentence in tags)
            logger.info("%s: tags read as %s", path, scheme.upper())
        for index, (document, tags) in enumerate(tagged):
            yield labelled_example(f"doc{index}", document, tags, scheme, str(path))

    def labels_of(self, example: NerExample) -> Iterable[str]:
        """`O` counts once a word, which makes it the first label as in AllenNLP's vocabulary."""
        yield from (NON_ENTITY for _ in example.words)
        yield from (entity.label for entity in example.entities or ())

    def parse_input(self, record: dict[str, Any], where: str) -> NerExample:
        """`{"text": ...}`, whose lines are sentences, or `{"words": [...]}`, one sentence; `"id"` is kept."""
        return parse_document(record, where)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[NerExample]) -> list[NerFeatures]:
        return [features for example in examples for features in self._encode_document(example)]

    def _encode_document(self, example: NerExample) -> Iterator[NerFeatures]:
        capacity = self.max_sequence_length - 2  # [CLS] and [SEP]
        pieces = cut_long_words(self.tokenizer.words_to_pieces(example.words), capacity, self.dropped)
        piece_ids = np.array([piece for word_pieces in pieces for piece in word_pieces], dtype=np.int64)
        # first piece of each word, and the end of the last: (words + 1,)
        word_starts = np.cumsum([0, *(len(word_pieces) for word_pieces in pieces)])
        gold = {(entity.start, entity.end): entity.label for entity in example.entities or ()}
        parts = (
            part
            for sentence in example.sentences
            for part in split_long_sentence(example.words, word_starts, *sentence, capacity, self.dropped)
        )
        if self.context == "shared":
            for window in shared_windows(list(parts), word_starts, capacity):
                yield from self._encode_shared(example, piece_ids, word_starts, window, gold)
        else:
            for start, end in parts:
                yield from self._encode_sentence(example, piece_ids, word_starts, start, end, gold)
        self._count_discarded(gold, word_starts)

    def _encode_sentence(
        self,
        example: NerExample,
        piece_ids: IntArray,
        word_starts: IntArray,
        first: int,
        last: int,
        gold: dict[tuple[int, int], str],
    ) -> Iterator[NerFeatures]:
        """The windows of the words `[first, last)`; the gold entities found among the candidates leave `gold`."""
        left, right = int(word_starts[first]), int(word_starts[last])
        if self.context == "document":
            left, right = with_context(left, right, len(piece_ids), self.max_sequence_length - 2)
        special = self.tokenizer.special
        word_ids = np.concatenate([[special.cls], piece_ids[left:right], [special.sep]])
        word_spans, piece_spans = self._candidates(word_starts, first, last)  # (E, 2) each
        if not len(word_spans):
            self._count_empty(1)
            return
        window_spans = piece_spans - left + 1  # + 1 for [CLS]
        labels = _span_labels(word_spans, gold) if example.entities is not None else None
        num_parts = math.ceil(len(word_spans) / self.max_entity_length)
        part_size = math.ceil(len(word_spans) / num_parts)
        for part in range(num_parts):
            chosen = slice(part * part_size, (part + 1) * part_size)
            spans = window_spans[chosen]
            yield NerFeatures(
                example=example,
                word_ids=word_ids,
                entity_ids=np.full(len(spans), self.tokenizer.entity_vocab[MASK_ENTITY]),
                entity_spans=spans,
                num_words=last - first if part == 0 else 0,
                word_spans=word_spans[chosen],
                span_labels=labels[chosen] if labels is not None else None,
                where=example.where(first),
            )

    def _encode_shared(
        self,
        example: NerExample,
        piece_ids: IntArray,
        word_starts: IntArray,
        window: SharedWindow,
        gold: dict[tuple[int, int], str],
    ) -> Iterator[NerFeatures]:
        """The window of some sentences, none where they have no candidate; `gold` as in `_encode_sentence`."""
        special = self.tokenizer.special
        found = [self._candidates(word_starts, first, last) for first, last in window.sentences]
        counts = np.array([len(word_spans) for word_spans, _ in found])
        self._count_empty(int((counts == 0).sum()))
        if not counts.any():
            return
        word_spans, piece_spans = (np.concatenate(spans) for spans in zip(*found, strict=True))  # (E, 2) each
        yield NerFeatures(
            example=example,
            word_ids=np.concatenate([[special.cls], piece_ids[window.left : window.right], [special.sep]]),
            entity_ids=np.full(len(word_spans), self.tokenizer.entity_vocab[MASK_ENTITY]),
            entity_spans=piece_spans - window.left + 1,  # + 1 for [CLS]
            entity_attention=self.entity_attention,
            entity_groups=np.repeat(np.arange(len(counts)), counts) if self.entity_attention == "group" else None,
            num_words=sum(last - first for (first, last), count in zip(window.sentences, counts, strict=True) if count),
            word_spans=word_spans,
            span_labels=_span_labels(word_spans, gold) if example.entities is not None else None,
            where=example.where(window.sentences[0][0]),
        )

    def _count_empty(self, sentences: int) -> None:
        if sentences:
            what = f"sentences hold no span of at most max_mention_length ({self.max_mention_length} word pieces)"
            self.dropped[f"{what} and were left out"] += sentences

    def _candidates(self, word_starts: IntArray, first: int, last: int) -> tuple[IntArray, IntArray]:
        """All spans of at most `max_mention_length` pieces within the words `[first, last)`, by start, then end.

        Returns:
            (E, 2) in words and (E, 2) in word pieces of the document.
        """
        starts = np.arange(first, last)
        reach = np.searchsorted(word_starts, word_starts[starts] + self.max_mention_length, side="right") - 1
        counts = np.clip(reach, starts, last) - starts  # candidates that begin at each word
        begin = np.repeat(starts, counts)
        nth = np.arange(len(begin)) - np.repeat(np.cumsum(counts) - counts, counts)
        word_spans = np.stack([begin, begin + nth + 1], axis=1)
        return word_spans, word_starts[word_spans]

    def _count_discarded(self, gold: dict[tuple[int, int], str], word_starts: IntArray) -> None:
        """Whatever no candidate took from `gold` is an entity the model cannot predict."""
        for start, end in gold:
            if word_starts[end] - word_starts[start] > self.max_mention_length:
                what = f"entities are longer than max_mention_length ({self.max_mention_length} word pieces)"
            else:
                what = "entities lie across the cut of a sentence longer than the window"
            self.dropped[f"{what} and cannot be predicted; evaluation counts them as missed"] += 1


def _span_labels(word_spans: IntArray, gold: dict[tuple[int, int], str]) -> NDArray[np.object_]:
    """The label of each candidate, (E,); the entities found among them leave `gold`."""
    labels = np.full(len(word_spans), NON_ENTITY, dtype=object)
    rows = {(start, end): row for row, (start, end) in enumerate(word_spans.tolist())} if gold else {}
    for span in [span for span in gold if span in rows]:
        labels[rows[span]] = gold.pop(span)
    return labels


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
    return NerExample(id, words, sentences, None, text, offsets)


def read_documents(path: str | Path, encoding: str, tag_column: int | None = None) -> list[ColumnDocument]:
    """The documents of a column file. Raises DataError, also when there is none."""
    documents = list(parse_columns(path, read_text(path, encoding), tag_column))
    if not documents:
        raise DataError(f"{path}: holds no sentence, only blank or -DOCSTART- lines")
    return documents


def parse_tags(document: ColumnDocument, path: str | Path) -> list[list[Tag]]:
    """The tags of each sentence. Raises DataError on one that marks no entity and is not O."""
    return [[parse_tag(text, f"{path}:{line + index}") for index, text in enumerate(tags)]
            for line, tags in zip(document.lines, document.tags, strict=True)]  # fmt: skip


def labelled_example(
    id: str, document: ColumnDocument, tags: Sequence[Sequence[Tag]], scheme: Scheme, source: str
) -> NerExample:
    """A document of a file, with the entities that its tags mark."""
    words: list[str] = []
    sentences = []
    entities: list[Span] = []
    for sentence_words, sentence_tags in zip(document.words, tags, strict=True):
        entities += spans_of(sentence_tags, scheme, len(words))
        sentences.append((len(words), len(words) + len(sentence_words)))
        words += sentence_words
    example = plain_example(id, words, sentences)
    example.entities = entities
    example.source = source
    example.sentence_lines = document.lines
    return example


def plain_example(id: str, words: list[str], sentences: list[tuple[int, int]]) -> NerExample:
    """An unlabelled example whose text is the words joined by single spaces."""
    ends = np.cumsum([len(word) + 1 for word in words]).tolist()
    offsets = [(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)]
    return NerExample(id, words, sentences, None, " ".join(words), offsets)
