"""Question answering data in SQuAD's JSON: SQuAD v1.1 and v2.0 (Rajpurkar et al. 2016, 2018), XQuAD, MLQA.

In: a file. Out: one example a question, the context of a paragraph being one string that its questions share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from luke_tasks.errors import DataError, describe
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.records import Record, get, get_integer, get_string, json_array

_XQUAD = re.compile(r"xquad\.(\w+)\.json")
_MLQA = re.compile(r"(?:dev|test)-context-(\w+)-question-(\w+)\.json")


class Languages(NamedTuple):
    """Codes such as `en` of the texts of a file."""

    question: str = "en"
    context: str = "en"
    title: str = "en"  # of the articles' titles, by which mention candidates are found

    @classmethod
    def of_file(cls, path: str | Path) -> Languages:
        """By the name that XQuAD (`xquad.es.json`) and MLQA (`dev-context-ar-question-en.json`) give their files.

        Any other file is English. XQuAD's articles keep their English titles.
        """
        name = Path(path).name
        if found := _XQUAD.fullmatch(name):
            return cls(found[1], found[1], "en")
        if found := _MLQA.fullmatch(name):
            return cls(found[2], found[1], found[1])
        return cls()


@dataclass(frozen=True)
class GoldAnswer:
    """A right answer: `context[start : start + len(text)]`."""

    text: str
    start: int  # characters


@dataclass(eq=False)
class SquadExample:
    """A question about a context."""

    id: str
    title: str  # of the article, spaces for underscores; "" where there is none
    question: str
    context: str
    answers: list[GoldAnswer] | None  # empty: the context does not tell; None: unlabelled
    languages: Languages
    where: str  # file, article, paragraph, question

    def gold_answers(self) -> list[GoldAnswer]:
        """`answers`. Raises DataError when the example is unlabelled."""
        if self.answers is None:
            raise DataError(f'{self.where}: "answers" is missing: nothing to learn from or to score against; give '
                            "them, or use `predict --use-dataset-reader`")  # fmt: skip
        return self.answers


def read_squad(path: str | Path, encoding: str, languages: Languages) -> Iterator[SquadExample]:
    """The questions of a file in order; one article at a time is held as JSON.

    Raises:
        DataError: the file is not of this form, an answer is not at its offset, or a question's id comes twice.
    """
    seen: set[str] = set()
    for article, where in json_array(path, encoding, key="data", item="article"):
        with one_record:
            title = article.get("title", "")
            if not isinstance(title, str):
                raise DataError(f'{where}: "title" must be a string, found {describe(title)}')
            where = f"{where} ({title})" if title else where
            for paragraph, place in _objects(article, "paragraphs", "paragraph", where):
                with one_record:
                    context = get_string(paragraph, "context", place)
                    for record, question_place in _objects(paragraph, "qas", "question", place):
                        with one_record:
                            yield _question(record, context, title, languages, question_place, seen)


def _question(
    record: Record, context: str, title: str, languages: Languages, where: str, seen: set[str]
) -> SquadExample:
    """A question of a paragraph; `seen` holds the ids of the file so far, and grows."""
    id = get_string(record, "id", where)
    where = f"{where} (id {id})"
    if id in seen:
        raise DataError(f"{where}: the id stands twice in the file; predictions are filed under it, so give each "
                        "question its own")  # fmt: skip
    seen.add(id)
    answers = _answers(record, context, where)
    question = get_string(record, "question", where)
    return SquadExample(id, title.replace("_", " "), question, context, answers, languages, where)


def _objects(record: Record, field: str, item: str, where: str) -> Iterator[tuple[Record, str]]:
    """The objects of a field that must be a list of them, each with its place, counted from 1."""
    value = get(record, field, where)
    if not isinstance(value, list):
        raise DataError(f'{where}: "{field}" must be a list [{{...}}, {{...}}], found {describe(value)}')
    for number, entry in enumerate(value, start=1):
        place = f"{where}, {item} {number}"
        with one_record:
            if not isinstance(entry, dict):
                raise DataError(f"{place}: expected a JSON object {{...}}, found {describe(entry)}")
            yield entry, place


def _answers(record: Record, context: str, where: str) -> list[GoldAnswer] | None:
    """The right answers, None for an unlabelled question; v2.0's `plausible_answers` are not read."""
    impossible: Any = record.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise DataError(f'{where}: "is_impossible" must be true or false, found {describe(impossible)}')
    if "answers" not in record:
        return [] if impossible else None
    answers = []
    for answer, place in _objects(record, "answers", "answer", where):
        text, start = get_string(answer, "text", place), get_integer(answer, "answer_start", place)
        if start < 0 or context[start : start + len(text)] != text:
            found = context[start : start + len(text)] if 0 <= start < len(context) else ""
            first = context.find(text)
            hint = f"it stands at {first}" if first >= 0 else "it is nowhere in the context"
            raise DataError(f'{place}: {text!r} is not at "answer_start" {start}, where the context has {found!r}; '
                            f"{hint}. Offsets count characters from 0")  # fmt: skip
        answers.append(GoldAnswer(text, start))
    if impossible and answers:
        raise DataError(f'{where}: "is_impossible" is true, but there are "answers"; remove one of the two')
    if not impossible and not answers:
        raise DataError(f'{where}: "answers" is empty; give one, or "is_impossible": true where the context has none')
    return answers
