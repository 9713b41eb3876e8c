"""Shared windows, worked out by hand; and what must hold for every document."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luke_tasks.data.loader import collate
from luke_tasks.readers.conll_span import NerExample, NerFeatures
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.shared_context import shared_windows
from luke_tasks.readers.tagging import Span
from luke_tasks.schema import check
from tests.readers.letters import PAD, reader, shown
from tests.readers.test_windows import document, documents, spans, windows


def shared(text: str, max_sequence_length: int, entities: list[Span] | None = None) -> list[NerFeatures]:
    return windows(text, entities, context="shared", max_sequence_length=max_sequence_length)


def test_a_document_that_fits_is_one_window() -> None:
    """Spans do not cross sentences; each stands at its own pieces."""
    (window,) = shared("ab c|d|ef g", 9, [Span(0, 2, "PER"), Span(3, 4, "LOC")])
    assert shown(window) == "<abcdefg>"
    assert spans(window) == [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)]
    assert window.entity_spans.tolist() == [[1, 3], [1, 4], [3, 4], [4, 5], [5, 7], [5, 8], [7, 8]]
    assert window.span_labels is not None
    assert window.span_labels.tolist() == ["O", "PER", "O", "O", "LOC", "O", "O"]
    assert window.entity_ids.tolist() == [2] * 7  # [MASK]
    assert (window.num_words, window.entity_attention, window.entity_groups) == (5, "self", None)


def test_a_long_document_is_cut_evenly_with_context_on_both_sides() -> None:
    """Room for 8 pieces, 6 of them for a window's own sentences: nine of one piece make 5 and 4, not 6 and 3."""
    found = shared("a|b|c|d|e|f|g|h|i", 10)
    assert [shown(window) for window in found] == ["<abcdefgh>", "<bcdefghi>"]
    assert [spans(window) for window in found] == [[(n, n + 1) for n in range(5)], [(n, n + 1) for n in range(5, 9)]]
    assert found[1].entity_spans.tolist() == [[5, 6], [6, 7], [7, 8], [8, 9]]
    assert [window.num_words for window in found] == [5, 4]


def test_the_window_in_the_middle_sees_both_sides() -> None:
    """Room for 4, 3 of them its own: `de` has one piece on its left and one on its right."""
    found = shared("a|b|c|d e|f g|h", 6)
    assert [shown(window) for window in found] == ["<abcd>", "<cdef>", "<efgh>"]
    assert [spans(window) for window in found] == [
        [(0, 1), (1, 2), (2, 3)], [(3, 4), (3, 5), (4, 5)], [(5, 6), (5, 7), (6, 7), (7, 8)]
    ]  # fmt: skip


def test_a_long_sentence_has_a_window_of_its_own() -> None:
    """Room for 8, 6 of them for own sentences: `bcdefgh` has 7."""
    found = shared("a|bc d efgh|i|j", 10)
    assert [shown(window) for window in found] == ["<abcdefgh>", "<bcdefghi>", "<cdefghij>"]
    assert [sorted({start for start, _ in spans(window)}) for window in found] == [[0], [1, 2, 3], [4, 5]]


def test_a_sentence_longer_than_the_window_is_split() -> None:
    own = reader(context="shared", max_sequence_length=6)
    found = own.encode([document("a b c d e f", [Span(3, 5, "PER")])])
    assert [shown(window) for window in found] == ["<abcd>", "<cdef>"]
    assert sorted(own.dropped) == [
        "entities lie across the cut of a sentence longer than the window and cannot be predicted; evaluation counts "
        "them as missed",
        "sentences are longer than the window (4 word pieces) and were split",
    ]


def test_sentences_without_candidates_are_context_and_counted() -> None:
    own = reader(context="shared", max_mention_length=2)
    (window,) = own.encode([document("abc|d|efg hij")])
    assert (shown(window), spans(window), window.num_words) == ("<abcdefghij>", [(1, 2)], 1)
    what = "sentences hold no span of at most max_mention_length (2 word pieces) and were left out"
    assert own.dropped == {what: 2}
    assert own.encode([document("abc")]) == []
    assert own.dropped == {what: 3}


def test_max_entity_length_does_not_split_a_shared_window() -> None:
    (window,) = windows("a b c d|e f", context="shared", max_entity_length=3)
    assert len(window.entity_ids) == 13


def test_spans_grouped_by_sentence() -> None:
    found = windows("a b|c|d e", context="shared", span_attention="sentence")
    assert [window.entity_attention for window in found] == ["group"]
    assert found[0].entity_groups is not None
    assert found[0].entity_groups.tolist() == [0, 0, 0, 1, 2, 2, 2]
    found += windows("f", context="shared", span_attention="sentence")
    batch = collate(found, pad_id=PAD, labels=None)
    assert batch.entity_attention == "group" and batch.entity_groups is not None
    assert batch.entity_groups.tolist() == [[0, 0, 0, 1, 2, 2, 2], [0] * 7]
    assert batch.words_only().entity_attention == "all"


def test_windows_that_attend_differently_do_not_meet() -> None:
    with pytest.raises(ValueError, match="the entities of a batch attend in several ways: all, self"):
        collate([*windows("a"), *windows("a", context="shared")], pad_id=PAD, labels=None)


def test_a_document_without_words() -> None:
    assert reader(context="shared").encode([reader().parse_input({"text": ""}, "f:1")]) == []


def test_span_attention_goes_with_shared_windows() -> None:
    _, faults = check({"type": "conll_span", "span_attention": "sentence"}, Reader, "dataset_reader")
    assert [str(fault) for fault in faults] == [
        'dataset_reader.span_attention: "sentence" goes with "context": "shared", found "document"'
    ]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(example=documents(), max_sequence_length=st.integers(3, 24), max_mention_length=st.integers(1, 9))
def test_every_span_is_in_one_window_as_in_windows_of_one_sentence(
    example: NerExample, max_sequence_length: int, max_mention_length: int
) -> None:
    options = {"max_sequence_length": max_sequence_length, "max_mention_length": max_mention_length}
    own, other = (reader(context=context, max_entity_length=10_000, **options) for context in ("shared", "sentence"))
    found, expected = own.encode([example]), other.encode([example])
    assert labelled(found) == labelled(expected)
    assert own.dropped == other.dropped
    assert sum(window.num_words for window in found) == sum(window.num_words for window in expected)
    for window in found:
        assert len(window.word_ids) <= max_sequence_length
        assert (window.word_ids[0], window.word_ids[-1]) == (own.tokenizer.special.cls, own.tokenizer.special.sep)
        for (first, last), (start, end) in zip(spans(window), window.entity_spans.tolist(), strict=True):
            pieces = own.tokenizer.words_to_pieces(example.words[first:last])
            assert window.word_ids[start:end].tolist() == [
                piece for word in pieces for piece in word[: max_sequence_length - 2]
            ]


def labelled(found: list[NerFeatures]) -> list[tuple[int, int, str]]:
    return [(*span, str(label)) for window in found
            for span, label in zip(spans(window), window.span_labels, strict=True)]  # type: ignore[arg-type] # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12), capacity=st.integers(12, 30))
def test_windows_are_few_and_even(sizes: list[int], capacity: int) -> None:
    """Against all ways to cut the sentences into as many windows, for sentences of at most three quarters of one."""
    starts = [0, *accumulate(sizes)]
    sentences = [(index, index + 1) for index in range(len(sizes))]
    found = shared_windows(sentences, starts, capacity)
    assert [sentence for window in found for sentence in window.sentences] == sentences
    for window in found:
        first, last = starts[window.sentences[0][0]], starts[window.sentences[-1][1]]
        assert window.left <= first < last <= window.right
        assert window.right - window.left == min(capacity, sum(sizes))
    limit = capacity if sum(sizes) <= capacity else int(0.75 * capacity)
    if max(sizes) > limit:
        return
    largest = max(starts[window.sentences[-1][1]] - starts[window.sentences[0][0]] for window in found)
    assert largest <= limit
    fewest, smallest = best_cut(tuple(sizes), limit)
    assert (len(found), largest) == (fewest, smallest)


def best_cut(sizes: tuple[int, ...], limit: int) -> tuple[int, int]:
    """The fewest groups of consecutive sizes within `limit`, and the least largest group with so many: tried out."""
    cuts = Counter[int]()
    for chosen in range(1 << (len(sizes) - 1)):
        groups = [sizes[0]]
        for index, size in enumerate(sizes[1:]):
            if chosen >> index & 1:
                groups.append(size)
            else:
                groups[-1] += size
        if max(groups) <= limit:
            cuts[len(groups)] = min(cuts[len(groups)] or limit, max(groups))
    return min(cuts), cuts[min(cuts)]
