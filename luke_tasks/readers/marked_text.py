"""Texts whose entities stand between marker word pieces, `<ent>` around the first and `<ent2>` around the second.

In: a text and the characters of its entities. Out: one window of word pieces and the span of each entity in it, both
markers included, as in studio-ousia/luke's `examples/entity_typing` and `examples/relation_classification`:

    The Mississippi Air National Guard   →   The<ent> Mississippi<ent> Air National Guard

A marker has no space before it; the word after an opening marker has one. The stretches between markers are tokenized
apart, so entities may overlap, and a text may hold "<ent>" itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.published_tokenizer import ENTITY_MARKERS
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.readers.records import Span

MARKER_SOURCES: Mapping[str, str] = dict(zip(ENTITY_MARKERS, "@#", strict=True))  # as LUKE's own rows began
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class MarkedPieces:
    """One window: its word pieces with the special tokens, and the entities' spans in them, markers included."""

    word_ids: IntArray  # (W,)
    entity_spans: IntArray  # (E, 2)


@dataclass(frozen=True)
class _Marker:
    position: int  # character of the text it stands before
    entity: int
    opens: bool


def encode_marked(
    texts: Iterable[tuple[str, Sequence[Span]]], tokenizer: Tokenizer, max_sequence_length: int, dropped: Counter[str]
) -> Iterator[MarkedPieces]:
    """The window of each text, its entities marked.

    A text that is too long keeps its entities, and of the rest the pieces nearest to a marker; of an entity too long by
    itself, those nearest to its ends. Both are counted in `dropped`.
    """
    stream = iter(texts)
    while chunk := list(islice(stream, _TEXTS_AT_ONCE)):
        markers = [_markers(spans) for _, spans in chunk]
        stretches = [_stretches(text, marks) for (text, _), marks in zip(chunk, markers, strict=True)]
        pieces = iter(tokenizer.texts_to_pieces([stretch for one in stretches for stretch in one]))
        for marks in markers:
            own_pieces = list(islice(pieces, len(marks) + 1))
            yield _window(*_joined(own_pieces, marks, tokenizer), tokenizer, max_sequence_length - 2, dropped)


def _markers(spans: Sequence[Span]) -> list[_Marker]:
    """In the order they stand; where several meet, entities close before others open, and inner ones close first."""
    ordered = []
    for entity, (start, end) in enumerate(spans):
        is_empty = start == end  # KBP37 has such
        ordered.append(((start, 1, -end, entity, 0), _Marker(start, entity, opens=True)))
        closing = (end, 1, -end, entity, 1) if is_empty else (end, 0, -start, -entity, 0)
        ordered.append((closing, _Marker(end, entity, opens=False)))
    return [marker for _, marker in sorted(ordered, key=lambda pair: pair[0])]


def _stretches(text: str, markers: Sequence[_Marker]) -> list[str]:
    """The text cut at its markers, one stretch more than there are markers."""
    found = []
    for before, after in pairwise([None, *markers, None]):
        start = before.position if before else 0
        end = after.position if after else len(text)
        if after and after.opens and text[start:end][-1:].isspace():
            end -= 1
        stretch = text[start:end]
        opens_words = before is not None and before.opens and not (not stretch and after and after.opens)
        needs_space = opens_words and not stretch[:1].isspace()
        found.append(" " + stretch if needs_space else stretch)
    return found


def _joined(
    pieces: Sequence[Sequence[int]], markers: Sequence[_Marker], tokenizer: Tokenizer
) -> tuple[IntArray, IntArray]:
    """The pieces of the stretches with the markers between them, and the places of each entity's markers: (E, 2)."""
    ids = list(pieces[0])
    ends = np.zeros((len(markers) // 2, 2), dtype=np.int64)
    for marker, stretch in zip(markers, pieces[1:], strict=True):
        ends[marker.entity, 0 if marker.opens else 1] = len(ids)
        marker_id = tokenizer.word_id(ENTITY_MARKERS[marker.entity])
        assert marker_id is not None  # the reader's `added_words` name it
        ids += [marker_id, *stretch]
    return np.array(ids), ends


def _window(ids: IntArray, ends: IntArray, tokenizer: Tokenizer, capacity: int, dropped: Counter[str]) -> MarkedPieces:
    """Special tokens around the pieces, after cutting them down to `capacity`. `ends` (E, 2): places of the markers."""
    if len(ids) > capacity:
        kept, entity_is_cut = _nearest(len(ids), ends, capacity)
        ids, ends = ids[kept], np.searchsorted(kept, ends)
        what = f"texts are longer than the window ({capacity} word pieces) and were cut"
        dropped[f"{what} within their entities" if entity_is_cut else f"{what} outside their entities"] += 1
    special = tokenizer.special
    word_ids = np.concatenate([[special.cls], ids, [special.sep]])  # (W,)
    return MarkedPieces(word_ids, ends + np.array([1, 2]))  # + 1 for [CLS], + 1 as an end is exclusive


def _nearest(length: int, ends: IntArray, capacity: int) -> tuple[IntArray, bool]:
    """Places of the pieces to keep, in order: entities first, then by distance from a marker. Whether entities lose."""
    places = np.arange(length)
    distance = np.abs(places[:, None] - ends.reshape(1, -1)).min(1)  # (length,)
    in_entity = ((places[:, None] >= ends[:, 0]) & (places[:, None] <= ends[:, 1])).any(1)  # (length,)
    by_worth = np.lexsort([distance, distance > 0, ~in_entity])
    return np.sort(by_worth[:capacity]), bool(in_entity.sum() > capacity)
