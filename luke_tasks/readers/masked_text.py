"""Text for masked language modelling and masked entity prediction (LUKE, Yamada et al. 2020, section 3.3).

In: plain text, a text a line, or JSON lines that name entities too. Out: windows in which some word pieces and entities
are hidden; of raw input, those that it says are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from luke_tasks.data.features import IGNORED_LABEL, Features, IntArray
from luke_tasks.data.hub import SPECIAL_ENTITIES
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import MASK_ENTITY, Tokenizer
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.mentions import Mention, entity_ids, parse_mentions, place_mentions
from luke_tasks.readers.reader import Reader, WindowLength, text_lines
from luke_tasks.readers.records import Record, Span, TextFrame, get_id, json_lines
from luke_tasks.registry import Encoding, Fraction, NonNegativeInt, Provided

_MASK = re.compile(r"<mask>|\[MASK\]")
_MASKED, _REPLACED = 0.8, 0.1  # of the hidden word pieces: as the mask, as any piece; the rest stay (BERT, section 3.1)


@dataclass
class MaskedTextExample:
    """A text with its entities."""

    id: str
    text: str
    mentions: list[Mention]  # title None: to be found
    hide: bool  # whether words and entities are hidden at random, and are the gold; False: raw input
    where: str  # file:line


@dataclass(eq=False)
class MaskedTextFeatures(Features):
    """One window: M word pieces and Q entities to predict."""

    masked_words: IntArray  # (M,) places among the word pieces
    masked_offsets: list[Span]  # (M,) characters of the text
    masked_entities: IntArray  # (Q,) places among the entities
    mentions: list[Mention]  # (E,) of this window
    gold_words: IntArray | None  # (M,) ids; `IGNORED_LABEL` where the text itself has a mask; None: raw input
    gold_entities: IntArray | None  # (Q,) ids; `IGNORED_LABEL` where no title is known

    def targets(self, labels: Labels) -> IntArray | None:
        """(2, L) with L the larger of W and E: ids of hidden word pieces, then of hidden entities, at their places,
        `IGNORED_LABEL` elsewhere."""
        if self.gold_words is None or self.gold_entities is None:
            return None
        targets = np.full((2, max(len(self.word_ids), len(self.entity_ids))), IGNORED_LABEL)
        targets[0, self.masked_words] = self.gold_words
        targets[1, self.masked_entities] = self.gold_entities
        return targets


@Reader.register("masked_text")
class MaskedTextReader(Reader):
    """A text a line, or a JSON object with a text and its entities:

        {"text": "Paris is in France.", "entities": [[0, 5, "Paris"], [12, 18, "France"]]}

    In training and evaluation, `word_probability` of a window's word pieces (one at least) are hidden: 80 % become the
    mask, 10 % any word piece, 10 % stay. Of the entities that the checkpoint knows, each is hidden with
    `entity_probability` and read as `[MASK]`. What is hidden depends on the text and `seed` alone, so it is the same in
    every epoch. In raw input, `<mask>` or `[MASK]` stands for a word piece to be found, and entities without a title
    are to be found. A text that does not fit the window gives several.

    Args:
        tokenizer: of the encoder's checkpoint.
        format: `text`, `jsonl`, or by the file's ending: `.jsonl` and `.json` are JSON lines.
        word_probability: share of the words that is chosen to be hidden (0.15 in BERT, RoBERTa and LUKE).
        entity_probability: the same of entities.
        seed: of what is hidden.
        max_sequence_length: word pieces of a window, special tokens included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "masked_text"
    has_labels = False
    names_entities = True

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        format: Literal["auto", "text", "jsonl"] = "auto",
        word_probability: Fraction = 0.15,
        entity_probability: Fraction = 0.15,
        seed: NonNegativeInt = 0,
        max_sequence_length: WindowLength = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.format = format
        self.word_probability = word_probability
        self.entity_probability = entity_probability
        self.seed = seed
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding

    def read(self, path: str | Path) -> Iterator[MaskedTextExample]:
        by_ending = "jsonl" if Path(path).suffix.lower() in (".jsonl", ".json") else "text"
        if (by_ending if self.format == "auto" else self.format) == "jsonl":
            for record, where in json_lines(path, self.encoding):
                with one_record:
                    yield _example(record, where, where, hide=True)
            return
        for number, line in text_lines(path, self.encoding):
            if line.strip():
                yield MaskedTextExample(f"{path}:{number}", line, [], True, f"{path}:{number}")

    def labels_of(self, example: MaskedTextExample) -> Iterable[str]:
        return []

    def parse_input(self, record: Record, where: str) -> MaskedTextExample:
        """`{"text": ..., "entities": [[start, end] or [start, end, title]]}`, or with `"words"`; `"id"` is kept."""
        id = get_id(record, where)
        return _example(record, id, where, hide=False)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[MaskedTextExample]) -> list[MaskedTextFeatures]:
        return [features for example in examples for features in self._windows(example)]

    def _windows(self, example: MaskedTextExample) -> Iterator[MaskedTextFeatures]:
        ids, offsets = self._pieces(example.text)
        if not len(ids):
            self.dropped["texts have no word piece and were left out"] += 1
        if not example.hide and not _MASK.search(example.text) and all(one.title for one in example.mentions):
            self.dropped["texts have nothing to fill in: no <mask>, and no entity without a title"] += 1
        random = np.random.default_rng([self.seed, zlib.crc32(example.text.encode("utf-8"))])
        mentions, spans = place_mentions(example.mentions, offsets, 0, self.dropped)
        capacity = self.max_sequence_length - 2  # [CLS] and [SEP]
        for left in range(0, len(ids), capacity):
            right = min(left + capacity, len(ids))
            own = [index for index, (start, _) in enumerate(spans) if left <= start < right]  # the end may be cut
            yield self._window(
                example, ids[left:right], offsets[left:right], [mentions[index] for index in own],
                np.minimum(spans[own], right) - left + 1, random,
            )  # fmt: skip

    def _pieces(self, text: str) -> tuple[IntArray, list[Span]]:
        """The word pieces of a text and their characters."""
        masks = [match.span() for match in _MASK.finditer(text)]
        starts = [0, *(end for _, end in masks)]
        stretches = [text[start:end] for start, (end, _) in zip(starts, masks, strict=False)]
        if self._mask_takes_spaces():
            stretches = [stretch.rstrip() for stretch in stretches]
        stretches.append(text[starts[-1] :])
        ids: list[int] = []
        offsets: list[Span] = []
        for index, pieces in enumerate(self.tokenizer.texts_to_offset_pieces(stretches)):
            ids += pieces.ids
            offsets += [(starts[index] + start, starts[index] + end) for start, end in pieces.offsets]
            if index < len(masks):
                ids.append(self.tokenizer.special.mask)
                offsets.append(masks[index])
        return np.array(ids, dtype=np.int64), offsets

    def _mask_takes_spaces(self) -> bool:
        """Whether spaces before a mask go with it: the tokenizer says so, as those of LUKE, RoBERTa and XLM-R do."""
        token = self.tokenizer.backend.get_added_tokens_decoder().get(self.tokenizer.special.mask)
        return token is None or bool(token.lstrip)

    def _window(
        self, example: MaskedTextExample, ids: IntArray, offsets: list[Span], mentions: list[Mention],
        entity_spans: IntArray, random: np.random.Generator,
    ) -> MaskedTextFeatures:  # fmt: skip
        special, vocab = self.tokenizer.special, self.tokenizer.entity_vocab
        entities = entity_ids(mentions, vocab, self.dropped)  # (E,)
        word_ids = np.array([special.cls, *ids, special.sep])  # (W,)
        is_mask = word_ids == special.mask
        gold_words = gold_entities = None
        masked_entities = np.flatnonzero(entities == vocab[MASK_ENTITY])
        masked_words = np.flatnonzero(is_mask)
        if example.hide:
            masked_words = np.sort(np.concatenate([masked_words, self._chosen(np.flatnonzero(~is_mask)[1:-1], random)]))
            gold_words = np.where(is_mask, IGNORED_LABEL, word_ids)[masked_words]
            word_ids = self._hidden(word_ids, masked_words[gold_words != IGNORED_LABEL], random)
            special_ids = [vocab[name] for name in SPECIAL_ENTITIES]
            is_known = ~np.isin(entities, special_ids)
            hidden = is_known & (random.random(len(entities)) < self.entity_probability)
            masked_entities = np.flatnonzero(hidden | (entities == vocab[MASK_ENTITY]))
            gold_entities = np.where(hidden, entities, IGNORED_LABEL)[masked_entities]
            entities = np.where(hidden, vocab[MASK_ENTITY], entities)
        return MaskedTextFeatures(
            example=example,
            word_ids=word_ids,
            entity_ids=entities,
            entity_spans=entity_spans,
            num_words=len(example.text[offsets[0][0] : offsets[-1][1]].split()),
            masked_words=masked_words,
            masked_offsets=[offsets[place - 1] for place in masked_words],  # - 1 for [CLS]
            masked_entities=masked_entities,
            mentions=mentions,
            gold_words=gold_words,
            gold_entities=gold_entities,
        )

    def _chosen(self, places: IntArray, random: np.random.Generator) -> IntArray:
        """Those to hide, one at least (Devlin et al.'s code), as a batch without any has no loss."""
        number = min(len(places), max(1, round(self.word_probability * len(places)))) if self.word_probability else 0
        return random.choice(places, size=number, replace=False)

    def _hidden(self, word_ids: IntArray, places: IntArray, random: np.random.Generator) -> IntArray:
        """`word_ids` with those at `places` hidden."""
        hidden = word_ids.copy()
        draw = random.random(len(places))
        any_piece = random.integers(self.tokenizer.num_words, size=len(places))
        hidden[places[draw < _MASKED]] = self.tokenizer.special.mask
        replaced = (draw >= _MASKED) & (draw < _MASKED + _REPLACED)
        hidden[places[replaced]] = any_piece[replaced]
        return hidden


def _example(record: Record, id: str, where: str, *, hide: bool) -> MaskedTextExample:
    frame = TextFrame.of_record(record, where)
    return MaskedTextExample(id, frame.text, parse_mentions(record, frame, where), hide, where)
