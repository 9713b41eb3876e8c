"""Relation classification: how the head of a sentence relates to its tail (LUKE, Yamada et al. 2020, section 4.2).

In: TACRED, KBP37, RELX, or plain JSON lines. Out: one window a sentence, with a `[MASK]` entity on the head and a
`[MASK2]` entity on the tail, markers included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import MASK2_ENTITY, MASK_ENTITY, Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.readers.faults import fault, one_record
from luke_tasks.readers.marked_text import MARKER_SOURCES, encode_marked
from luke_tasks.readers.reader import Reader, require_strings, text_lines
from luke_tasks.readers.records import (
    Record,
    Span,
    TextFrame,
    get,
    get_id,
    get_integer,
    get_string,
    json_array,
    json_lines,
)
from luke_tasks.registry import Check, Encoding, Provided

_PENN_TREEBANK = {
    "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"',
}  # fmt: skip
_TAG = re.compile(r"(</?e[12]>)")
_TAGS = ("<e1>", "</e1>", "<e2>", "</e2>")


@dataclass
class RelationExample:
    """A text with two entities."""

    id: str
    text: str
    head: Span  # characters
    tail: Span
    label: str | None  # None when unlabelled
    where: str  # file:line, or file and record


@dataclass(eq=False)
class RelationFeatures(Features):
    """The whole text in one window."""

    def targets(self, labels: Labels) -> IntArray | None:
        example = self.example
        return None if example.label is None else np.array(labels.index(example.label, example.where))


@Reader.register("relation_classification")
class RelationClassificationReader(Reader):
    """Sentences with a head, a tail and the relation between them; either may come first, and they may overlap.

    `tacred`: one JSON array; `*_end` are inclusive, other fields are not read:

        [{"id": "1", "token": ["She", "founded", "Acme", "."], "subj_start": 0, "subj_end": 0, "obj_start": 2,
          "obj_end": 2, "relation": "org:founded_by"}, ...]

    `kbp37`, RELX too: a line of id, tab and sentence, a line with the relation, a blank line:

        1   " <e1> She </e1> founded <e2> Acme </e2> . "
        org:founded_by(e2,e1)

    `jsonl`: one JSON object a line, spans `[start, end)` in characters of `"text"` or in `"words"`:

        {"text": "She founded Acme.", "head": [0, 3], "tail": [12, 16], "label": "org:founded_by"}

    All become `RelationExample("1", "She founded Acme .", head=(0, 3), tail=(12, 16), label="org:founded_by")`, but for
    the spaces. KBP37 has entities without words, `<e1> </e1>`: they are kept and counted. A text that does not fit the
    window keeps both entities and what is nearest to them, and is counted.

    Args:
        tokenizer: of the encoder's checkpoint.
        dataset: the format.
        restore_brackets: write TACRED's `-LRB-`, double backticks and the like as the brackets and quotes they stand
            for. studio-ousia/luke leaves them, in its `examples` and in the paper's code: `false` for its models.
        max_sequence_length: word pieces of a window, special tokens and markers included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "relation_classification"
    input_form: ClassVar[str | None] = '{"text": "...", "head": [start, end], "tail": [start, end]}'
    added_words: ClassVar[Mapping[str, str]] = MARKER_SOURCES

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        dataset: Literal["tacred", "kbp37", "jsonl"],
        restore_brackets: bool = True,
        max_sequence_length: Annotated[
            int,
            Check(
                lambda value: value > 6,
                "an integer above 6, as [CLS], [SEP] and the markers take six",
                schema={"minimum": 7},
            ),
        ] = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.dataset = dataset
        self.restore_brackets = restore_brackets
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding

    # -- file → examples --------------------------------------------------------------------------------------------

    def read(self, path: str | Path) -> Iterator[RelationExample]:
        if self.dataset == "kbp37":
            for example in _read_kbp37(path, text_lines(path, self.encoding)):
                if not all(example.text[start:end].strip() for start, end in (example.head, example.tail)):
                    self.dropped["sentences have no word between an entity's tags; its markers alone are read"] += 1
                yield example
        elif self.dataset == "tacred":
            for record, where in json_array(path, self.encoding):
                with one_record:
                    yield self._tacred_example(record, where)
        else:
            for record, where in json_lines(path, self.encoding):
                with one_record:
                    yield _plain_example(record, where, get_string(record, "label", where))

    def _tacred_example(self, record: Record, where: str) -> RelationExample:
        words = require_strings(get(record, "token", where), where, "token")
        if self.restore_brackets:
            words = [_PENN_TREEBANK.get(word, word) for word in words]
        frame = TextFrame.of_words(words)
        head, tail = (_tacred_span(record, name, frame, where) for name in ("subj", "obj"))
        text = frame.text
        if len(text) in (head[1], tail[1]):  # in the original, the space before a last marker stays inside the entity
            text += " "
            head, tail = ((start, end + (end == len(frame.text))) for start, end in (head, tail))
        label = get_string(record, "relation", where)
        return RelationExample(get_id(record, where), text, head, tail, label, where)

    def labels_of(self, example: RelationExample) -> Iterable[str]:
        return [example.label] if example.label is not None else []

    def parse_input(self, record: Record, where: str) -> RelationExample:
        """`{"text": ..., "head": [start, end], "tail": [start, end]}` in characters, or with `"words"`; `"id"` is
        kept."""
        return _plain_example(record, where, None)

    # -- examples → features ----------------------------------------------------------------------------------------

    def encode(self, examples: Iterable[RelationExample]) -> Sequence[RelationFeatures]:
        examples = list(examples)
        texts = ((example.text, [example.head, example.tail]) for example in examples)
        windows = encode_marked(texts, self.tokenizer, self.max_sequence_length, self.dropped)
        entity_ids = np.array([self.tokenizer.entity_vocab[name] for name in (MASK_ENTITY, MASK2_ENTITY)])
        return [
            RelationFeatures(
                example=example,
                word_ids=window.word_ids,
                entity_ids=entity_ids,
                entity_spans=window.entity_spans,
                num_words=len(example.text.split()),
            )
            for example, window in zip(examples, windows, strict=True)
        ]


def _plain_example(record: Record, where: str, label: str | None) -> RelationExample:
    frame = TextFrame.of_record(record, where)
    head, tail = (frame.span(get(record, name, where), name, where) for name in ("head", "tail"))
    return RelationExample(get_id(record, where), frame.text, head, tail, label, where)


def _tacred_span(record: Record, name: str, frame: TextFrame, where: str) -> Span:
    """Characters of the subject or the object, whose last word is given."""
    first, last = (get_integer(record, f"{name}_{edge}", where) for edge in ("start", "end"))
    num_words = len(frame.word_offsets or ())
    if not 0 <= first <= last < num_words:
        raise DataError(f'{where}: "{name}_start" {first}, "{name}_end" {last}: expected 0 <= start <= end < '
                        f'{num_words}, the number of words in "token"')  # fmt: skip
    return frame.span([first, last + 1], name, where)


def _read_kbp37(path: str | Path, numbered: Iterable[tuple[int, str]]) -> Iterator[RelationExample]:
    """From pairs of lines, the sentence and its relation; blank ones and comments (`Comment: ...`) do not count."""
    lines = ((number, line) for number, line in numbered if line.strip() and not line.startswith("Comment:"))
    for number, line in lines:
        where = f"{path}:{number}"
        id, tab, sentence = line.partition("\t")
        if not tab or not id.strip():
            fault(DataError(f"{where}: expected id, tab and a sentence with <e1> ... </e1> and <e2> ... </e2>, found "
                            f"{line[:80]!r}"))  # fmt: skip
            continue
        label_number, label = next(lines, (number, ""))
        while "\t" in label or not label:
            found = f"{label[:80]!r} in line {label_number}" if label else "the end of the file"
            fault(DataError(f"{where}: expected the sentence's relation on the next line, found {found}"))
            if not label:
                return
            where = f"{path}:{label_number}"  # go on with it as the next sentence
            id, _, sentence = label.partition("\t")
            label_number, label = next(lines, (label_number, ""))
        with one_record:
            yield _kbp37_example(id.strip(), sentence, label.strip(), where)


def _kbp37_example(id: str, sentence: str, label: str, where: str) -> RelationExample:
    """The sentence without its tags. A space before a closing tag is the entity's own where no space follows the tag:
    before the last full stop, which the original joins to the word before it."""
    parts = _TAG.split(sentence.strip('"').strip().replace(" .", "."))  # text, tag, text, tag, ..., text
    tags = parts[1::2]
    if sorted(tags) != sorted(_TAGS):
        raise DataError(f"{where}: expected {', '.join(_TAGS)} once each, found {', '.join(tags) or 'none of them'}")
    text = parts[0]
    places = {}
    for tag, after in zip(tags, parts[2::2], strict=True):
        if tag.startswith("<e"):
            places[tag] = len(text)
            text += after.removeprefix(" ")
        else:
            has_words = len(text) > places.get(tag.replace("/", ""), len(text))
            text = text[:-1] if has_words and text[-1] == " " and after.startswith(" ") else text
            places[tag] = len(text)
            text += after
    head, tail = ((places[f"<{name}>"], places[f"</{name}>"]) for name in ("e1", "e2"))
    if tags.index("</e1>") < tags.index("<e1>") or tags.index("</e2>") < tags.index("<e2>"):
        raise DataError(f"{where}: a closing tag stands before its opening tag: {', '.join(tags)}; mend the sentence")
    return RelationExample(id, text, head, tail, label, where)
