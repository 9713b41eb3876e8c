"""One prediction as a fragment of HTML, for each task: spans in their text, labels and probabilities beside them.

Enters: a prediction as JSON (what `predict` prints) and what it was made from, where the prediction does not repeat it
(`given`). Leaves: HTML that a notebook, the page of `predict --html`, the report and the server show. All text is
escaped. `STYLE` is the style sheet it needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from luke_tasks.pages import marks
from luke_tasks.pages.marks import Mark, chip, hue, marked_text

Json = Mapping[str, Any]
_PLAIN = 212  # the hue of what is no label
_MOST_SHOWN = 8  # bars and candidates of one prediction

STYLE = (
    marks.STYLE
    + """
.lt-bars { display: grid; grid-template-columns: minmax(4em, max-content) minmax(3em, 16em) max-content; gap: 0 .6em;
  align-items: center; line-height: 1.6; font-size: .92em; margin: .25em 0; max-width: 100%; }
.lt-bars > span:nth-child(3n+1) { overflow-wrap: anywhere; }
.lt-bar { height: .6em; border-radius: 3px; background: hsl(212 10% 50% / .2); }
.lt-bar > i { display: block; height: 100%; border-radius: 3px; background: hsl(var(--h) 65% 50%); }
.lt-p { font-variant-numeric: tabular-nums; opacity: .8; }
.lt-q { font-weight: 600; margin: .25em 0; }
.lt-none { opacity: .7; font-style: italic; }
.lt-json { white-space: pre-wrap; line-height: 1.4; }
"""
)


def prediction_html(task: str, prediction: Json, given: Json | None = None) -> str:
    """A prediction as a `<div class="lt">`.

    Args:
        task: the reader's (`ner`, `token_classification`, `relation_classification`, `entity_typing`,
            `question_answering`, `record`, `sequence_classification`, `multiple_choice`, `masked_text`); the prediction
            of any other is shown as its JSON.
        prediction: its `to_json()`.
        given: what the prediction was asked about: `question` and `context` (question answering), `query` and `passage`
            (record), `context` and `question` (multiple choice). Where it lacks, only the answer is shown.
    """
    try:
        shown = _TASKS.get(task, _any)(prediction, given or {})
    except (AttributeError, KeyError, TypeError, ValueError):  # a user's own head may answer in another form
        shown = _any(prediction, {})
    return f'<div class="lt">{shown}</div>'


def bars(values: Iterable[tuple[str, float]], *, most: int = _MOST_SHOWN, colour: int | None = None) -> str:
    """Names with a bar for each probability, at most so many, and how many more there are.

    Args:
        colour: a hue for all; None: each has that of its name, as a label.
    """
    pairs = list(values)
    rows = "".join(
        f'<span>{escape(name)}</span><span class="lt-bar" style="--h:{hue(name) if colour is None else colour}">'
        f'<i style="width:{max(0.0, min(1.0, value)) * 100:.1f}%"></i></span>'
        f'<span class="lt-p">{share(value)}</span>'
        for name, value in pairs[:most]
    )
    more = f'<div class="lt-none">and {len(pairs) - most} more</div>' if len(pairs) > most else ""
    return f'<div class="lt-bars">{rows}</div>{more}'


def share(probability: float) -> str:
    """A probability with two digits; one that is not quite 1 or 0 is not shown as if it were."""
    if 0.995 <= probability < 1:
        return ">0.99"
    return "<0.01" if 0 < probability < 0.005 else f"{probability:.2f}"


def text_block(content: str) -> str:
    """A paragraph of marked text."""
    return f'<div class="lt-text">{content}</div>'


def _spans(prediction: Json, given: Json) -> str:
    found = [Mark(one["start"], one["end"], one["label"], share(one["score"])) for one in prediction["entities"]]
    none = "" if found else '<div class="lt-none">no entity</div>'
    return text_block(marked_text(prediction["text"], found)) + none


def _tokens(prediction: Json, given: Json) -> str:
    if prediction.get("entities") is not None:
        return _spans(prediction, given)
    words = [Mark(one["start"], one["end"], one["label"], share(one["score"])) for one in prediction["words"]]
    return text_block(marked_text(prediction["text"], words))


def _relation(prediction: Json, given: Json) -> str:
    head, tail = prediction["head"], prediction["tail"]
    places = [Mark(head["start"], head["end"], "head"), Mark(tail["start"], tail["end"], "tail")]
    return text_block(marked_text(prediction["text"], places)) + bars([(prediction["label"], prediction["score"])])


def _typing(prediction: Json, given: Json) -> str:
    text, entities = prediction["text"], prediction["entities"]
    if len(entities) == 1:
        entity = entities[0]
        place = text_block(marked_text(text, [Mark(entity["start"], entity["end"], hue=212)]))
        return place + (bars(entity["labels"].items()) if entity["labels"] else '<div class="lt-none">no type</div>')
    named = [Mark(one["start"], one["end"], str(number), hue=212) for number, one in enumerate(entities, start=1)]
    rows = [
        f'<div>{chip(str(number), colour=212)} {escape(one["text"])}: '
        + (" ".join(chip(label, share(score)) for label, score in one["labels"].items()) or "no type") + "</div>"
        for number, one in enumerate(entities, start=1)
    ]  # fmt: skip
    return text_block(marked_text(text, named)) + "".join(rows)


def _answer(prediction: Json, given: Json) -> str:
    parts = []
    if given.get("question"):
        parts.append(f'<div class="lt-q">{escape(given["question"])}</div>')
    start, context = prediction.get("start"), given.get("context")
    if start is not None and context is not None:
        mark = Mark(start, prediction["end"], "answer", share(prediction["probability"]))
        parts.append(text_block(marked_text(context, [mark])))
    else:
        shown = escape(prediction["answer"]) or '<span class="lt-none">the context does not tell</span>'
        parts.append(f'<div>{shown} <span class="lt-p">{share(prediction["probability"])}</span></div>')
        parts.extend([text_block(escape(context))] if context is not None else [])
    others = [(one["text"] or "(no answer)", one["probability"]) for one in prediction.get("n_best", [])]
    if len(others) > 1:
        parts.append(bars(others, most=3, colour=_PLAIN))
    return "".join(parts)


def _cloze(prediction: Json, given: Json) -> str:
    parts = []
    answer, query = prediction["answer"], given.get("query")
    if query is not None:
        gap = query.find("@placeholder")
        mark = [Mark(gap, gap + len("@placeholder"), answer or "?", hue=140)] if gap >= 0 else []
        parts.append(f'<div class="lt-q">{marked_text(query, mark)}</div>')
    if given.get("passage") is not None:
        place = [] if answer is None else [Mark(prediction["start"], prediction["end"], "answer")]
        parts.append(text_block(marked_text(given["passage"], place)))
    candidates = prediction.get("candidates") or {}
    none = '<div class="lt-none">no candidate in the passage</div>'
    return "".join(parts) + (bars(candidates.items(), colour=_PLAIN) if candidates else none)


def _text(prediction: Json, given: Json) -> str:
    text = text_block(escape(prediction["text"]))
    if prediction.get("text_pair") is not None:
        text += text_block(escape(prediction["text_pair"]))
    if prediction.get("value") is not None:
        return text + f"<div>{chip(format(prediction['value'], '.4g'))}</div>"
    classes = prediction.get("probabilities") or prediction.get("labels") or {}
    return text + (bars(classes.items()) if classes else '<div class="lt-none">no class</div>')


def _choice(prediction: Json, given: Json) -> str:
    parts = [text_block(escape(given["context"]))] if given.get("context") else []
    parts += [f'<div class="lt-q">{escape(given["question"])}</div>'] if given.get("question") else []
    chosen = prediction["label"]
    names = [("→ " if number == chosen else "") + one["text"] for number, one in enumerate(prediction["choices"])]
    pairs = zip(names, (one["score"] for one in prediction["choices"]), strict=True)
    return "".join(parts) + bars(pairs, most=len(names), colour=_PLAIN)


def _masked(prediction: Json, given: Json) -> str:
    places = [*prediction["words"], *prediction["entities"]]
    best = [one["candidates"][0]["text"] if one["candidates"] else "?" for one in places]
    found = [Mark(one["start"], one["end"], name, hue=212 if number < len(prediction["words"]) else 28)
             for number, (one, name) in enumerate(zip(places, best, strict=True))]  # fmt: skip
    rows = "".join(
        f"<div>{escape(one['text'])}: "
        + " ".join(chip(other["text"], share(other["score"])) for other in one["candidates"][:5]) + "</div>"
        for one in places
    )  # fmt: skip
    return text_block(marked_text(prediction["text"], found)) + rows


def _any(prediction: Json, given: Json) -> str:
    return f'<div class="lt-json">{escape(json.dumps(prediction, indent=2, ensure_ascii=False, default=repr))}</div>'


_TASKS: dict[str, Callable[[Json, Json], str]] = {
    "ner": _spans,
    "token_classification": _tokens,
    "relation_classification": _relation,
    "entity_typing": _typing,
    "question_answering": _answer,
    "record": _cloze,
    "sequence_classification": _text,
    "multiple_choice": _choice,
    "masked_text": _masked,
}
