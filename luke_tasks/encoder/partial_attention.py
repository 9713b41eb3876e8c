"""Attention to one part of the keys, to be merged with attention to the others.

Forwards: the mixture of the values and the log-sum-exp of the scores. Backwards: given the *merged* mixture and the
*merged* log-sum-exp, the exact gradients of the softmax over all keys (why is said in `fused_attention.py`). On the CPU
without dropout torch's fused kernel does both. Elsewhere (a GPU, dropout of attention probabilities) the scores of a
few heads at a time are made, and made anew for the gradient, dropping the same ones: the random bits come from a seed.

Shapes: B windows, H heads, N queries, K keys, d size of a head; in blocks, n of the B·H pairs of window and head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from luke_tasks.encoder.dropout import KeepMasks
from luke_tasks.encoder.fused_attention import CpuKernel

# Scores held at once where there is no kernel: what a CPU's caches hold, or enough to keep a GPU busy.
_SCORES_AT_ONCE = {"cpu": 1 << 20}
_SCORES_AT_ONCE_ELSEWHERE = 1 << 27


class Merged(NamedTuple):
    """What the rows' attention over all keys gave, and the gradient of it."""

    mixed: Tensor  # (B, H, N, d)
    log_sum: Tensor  # (B, H, N)
    gradient: Tensor  # (B, H, N, d)


class Drops(NamedTuple):
    """Which attention probabilities are dropped: a share of them, chosen by a seed."""

    share: float
    seed: int

    def masks(self, device: torch.device) -> KeepMasks:
        """Those of all blocks, from the first on."""
        return KeepMasks(self.seed, self.share, device)


def attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, drops: Drops) -> tuple[Tensor, Tensor]:
    """Attention to these keys alone.

    Args:
        query: (B, H, N, d). keys, values: (B, H, K, d).
        bias: (B, 1, 1, K), added to the scores; None: nothing is.
    Returns:
        (B, H, N, d), and (B, H, N) log-sum-exps of the scores, which dropout leaves as they are.
    """
    if not drops.share and query.device.type == "cpu":
        mixed, log_sum = CpuKernel.forward(query, keys, values, bias)
        return mixed, log_sum
    mixed = _empty_like(query)
    log_sum = torch.empty(query.shape[:3], dtype=_wide(query), device=query.device)
    masks = drops.masks(query.device)
    for rows, flat in _blocks(query, keys, values):
        q, k, v = (tensor.flatten(0, 1)[rows] for tensor in flat)
        scores = _scores(q, k, bias, rows, query.size(1))  # (n, N, K)
        highest = scores.amax(dim=-1, keepdim=True)
        weights = scores.sub_(highest).exp_()
        total = weights.sum(dim=-1, keepdim=True)  # (n, N, 1)
        log_sum.flatten(0, 1)[rows] = (highest + total.log()).squeeze(-1)
        if drops.share:
            weights.mul_(masks.draw(torch.empty_like(weights)))
        mixed.flatten(0, 1)[rows] = ((weights.to(v.dtype) @ v) * (masks.scale / total)).to(v.dtype)
    return mixed, log_sum


def attend_backward(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, merged: Merged, drops: Drops
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `query`, `keys` and `values` of `attend`, once merged with other parts."""
    if not drops.share and query.device.type == "cpu":
        to_query, to_keys, to_values = CpuKernel.backward(
            merged.gradient, query, keys, values, bias, merged.mixed, merged.log_sum
        )
        return to_query, to_keys, to_values
    gradients = _empty_like(query), _empty_like(keys), _empty_like(values)
    masks = drops.masks(query.device)
    scale = 1 / math.sqrt(query.size(-1))
    for rows, flat in _blocks(query, keys, values, merged.gradient, merged.mixed, merged.log_sum):
        q, k, v, gradient, mixed, log_sum = (tensor.flatten(0, 1)[rows] for tensor in flat)
        shares = _scores(q, k, bias, rows, query.size(1)).sub_(log_sum.unsqueeze(-1)).exp_()  # (n, N, K) of the softmax
        of_shares = (gradient @ v.mT).to(shares.dtype)
        mean = row_products(gradient, mixed).unsqueeze(-1)  # (n, N, 1)
        kept = shares
        if drops.share:
            mask = masks.draw(torch.empty_like(shares)).mul_(masks.scale)
            kept = shares * mask
            of_shares.mul_(mask)
        of_scores = of_shares.sub_(mean).mul_(shares).mul_(scale).to(q.dtype)
        parts = of_scores @ k, of_scores.mT @ q, kept.to(v.dtype).mT @ gradient
        for whole, part in zip(gradients, parts, strict=True):
            whole.flatten(0, 1)[rows] = part
    return gradients


def attend_to_own(query: Tensor, keys: Tensor, values: Tensor, drops: Drops) -> tuple[Tensor, Tensor]:
    """As `attend`, where each query has one key, its own: all are (B, H, N, d). The mixture is that key's value."""
    score = row_products(query, keys) / math.sqrt(query.size(-1))  # (B, H, N)
    return _thinned(values, score, drops), score


def attend_to_own_backward(
    query: Tensor, keys: Tensor, values: Tensor, merged: Merged, drops: Drops
) -> tuple[Tensor, Tensor, Tensor]:
    """As `attend_backward`, for `attend_to_own`."""
    scale = 1 / math.sqrt(query.size(-1))
    score = row_products(query, keys) * scale
    share = (score - merged.log_sum).exp()  # (B, H, N)
    gradient = _thinned(merged.gradient, score, drops)
    of_share = row_products(gradient, values) - row_products(merged.gradient, merged.mixed)
    of_score = (share * of_share * scale).unsqueeze(-1).to(query.dtype)
    return of_score * keys, of_score * query, share.unsqueeze(-1).to(query.dtype) * gradient


def row_products(left: Tensor, right: Tensor) -> Tensor:
    """The scalar product of each row, (..., N, d) to (..., N), summed in float32 at least."""
    return (left * right).sum(dim=-1, dtype=_wide(left))


def _thinned(values: Tensor, score: Tensor, drops: Drops) -> Tensor:
    """(B, H, N, d), less the rows that dropout takes away."""
    if not drops.share:
        return values
    masks = drops.masks(score.device)
    mask = masks.draw(torch.empty_like(score)).mul_(masks.scale)
    return values * mask.unsqueeze(-1).to(values.dtype)


def _scores(query: Tensor, keys: Tensor, bias: Tensor | None, rows: slice, heads: int) -> Tensor:
    """(n, N, K) in float32 at least; `rows` says which of the B·H these are."""
    scores = (query @ keys.mT).to(_wide(query)).div_(math.sqrt(query.size(-1)))
    if bias is None:
        return scores
    windows = torch.arange(rows.start, rows.stop, device=bias.device) // heads
    return scores.add_(bias.flatten(1)[windows].unsqueeze(1))


def _blocks(*tensors: Tensor) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
    """Slices of the B·H pairs, few enough for the scores of the first two tensors (query and keys) to be held."""
    query, keys = tensors[:2]
    pairs, scores_each = query.size(0) * query.size(1), max(1, query.size(2) * keys.size(2))
    at_once = max(1, _SCORES_AT_ONCE.get(query.device.type, _SCORES_AT_ONCE_ELSEWHERE) // scores_each)
    whole = tuple(tensor.contiguous() for tensor in tensors)
    for start in range(0, pairs, at_once):
        yield slice(start, min(start + at_once, pairs)), whole


def _empty_like(tensor: Tensor) -> Tensor:
    """Contiguous, whatever the strides of `tensor`."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)


def _wide(tensor: Tensor) -> torch.dtype:
    """float64 of float64, else float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
