"""A text with spans marked in it: coloured, labelled, nested where they overlap.

Enters: a text and marks in its characters. Leaves: HTML in which every character of the text stands once, escaped.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

# Hues of labels that many data sets have, so that they differ from one another; others get one by their name.
_HUES = {"PER": 212, "PERSON": 212, "LOC": 140, "LOCATION": 140, "GPE": 140, "ORG": 28, "ORGANIZATION": 28, "MISC": 285,
         "DATE": 330, "head": 212, "tail": 28, "answer": 140}  # fmt: skip
_ONE_LINE = 30  # characters of a label, with its note, that are kept in one line
_OTHER_HUES = (0, 48, 80, 110, 165, 188, 235, 260, 308, 345)


@dataclass(frozen=True)
class Mark:
    """Characters `[start, end)` of a text, and what is said of them.

    Args:
        label: shown behind the span; "": only the colour.
        note: small print behind the label, such as a probability.
        look: a class of the style sheet, such as `gold`; "": filled with the colour of the label.
        hue: of the colour, 0 to 359; None: that of the label.
    """

    start: int
    end: int
    label: str = ""
    note: str = ""
    look: str = ""
    hue: int | None = None


STYLE = """
.lt { line-height: 2; overflow-wrap: anywhere; }
.lt-text { white-space: pre-wrap; margin: .25em 0; }
.lt mark { color: inherit; background: hsl(var(--h) 85% 50% / .2); border-bottom: 2px solid hsl(var(--h) 65% 50%);
  border-radius: 3px; padding: 2px 3px; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.lt mark mark { padding: 0 2px; }
.lt .lt-l { font-size: .72em; font-weight: 700; letter-spacing: .02em; margin-left: .35em; padding: 1px 5px;
  border-radius: 8px; background: hsl(var(--h) 70% 50% / .28); white-space: nowrap; }
.lt .lt-long { white-space: normal; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.lt .lt-n { font-weight: 400; opacity: .8; margin-left: .35em; font-variant-numeric: tabular-nums; }
"""


def hue(label: str) -> int:
    """The colour of a label, the same on every page."""
    return _HUES.get(label) or _OTHER_HUES[zlib.crc32(label.encode("utf-8", "replace")) % len(_OTHER_HUES)]


def chip(label: str, note: str = "", *, colour: int | None = None) -> str:
    """A label in its colour, with small print behind it."""
    shown = hue(label) if colour is None else colour
    return f'<span class="{_chip_class(label, note)}" style="--h:{shown}">{escape(label)}{_small(note)}</span>'


def marked_text(text: str, marks: Sequence[Mark], *, most: int | None = None) -> str:
    """HTML of the text with its marks. A mark that crosses another's end is drawn in two parts, its label at the last.

    Args:
        marks: in any order; empty ones and what lies outside of the text are cut off.
        most: about how many characters are shown; of a longer text, those around each mark, or its beginning, with
            dots for the rest. None: all.
    """
    fit = [replace(mark, start=max(mark.start, 0), end=min(mark.end, len(text))) for mark in marks]
    fit = [mark for mark in fit if mark.start < mark.end]
    pieces = [(0, len(text))] if most is None else _shown(len(text), fit, most)
    out, at = "", 0
    for first, last in pieces:
        cut = [replace(mark, start=max(mark.start, first), end=min(mark.end, last)) for mark in fit]
        out += "<i>…</i>" if first > at else ""
        out += _nested(text, [mark for mark in cut if mark.start < mark.end], first, last)
        at = last
    return out + ("<i>…</i>" if at < len(text) else "")


def _shown(length: int, marks: Sequence[Mark], most: int) -> list[tuple[int, int]]:
    """The pieces of the text that are shown: one where all marks fit into it, else one around each of them."""
    if length <= most or not marks:
        return [(0, min(length, most))]
    begin, end = min(mark.start for mark in marks), max(mark.end for mark in marks)
    if end - begin <= most:
        first = min(max((begin + end - most) // 2, 0), length - most)
        return [(first, first + most)]
    each = max(most // len(marks), 1)
    pieces: list[tuple[int, int]] = []
    for mark in sorted(marks, key=lambda mark: mark.start):
        first = max(mark.start - max(each - (mark.end - mark.start), 0) // 2, 0)  # of a longer one, its beginning
        last = min(first + each, length)
        if pieces and first <= pieces[-1][1]:
            first, last = pieces[-1][0], max(last, pieces.pop()[1])
        pieces.append((first, last))
    return pieces


def _nested(text: str, marks: Sequence[Mark], first: int, last: int) -> str:
    """The marks as elements inside of one another, from the left, the longer one first."""
    waiting = [(mark.start, -mark.end, number, mark, False) for number, mark in enumerate(marks)]
    heapq.heapify(waiting)
    out: list[str] = []
    open_marks: list[tuple[Mark, int, bool]] = []  # with their end here, and whether that is a whole one's
    at = first

    def close_until(place: int) -> None:
        nonlocal at
        while open_marks and open_marks[-1][1] <= place:
            mark, end, is_last = open_marks.pop()
            out.append(escape(text[at:end], quote=False) + (_label(mark) if is_last else "") + "</mark>")
            at = end

    while waiting:
        start, negative_end, number, mark, _ = heapq.heappop(waiting)
        close_until(start)
        out.append(escape(text[at:start], quote=False))
        at = start
        end = -negative_end
        if open_marks and open_marks[-1][1] < end:  # crosses: the rest comes when the outer one is closed
            outer = open_marks[-1][1]
            heapq.heappush(waiting, (outer, -end, number, mark, True))
            out.append(_opened(mark))
            open_marks.append((mark, outer, False))
        else:
            out.append(_opened(mark))
            open_marks.append((mark, end, True))
    close_until(last)
    out.append(escape(text[at:last], quote=False))
    return "".join(out)


def _opened(mark: Mark) -> str:
    shown = hue(mark.label) if mark.hue is None else mark.hue
    look = f' class="lt-{mark.look}"' if mark.look else ""
    return f'<mark{look} style="--h:{shown}">'


def _label(mark: Mark) -> str:
    if not mark.label:
        return ""
    return f'<span class="{_chip_class(mark.label, mark.note)}">{escape(mark.label)}{_small(mark.note)}</span>'


def _chip_class(label: str, note: str) -> str:
    """What is wider than a phone (an answer, say) may go on in the next line."""
    return "lt-l lt-long" if len(label) + len(note) > _ONE_LINE else "lt-l"


def _small(note: str) -> str:
    return f'<span class="lt-n">{escape(note)}</span>' if note else ""
