"""Entities that a record names in its text: what LUKE reads beside the words.

    {"text": "Paris is in France.", "entities": [[0, 5, "Paris"], [12, 18]]}

Spans are characters `[start, end)` of `"text"`, or words where the record gives `"words"`. A title is an entry of the
checkpoint's entity vocabulary; without one the entity is read as `[MASK]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.tokenizer import MASK_ENTITY, UNKNOWN_ENTITY
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.records import Record, Span, TextFrame


@dataclass(frozen=True)
class Mention:
    """Characters `[start, end)` of a text, and the entity they name; None: not known, or to be found."""

    start: int
    end: int
    title: str | None


def parse_mentions(record: Record, frame: TextFrame, where: str) -> list[Mention]:
    """The `"entities"` of a record, none where it has no such key. Raises DataError when one is not as above."""
    value = record.get("entities", [])
    if not isinstance(value, list):
        raise DataError(f'{where}: "entities" must be a list of [start, end] or [start, end, title], found '
                        f"{describe(value)}")  # fmt: skip
    return [_mention(item, frame, f"entities.{index}", where) for index, item in enumerate(value)]


def _mention(value: object, frame: TextFrame, field: str, where: str) -> Mention:
    title: object = None
    span: object = value
    if isinstance(value, dict):
        span, title = [value.get("start"), value.get("end")], value.get("title")
    elif isinstance(value, list) and len(value) == 3:
        span, title = value[:2], value[2]
    if title is not None and (not isinstance(title, str) or not title):
        raise DataError(f'{where}: "{field}": the title must be a string that is not empty, found {describe(title)}')
    start, end = frame.span(span, field, where)
    return Mention(start, end, title)


def place_mentions(
    mentions: Sequence[Mention], offsets: Sequence[Span], first_place: int, dropped: Counter[str]
) -> tuple[list[Mention], IntArray]:
    """The mentions that have a word piece in a window, in their order, and the pieces of each: (E, 2) `[start, end)`.

    Args:
        offsets: characters of the window's word pieces, in order.
        first_place: place of the first of them in the window.
        dropped: counts mentions without a piece: the window was cut before them.
    """
    starts, ends = (np.array([offset[edge] for offset in offsets], dtype=np.int64) for edge in (0, 1))
    kept, spans = [], []
    for mention in mentions:
        inside = np.flatnonzero((starts < mention.end) & (ends > mention.start) & (starts < ends))
        if len(inside):
            kept.append(mention)
            spans.append((first_place + inside[0], first_place + inside[-1] + 1))
        else:
            dropped["entities lie beyond the end of the window and were left out"] += 1
    return kept, np.array(spans, dtype=np.int64).reshape(-1, 2)


def entity_ids(mentions: Sequence[Mention], vocab: Mapping[str, int], dropped: Counter[str]) -> IntArray:
    """(E,) the entities' ids; `[UNK]` for a title that the vocabulary does not have, which is counted."""
    titles = [mention.title if mention.title is not None else MASK_ENTITY for mention in mentions]
    unknown = sum(title not in vocab for title in titles)
    if unknown:
        dropped[f"entities are not in the model's entity vocabulary and are read as {UNKNOWN_ENTITY}"] += unknown
    return np.array([vocab.get(title, vocab[UNKNOWN_ENTITY]) for title in titles], dtype=np.int64)
