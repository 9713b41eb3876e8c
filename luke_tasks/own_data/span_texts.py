"""Texts with labelled spans of characters, as annotation tools export them, to words with tags.

{"text": "Ada left Acme.", "entities": [[0, 3, "PER"], [9, 13, "ORG"]]}          spaCy, doccano ("label")
{"text": "Ada left Acme.", "spans": [{"start": 0, "end": 3, "label": "PER"}]}     Prodigy
    {"data": {"text": "..."}, "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]}]}
                                                                                      Label Studio
{"tokens": ["Ada", "left"], "ner_tags": ["B-PER", "O"]}                           datasets
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from luke_tasks.data.text import split_words
from luke_tasks.errors import DataError
from luke_tasks.own_data.fit import refused_together
from luke_tasks.own_data.tags import TagStyle, as_iob2
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.tagging import Span, tags_of

logger = logging.getLogger(__name__)
Record = dict[str, Any]
_SPAN_KEYS = ("entities", "spans", "label", "labels", "annotations", "ents")
_WORD_KEYS, _TAG_KEYS = ("tokens", "words", "token", "sentence"), ("ner_tags", "tags", "labels", "ner", "label")


@dataclass(frozen=True)
class LabelledText:
    """A text, its spans `(start, end, label)` in characters, and its words' `[start, end)` where they are given."""

    text: str
    spans: list[tuple[int, int, str]]
    words: list[tuple[int, int]] | None = None


def labelled_text(record: Record) -> LabelledText | None:
    """The text and the spans of a record; None where it has none of the forms above."""
    record = _of_label_studio(record)
    text = record.get("text")
    for key in _SPAN_KEYS:
        value = record.get(key)
        if isinstance(text, str) and isinstance(value, list):
            spans = [_span(item) for item in value]
            if all(span is not None for span in spans):
                return LabelledText(text, [span for span in spans if span is not None])
    return None


def word_labels(record: Record) -> LabelledText | None:
    """Words with a tag each, the tags being strings; None where the record has no such lists."""
    words = next((record[key] for key in _WORD_KEYS if _is_strings(record.get(key))), None)
    tags = next((record[key] for key in _TAG_KEYS if _is_strings(record.get(key))), None)
    if words is None or tags is None or words is tags or len(words) != len(tags):
        return None
    offsets, start = [], 0
    for word in words:
        offsets.append((start, start + len(word)))
        start += len(word) + 1
    spans = [(*place, tag) for place, tag in zip(offsets, tags, strict=True) if tag != "O"]
    return LabelledText(" ".join(words), spans, offsets)


def conll_of_records(records: Sequence[Record], read: Callable[[Record], LabelledText | None], source: str) -> str:
    """A sentence for each line of each text, word, tab and IOB2 tag a line.

    Raises:
        Unreadable: records are not like the others, spans cover no word, are out of range, or overlap: all of them.
    """
    texts = []
    with refused_together(source):
        for number, record in enumerate(records, start=1):
            with one_record:
                where = f"{source}: record {number}"
                text = read(record)
                if text is None:
                    raise DataError(f"{where}: has not the form of the others: {str(record)[:80]}")
                for span in text.spans:
                    _check(span, text, where)
                texts.append((where, text))
        style = TagStyle([*(tag for _, text in texts for *_, tag in text.spans), "O"]) if read is word_labels else None
        sentences = []
        for where, text in texts:
            with one_record:
                if style is None:
                    sentences += _sentences(text, where)
                else:
                    tags = {start: tag for start, _, tag in text.spans}
                    words = text.words or []
                    labels = as_iob2([style.standard(tags.get(start, "O"), where) for start, _ in words])
                    sentences.append([(text.text[start:end], tag)
                                      for (start, end), tag in zip(words, labels, strict=True)])  # fmt: skip
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences if sentence)


def _sentences(text: LabelledText, where: str) -> list[list[tuple[str, str]]]:
    """Words, as `predict` cuts raw text, and tags of each line. A word that a span cuts is cut: no entity is lost."""
    cuts = {edge for start, end, _ in text.spans for edge in (start, end)}
    words = []
    for start, end in split_words(text.text):
        inner = sorted(cut for cut in cuts if start < cut < end)
        if any(_is_inside_word(text.text, cut) for cut in inner):
            logger.warning("%s: a span begins or ends inside %r: the word is cut there", where, text.text[start:end])
        words += list(pairwise([start, *inner, end]))
    starts, ends = [start for start, _ in words], [end for _, end in words]
    spans: list[Span] = []
    for start, end, label in sorted(text.spans):
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first >= last:
            raise DataError(f"{where}: the span {start} to {end} ({label}) covers no word: {text.text[start:end]!r}")
        if spans and first < spans[-1].end:
            raise DataError(f"{where}: the spans of {label} and {spans[-1].label} overlap at {text.text[start:end]!r}; "
                            "in this format each word has one tag: leave out one of the two")  # fmt: skip
        spans.append(Span(first, last, re.sub(r"\s+", "_", label)))
    tags = tags_of(spans, len(words), "iob2")
    sentences: list[list[tuple[str, str]]] = [[]]
    for index, ((start, end), tag) in enumerate(zip(words, tags, strict=True)):
        new_line = index and "\n" in text.text[words[index - 1][1] : start]
        if new_line and not tag.startswith("I-"):
            sentences.append([])
        sentences[-1].append((text.text[start:end], tag))
    return sentences


def _check(span: tuple[int, int, str], text: LabelledText, where: str) -> None:
    """Raises DataError when a span is not within its text."""
    start, end, label = span
    if not 0 <= start < end <= len(text.text):
        raise DataError(f"{where}: the span {start} to {end} ({label}) is not in the text, which has "
                        f"{len(text.text)} characters: expected 0 <= start < end")  # fmt: skip


def _is_inside_word(text: str, place: int) -> bool:
    """Whether a letter or digit stands on both sides."""
    return text[place - 1].isalnum() and text[place].isalnum()


def _of_label_studio(record: Record) -> Record:
    """The first annotation of a Label Studio task, in the form of the others; any other record as it is."""
    data, annotations = record.get("data"), record.get("annotations")
    if not isinstance(data, dict) or not isinstance(annotations, list) or not annotations:
        return record
    results = annotations[0].get("result", []) if isinstance(annotations[0], dict) else []
    values = [result["value"] for result in results if isinstance(result, dict) and "value" in result]
    return {"text": data.get("text"), "spans": values}


def _span(item: Any) -> tuple[int, int, str] | None:
    if isinstance(item, dict):
        start, end = (next((item[key] for key in keys if key in item), None)
                      for keys in (("start", "start_offset"), ("end", "end_offset")))  # fmt: skip
        label = next((item[key] for key in ("label", "type", "tag", "labels") if key in item), None)
        label = label[0] if isinstance(label, list) and label else label
        item = [start, end, label]
    if not isinstance(item, list | tuple) or len(item) != 3:
        return None
    start, end, label = item
    is_span = type(start) is int and type(end) is int and isinstance(label, str) and label != ""
    return (start, end, label) if is_span else None


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
