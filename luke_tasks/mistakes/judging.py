"""What is wrong with an answer: kinds of error, and the pairs of gold and predicted labels that tables count.

Spans are paired one to one: first those of the same place, then those that overlap, the larger overlap first. A pair of
two places has a wrong boundary, a pair of two types a wrong type (both, if both are so); what stays alone is missed or
spurious.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.metrics import answer_text
from luke_tasks.mistakes.cases import Case

Pair = tuple[str | None, str | None]  # gold and predicted label; None: there is none
TABLE_FORMS = ("spans", "words", "label", "labels", "choice")  # those whose pairs make a table of labels
MATRIX_FORMS = ("spans", "words", "label", "choice")  # and a confusion matrix


@dataclass(frozen=True)
class SpanPair:
    """A gold span `[start, end, label]` and the prediction it was paired with; one of them may be missing."""

    gold: Sequence[Any] | None
    predicted: dict[str, Any] | None

    @property
    def kinds(self) -> list[str]:
        """`boundary`, `type`, both, `missed` or `spurious`; none where it is right."""
        if self.predicted is None:
            return ["missed"]
        if self.gold is None:
            return ["spurious"]
        start, end, label = self.gold
        wrong = {"boundary": (start, end) != _place(self.predicted), "type": label != self.predicted["label"]}
        return [kind for kind, holds in wrong.items() if holds]


@dataclass(frozen=True)
class Judged:
    """A case with what is wrong in it.

    Args:
        kinds: of its errors, each once; none: it is right.
        pairs: of labels, for the tables.
        labels: those that the errors are about.
        spans: pairs of spans, where the form is `spans`.
        size: how wrong it is, for forms that have degrees.
    """

    case: Case
    kinds: list[str]
    pairs: list[Pair] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    spans: list[SpanPair] = field(default_factory=list)
    size: float = 0.0


def judge(case: Case) -> Judged:
    """What is wrong with one case."""
    return _FORMS[case.form](case)


def pair_spans(gold: Sequence[Sequence[Any]], predicted: Sequence[dict[str, Any]]) -> list[SpanPair]:
    """The spans of a sentence, paired as the module says, in order of appearance."""
    ranked = []
    for row, (start, end, label) in enumerate(gold):
        for column, span in enumerate(predicted):
            overlap = min(end, span["end"]) - max(start, span["start"])
            if overlap > 0:
                is_equal = (start, end) == _place(span)
                ranked.append((not is_equal, label != span["label"] if is_equal else False, -overlap, row, column))
    pairs, rows, columns = [], set(range(len(gold))), set(range(len(predicted)))
    for *_, row, column in sorted(ranked):
        if row in rows and column in columns:
            rows.discard(row)
            columns.discard(column)
            pairs.append(SpanPair(gold[row], predicted[column]))
    pairs += [SpanPair(gold[row], None) for row in rows] + [SpanPair(None, predicted[column]) for column in columns]
    return sorted(pairs, key=lambda pair: pair.gold[0] if pair.gold else pair.predicted["start"])  # type: ignore[index]


def _place(span: dict[str, Any]) -> tuple[int, int]:
    return span["start"], span["end"]


def _spans(case: Case) -> Judged:
    found = pair_spans(case.gold, case.prediction["entities"])
    pairs: list[Pair] = []
    for pair in found:
        gold = pair.gold[2] if pair.gold else None
        predicted = pair.predicted["label"] if pair.predicted else None
        # A wrong boundary is neither found nor right, so that the table's F1 is that of the scores.
        pairs += [(gold, None), (None, predicted)] if pair.kinds == ["boundary"] else [(gold, predicted)]
    kinds = _each_once(kind for pair in found for kind in pair.kinds)
    labels = [name for pair in found if pair.kinds
              for name in (pair.gold and pair.gold[2], pair.predicted and pair.predicted["label"]) if name]  # fmt: skip
    return Judged(case, kinds, pairs, _each_once(labels), found)


def _words(case: Case) -> Judged:
    pairs: list[Pair] = list(zip(case.gold, (word["label"] for word in case.prediction["words"]), strict=True))
    return _of_pairs(case, pairs)


def _label(case: Case) -> Judged:
    return _of_pairs(case, [(case.gold, case.prediction["label"])])


def _choice(case: Case) -> Judged:
    return _of_pairs(case, [(str(case.gold + 1), str(case.prediction["label"] + 1))])


def _of_pairs(case: Case, pairs: list[Pair]) -> Judged:
    wrong = [(gold, predicted) for gold, predicted in pairs if gold != predicted]
    labels = [name for pair in wrong for name in pair if name is not None]
    return Judged(case, _each_once(f"{gold} → {predicted}" for gold, predicted in wrong), pairs, _each_once(labels))


def _labels(case: Case) -> Judged:
    predicted = predicted_labels(case)
    missing = [name for name in case.gold if name not in predicted]
    extra = [name for name in predicted if name not in case.gold]
    pairs: list[Pair] = [(name, name) for name in case.gold if name in predicted]
    pairs += [(name, None) for name in missing] + [(None, name) for name in extra]
    kinds = ["missing label"] * bool(missing) + ["extra label"] * bool(extra)
    return Judged(case, kinds, pairs, _each_once([*missing, *extra]))


def predicted_labels(case: Case) -> dict[str, float]:
    """The labels of a case of the form `labels` with their probabilities."""
    of = case.prediction["entities"][0] if case.task == "entity_typing" else case.prediction
    found: dict[str, float] = of["labels"]
    return found


def _number(case: Case) -> Judged:
    off = case.prediction["value"] - case.gold
    return Judged(case, ["too high" if off > 0 else "too low"] if off else [], size=abs(off))


def _answers(case: Case) -> Judged:
    golds = [case.given["context"][start:end] for start, end in case.gold]
    answer = case.prediction["answer"]
    if not golds or not answer:
        kind = "no answer given" if golds else "answer where there is none"
        return Judged(case, [] if bool(golds) == bool(answer) else [kind])
    if answer_text.best(answer_text.exact_match, answer, golds):
        return Judged(case, [])
    return Judged(case, ["partly right" if answer_text.best(answer_text.f1, answer, golds) else "wrong answer"])


def _candidates(case: Case) -> Judged:
    golds = [case.given["passage"][start:end] for start, end in case.gold]
    answer = case.prediction["answer"]
    if answer is None:
        return Judged(case, ["no candidate"])
    return Judged(case, [] if answer_text.best(answer_text.exact_match, answer, golds) else ["wrong candidate"])


def _fillings(case: Case) -> Judged:
    places = [*case.prediction["words"], *case.prediction["entities"]]
    num_words = len(case.prediction["words"])
    kinds = [
        "wrong word" if number < num_words else "wrong entity"
        for number, (place, gold) in enumerate(zip(places, case.gold, strict=True))
        if gold is not None and not is_filled(place, gold)
    ]
    return Judged(case, _each_once(kinds))


def is_filled(place: dict[str, Any], gold: str) -> bool:
    """Whether the likeliest filling of a hidden place is the right one, letters' case aside: tokenizers may lose it."""
    return bool(place["candidates"]) and place["candidates"][0]["text"].strip().casefold() == gold.strip().casefold()


def _each_once(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


_FORMS: dict[str, Callable[[Case], Judged]] = {
    "spans": _spans,
    "words": _words,
    "label": _label,
    "labels": _labels,
    "number": _number,
    "answers": _answers,
    "candidates": _candidates,
    "choice": _choice,
    "fillings": _fillings,
}
