"""Windows, candidate spans and their splits, worked out by hand; and what must hold for every document."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.readers.conll_span import ConllSpanReader, NerExample, NerFeatures
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.tagging import Span
from luke_tasks.schema import check
from tests.readers.letters import letters, reader, shown
from tests.tiny import tiny_bert


def document(text: str, entities: list[Span] | None = None) -> NerExample:
    """Sentences separated by `|`, words by spaces."""
    words: list[str] = []
    sentences = []
    for sentence in text.split("|"):
        sentences.append((len(words), len(words) + len(sentence.split())))
        words += sentence.split()
    return NerExample("doc", words, sentences, entities, " ".join(words), np.zeros((len(words), 2), dtype=np.int64))


def windows(text: str, entities: list[Span] | None = None, **options: Any) -> list[NerFeatures]:
    return reader(**options).encode([document(text, entities)])


def spans(features: NerFeatures) -> list[tuple[int, int]]:
    return [(start, end) for start, end in features.word_spans.tolist()]


# -- context --------------------------------------------------------------------------------------------------------


def test_a_document_that_fits_is_every_window() -> None:
    assert [shown(w) for w in windows("ab c|d|ef g h", max_sequence_length=10)] == ["<abcdefgh>"] * 3


def test_windows_of_the_same_pieces_share_them() -> None:
    first, second, third = windows("ab c|d|ef g h", max_sequence_length=10)
    assert first.word_ids is second.word_ids is third.word_ids


def test_context_fills_the_window_from_both_sides() -> None:
    """Room for 6 pieces. `d` leaves 5: 2 to its left, 3 to its right. `abc` has nothing on its left, so all 3 go right;
    `efgh` nothing on its right, so both go left."""
    found = windows("ab c|d|ef g h", max_sequence_length=8)
    assert [shown(w) for w in found] == ["<abcdef>", "<bcdefg>", "<cdefgh>"]
    assert [w.entity_spans.tolist() for w in found] == [
        [[1, 3], [1, 4], [3, 4]],  # ab, ab c, c
        [[3, 4]],  # d
        [[3, 5], [3, 6], [3, 7], [5, 6], [5, 7], [6, 7]],  # ef, ef g, ef g h, g, g h, h
    ]


def test_what_one_side_lacks_the_other_gets() -> None:
    """Room for 4 pieces beside the sentence in the middle: half would be 2, where one side has 1 the other gets 3."""
    assert shown(windows("a b c d|e|f", max_sequence_length=7)[1]) == "<bcdef>"
    assert shown(windows("a|b|c d e f", max_sequence_length=7)[1]) == "<abcde>"
    assert shown(windows("a b c d|e|f g h i", max_sequence_length=7)[1]) == "<cdefg>"
    assert shown(windows("a b c d|e|f g h i", max_sequence_length=8)[1]) == "<bcdefg>"  # 5: the left gets the odd one


def test_context_sentence() -> None:
    found = windows("ab c|d|ef g h", max_sequence_length=8, context="sentence")
    assert [shown(w) for w in found] == ["<abc>", "<d>", "<efgh>"]
    assert found[2].entity_spans.tolist() == [[1, 3], [1, 4], [1, 5], [3, 4], [3, 5], [4, 5]]
    assert spans(found[2]) == [(3, 4), (3, 5), (3, 6), (4, 5), (4, 6), (5, 6)]


# -- candidates -----------------------------------------------------------------------------------------------------


def test_candidates_by_hand() -> None:
    """At most 3 pieces: `ab c`, `c d` and `c d e` fit, `ab c d` does not; `fghi` alone is too long already."""
    (window,) = windows("ab c d e fghi j", max_mention_length=3)
    assert spans(window) == [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4), (5, 6)]
    assert window.entity_ids.tolist() == [2] * 9  # [MASK]


def test_gold_labels_stand_at_their_spans() -> None:
    entities = [Span(0, 2, "PER"), Span(3, 4, "LOC")]
    (window,) = windows("a b c d", entities, max_mention_length=2)
    assert window.span_labels is not None
    labels = dict(zip(spans(window), window.span_labels, strict=True))
    assert {span: label for span, label in labels.items() if label != "O"} == {(0, 2): "PER", (3, 4): "LOC"}


def test_without_gold_there_are_no_labels() -> None:
    (window,) = windows("a b")
    assert window.span_labels is None


def test_parts_of_a_sentence_are_even() -> None:
    """4 words give 10 candidates; at most 4 a window makes 3 windows, as even as can be: 4, 4, 2."""
    found = windows("a b c d|e", [Span(2, 4, "PER")], max_entity_length=4)
    assert [len(w.entity_ids) for w in found] == [4, 4, 2, 1]
    assert [w.num_words for w in found] == [4, 0, 0, 1]
    assert {shown(w) for w in found} == {"<abcde>"}
    assert [[str(label) for label in w.span_labels] for w in found[:3]] == [  # type: ignore[union-attr]
        ["O"] * 4, ["O"] * 4, ["PER", "O"]
    ]  # fmt: skip
    assert [len(w.entity_ids) for w in windows("a b c d", max_entity_length=9)] == [5, 5]
    assert [len(w.entity_ids) for w in windows("a b c d", max_entity_length=10)] == [10]


# -- what does not fit ----------------------------------------------------------------------------------------------


def reported(own: ConllSpanReader, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        own.report_dropped("f.txt")
    assert not own.dropped  # the next file starts from nothing
    return sorted(caplog.messages)


def test_a_long_sentence_is_split(caplog: pytest.LogCaptureFixture) -> None:
    own = reader(max_sequence_length=6, context="sentence")
    found = own.encode([document("a b c d e f")])
    assert [shown(w) for w in found] == ["<abcd>", "<ef>"]
    assert [w.num_words for w in found] == [4, 2]
    assert reported(own, caplog) == ["f.txt: 1 sentences are longer than the window (4 word pieces) and were split"]


def test_a_long_sentence_is_cut_after_punctuation() -> None:
    """Room for 6 pieces: the full stop in the second half of them is a better place than the window's end."""
    found = windows("a b c d . e f g", max_sequence_length=8, context="sentence")
    assert [shown(w) for w in found] == ["<abcd?>", "<efg>"]
    found = windows(
        "a . b c d e f g", max_sequence_length=8, context="sentence"
    )  # too early: a short window is a waste
    assert [shown(w) for w in found] == ["<a?bcde>", "<fg>"]


def test_parts_of_a_long_sentence_see_their_neighbours() -> None:
    found = windows("a b c d e f", max_sequence_length=6)
    assert [shown(w) for w in found] == ["<abcd>", "<cdef>"]
    assert found[1].entity_spans.tolist() == [[3, 4], [3, 5], [4, 5]]


def test_an_entity_across_a_cut_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    own = reader(max_sequence_length=6)
    own.encode([document("a b c d e f", [Span(3, 5, "PER"), Span(0, 1, "PER")])])
    assert reported(own, caplog) == [
        "f.txt: 1 entities lie across the cut of a sentence longer than the window and cannot be predicted; evaluation "
        "counts them as missed",
        "f.txt: 1 sentences are longer than the window (4 word pieces) and were split",
    ]


def test_a_word_longer_than_the_window(caplog: pytest.LogCaptureFixture) -> None:
    own = reader(max_sequence_length=6, max_mention_length=9)
    found = own.encode([document("a bcdefghij k")])
    assert [shown(w) for w in found] == ["<abcd>", "<bcde>", "<cdek>"]
    assert [spans(w) for w in found] == [[(0, 1)], [(1, 2)], [(2, 3)]]
    assert reported(own, caplog) == [
        "f.txt: 1 sentences are longer than the window (4 word pieces) and were split",
        "f.txt: 1 words are longer than the window (4 word pieces) and were cut",
    ]


def test_long_entities_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    own = reader(max_mention_length=2)
    (window,) = own.encode([document("a b c d", [Span(0, 3, "PER"), Span(3, 4, "LOC")])])
    assert window.span_labels is not None and Counter(window.span_labels) == {"O": 6, "LOC": 1}
    assert reported(own, caplog) == [
        "f.txt: 1 entities are longer than max_mention_length (2 word pieces) and cannot be predicted; evaluation "
        "counts them as missed"
    ]


def test_a_sentence_without_candidates_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    own = reader(max_mention_length=2)
    (window,) = own.encode([document("abc|d|efg hij")])
    assert spans(window) == [(1, 2)]
    assert shown(window) == "<abcdefghij>"  # it is context still
    assert reported(own, caplog) == [
        "f.txt: 2 sentences hold no span of at most max_mention_length (2 word pieces) and were left out"
    ]


def test_nothing_to_report(caplog: pytest.LogCaptureFixture) -> None:
    own = reader()
    own.encode([document("a b", [Span(0, 1, "PER")])])
    assert reported(own, caplog) == []


def test_a_word_without_a_piece_keeps_its_place(tmp_path: Path) -> None:
    """BERT drops control characters; the word stays, as [UNK]."""
    own = ConllSpanReader(tokenizer=Tokenizer.from_pretrained(str(tiny_bert(tmp_path))))
    (window,) = own.encode([document("london \x07 london", [Span(1, 3, "PER")])])
    unknown = own.tokenizer.special.unknown
    (london,) = own.tokenizer.words_to_pieces(["london"])
    assert window.word_ids.tolist()[1:-1] == [*london, unknown, *london]
    assert (1, 2) in spans(window)
    assert not own.dropped


def test_a_document_without_words() -> None:
    assert reader().encode([reader().parse_input({"text": ""}, "f:1")]) == []


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_window_needs_room_for_a_piece(length: int) -> None:
    _, faults = check({"type": "conll_span", "max_sequence_length": length}, Reader, "dataset_reader")
    assert [str(fault) for fault in faults] == [
        f"dataset_reader.max_sequence_length: expected an integer above 2, as [CLS] and [SEP] take two, found {length}"
    ]


# -- for every document ---------------------------------------------------------------------------------------------


@st.composite
def documents(draw: st.DrawFn) -> NerExample:
    lengths = draw(st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=12), min_size=1, max_size=5))
    text = "|".join(" ".join("abcdefg"[:length] if length < 7 else "." for length in sentence) for sentence in lengths)
    example = document(text)
    example.entities = []
    for start, end in example.sentences:
        position = start
        while position < end and draw(st.booleans()):
            first = draw(st.integers(position, end - 1))
            last = draw(st.integers(first + 1, end))
            example.entities.append(Span(first, last, draw(st.sampled_from(["PER", "LOC"]))))
            position = last
    return example


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(
    example=documents(),
    max_sequence_length=st.integers(3, 24),
    max_mention_length=st.integers(1, 9),
    max_entity_length=st.integers(1, 12),
    context=st.sampled_from(["document", "sentence"]),
)
def test_no_word_and_no_candidate_is_lost(
    example: NerExample, max_sequence_length: int, max_mention_length: int, max_entity_length: int, context: Any
) -> None:
    own = reader(
        max_sequence_length=max_sequence_length,
        max_mention_length=max_mention_length,
        max_entity_length=max_entity_length,
        context=context,
    )
    found = own.encode([example])
    capacity = max_sequence_length - 2
    pieces = [ids[:capacity] for ids in letters().words_to_pieces(example.words)]

    for window in found:
        assert 0 < len(window.entity_ids) <= max_entity_length
        assert len(window.entity_ids) == len(window.entity_spans) == len(window.word_spans)
        assert len(window.word_ids) <= max_sequence_length
        assert (window.word_ids[0], window.word_ids[-1]) == (own.tokenizer.special.cls, own.tokenizer.special.sep)
        for (word_start, word_end), (start, end) in zip(spans(window), window.entity_spans.tolist(), strict=True):
            own_pieces = [piece for word in pieces[word_start:word_end] for piece in word]
            assert window.word_ids[start:end].tolist() == own_pieces

    times = Counter(span for window in found for span in spans(window))
    assert set(times.values()) <= {1}
    for first, last in example.sentences:
        split = sum(map(len, pieces[first:last])) > capacity
        for start in range(first, last):
            for end in range(start + 1, last + 1):
                fits = sum(map(len, pieces[start:end])) <= max_mention_length
                if not split or end == start + 1:  # a cut can only cost spans of several words
                    assert times[start, end] == fits
                else:
                    assert times[start, end] <= fits
    covered = sum(window.num_words for window in found)
    if all(len(word) <= max_mention_length for word in pieces):
        assert covered == len(example.words)
    assert covered <= len(example.words)

    assert example.entities is not None
    placed = Counter(
        (start, end, label)
        for window in found
        if window.span_labels is not None
        for (start, end), label in zip(spans(window), window.span_labels, strict=True)
        if label != "O"
    )
    gold = Counter((entity.start, entity.end, entity.label) for entity in example.entities)
    assert placed <= gold
    assert (gold - placed).total() == sum(count for what, count in own.dropped.items() if what.startswith("entities"))
