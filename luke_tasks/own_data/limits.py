"""Limits of a reader that fit the data, each with its reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.own_data.measure import Checkpoint, Measures

_WINDOWS = (128, 192, 256, 384, 512)  # batches are padded to their own longest text: room costs nothing
_MOST_MENTION = 16  # word pieces, as in the LUKE paper: the number of candidate spans grows with it
_LEAST_MENTION = 8  # new texts have longer names than a small sample
_SPANS = (32, 64, 128, 256, 512)
_LEAST_QUERY = 32
_BESIDE_QUESTION = 10  # special tokens, and word pieces of a text beside its question
Limits = dict[str, tuple[Any, str]]  # option → value, why


def limits_for(options: dict[str, Any], measures: Measures, checkpoint: Checkpoint) -> Limits:
    """`max_sequence_length` and the task's other limits; without measures, the window alone."""
    task = options["type"]
    if not len(measures.windows):
        return {"max_sequence_length": (checkpoint.max_window, "word pieces of a window; the data are not measured")}
    counted = "" if checkpoint.tokenizer_name == checkpoint.name else f" (counted with {checkpoint.tokenizer_name})"
    if task in ("transformers_squad", "record"):
        return _questions(task, measures, checkpoint, counted)
    found: Limits = {}
    if options.get("context") == "document":
        size = min(checkpoint.max_window, 256 if checkpoint.is_small else 512)
        found["max_sequence_length"] = (size, f"word pieces: a sentence of {int(np.median(measures.windows))} (median) "
                                        f"amid its document{counted}")  # fmt: skip
    else:
        size = _window(measures.windows, checkpoint.max_window)
        found["max_sequence_length"] = (
            size,
            f"word pieces; {_spread(measures.windows, size, measures.unit[:-1])}{counted}",
        )
    if task == "conll_span" and len(measures.mentions):
        longest = max(_LEAST_MENTION, min(_MOST_MENTION, _covering(measures.mentions, 0.999)))
        found["max_mention_length"] = (longest, f"word pieces; {_spread(measures.mentions, longest, 'mention')}")
        spans = measures.spans[:, longest - 1]
        most = next((size for size in _SPANS if size >= _covering(spans, 0.95)), _SPANS[-1])
        found["max_entity_length"] = (
            most,
            f"candidate spans of a window; {_spread(spans, most, 'sentence', 'most in a')}",
        )
    return found


def _questions(task: str, measures: Measures, checkpoint: Checkpoint, counted: str) -> Limits:
    """A window holds the question, and of the text as much as fits; neighbours share a part."""
    size = _window(measures.windows, min(checkpoint.max_window, 384 if checkpoint.is_small else 512))
    query = min(max(_LEAST_QUERY, _covering(measures.questions, 0.999)), size // 2)
    stride = min(128, max(1, (size - query - _BESIDE_QUESTION) // 3))
    shared = "word pieces that neighbouring windows of a text share"
    one = "question"
    if task == "record":
        one, stride = "query", max(stride, (size - query) // 2)
        shared = "word pieces of a passage from the start of one window to that of the next"
    with_text = _spread(measures.windows, size, f"{one} with its text")
    return {
        "max_sequence_length": (size, f"word pieces; {with_text}{counted}"),
        "stride": (stride, shared),
        "max_query_length": (query, f"word pieces; {_spread(measures.questions, query, one)}"),
    }


def _window(lengths: IntArray, most: int) -> int:
    """The smallest usual size that holds 99 % of the texts, with a little room for texts not seen yet."""
    wanted = _covering(lengths, 0.99)
    return min(most, next((size for size in _WINDOWS if size >= wanted), _WINDOWS[-1]))


def _covering(values: IntArray, share: float) -> int:
    """The least value that so many are not above."""
    return int(np.sort(values)[math.ceil(share * len(values)) - 1])


def _spread(values: IntArray, limit: int, one: str, longest: str = "longest") -> str:
    """How the values lie to the limit."""
    above = int((values > limit).sum())
    told = f"{longest} {one}: {int(values.max()):,}"
    return f"{told}; above the limit: {above:,} of {len(values):,} ({above / len(values):.2%})" if above else told
