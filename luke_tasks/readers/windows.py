"""Cutting documents into windows of word pieces: sentences too long for one, the context around a sentence, and the
spans within it.

Positions are word pieces of the document; `word_starts` (N + 1,) holds the first piece of each of its N words, and the
end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.text import SENTENCE_END


def join_pieces(pieces: list[list[int]], capacity: int, dropped: Counter[str]) -> tuple[IntArray, IntArray]:
    """A document's pieces from those of each word, of which at most `capacity` are kept; what is cut is counted.

    Returns:
        (P,) their ids, and `word_starts`.
    """
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    num_longer = int((lengths > capacity).sum())
    if num_longer:
        dropped[f"words are longer than the window ({capacity} word pieces) and were cut"] += num_longer
        pieces = [word_pieces[:capacity] for word_pieces in pieces]
        lengths = lengths.clip(max=capacity)
    word_starts = running_sum(lengths)
    return np.fromiter(chain.from_iterable(pieces), np.int64, int(word_starts[-1])), word_starts


def running_sum(counts: IntArray) -> IntArray:
    """(N,) counts → (N + 1,): 0, and the sum up to and with each."""
    sums = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def window_ids(piece_ids: IntArray, left: int, right: int, cls: int, sep: int) -> IntArray:
    """The pieces `[left, right)` between [CLS] and [SEP]."""
    ids = np.empty(right - left + 2, dtype=np.int64)
    ids[0], ids[1:-1], ids[-1] = cls, piece_ids[left:right], sep
    return ids


def split_long_sentence(
    words: Sequence[str], word_starts: Sequence[int], first: int, last: int, capacity: int, dropped: Counter[str]
) -> Iterator[tuple[int, int]]:
    """The words `[first, last)` of a sentence, or parts of it of at most `capacity` pieces, cut after punctuation where
    there is any; a split is counted."""
    if word_starts[last] - word_starts[first] > capacity:
        dropped[f"sentences are longer than the window ({capacity} word pieces) and were split"] += 1
    while word_starts[last] - word_starts[first] > capacity:
        cut = bisect_right(word_starts, word_starts[first] + capacity) - 1
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


def candidate_spans(
    word_starts: IntArray, sentences: Sequence[tuple[int, int]], max_pieces: int
) -> tuple[IntArray, IntArray]:
    """All spans of at most `max_pieces` word pieces within one sentence, by start, then end.

    Args:
        word_starts: (N + 1,) first piece of each word, and the end of the last.
        sentences: words `[first, last)` of each; one after another, they are all N words.
    Returns:
        (C, 2) the spans in words, and (N + 1,) which of them is the first that begins at each word, and C.
    """
    starts = np.arange(len(word_starts) - 1)  # (N,)
    sentence_ends = np.repeat([last for _, last in sentences], [last - first for first, last in sentences])  # (N,)
    reach = np.searchsorted(word_starts, word_starts[:-1] + max_pieces, side="right") - 1
    counts = reach.clip(starts, sentence_ends) - starts  # (N,) spans that begin at each word
    first_rows = running_sum(counts)
    word_spans = np.empty((first_rows[-1], 2), dtype=np.int64)
    word_spans[:, 0] = np.repeat(starts, counts)
    word_spans[:, 1] = np.arange(len(word_spans)) + np.repeat(starts + 1 - first_rows[:-1], counts)
    return word_spans, first_rows
