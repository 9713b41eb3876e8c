"""What a model got wrong, as the rows of a table: for `wandb` and TensorBoard, where an error is a few words of text.

Enters: labelled examples with their predictions. Leaves: a row for each case (sentence, mention, question) that is not
right, in the order of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from luke_tasks.mistakes.cases import Case, cases_of
from luke_tasks.mistakes.judging import Judged, is_filled, judge, predicted_labels

COLUMNS = ("where", "error", "text", "gold", "predicted")
_MOST_CHARACTERS = 1000  # of a text


def error_rows(task: str, examples: Iterable[Any], predictions: Iterable[Any], most: int) -> list[list[str]]:
    """A row of `COLUMNS` for each error, at most so many; none of a task that is not known here.

    Args:
        task: the reader's.
        predictions: one an example, as the head's `decode` made them.
    """
    rows: list[list[str]] = []
    for example, prediction in zip(examples, predictions, strict=True):
        if len(rows) >= most:
            break
        rows += [_row(judged) for judged in map(judge, cases_of(task, example, prediction)) if judged.kinds]
    return rows[:most]


def markdown_table(rows: Iterable[list[str]]) -> str:
    """The rows under their columns' names."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(judged: Judged) -> list[str]:
    case = judged.case
    gold, predicted = _FORMS[case.form](judged)
    return [case.id, ", ".join(judged.kinds), _text(case)[:_MOST_CHARACTERS], gold, predicted]


def _text(case: Case) -> str:
    """What was read: the text that the prediction repeats, or question and context."""
    own = case.prediction.get("text")
    return own if isinstance(own, str) else "\n".join(case.given.values())


def _spans(judged: Judged) -> tuple[str, str]:
    text = judged.case.prediction["text"]
    wrong = [pair for pair in judged.spans if pair.kinds]
    gold = [f"{pair.gold[2]}: {text[pair.gold[0] : pair.gold[1]]}" for pair in wrong if pair.gold]
    predicted = [f"{span['label']}: {text[span['start'] : span['end']]}"
                 for span in (pair.predicted for pair in wrong) if span]  # fmt: skip
    return "; ".join(gold), "; ".join(predicted)


def _words(judged: Judged) -> tuple[str, str]:
    case, text = judged.case, judged.case.prediction["text"]
    pairs = zip(case.gold, case.prediction["words"], strict=True)
    wrong = [(text[word["start"] : word["end"]], gold, word["label"]) for gold, word in pairs if gold != word["label"]]
    gold_words = (f"{gold}: {word}" for word, gold, _ in wrong)
    return "; ".join(gold_words), "; ".join(f"{found}: {word}" for word, _, found in wrong)


def _labels(judged: Judged) -> tuple[str, str]:
    return ", ".join(judged.case.gold), ", ".join(predicted_labels(judged.case))


def _choice(judged: Judged) -> tuple[str, str]:
    return str(judged.case.gold + 1), str(judged.case.prediction["label"] + 1)


def _answers(judged: Judged) -> tuple[str, str]:
    case = judged.case
    text = case.given["context" if case.form == "answers" else "passage"]
    golds = dict.fromkeys(text[start:end] for start, end in case.gold)
    return " | ".join(golds), case.prediction["answer"] or ""


def _fillings(judged: Judged) -> tuple[str, str]:
    case = judged.case
    places = [*case.prediction["words"], *case.prediction["entities"]]
    wrong = [(gold, place) for gold, place in zip(case.gold, places, strict=True)
             if gold is not None and not is_filled(place, gold)]  # fmt: skip
    found = (place["candidates"][0]["text"].strip() if place["candidates"] else "" for _, place in wrong)
    return "; ".join(gold.strip() for gold, _ in wrong), "; ".join(found)


_FORMS: dict[str, Callable[[Judged], tuple[str, str]]] = {
    "spans": _spans,
    "words": _words,
    "label": lambda judged: (judged.case.gold, judged.case.prediction["label"]),
    "labels": _labels,
    "number": lambda judged: (f"{judged.case.gold:g}", f"{judged.case.prediction['value']:g}"),
    "answers": _answers,
    "candidates": _answers,
    "choice": _choice,
    "fillings": _fillings,
}
