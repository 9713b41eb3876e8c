"""The best spans of a question's windows, from the logits of where an answer starts and ends.

Shapes: N windows, W word pieces of the longest, K spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luke_tasks.readers.records import Span


@dataclass(frozen=True)
class BestSpans:
    """The K best spans of each of N windows, best first; a score of -inf stands where a window has fewer."""

    starts: NDArray[np.int64]  # (N, K) first word piece
    lasts: NDArray[np.int64]  # (N, K) last word piece
    scores: NDArray[np.float32]  # (N, K) start logit + end logit
    null_scores: NDArray[np.float32]  # (N,) the same of `[CLS]`, which stands for no answer

    @property
    def margins(self) -> NDArray[np.float32]:
        """(N, K) how far each span is above its window's own null score: what makes windows comparable."""
        return self.scores - self.null_scores[:, None]


def best_spans(
    logits: Sequence[NDArray[np.float32]], contexts: Sequence[Span], *, num_best: int, max_length: int
) -> BestSpans:
    """The best spans within the context, as the original's: of the best `num_best` starts with the best ends.

    Starts before the context and ends after it are out of the running; others that make no span (an end in the
    question, a start at the last [SEP]) take one of the `num_best` places, as in the original.

    Args:
        logits: (W, 2) of each window, start and end.
        contexts: its word pieces [start, end) of the context.
        max_length: word pieces of the longest span.
    """
    longest = max(len(window) for window in logits)
    padded = np.full((len(logits), longest, 2), -np.inf, dtype=np.float32)  # (N, W, 2)
    for row, window in enumerate(logits):
        padded[row, : len(window)] = window
    null_scores = padded[:, 0].sum(axis=1)  # (N,)
    first, after = np.array(contexts).T[:, :, None]  # (N, 1) each
    pieces = np.arange(longest)
    start_logits = np.where((pieces > 0) & (pieces < first), -np.inf, padded[:, :, 0])  # (N, W)
    end_logits = np.where(pieces >= after, -np.inf, padded[:, :, 1])  # (N, W)
    starts, lasts = _top(start_logits, num_best), _top(end_logits, num_best)  # (N, K) each
    pair_scores = (np.take_along_axis(start_logits, starts, 1)[:, :, None]
                   + np.take_along_axis(end_logits, lasts, 1)[:, None, :])  # (N, K, K)  # fmt: skip
    s, e = starts[:, :, None], lasts[:, None, :]  # (N, K, 1), (N, 1, K)
    is_span = (s <= e) & (s >= first[:, :, None]) & (e < after[:, :, None]) & (e - s < max_length)  # (N, K, K)
    flat = np.where(is_span, pair_scores, -np.inf).reshape(len(logits), -1).astype(np.float32)  # (N, K*K)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :num_best]  # (N, K)
    return BestSpans(
        starts=np.take_along_axis(np.broadcast_to(s, is_span.shape).reshape(flat.shape), order, 1),
        lasts=np.take_along_axis(np.broadcast_to(e, is_span.shape).reshape(flat.shape), order, 1),
        scores=np.take_along_axis(flat, order, 1),
        null_scores=null_scores,
    )


def _top(logits: NDArray[np.float32], number: int) -> NDArray[np.int64]:
    """(N, K) places of the largest logits of each row."""
    number = min(number, logits.shape[1])
    return np.argpartition(-logits, number - 1, axis=1)[:, :number]
