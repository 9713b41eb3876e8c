"""Cutting documents into windows of word pieces: sentences too long for one, and the context around a sentence.

Positions are word pieces of the document; `word_starts` (words + 1,) holds the first piece of each word, and the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.text import SENTENCE_END


def cut_long_words(pieces: list[list[int]], capacity: int, dropped: Counter[str]) -> list[list[int]]:
    """The pieces of each word, at most `capacity` of them; what is cut is counted."""
    num_longer = sum(len(word_pieces) > capacity for word_pieces in pieces)
    if not num_longer:
        return pieces
    dropped[f"words are longer than the window ({capacity} word pieces) and were cut"] += num_longer
    return [word_pieces[:capacity] for word_pieces in pieces]


def split_long_sentence(
    words: Sequence[str], word_starts: IntArray, first: int, last: int, capacity: int, dropped: Counter[str]
) -> Iterator[tuple[int, int]]:
    """The words `[first, last)` of a sentence, or parts of it of at most `capacity` pieces, cut after punctuation where
    there is any; a split is counted."""
    if word_starts[last] - word_starts[first] > capacity:
        dropped[f"sentences are longer than the window ({capacity} word pieces) and were split"] += 1
    while word_starts[last] - word_starts[first] > capacity:
        cut = int(np.searchsorted(word_starts, word_starts[first] + capacity, side="right")) - 1
        ends = [word for word in range((first + cut) // 2, cut) if words[word][-1] in SENTENCE_END]
        cut = ends[-1] + 1 if ends else cut
        yield first, cut
        first = cut
    yield first, last


def with_context(start: int, end: int, length: int, capacity: int) -> tuple[int, int]:
    """Pieces `[left, right)` of a document of `length` around `[start, end)`: as many as fit into `capacity`, shared
    evenly between both sides unless one has fewer."""
    room = capacity - (end - start)
    if start < length - end:
        left = min(start, room // 2)
        right = min(length - end, room - left)
    else:
        right = min(length - end, room // 2)
        left = min(start, room - right)
    return start - left, end + right
