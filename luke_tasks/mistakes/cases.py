"""What a model answered and what is right, piece by piece, in a form that can be stored as JSON.

Enters: labelled examples with their predictions. Leaves: a case for each sentence, mention, question or text. The form
of a case (`spans`, `words`, `label`, ...) says what its gold looks like; tasks may share one.

| form | gold |
|---|---|
| `spans` | `[[start, end, label], ...]`, characters of the sentence |
| `words` | a label for each word |
| `label` | a label |
| `labels` | a list of labels |
| `number` | a number |
| `answers` | the right answers `[[start, end], ...]`, characters of the context; none: the context does not tell |
| `candidates` | where the passage names the missing entity, `[[start, end], ...]` |
| `choice` | the number of the right choice, from 0 |
| `fillings` | what stands in each hidden place, first the words, then the entities; None: not known |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.heads.shown import given_of
from luke_tasks.readers.tagging import Span, predicted_spans

_MOST_CANDIDATES = 3  # of a question


@dataclass(frozen=True)
class Case:
    """One thing that was asked of the model.

    Args:
        id: where it stands in the data.
        form: see the module's table.
        task: of its prediction, as `pages.predictions.prediction_html` takes it.
        prediction: JSON of the prediction, or of the part that is about this case.
        given: what the prediction does not repeat of the question.
        gold: what is right.
    """

    id: str
    form: str
    task: str
    prediction: dict[str, Any]
    gold: Any
    given: dict[str, str] = field(default_factory=dict)


def cases_of(task: str, example: Any, prediction: Any) -> list[Case]:
    """The cases of one labelled example; none of an unlabelled one, and of a task that is not known here."""
    make = _TASKS.get(task)
    return list(make(task, example, prediction)) if make is not None else []


def is_known(task: str) -> bool:
    """Whether the errors of a task can be shown."""
    return task in _TASKS


# -- spans and words ------------------------------------------------------------------------------------------------


def _documents(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    """A case for each sentence of a document, in which most is right."""
    labels = getattr(example, "labels", None)  # of each word: token classification
    of_words = task == "token_classification" and prediction.entities is None
    gold = example.entities
    if gold is None and labels is not None and not of_words:
        gold = [Span(first + span.start, first + span.end, span.label)
                for first, last in example.sentences for span in predicted_spans(labels[first:last])]  # fmt: skip
    right_of = labels if of_words else gold
    if right_of is None:
        return
    for first, last in example.sentences:
        begin, end = int(example.word_offsets[first][0]), int(example.word_offsets[last - 1][1])
        shown: dict[str, Any] = {"text": example.text[begin:end]}
        right: list[Any]
        if of_words:
            shown["words"] = [_moved(one, begin) for one in prediction.words[first:last]]
            right = right_of[first:last]
        else:
            shown["entities"] = [_moved(one, begin) for one in prediction.entities if first <= one.word_start < last]
            right = [[int(example.word_offsets[span.start][0]) - begin,
                      int(example.word_offsets[span.end - 1][1]) - begin, span.label]
                     for span in right_of if first <= span.start < last]  # fmt: skip
        yield Case(example.where(first), "words" if of_words else "spans", task, shown, right)


def _moved(span: Any, begin: int) -> dict[str, Any]:
    """A predicted span, or word, in characters from `begin`."""
    return {"start": span.start - begin, "end": span.end - begin, "label": span.label, "score": span.score}


# -- one text -------------------------------------------------------------------------------------------------------


def _relation(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    if example.label is not None:
        yield Case(example.where, "label", task, prediction.to_json(), example.label)


def _text(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    form = "labels" if isinstance(example.label, list) else "label" if isinstance(example.label, str) else "number"
    if example.label is not None:
        yield Case(example.where, form, task, prediction.to_json(), example.label)


def _mentions(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    """A case for each mention."""
    whole = prediction.to_json()
    for gold, entity in zip(example.types or (), whole["entities"], strict=False):
        yield Case(example.where, "labels", task, {**whole, "entities": [entity]}, list(gold))


def _choice(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    if example.label is not None:
        yield Case(example.where, "choice", task, prediction.to_json(), example.label, given_of(example))


def _question(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    if example.answers is not None:
        golds = [[one.start, one.start + len(one.text)] for one in example.answers]
        shown = prediction.to_json()
        shown["n_best"] = shown["n_best"][:_MOST_CANDIDATES]
        yield Case(example.where, "answers", task, shown, _distinct(golds), given_of(example))


def _cloze(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    if example.answers is not None:
        golds = _distinct([list(span) for span in example.answers])
        yield Case(example.where, "candidates", task, prediction.to_json(), golds, given_of(example))


def _masked(task: str, example: Any, prediction: Any) -> Iterator[Case]:
    if not example.hide:
        return
    titles = {(one.start, one.end): one.title for one in example.mentions}
    gold = [one.text for one in prediction.words] + [titles.get((one.start, one.end)) for one in prediction.entities]
    if gold:
        yield Case(example.where, "fillings", task, prediction.to_json(), gold)


def _distinct(spans: Sequence[list[int]]) -> list[list[int]]:
    return [list(span) for span in dict.fromkeys(map(tuple, spans))]


_TASKS: dict[str, Callable[[str, Any, Any], Iterator[Case]]] = {
    "ner": _documents,
    "token_classification": _documents,
    "relation_classification": _relation,
    "entity_typing": _mentions,
    "question_answering": _question,
    "record": _cloze,
    "sequence_classification": _text,
    "multiple_choice": _choice,
    "masked_text": _masked,
}
