"""CoNLL files for labelling words: parts of speech, or entities as tags (Devlin et al. 2019, section 5.3).

In: column files. Out: windows of one sentence, or a part of it, perhaps amid its document; the label of a word stands
at its first word piece.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from luke_tasks.data.features import IGNORED_LABEL, Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.readers.columns import ColumnDocument
from luke_tasks.readers.conll_span import (
    NerExample,
    column_example,
    labelled_examples,
    parse_document,
    read_documents,
)
from luke_tasks.readers.faults import fault
from luke_tasks.readers.reader import Reader, WindowLength
from luke_tasks.readers.tagging import Scheme, WrittenScheme, marks_entities, tags_of
from luke_tasks.readers.windows import join_pieces, split_long_sentence, window_ids, with_context
from luke_tasks.registry import Check, Encoding, Provided

logger = logging.getLogger(__name__)
LabelColumn = Annotated[
    int, Check(lambda value: value > 1, "an integer of at least 2, as column 1 holds the word", schema={"minimum": 2})
]


@dataclass
class TokenExample(NerExample):
    """A document with a label for each word; `entities` only where the labels mark such."""

    labels: list[str] | None = None  # None when unlabelled


@dataclass(eq=False)
class TokenFeatures(Features):
    """One window: the words `[first_word, first_word + len(first_pieces))` of the document are labelled in it."""

    first_word: int
    first_pieces: IntArray  # (N,) place of each of these words' first word piece

    def targets(self, labels: Labels) -> IntArray | None:
        """(W,) the label of a word at its first piece, `IGNORED_LABEL` elsewhere."""
        example: TokenExample = self.example
        if example.labels is None:
            return None
        targets = np.full(len(self.word_ids), IGNORED_LABEL)
        for word, piece in enumerate(self.first_pieces.tolist(), start=self.first_word):
            targets[piece] = labels.index(example.labels[word], example.where(word))
        return targets


@Reader.register("conll_tokens")
class ConllTokensReader(Reader):
    """Columns as `conll_span` reads them: the word first, its label last or in the column that is named.

        EU NNP B-NP B-ORG
        rejects VBZ B-VP O
        German JJ B-NP B-MISC

    becomes `TokenExample(words=["EU", "rejects", "German"], labels=["B-ORG", "O", "B-MISC"], ...)`; with
    `label_column: 2` the labels are `["NNP", "VBZ", "JJ"]`. A sentence that does not fit the window is split, so that
    every word is labelled once.

    Args:
        tokenizer: of the encoder's checkpoint.
        label_column: counted from 1; None: the last.
        labels: `entities`: tags of a scheme, which are checked and written anew in `label_scheme`; `words`: classes,
            taken as they stand; `detect`: entities where every tag is `O` or has a prefix such as `B-`.
        iob_scheme: how the file's tags mark entities; `detect` looks at the whole file.
        label_scheme: the tags that are learned.
        context: `sentence`: a sentence is read alone; `document`: amid its neighbours, as much as fits.
        max_sequence_length: word pieces of a window, special tokens included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "token_classification"

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        label_column: LabelColumn | None = None,
        labels: Literal["detect", "entities", "words"] = "detect",
        iob_scheme: Scheme | Literal["detect"] = "detect",
        label_scheme: WrittenScheme = "iob2",
        context: Literal["sentence", "document"] = "sentence",
        max_sequence_length: WindowLength = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.label_column = label_column
        self.labels = labels
        self.iob_scheme = iob_scheme
        self.label_scheme: WrittenScheme = label_scheme
        self.context = context
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding

    def read(self, path: str | Path) -> Iterator[TokenExample]:
        documents = read_documents(path, self.encoding, self.label_column)
        kind = self.labels
        if kind == "detect":
            written = (tag for document in documents for tags in document.tags for tag in tags)
            kind = "entities" if marks_entities(written) else "words"
            logger.info("%s: labels read as %s", path, "tags of entities" if kind == "entities" else "classes of words")
        if kind == "words":
            for index, document in enumerate(documents):
                yield _classes(f"doc{index}", document, str(path))
            return
        for example in labelled_examples(documents, str(path), self.iob_scheme):
            assert example.entities is not None
            labels = tags_of(example.entities, len(example.words), self.label_scheme)
            yield TokenExample(**vars(example), labels=labels)

    def labels_of(self, example: TokenExample) -> Iterable[str]:
        return example.labels or []

    def parse_input(self, record: dict[str, Any], where: str) -> TokenExample:
        """`{"text": ...}`, whose lines are sentences, or `{"words": [...]}`, one sentence; `"id"` is kept."""
        return TokenExample(**vars(parse_document(record, where)))

    def encode(self, examples: Iterable[TokenExample]) -> list[TokenFeatures]:
        examples = list(examples)
        self.tokenizer.learn_words(word for example in examples for word in example.words)
        return [features for example in examples for features in self._encode_document(example)]

    def _encode_document(self, example: TokenExample) -> Iterator[TokenFeatures]:
        capacity = self.max_sequence_length - 2  # [CLS] and [SEP]
        special = self.tokenizer.special
        piece_ids, word_starts = join_pieces(
            self.tokenizer.words_to_pieces(example.words), capacity, self.dropped
        )  # (P,), (N + 1,)
        starts = word_starts.tolist()
        for sentence in example.sentences:
            for first, last in split_long_sentence(example.words, starts, *sentence, capacity, self.dropped):
                left, right = starts[first], starts[last]
                if self.context == "document":
                    left, right = with_context(left, right, len(piece_ids), capacity)
                yield TokenFeatures(
                    example=example,
                    word_ids=window_ids(piece_ids, left, right, special.cls, special.sep),
                    entity_ids=np.zeros(0, dtype=np.int64),
                    entity_spans=np.zeros((0, 2), dtype=np.int64),
                    num_words=last - first,
                    first_word=first,
                    first_pieces=word_starts[first:last] - left + 1,  # + 1 for [CLS]
                )


def _classes(id: str, document: ColumnDocument, source: str) -> TokenExample:
    """Labels as they stand in the file."""
    example = TokenExample(**vars(column_example(id, document, source)))
    example.labels = [label for sentence in document.tags for label in sentence]
    for word, label in enumerate(example.labels):
        if not label:
            fault(DataError(f"{example.where(word)}: expected a label for {example.words[word]!r}, found nothing in "
                            "its column (dataset_reader.label_column)"))  # fmt: skip
    return example
