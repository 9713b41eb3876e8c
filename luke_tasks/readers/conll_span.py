"""CoNLL files for span-based NER: documents → windows whose entities are all candidate spans of one sentence.

The windows, candidate spans and splits are those of studio-ousia/luke's `examples/ner` (LUKE, Yamada et al. 2020,
section 4.3): a sentence stands amid as much of its document as the window holds, every word span of at most
`max_mention_length` word pieces is a `[MASK]` entity, and more than `max_entity_length` of them are shared out evenly
over several windows of the same words.
"""

from __future__ import annotations

import logging
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.text import SENTENCE_END, split_lines, split_words
from luke_tasks.data.tokenizer import MASK_ENTITY, Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.readers.reader import Reader, WindowLength, read_text, require_strings, require_text
from luke_tasks.readers.tagging import Scheme, Span, Tag, detect_scheme, parse_tag, spans_of
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
        max_entity_length: candidate spans of a window.
        max_mention_length: word pieces of a candidate span; longer gold entities cannot be predicted and are counted.
        iob_scheme: how tags mark entities; `detect` looks at the whole file.
        encoding: of the file.
        context: `document`: a sentence is read amid its neighbours; `sentence`: alone, for files whose neighbouring
            sentences have nothing to do with each other (tweets), and faster.

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
        context: Literal["document", "sentence"] = "document",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length
        self.max_entity_length = max_entity_length
        self.max_mention_length = max_mention_length
        self.iob_scheme = iob_scheme
        self.encoding = encoding
        self.context = context

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[NerExample]:
        documents = list(_parse(path, read_text(path, self.encoding)))
        if not documents:
            raise DataError(f"{path}: holds no sentence, only blank or -DOCSTART- lines")
        scheme = self.iob_scheme
        if scheme == "detect":
            scheme = detect_scheme(sentence for document in documents for sentence in document.tags)
            logger.info("%s: tags read as %s", path, scheme.upper())
        for index, document in enumerate(documents):
            yield _labelled_example(f"doc{index}", document, scheme, str(path))

    def labels_of(self, example: NerExample) -> Iterable[str]:
        """`O` counts once a word, which makes it the first label as in AllenNLP's vocabulary."""
        yield from (NON_ENTITY for _ in example.words)
        yield from (entity.label for entity in example.entities or ())

    def parse_input(self, record: dict[str, Any], where: str) -> NerExample:
        """`{"text": ...}`, whose lines are sentences, or `{"words": [...]}`, one sentence; `"id"` is kept."""
        id = where if record.get("id") is None else str(record["id"])
        if "words" in record and "text" in record:
            raise DataError(f'{where}: give "text" or "words", not both')
        if "words" in record:
            words = list(require_strings(record["words"], where, "words"))
            return _plain_example(id, words, [(0, len(words))] if words else [])
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

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[NerExample]) -> list[NerFeatures]:
        return [features for example in examples for features in self._encode_document(example)]

    def _encode_document(self, example: NerExample) -> Iterator[NerFeatures]:
        capacity = self.max_sequence_length - 2  # [CLS] and [SEP]
        pieces = self.tokenizer.words_to_pieces(example.words)
        if any(len(word_pieces) > capacity for word_pieces in pieces):
            what = f"words are longer than the window ({capacity} word pieces) and were cut"
            self.dropped[what] += sum(len(word_pieces) > capacity for word_pieces in pieces)
            pieces = [word_pieces[:capacity] for word_pieces in pieces]
        piece_ids = np.array([piece for word_pieces in pieces for piece in word_pieces], dtype=np.int64)
        # first piece of each word, and the end of the last: (words + 1,)
        word_starts = np.cumsum([0, *(len(word_pieces) for word_pieces in pieces)])
        gold = {(entity.start, entity.end): entity.label for entity in example.entities or ()}
        for first, last in example.sentences:
            for start, end in self._split_long_sentence(example.words, word_starts, first, last):
                yield from self._encode_sentence(example, piece_ids, word_starts, start, end, gold)
        self._count_discarded(gold, word_starts)

    def _split_long_sentence(
        self, words: Sequence[str], word_starts: IntArray, first: int, last: int
    ) -> Iterator[tuple[int, int]]:
        """The sentence itself, or parts of it that fit a window, cut after punctuation where there is any."""
        capacity = self.max_sequence_length - 2
        if word_starts[last] - word_starts[first] > capacity:
            self.dropped[f"sentences are longer than the window ({capacity} word pieces) and were split"] += 1
        while word_starts[last] - word_starts[first] > capacity:
            cut = int(np.searchsorted(word_starts, word_starts[first] + capacity, side="right")) - 1
            ends = [word for word in range((first + cut) // 2, cut) if words[word][-1] in SENTENCE_END]
            cut = ends[-1] + 1 if ends else cut
            yield first, cut
            first = cut
        yield first, last

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
        left, right = self._window(int(word_starts[first]), int(word_starts[last]), len(piece_ids))
        special = self.tokenizer.special
        word_ids = np.concatenate([[special.cls], piece_ids[left:right], [special.sep]])
        word_spans, piece_spans = self._candidates(word_starts, first, last)  # (E, 2) each
        if not len(word_spans):
            what = f"sentences hold no span of at most max_mention_length ({self.max_mention_length} word pieces)"
            self.dropped[f"{what} and were left out"] += 1
            return
        window_spans = piece_spans - left + 1  # + 1 for [CLS]
        labels = None
        if example.entities is not None:
            labels = np.full(len(word_spans), NON_ENTITY, dtype=object)
            rows = {(start, end): row for row, (start, end) in enumerate(word_spans.tolist())} if gold else {}
            for span in [span for span in gold if span in rows]:
                labels[rows[span]] = gold.pop(span)
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

    def _window(self, start: int, end: int, length: int) -> tuple[int, int]:
        """Pieces `[left, right)` of the document around the sentence `[start, end)`: as much context as fits, shared
        evenly unless one side has less."""
        if self.context == "sentence":
            return start, end
        room = self.max_sequence_length - 2 - (end - start)
        if start < length - end:
            left = min(start, room // 2)
            right = min(length - end, room - left)
        else:
            right = min(length - end, room // 2)
            left = min(start, room - right)
        return start - left, end + right

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


@dataclass
class _Document:
    """Sentences as they stand in the file."""

    words: list[list[str]] = field(default_factory=list)
    tags: list[list[Tag]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def _parse(path: str | Path, text: str) -> Iterator[_Document]:
    """The documents of a file that have a sentence. Raises DataError on a line of another shape than the first."""
    document = _Document()
    words: list[str] = []
    tags: list[Tag] = []
    shape: _Shape | None = None

    def end_sentence(line_number: int) -> None:
        if words:
            document.words.append(words.copy())
            document.tags.append(tags.copy())
            document.lines.append(line_number - len(words))
            words.clear()
            tags.clear()

    number = 0
    # Not splitlines(): U+2028, U+0085 and the like stand within lines.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if line.startswith("-DOCSTART"):
            end_sentence(number)
            if document.words:
                yield document
            document = _Document()
        elif not line.strip():
            end_sentence(number)
        else:
            shape = shape or _Shape.of(line, number, path)
            word, tag = shape.word_and_tag(line, f"{path}:{number}")
            words.append(word)
            tags.append(parse_tag(tag, f"{path}:{number}"))
    end_sentence(number + 1)
    if document.words:
        yield document


@dataclass(frozen=True)
class _Shape:
    """How a file's lines are written, as its first one shows."""

    separator: Literal["tabs", "spaces"]
    num_columns: int
    line: int  # the first

    @classmethod
    def of(cls, line: str, number: int, path: str | Path) -> _Shape:
        separator: Literal["tabs", "spaces"] = "tabs" if "\t" in line.strip(" \t") else "spaces"
        num_columns = len(cls(separator, 0, number)._columns(line))
        if num_columns < 2:
            raise DataError(f"{path}:{number}: expected at least 2 columns (the word, ..., its tag) separated by tabs "
                            f"or spaces, found 1: {line[:80]!r}")  # fmt: skip
        return cls(separator, num_columns, number)

    def word_and_tag(self, line: str, where: str) -> tuple[str, str]:
        columns = self._columns(line)
        if len(columns) != self.num_columns:
            raise DataError(f"{where}: expected {self.num_columns} columns separated by {self.separator} as in line "
                            f"{self.line}, found {len(columns)}: {line[:80]!r}")  # fmt: skip
        if not columns[0]:
            raise DataError(f"{where}: expected a word in the first column, found nothing: {line[:80]!r}")
        return columns[0], columns[-1]

    def _columns(self, line: str) -> list[str]:
        if self.separator == "tabs":
            return [column.strip(" ") for column in line.rstrip(" \t").split("\t")]
        return re.split("[ \t]+", line.strip(" \t"))


def _labelled_example(id: str, document: _Document, scheme: Scheme, source: str) -> NerExample:
    words: list[str] = []
    sentences = []
    entities: list[Span] = []
    for sentence_words, tags in zip(document.words, document.tags, strict=True):
        entities += spans_of(tags, scheme, len(words))
        sentences.append((len(words), len(words) + len(sentence_words)))
        words += sentence_words
    example = _plain_example(id, words, sentences)
    example.entities = entities
    example.source = source
    example.sentence_lines = document.lines
    return example


def _plain_example(id: str, words: list[str], sentences: list[tuple[int, int]]) -> NerExample:
    """An unlabelled example whose text is the words joined by single spaces."""
    ends = np.cumsum([len(word) + 1 for word in words]).tolist()
    offsets = [(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)]
    return NerExample(id, words, sentences, None, " ".join(words), offsets)
