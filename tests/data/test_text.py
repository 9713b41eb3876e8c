"""Raw text to words."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luke_tasks.data.text import split_lines, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He lives in the U.S. today", "He|lives|in|the|U.S.|today"),
        ("U.S.A. or U.S.A, e.g.", "U.S.A.|or|U.S.A|,|e.g."),
        ("It ended. Then", "It|ended|.|Then"),
        ("Lee's and Lee’s", "Lee|'s|and|Lee|’s"),
        ("I'm sure we'd go, they'll say", "I|'m|sure|we|'d|go|,|they|'ll|say"),
        ("O'Brien and L’Oréal don't", "O'Brien|and|L’Oréal|don't"),
        ("'quoted' \"so\" “and” ‘so’", "'|quoted|'|\"|so|\"|“|and|”|‘|so|’"),
        ("AT&T, Marks & Spencer", "AT&T|,|Marks|&|Spencer"),
        ("up 3.5% to $1,000.50!", "up|3.5|%|to|$|1,000.50|!"),
        ("at 10:30 on 1996-08-22", "at|10:30|on|1996-08-22"),
        ("a well-known all-rounder -- yes", "a|well-known|all-rounder|-|-|yes"),
        ("(Reuters)", "(|Reuters|)"),
        ("what?!...", "what|?|!|.|.|."),
        ("mail a.b+c@example.com.", "mail|a.b+c@example.com|."),
        ("see https://example.com/a?b=c&d=e, or", "see|https://example.com/a?b=c&d=e|,|or"),
        ("(www.example.org/) http://x.org.", "(|www.example.org/|)|http://x.org|."),
        ("https://example.comを見る", "https://example.com|を|見|る"),
        ("東京はPRの1.5倍。", "東|京|は|PR|の|1.5|倍|。"),
        ("カ\u3099 ｶﾞﾝ", "カ\u3099|ｶﾞ|ﾝ"),
        ("cafe\u0301s हिन्दी 한국어", "cafe\u0301s|हिन्दी|한국어"),
        ("👍🏽 ❤️ 👩‍👧", "👍|🏽|❤️|👩‍|👧"),
        ("a\u00a0b\u2028c\u3000d\te", "a|b|c|d|e"),
        ("snake_case #tag @user", "snake_case|#|tag|@|user"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert "|".join(text[start:end] for start, end in split_words(text)) == words


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=40) | st.text(alphabet=".,'’-a1A日ｶﾞ\u0301\u200d @/:w\n😀", max_size=40))
def test_every_character_but_spaces_is_in_one_word(text: str) -> None:
    spans = split_words(text)
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    covered = {index for start, end in spans for index in range(start, end)}
    assert {index for index, character in enumerate(text) if not character.isspace()} == covered


def test_marks_stay_with_their_letter() -> None:
    """Also outside the scripts tested above: no word of more than one character begins with a combining mark."""
    marks = [chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code))[0] == "M"]
    assert all(split_words(f"a{mark}b") == [(0, 3)] for mark in marks)


def test_lines() -> None:
    text = "one\n\n  \ntwo \r\n\u2028three"
    assert [text[start:end] for start, end in split_lines(text)] == ["one", "two \r", "\u2028three"]
    assert split_lines("") == split_lines("\n \n") == []


def test_long_input_takes_linear_time() -> None:
    """A pattern that tried everything again at every letter would take minutes here."""
    for piece in ("a-", "a'", "www.", "http://.", "A.", "'s", "a\u0301", "ｶﾞ"):
        split_words(piece * 20_000 + "'")
