"""Entity typing: which types a mention has in its sentence (LUKE, Yamada et al. 2020, section 4.1).

In: Open Entity or Ultra-Fine Entity Typing (Choi et al. 2018), JSON lines. Out: one window a mention, with a `[MASK]`
entity on it, markers included.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.published_tokenizer import ENTITY_MARKERS
from luke_tasks.data.tokenizer import MASK_ENTITY, Tokenizer
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.marked_text import MARKER_SOURCES, encode_marked
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.records import Record, Span, TextFrame, get, get_id, get_string, json_lines
from luke_tasks.registry import Check, Encoding, Provided

logger = logging.getLogger(__name__)
COARSE = ("entity", "event", "group", "location", "object", "organization", "person", "place", "time")
_BRACKETS = {"-LRB-": "(", "-LCB-": "(", "-LSB-": "(", "-RRB-": ")", "-RCB-": ")", "-RSB-": ")"}  # round ones for all
_BRACKET = re.compile("|".join(_BRACKETS))


@dataclass
class EntityTypingExample:
    """A text and its mentions."""

    id: str
    text: str
    spans: list[Span]  # characters of each mention
    types: list[list[str]] | None  # gold types of each mention; None when unlabelled
    where: str  # file:line


@dataclass(eq=False)
class EntityTypingFeatures(Features):
    """One mention of an example."""

    mention: int  # which

    def targets(self, labels: Labels) -> IntArray | None:
        """(C,) 1 for each gold type."""
        if self.example.types is None:
            return None
        targets = np.zeros(len(labels), dtype=np.int64)
        targets[[labels.index(name, self.example.where) for name in self.example.types[self.mention]]] = 1
        return targets


@Reader.register("entity_typing")
class EntityTypingReader(Reader):
    """One JSON object a line, with the mention between its contexts, and its types.

        {"left_context_token": ["On"], "mention_span": "late Monday night", "right_context_token": [",", "police",
         "arrested", "him", "."], "y_str": ["date", "night", "time"], "annot_id": "wex/1"}

    becomes `EntityTypingExample("wex/1", "On late Monday night , police arrested him .", spans=[(3, 20)],
    types=[["time"]])`. Of the types, those in `label_set` are kept and
    the others counted: a mention may have none. Brackets written `-LRB-`
    and the like become round ones, as in the original. A text that does not fit the window is cut around its mention
    and counted.

    Args:
        tokenizer: of the encoder's checkpoint.
        label_set: `coarse`: the nine types of the LUKE paper; `all`: whatever the file holds; or a list of names.
        max_sequence_length: word pieces of a window, special tokens and markers included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "entity_typing"
    min_labels: ClassVar[int] = 1  # each type is decided by itself
    input_form: ClassVar[str | None] = '{"text": "...", "entities": [[start, end], ...]}'
    added_words: ClassVar[Mapping[str, str]] = {ENTITY_MARKERS[0]: MARKER_SOURCES[ENTITY_MARKERS[0]]}

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        label_set: Annotated[
            Literal["coarse", "all"] | list[str],
            Check(lambda value: len(value) > 0, '"coarse", "all", or a list [...] of types', schema={"minItems": 1}),
        ] = "coarse",
        max_sequence_length: Annotated[
            int,
            Check(
                lambda value: value > 4,
                "an integer above 4, as [CLS], [SEP] and the markers take four",
                schema={"minimum": 5},
            ),
        ] = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.label_set = label_set
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding

    def read(self, path: str | Path) -> Iterator[EntityTypingExample]:
        kept = set(COARSE if self.label_set == "coarse" else self.label_set)
        unseen = set(self.label_set) if isinstance(self.label_set, list) else set[str]()  # perhaps misspelt
        for record, where in json_lines(path, self.encoding):
            with one_record:
                before = _context(record, "left_context_token", where)
                mention = get_string(record, "mention_span", where)
                after = _context(record, "right_context_token", where)
                types = _types(record, where)
                text, span = _join(before, mention, after)
                names = types if self.label_set == "all" else [name for name in types if name in kept]
                if len(names) < len(types):
                    self.dropped["types are not in label_set and were left out"] += len(types) - len(names)
                unseen.difference_update(names)
                yield EntityTypingExample(get_id(record, where, "annot_id"), text, [span], [names], where)
        if unseen:
            logger.warning("%s: no mention has the types %s of label_set", path, ", ".join(sorted(unseen)))

    def labels_of(self, example: EntityTypingExample) -> Iterable[str]:
        return [name for names in example.types or () for name in names]

    def parse_input(self, record: Record, where: str) -> EntityTypingExample:
        """`{"text": ..., "entities": [[start, end], ...]}` in characters, or `{"words": [...], "entities": ...}` in
        words; `"id"` is kept."""
        frame = TextFrame.of_record(record, where)
        entities = get(record, "entities", where)
        if not isinstance(entities, list):
            raise DataError(f'{where}: "entities" must be a list of [start, end), found {describe(entities)}')
        spans = [frame.span(value, f"entities.{index}", where) for index, value in enumerate(entities)]
        return EntityTypingExample(get_id(record, where), frame.text, spans, None, where)

    def encode(self, examples: Iterable[EntityTypingExample]) -> Sequence[EntityTypingFeatures]:
        mentions = [(example, mention) for example in examples for mention in range(len(example.spans))]
        texts = ((example.text, [example.spans[mention]]) for example, mention in mentions)
        windows = encode_marked(texts, self.tokenizer, self.max_sequence_length, self.dropped)
        mask = np.array([self.tokenizer.entity_vocab[MASK_ENTITY]])
        return [
            EntityTypingFeatures(
                example=example,
                word_ids=window.word_ids,
                entity_ids=mask,
                entity_spans=window.entity_spans,
                num_words=len(example.text.split()) if mention == 0 else 0,
                mention=mention,
            )
            for (example, mention), window in zip(mentions, windows, strict=True)
        ]


def _context(record: Record, field: str, where: str) -> list[str]:
    value = get(record, field, where)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise DataError(f'{where}: "{field}" must be a list of strings, found {describe(value)}')
    return value


def _types(record: Record, where: str) -> list[str]:
    value = get(record, "y_str", where)
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise DataError(f'{where}: "y_str" must be a list of type names, found {describe(value)}')
    return value


def _join(before: Sequence[str], mention: str, after: Sequence[str]) -> tuple[str, Span]:
    """The text and its mention. The space after the mention stays where nothing follows, as in the original."""
    left, mention, right = (
        _BRACKET.sub(lambda found: _BRACKETS[found[0]], part)
        for part in ("".join(f"{word} " for word in before), mention, " " + " ".join(after))
    )
    return left + mention + right, (len(left), len(left) + len(mention))
