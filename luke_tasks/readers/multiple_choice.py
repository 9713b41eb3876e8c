"""Multiple choice: which of several texts goes on from, or answers, a context (SWAG, Zellers et al. 2018).

In: JSON lines, CSV or TSV. Out: the choices of an example as windows of their own, `[CLS] context [SEP] choice [SEP]`,
which stay together in a batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.records import Record, get, get_string
from luke_tasks.readers.sequence_classification import longest_first
from luke_tasks.readers.tables import TableFormat, column, table_records
from luke_tasks.registry import Check, Encoding, Provided

_ENDING = re.compile(r"ending(\d+)")
_EXAMPLES_AT_ONCE = 250


@dataclass
class MultipleChoiceExample:
    """A context, what is asked or how each choice begins ("" where there is nothing of that), and the choices."""

    id: str
    context: str
    question: str
    choices: list[str]  # two at least
    label: int | None  # which is right, from 0; None when unlabelled
    where: str  # file:line


@dataclass(eq=False)
class MultipleChoiceFeatures(Features):
    """All choices of one example. `word_ids` are the longest one's, by which batches of like length are made."""

    choices: Sequence[Features]  # a window each

    @property
    def windows(self) -> Sequence[Features]:
        return self.choices

    def targets(self, labels: Labels) -> IntArray | None:
        """() which choice is right."""
        return None if self.example.label is None else np.array(self.example.label)


@Reader.register("multiple_choice")
class MultipleChoiceReader(Reader):
    """One record a line, in either form; examples may have different numbers of choices:

        {"context": "He opens the door.", "question": "Then he", "choices": ["walks in.", "melts."], "label": 0}
        {"sent1": "He opens the door.", "sent2": "Then he", "ending0": "walks in.", "ending1": "melts.", "label": 0}

    become `MultipleChoiceExample("file:1", "He opens the door.", "Then he", ["walks in.", "melts."], 0, ...)`. The
    second is SWAG's, whose CSV files are read too. `"question"` and `"sent2"` may be missing or blank; else they stand
    before each choice. A window that is too long loses pieces of its longer part, as in sequence classification.

    Args:
        tokenizer: of the encoder's checkpoint.
        label: name of the column of the right choice; None: an unlabelled file, for `predict --use-dataset-reader`.
        format: of the file, see `tables.py`.
        max_sequence_length: word pieces of a window, special tokens included.
        encoding: of the file.

    Raises:
        DataError: see `read`.
    """

    task: ClassVar[str] = "multiple_choice"
    has_labels = False

    def __init__(
        self,
        *,
        tokenizer: Provided[Tokenizer],
        label: str | None = "label",
        format: TableFormat = "auto",
        max_sequence_length: Annotated[
            int,
            Check(
                lambda value: value > 4,
                "an integer above 4, as a pair takes up to four special tokens",
                schema={"minimum": 5},
            ),
        ] = 512,
        encoding: Encoding = "utf-8",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.label = label
        self.format: TableFormat = format
        self.max_sequence_length = max_sequence_length
        self.encoding = encoding

    def read(self, path: str | Path) -> Iterator[MultipleChoiceExample]:
        for record, where in table_records(path, self.encoding, self.format, None):
            with one_record:
                example = _example(record, where, where)
                if self.label is not None:
                    value = column(record, self.label, "label", where)
                    example.label = _label(value, self.label, len(example.choices), where)
                yield example

    def labels_of(self, example: MultipleChoiceExample) -> Iterable[str]:
        return []

    def parse_input(self, record: Record, where: str) -> MultipleChoiceExample:
        """A record as in a file, without its label; `"id"` is kept."""
        return _example(record, where if record.get("id") is None else str(record["id"]), where)

    def encode(self, examples: Iterable[MultipleChoiceExample]) -> list[MultipleChoiceFeatures]:
        stream, made = iter(examples), []
        while chunk := list(islice(stream, _EXAMPLES_AT_ONCE)):
            contexts = self.tokenizer.texts_to_pieces([example.context for example in chunk])
            texts = [f"{example.question} {choice}".strip() for example in chunk for choice in example.choices]
            choices = iter(self.tokenizer.texts_to_pieces(texts))
            for example, context in zip(chunk, contexts, strict=True):
                own = list(islice(choices, len(example.choices)))
                made.append(self._grouped(example, [self._window(example, context, choice) for choice in own]))
        return made

    def _window(self, example: MultipleChoiceExample, context: list[int], choice: list[int]) -> Features:
        room = self.max_sequence_length - self.tokenizer.pair_layout.num_special
        kept, kept_choice = longest_first(len(context), len(choice), room)
        if kept + kept_choice < len(context) + len(choice):
            what = f"choices are longer than the window ({self.max_sequence_length} word pieces) and were cut"
            self.dropped[what] += 1
        pair = self.tokenizer.pair(context[:kept], choice[:kept_choice])
        return Features(
            example=example, word_ids=pair.word_ids, word_type_ids=pair.word_type_ids, num_words=0,
            entity_ids=np.zeros(0, dtype=np.int64), entity_spans=np.zeros((0, 2), dtype=np.int64),
        )  # fmt: skip

    def _grouped(self, example: MultipleChoiceExample, windows: Sequence[Features]) -> MultipleChoiceFeatures:
        longest = max(windows, key=lambda window: len(window.word_ids))
        texts = [example.context, *(f"{example.question} {choice}" for choice in example.choices)]
        return MultipleChoiceFeatures(
            example=example, word_ids=longest.word_ids, entity_ids=longest.entity_ids,
            entity_spans=longest.entity_spans, num_words=sum(len(text.split()) for text in texts), choices=windows,
        )  # fmt: skip


def _example(record: Record, id: str, where: str) -> MultipleChoiceExample:
    """Either form, without its label."""
    if "choices" in record or "context" in record:
        context, question = get_string(record, "context", where), record.get("question")
        choices: Any = get(record, "choices", where)
    else:
        if "sent1" not in record:
            raise DataError(f'{where}: expected "context" and "choices", or "sent1", "ending0", "ending1", ... as in '
                            f"SWAG, found {', '.join(record) or 'no key'}")  # fmt: skip
        context, question = get_string(record, "sent1", where), record.get("sent2")
        numbers = sorted(int(match[1]) for key in record if (match := _ENDING.fullmatch(key)))
        if numbers != list(range(len(numbers))):
            raise DataError(f'{where}: the endings must be numbered from 0 without a gap, found '
                            f"{', '.join(f'ending{number}' for number in numbers)}")  # fmt: skip
        choices = [record[f"ending{number}"] for number in numbers]
    if not isinstance(question, str | None):
        raise DataError(f"{where}: what stands before the choices must be a string, found {describe(question)}")
    is_list = isinstance(choices, list) and all(isinstance(choice, str) and choice.strip() for choice in choices)
    if not is_list or len(choices) < 2:
        raise DataError(f"{where}: expected two or more choices, strings that are not blank, found {describe(choices)}")
    return MultipleChoiceExample(id, context, (question or "").strip(), choices, None, where)


def _label(value: Any, field: str, num_choices: int, where: str) -> int:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value) else value
    if type(number) is not int or not 0 <= number < num_choices:
        raise DataError(f'{where}: "{field}": expected which choice is right, an integer from 0 to {num_choices - 1}, '
                        f"found {describe(value)}")  # fmt: skip
    return number
