"""Tagging schemes: a sentence's tags to entity spans (Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999).

| scheme | meaning of the prefixes |
|---|---|
| IOB1 | `I-` inside; `B-` only where an entity follows another of its type at once |
| IOB2 | `B-` begins every entity, `I-` goes on |
| IO | `I-` only; neighbouring words of one type are one entity |
| BIOES | `B-` begins, `I-` goes on, `E-` ends, `S-` stands alone (BILOU's `L-` and `U-` are read as `E-` and `S-`) |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from luke_tasks.errors import DataError
from luke_tasks.readers.faults import are_collected, fault, one_record

Scheme = Literal["iob1", "iob2", "io", "bioes"]
WrittenScheme = Literal["iob2", "io", "bioes", "bilou"]  # BILOU is BIOES with L for E and U for S
_TAG = re.compile(r"([BIESLU])-(.+)")
_BILOU = {"L": "E", "U": "S"}
_PREFIXES: dict[Scheme, str] = {"iob1": "BI", "iob2": "BI", "io": "I", "bioes": "BIES"}


@dataclass(frozen=True)
class Span:
    """An entity: words `[start, end)` and its type."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, the same object for all words that have it. `prefix` and `label` are "" for O."""

    prefix: str
    label: str
    text: str = "O"  # as it is written


OUTSIDE = Tag("", "")


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """The tags of a sentence's words, and where its first word stands, for messages."""

    tags: list[Tag]
    source: str  # the file
    line: int

    def where(self, index: int) -> str:
        """`file:line` of a word."""
        return f"{self.source}:{self.line + index}"


def parse_tag(text: str, where: str) -> Tag:
    """`B-PER` → Tag("B", "PER"). Raises DataError on anything but O and a known prefix with a type (other than O)."""
    if text == "O":
        return OUTSIDE
    match = _TAG.fullmatch(text)
    if match is None or match[2] == "O":
        raise DataError(f"{where}: unknown tag {text!r}: expected O, or B-, I-, E- or S- and a type as in B-PER, in "
                        "the last column")  # fmt: skip
    return Tag(_BILOU.get(match[1], match[1]), match[2], text)


def parse_tags(texts: Sequence[str], source: str, line: int, known: dict[str, Tag]) -> TaggedSentence:
    """The tags of a sentence whose first word stands in this line; `known` holds the file's tags so far, and grows.

    Raises:
        DataError: a tag marks no entity and is not O.
    """
    for text in dict.fromkeys(texts):
        if text not in known:
            for index, other in enumerate(texts):
                if other == text and text not in known:
                    with one_record:
                        known[text] = parse_tag(text, f"{source}:{line + index}")
    return TaggedSentence([known.get(text, OUTSIDE) for text in texts], source, line)


def detect_scheme(sentences: Iterable[TaggedSentence]) -> Scheme:
    """The scheme a file is written in; within `all_faults`, the one that most of its tags are of.

    Raises:
        DataError: it is written in two: one entity begins with `B-` as in IOB2, another with `I-` as in IOB1.
    """
    inside_begin: tuple[str, str] | None = None  # where an I- begins an entity, which is impossible in IOB2; the tag
    needless_begin: tuple[str, str] | None = None  # where a B- stands that IOB1 would write as I-; the tag
    counts = {"inside": 0, "needless": 0, "B": 0, "E": 0, "S": 0}  # of these, and of prefixes
    for sentence in sentences:
        previous = OUTSIDE
        for index, tag in enumerate(sentence.tags):
            if tag is not OUTSIDE:
                if tag.prefix != "I":
                    counts[tag.prefix] += 1
                if tag.prefix in ("E", "S"):
                    if not are_collected():
                        return "bioes"
                elif previous.label != tag.label:
                    if tag.prefix == "I":
                        counts["inside"] += 1
                        inside_begin = inside_begin or (sentence.where(index), tag.text)
                    else:
                        counts["needless"] += 1
                        needless_begin = needless_begin or (sentence.where(index), tag.text)
            previous = tag
    if counts["E"] + counts["S"] > counts["B"] / 2:  # in BIOES one of them goes with each entity
        return "bioes"
    if inside_begin is None:
        return "iob2"
    if needless_begin is not None:
        if are_collected() and counts["inside"] < counts["needless"]:
            return "iob2"  # in which each of the others is a fault
        (where, tag_text), (other_where, other_text) = inside_begin, needless_begin
        fault(DataError(
            f"{where}: {tag_text!r} begins an entity as in IOB1, but {other_where} begins one with {other_text!r} as "
            "in IOB2; mend the tags, or set dataset_reader.iob_scheme"
        ))  # fmt: skip
    return "iob1" if counts["B"] else "io"


def spans_of(sentence: TaggedSentence, scheme: Scheme, offset: int) -> Iterator[Span]:
    """The entities of one sentence, whose first word has index `offset`.

    Raises:
        DataError: a tag that cannot stand where it stands in this scheme.
    """
    tags = sentence.tags
    start, label = 0, ""  # of the entity that is open; label "" when none is
    for index, tag in enumerate(tags):
        if tag is OUTSIDE and not label:  # most words
            continue
        is_foreign = bool(tag.prefix) and tag.prefix not in _PREFIXES[scheme]
        if is_foreign:
            known = " ".join(f"{prefix}-{tag.label}" for prefix in _PREFIXES[scheme])
            fault(DataError(f"{sentence.where(index)}: tag {tag.text!r} does not exist in {scheme.upper()}, which has "
                            f"{known} and O; set dataset_reader.iob_scheme to the file's scheme"))  # fmt: skip
        goes_on = tag.prefix in ("I", "E") and tag.label == label
        if tag.prefix in ("I", "E") and not goes_on and not is_foreign and scheme in ("iob2", "bioes"):
            before = tags[index - 1].text if index else "the start of the sentence"
            fault(DataError(f"{sentence.where(index)}: {tag.text!r} follows {before}, but in {scheme.upper()} an "
                            f"entity begins with 'B-{tag.label}'; mend the tag, or set dataset_reader.iob_scheme to "
                            "the file's scheme"))  # fmt: skip
        if label and not goes_on:
            _check_closed(sentence, index, scheme)
            yield Span(offset + start, offset + index, label)
            label = ""
        if tag.prefix and not goes_on:
            start, label = index, tag.label
        if tag.prefix in ("E", "S"):
            yield Span(offset + start, offset + index + 1, label)
            label = ""
    if label:
        _check_closed(sentence, len(tags), scheme)
        yield Span(offset + start, offset + len(tags), label)


def _check_closed(sentence: TaggedSentence, index: int, scheme: Scheme) -> None:
    """In BIOES an entity that reaches up to `index` without `E-` or `S-` is a fault."""
    if scheme == "bioes":
        last = sentence.tags[index - 1]
        fault(DataError(f"{sentence.where(index - 1)}: {last.text!r} is not closed: in BIOES an entity ends with "
                        f"'E-{last.label}' or is 'S-{last.label}'; mend the tag, or set dataset_reader.iob_scheme to "
                        "the file's scheme"))  # fmt: skip


def marks_entities(tags: Iterable[str]) -> bool:
    """Whether tags are those of a tagging scheme: each `O` or a prefix and a type, and at least one of the latter."""
    names = set(tags)
    return all(name == "O" or _TAG.fullmatch(name) for name in names) and bool(names - {"O"})


def tags_of(spans: Iterable[Span], num_words: int, scheme: WrittenScheme) -> list[str]:
    """The tags of `num_words` words from their entities, which must not overlap: `spans_of` the other way round."""
    tags = ["O"] * num_words
    for span in spans:
        length = span.end - span.start
        prefixes = ["I"] * length
        if scheme != "io":
            prefixes[0] = "B"
        if scheme == "bioes":
            prefixes[-1] = "E" if length > 1 else "S"
        elif scheme == "bilou":
            prefixes[-1] = "L" if length > 1 else "U"
        tags[span.start : span.end] = [f"{prefix}-{span.label}" for prefix in prefixes]
    return tags


def predicted_spans(tags: Sequence[str]) -> Iterator[Span]:
    """The entities that predicted tags mark, in any scheme, by the rules of CoNLL's scorer: an entity begins with `B-`
    or `S-`, after `E-` or `S-`, and wherever the type changes; it ends where its type does. No tag is refused."""
    start, label = 0, ""  # of the entity that is open
    for index, text in enumerate([*tags, "O"]):
        tag = parse_tag(text, "")
        if label and (tag.label != label or tag.prefix in ("B", "S")):
            yield Span(start, index, label)
            label = ""
        if tag.label and not label:
            start, label = index, tag.label
        if label and tag.prefix in ("E", "S"):
            yield Span(start, index + 1, label)
            label = ""
