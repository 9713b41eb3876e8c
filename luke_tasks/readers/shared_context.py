"""Cutting a document into windows whose sentences are all read at once (`context: "shared"`).

A document that fits is one window. A longer one is cut between sentences into as few windows as can be whose own
sentences fill at most three quarters of each, so that the first and the last of them have neighbours to look at; and,
with so many windows, as evenly as can be. What room is left holds the document's pieces before and after, as in
`with_context`. A sentence of more than three quarters of a window has one of its own.

Positions are word pieces of the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from luke_tasks.readers.windows import with_context

_OWN_SHARE = 0.75  # of a window, where the document is longer than one


class Window(NamedTuple):
    """Some consecutive sentences, one at least, and the pieces they are read amid."""

    sentences: Sequence[tuple[int, int]]  # words [first, last) of each
    left: int  # pieces [left, right)
    right: int


def shared_windows(sentences: Sequence[tuple[int, int]], starts: Sequence[int], capacity: int) -> list[Window]:
    """The windows of a document, in order; every sentence is in one of them.

    Args:
        sentences: words `[first, last)` of each, in order, of at most `capacity` pieces.
        starts: N + 1; the first piece of each of the document's N words, and the end.
        capacity: pieces of a window, special tokens not counted.
    """
    length = starts[-1]
    sizes = [starts[last] - starts[first] for first, last in sentences]
    if not sizes:
        return []
    limit = capacity if length <= capacity else int(_OWN_SHARE * capacity)
    windows = []
    start = 0
    for count in _even_counts(sizes, limit):
        own = sentences[start : start + count]
        windows.append(Window(own, *with_context(starts[own[0][0]], starts[own[-1][1]], length, capacity)))
        start += count
    return windows


def _even_counts(sizes: Sequence[int], limit: int) -> list[int]:
    """How many consecutive items go into each of the fewest groups within `limit`, the largest group being smallest."""
    counts = _filled_counts(sizes, limit)
    low, high = max(sizes), max(limit, *sizes)
    while low < high:  # the least limit that needs no more groups
        middle = (low + high) // 2
        fewer = _filled_counts(sizes, middle)
        if len(fewer) <= len(counts):
            counts, high = fewer, middle
        else:
            low = middle + 1
    return counts


def _filled_counts(sizes: Sequence[int], limit: int) -> list[int]:
    """How many go into each group when every one is filled before the next is begun; one above `limit` stays alone."""
    counts: list[int] = []
    room = 0
    for size in sizes:
        if counts and size <= room:
            counts[-1] += 1
            room -= size
        else:
            counts.append(1)
            room = limit - size
    return counts
