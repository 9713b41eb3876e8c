"""Raw text to words with character offsets, cut the way CoNLL data are: at spaces, and around punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch of true ones."""
    end = 0
    for flag, run in groupby(flags):
        start, end = end, end + len(list(run))
        if flag:
            yield start, end - 1


# Scripts written without spaces are cut into single characters, so that any of them can begin or end an entity.
UNSPACED = "\u3040-\u3098\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
# What belongs to the letter before it, and which `\w` does not cover: accents, Indic vowel signs, U+200D in emoji.
_IS_MARK = [unicodedata.category(chr(code))[0] == "M" for code in range(0xFE30)]
# As ranges: `re` reads a class of 2,000 single characters in a tenth of a second.
_MARKS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _runs(_IS_MARK))
_MARK = f"[{_MARKS}\u200c\u200d\uff9e\uff9f]"
_LETTERS = rf"(?:[^\W{UNSPACED}]{_MARK}*)+"
_CLITIC = r"['’](?:s|S|re|ve|ll|d|m)\b"
_WORD = re.compile(
    rf"(?:https?://|www\.)[^\s{UNSPACED}<>\"“”]*[^\W{UNSPACED}]/?"  # a URL, without the full stop after it
    rf"|[{UNSPACED}]{_MARK}*"
    rf"|{_CLITIC}"  # Lee 's
    r"|(?:[A-Za-z]\.){2,}(?!\w)"  # U.S.
    r"|(?:Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Sgt|Rev|Sen|Gov|Jr|Sr|Inc|Ltd|Corp|Co)\.(?=\s)"  # one word, as in CoNLL data
    rf"|{_LETTERS}(?:(?!{_CLITIC})[-.,:/@&'’+]{_LETTERS})*"  # words, with inner marks: 3.5, well-known, AT&T, O'Brien
    rf"|\S{_MARK}*"
)
SENTENCE_END = frozenset(".!?。！？")


def split_words(text: str) -> list[tuple[int, int]]:
    """Character spans `[start, end)` of the words of `text`."""
    return [match.span() for match in _WORD.finditer(text)]


def split_lines(text: str) -> list[tuple[int, int]]:
    """Character spans of the lines of `text` that hold anything but spaces."""
    return [match.span() for match in re.finditer(r"[^\n]+", text) if match[0].strip()]
