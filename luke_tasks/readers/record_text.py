"""Queries and passages of ReCoRD as word pieces: the gap, the highlights and the markers around candidates.

In: a query with "@placeholder", a passage with its candidates. Out: word pieces, and the places of gap and candidates:

    Shares of @placeholder fell.        →   Shares of [PLACEHOLDER] fell.
    Ada Lo left Acme. @highlight Gone   →   [ENTITY] Ada Lo [ENTITY] left [ENTITY] Acme [ENTITY]. [HIGHLIGHT] Gone

The slices between these pieces are tokenized apart, as in LUKE's published code for ReCoRD; a slice has a space before
it where its text or the text before it has one, and at the beginning of query and passage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.readers.records import Span

PLACEHOLDER = "@placeholder"  # in a query: the gap
HIGHLIGHT = "@highlight"  # in a passage: before each point of its summary
PLACEHOLDER_PIECE, HIGHLIGHT_PIECE, ENTITY_PIECE = "[PLACEHOLDER]", "[HIGHLIGHT]", "[ENTITY]"
PIECE_SOURCES: Mapping[str, str] = {HIGHLIGHT_PIECE: "@", PLACEHOLDER_PIECE: "#", ENTITY_PIECE: "*"}


@dataclass(frozen=True)
class Passage:
    """A text and its entities, as characters of it, by their start; several may bear one name, or overlap."""

    text: str
    candidates: Sequence[Span]


@dataclass(frozen=True)
class QueryPieces:
    """The word pieces of a query, and the place of its gap."""

    ids: list[int]
    gap: int

    def shortened(self, length: int) -> QueryPieces:
        """`length` pieces: the first, or those up to the gap where it would go (the published code loses it)."""
        first = max(0, self.gap + 1 - length)
        return QueryPieces(self.ids[first : first + length], self.gap - first)


@dataclass(frozen=True)
class PassagePieces:
    """The N word pieces of a passage, and of each candidate the places [start, end), both markers included."""

    ids: IntArray  # (N,)
    spans: IntArray  # (candidates, 2)

    def windows(self, capacity: int, stride: int) -> Iterator[Span]:
        """Word pieces [start, end) of each window; the last one reaches the passage's end."""
        start = 0
        while start + capacity < len(self.ids):
            yield start, start + capacity
            start += min(stride, capacity)
        yield start, len(self.ids)


@dataclass(frozen=True)
class _Marker:
    position: int  # character of the passage it stands before
    candidate: int
    opens: bool


def query_pieces(queries: Sequence[str], tokenizer: Tokenizer) -> Iterator[QueryPieces]:
    """Each query, tokenized together."""
    halves = [_flat(query).split(PLACEHOLDER) for query in queries]
    pieces = iter(tokenizer.texts_to_pieces([text for before, after in halves for text in (_spaced(before), after)]))
    placeholder = _id_of(PLACEHOLDER_PIECE, tokenizer)
    for before, after in zip(pieces, pieces, strict=True):
        yield QueryPieces([*before, placeholder, *after], len(before))


def passage_pieces(passages: Sequence[Passage], tokenizer: Tokenizer) -> Iterator[PassagePieces]:
    """Each passage with its markers, tokenized together."""
    markers = [_markers(passage.candidates) for passage in passages]
    slices = [_slices(_flat(passage.text), own) for passage, own in zip(passages, markers, strict=True)]
    pieces = iter(tokenizer.texts_to_pieces([part for own in slices for parts in own for part in parts]))
    entity, highlight = (_id_of(piece, tokenizer) for piece in (ENTITY_PIECE, HIGHLIGHT_PIECE))
    for passage, own_markers, own_slices in zip(passages, markers, slices, strict=True):
        ids: list[int] = []
        spans = np.zeros((len(passage.candidates), 2), dtype=np.int64)
        for marker, parts in zip([None, *own_markers], own_slices, strict=True):
            if marker is not None:
                ids.append(entity)
                spans[marker.candidate, 0 if marker.opens else 1] = len(ids) - 1 if marker.opens else len(ids)
            for number in range(len(parts)):
                ids += [highlight] * (number > 0) + next(pieces)
        yield PassagePieces(np.array(ids, dtype=np.int64), spans)


def _markers(candidates: Sequence[Span]) -> list[_Marker]:
    """In the order they stand; where several meet, candidates close before others open, and inner ones stand inside."""
    ordered = []
    for index, (start, end) in enumerate(candidates):
        ordered.append(((start, 1, -end), _Marker(start, index, opens=True)))
        ordered.append(((end, 0, -start), _Marker(end, index, opens=False)))
    return [marker for _, marker in sorted(ordered, key=lambda pair: pair[0])]


def _slices(text: str, markers: Sequence[_Marker]) -> list[list[str]]:
    """The text between markers, one slice more than there are markers, each split at "@highlight"."""
    found = []
    for start, end in pairwise([0, *(marker.position for marker in markers), len(text)]):
        parts = text[start:end].split(HIGHLIGHT)
        if start == 0 or text[start - 1] == " ":
            parts[0] = _spaced(parts[0])
        found.append(parts)
    return found


def _spaced(text: str) -> str:
    """With a space before it, unless it is empty or begins with one."""
    return f" {text}" if text and not text[0].isspace() else text


def _flat(text: str) -> str:
    return text.replace("\n", " ")


def _id_of(piece: str, tokenizer: Tokenizer) -> int:
    found = tokenizer.word_id(piece)
    assert found is not None  # the reader's `added_words` name it
    return found
