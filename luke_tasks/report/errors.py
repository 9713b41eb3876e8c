"""The errors of the validation set, each in its text: what is gold, what was predicted, by which run.

Enters: the judged cases of each run. Leaves: HTML, an `<article>` for each case that some run got wrong, with what the
page's filters look at (`data-kinds`, `data-labels`, `data-runs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from luke_tasks.mistakes.cases import Case
from luke_tasks.mistakes.judging import Judged, is_filled, predicted_labels
from luke_tasks.pages.marks import Mark, chip, marked_text
from luke_tasks.pages.predictions import bars, share, text_block

_RIGHT, _WRONG = 140, 0  # hues
_MOST_CHARACTERS = 1500  # of a text; more are cut off around the spans


@dataclass(frozen=True)
class Compared:
    """One case and how each run did on it: run → its answer."""

    by_run: Mapping[int, Judged]

    @property
    def wrong(self) -> list[int]:
        """The runs that got it wrong."""
        return [run for run, judged in self.by_run.items() if judged.kinds]

    @property
    def kinds(self) -> list[str]:
        """Of all its errors."""
        return list(dict.fromkeys(kind for judged in self.by_run.values() for kind in judged.kinds))


def compare(runs: Sequence[tuple[str, Sequence[Judged]]]) -> list[Compared]:
    """The cases that some run got wrong, in the order of the data; the largest first where errors have a size.

    Args:
        runs: of each the key of its data, and its answers. A case is the same in two runs whose data are the same.
    """
    found: dict[tuple[Any, ...], dict[int, Judged]] = {}
    for number, (data_key, judged) in enumerate(runs):
        seen = Counter[str]()
        for one in judged:
            seen[one.case.id] += 1
            found.setdefault((data_key, one.case.id, seen[one.case.id]), {})[number] = one
    wrong = [compared for compared in map(Compared, found.values()) if compared.wrong]
    return sorted(wrong, key=lambda compared: -max(one.size for one in compared.by_run.values()))


def chosen(errors: Sequence[Compared], most: int) -> list[Compared]:
    """At most so many, in their order: of each kind in turn, so that rare kinds are among them."""
    if len(errors) <= most:
        return list(errors)
    queues: dict[str, list[int]] = {}
    for index, one in enumerate(errors):
        queues.setdefault(one.kinds[0], []).append(index)
    waiting = [iter(queue) for queue in queues.values()]
    kept: list[int] = []
    while len(kept) < most:
        for queue in list(waiting):
            found = next(queue, None)
            if found is None:
                waiting.remove(queue)
            elif len(kept) < most:
                kept.append(found)
    return [errors[index] for index in sorted(kept)]


def error_html(compared: Compared, names: Sequence[str]) -> str:
    """One case that some run got wrong.

    Args:
        names: of the runs; with one run alone its name is not shown.
    """
    kinds = compared.kinds
    labels = dict.fromkeys(label for judged in compared.by_run.values() for label in judged.labels)
    data = "".join(f' data-{name}="{escape(_listed(values))}"' for name, values in
                   (("kinds", kinds), ("labels", labels), ("runs", map(str, compared.wrong))))  # fmt: skip
    badges = "".join(f'<span class="kind">{escape(kind)}</span>' for kind in kinds)
    first = next(iter(compared.by_run.values())).case
    bodies = "".join(_of_run(names[run], judged, len(names) > 1) for run, judged in compared.by_run.items())
    return (f'<article class="error"{data}><header>{badges}<small>{escape(first.id)}</small></header>'
            f'<div class="lt">{_asked(first)}{bodies}</div></article>')  # fmt: skip


def _listed(values: Any) -> str:
    return f"|{'|'.join(str(value).replace('|', '/') for value in values)}|"


def _of_run(name: str, judged: Judged, named: bool) -> str:
    shown = "".join(_FORMS[judged.case.form](judged))
    if not named:
        return shown
    verdict = "" if judged.kinds else ' <span class="right">right</span>'
    return f'<div class="of-run"><b>{escape(name)}</b>{verdict}{shown}</div>'


# -- what was asked, and each form's answer -------------------------------------------------------------------------


def _asked(case: Case) -> str:
    """What stands above the answers of all runs: texts that the answers do not repeat."""
    if case.form == "answers":
        return f'<div class="lt-q">{escape(case.given["question"])}</div>'
    if case.form == "candidates":
        return f'<div class="lt-q">{escape(case.given["query"])}</div>'
    if case.form == "choice":
        parts = [escape(case.given.get(name, "")) for name in ("context", "question")]
        return "".join(text_block(part) for part in parts if part)
    if case.form in ("label", "labels", "number") and case.task == "sequence_classification":
        pair = case.prediction.get("text_pair")
        text = text_block(marked_text(case.prediction["text"], [], most=_MOST_CHARACTERS))
        return text + (text_block(escape(pair)) if pair else "")
    return ""


def _spans(judged: Judged) -> Iterator[str]:
    marks = []
    for pair in judged.spans:
        gold, predicted, kinds = pair.gold, pair.predicted, pair.kinds
        if gold is not None and predicted is not None and "boundary" not in kinds:  # of one place
            wanted = f"{share(predicted['score'])}, gold: {gold[2]}" if kinds else ""
            look, hue = ("wrong", _WRONG) if kinds else ("right", _RIGHT)
            marks.append(Mark(predicted["start"], predicted["end"], predicted["label"], wanted, look, hue))
            continue
        if gold is not None:
            marks.append(Mark(gold[0], gold[1], gold[2], "gold", "gold", _RIGHT))
        if predicted is not None:
            note = share(predicted["score"])
            marks.append(Mark(predicted["start"], predicted["end"], predicted["label"], note, "wrong", _WRONG))
    yield text_block(marked_text(judged.case.prediction["text"], marks, most=_MOST_CHARACTERS))


def _words(judged: Judged) -> Iterator[str]:
    marks = [
        Mark(word["start"], word["end"], word["label"], f"{share(word['score'])}, gold: {gold}", "wrong", _WRONG)
        for word, gold in zip(judged.case.prediction["words"], judged.case.gold, strict=True)
        if word["label"] != gold
    ]
    yield text_block(marked_text(judged.case.prediction["text"], marks, most=_MOST_CHARACTERS))


def _label(judged: Judged) -> Iterator[str]:
    case = judged.case
    if case.task == "relation_classification":
        places = [Mark(case.prediction[name]["start"], case.prediction[name]["end"], name) for name in ("head", "tail")]
        yield text_block(marked_text(case.prediction["text"], places, most=_MOST_CHARACTERS))
    score = case.prediction.get("score")
    if score is None:
        score = (case.prediction.get("probabilities") or {}).get(case.prediction["label"], 0.0)
    yield _verdict([(case.prediction["label"], share(score))], [case.gold])


def _labels(judged: Judged) -> Iterator[str]:
    case = judged.case
    if case.task == "entity_typing":
        entity = case.prediction["entities"][0]
        place = [Mark(entity["start"], entity["end"], hue=212)]
        yield text_block(marked_text(case.prediction["text"], place, most=_MOST_CHARACTERS))
    yield _verdict([(label, share(score)) for label, score in predicted_labels(case).items()], case.gold)


def _number(judged: Judged) -> Iterator[str]:
    case = judged.case
    value = f"{case.prediction['value']:.4g}"
    yield f"<div>predicted {chip(value, colour=_WRONG)} gold {chip(f'{case.gold:.4g}', colour=_RIGHT)}</div>"


def _answers(judged: Judged) -> Iterator[str]:
    case, answer = judged.case, judged.case.prediction
    marks = [Mark(start, end, "gold", "", "gold", _RIGHT) for start, end in case.gold]
    marks += _answered(answer, judged, share(answer["probability"]))
    yield text_block(marked_text(case.given["context"], marks, most=_MOST_CHARACTERS))
    golds = [case.given["context"][start:end] for start, end in case.gold]
    yield _verdict([(answer["answer"] or "(no answer)", share(answer["probability"]))],
                   list(dict.fromkeys(golds)) or ["(no answer)"], is_right=not judged.kinds)  # fmt: skip


def _candidates(judged: Judged) -> Iterator[str]:
    case, answer = judged.case, judged.case.prediction
    marks = [Mark(start, end, "gold", "", "gold", _RIGHT) for start, end in case.gold]
    marks += _answered(answer, judged, "")
    yield text_block(marked_text(case.given["passage"], marks, most=_MOST_CHARACTERS))
    if answer["candidates"]:
        yield bars(answer["candidates"].items(), most=3, colour=212)


def _answered(answer: dict[str, Any], judged: Judged, note: str) -> list[Mark]:
    if answer["start"] is None:
        return []
    look, hue = ("wrong", _WRONG) if judged.kinds else ("right", _RIGHT)
    return [Mark(answer["start"], answer["end"], "predicted", note, look, hue)]


def _choice(judged: Judged) -> Iterator[str]:
    case = judged.case
    rows = []
    for number, choice in enumerate(case.prediction["choices"]):
        says = [("gold", _RIGHT)] * (number == case.gold)
        says += [("predicted", _WRONG if judged.kinds else _RIGHT)] * (number == case.prediction["label"])
        rows.append(f"<div>{escape(choice['text'])} <span class='lt-p'>{share(choice['score'])}</span> "
                    + " ".join(chip(word, colour=hue) for word, hue in says) + "</div>")  # fmt: skip
    yield "".join(rows)


def _fillings(judged: Judged) -> Iterator[str]:
    prediction = judged.case.prediction
    marks = []
    for place, gold in zip([*prediction["words"], *prediction["entities"]], judged.case.gold, strict=True):
        best: dict[str, Any] = place["candidates"][0] if place["candidates"] else {"text": "?", "score": 0.0}
        is_right = gold is None or is_filled(place, gold)
        note = share(best["score"]) + ("" if is_right or gold == place["text"] else f", gold: {gold}")
        marks.append(Mark(place["start"], place["end"], best["text"], note, "right" if is_right else "wrong",
                          _RIGHT if is_right else _WRONG))  # fmt: skip
    yield text_block(marked_text(prediction["text"], marks, most=_MOST_CHARACTERS))


def _verdict(predicted: Sequence[tuple[str, str]], gold: Sequence[str], *, is_right: bool | None = None) -> str:
    """Both lists of labels: those that are right in green, wrong and missing ones in red and dashed."""
    names = {name for name, _ in predicted}
    said = [chip(name, note, colour=_RIGHT if (name in gold if is_right is None else is_right) else _WRONG)
            for name, note in predicted]  # fmt: skip
    due = [f'<span class="{"" if name in names else "due"}">{chip(name, colour=_RIGHT)}</span>' for name in gold]
    return f"<div>predicted {' '.join(said) or 'nothing'} · gold {' '.join(due) or 'nothing'}</div>"


_FORMS: dict[str, Callable[[Judged], Iterator[str]]] = {
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
