"""Decoding of spans against a double loop over starts and ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from luke_tasks.heads.answer_spans import best_spans


def double_loop(logits: np.ndarray, context: tuple[int, int], num_best: int, max_length: int) -> list[tuple[int, int]]:
    """The original's way: best starts and best ends after masking, then every pair of them."""
    starts, ends = logits[:, 0].copy(), logits[:, 1].copy()
    starts[1 : context[0]] = -1e30
    ends[context[1] :] = -1e30
    best_starts, best_ends = (np.argsort(-scores)[:num_best].tolist() for scores in (starts, ends))
    pairs = [(s, e) for s, e in itertools.product(best_starts, best_ends)
             if context[0] <= s <= e < context[1] and e - s + 1 <= max_length]  # fmt: skip
    return sorted(pairs, key=lambda pair: -(starts[pair[0]] + ends[pair[1]]))[:num_best]


@pytest.mark.parametrize("seed", range(20))
def test_against_a_double_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows, contexts = [], []
    for _ in range(4):
        length = int(rng.integers(6, 60))
        windows.append(rng.normal(size=(length, 2)).astype(np.float32))
        contexts.append((int(rng.integers(2, length - 2)), length - 1))
    num_best, max_length = int(rng.integers(8, 21)), int(rng.integers(1, 31))
    found = best_spans(windows, contexts, num_best=num_best, max_length=max_length)
    some = 0
    for row, (logits, context) in enumerate(zip(windows, contexts, strict=True)):
        expected = double_loop(logits, context, num_best, max_length)
        there = np.isfinite(found.scores[row])
        assert list(zip(found.starts[row][there], found.lasts[row][there], strict=True)) == expected
        scores = [logits[s, 0] + logits[e, 1] for s, e in expected]
        np.testing.assert_allclose(found.scores[row][there], scores, rtol=1e-6)
        np.testing.assert_allclose(found.margins[row][there], np.array(scores) - logits[0].sum(), rtol=0, atol=1e-5)
        some += len(expected)
    assert some


def test_a_window_without_context() -> None:
    found = best_spans([np.zeros((4, 2), dtype=np.float32)], [(3, 3)], num_best=20, max_length=30)
    assert not np.isfinite(found.scores).any()
    assert found.null_scores.tolist() == [0.0]
