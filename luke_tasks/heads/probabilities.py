"""Logits to probabilities, for decoding: on arrays, in their own precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]  # float32 or float64


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of classes that exclude each other: (..., C) to (..., C)."""
    weights: FloatArray = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def sigmoid(logits: FloatArray) -> FloatArray:
    """The probability of each class by itself; no logit is too large."""
    return (1 + np.tanh(logits / 2)) / 2


def holds(logits: FloatArray, threshold: float) -> NDArray[np.bool_]:
    """Whether each class is more probable than `threshold`; on logits, so that 0.5 is a logit above 0, exactly."""
    with np.errstate(divide="ignore"):  # a threshold of 0 or 1
        found: NDArray[np.bool_] = logits > np.log(threshold) - np.log1p(-threshold)
    return found
