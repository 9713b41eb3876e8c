"""Attention on the CPU, with and without dropout of its probabilities.

The scores of all pairs never stand in memory at once: a block of some (window, head) pairs is scored, normalised,
dropped and mixed while it is in cache. The backward pass makes scores and masks again from the queries, the keys and a
seed. Torch's own fused kernel has no dropout, takes one query a row, and gains nothing from bfloat16 on a processor
without AMX. In bfloat16 the scores are rounded to it before the softmax, as in eager attention.

Every row asks the keys of each kind with a query of its own (words and entities; one kind in plain attention), and
there is one softmax over all keys.

Shapes: B windows, H heads, N rows (all of them ask), M keys of a kind, K keys of all kinds, d size of a head; blocks of
n ≤ B·H pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luke_tasks.encoder.dropout import KeepMasks, new_seed
from luke_tasks.encoder.fused_attention import bias_of

_BLOCK_BYTES = 1 << 20  # of the scores held at a time for each thread: about what its core's cache holds


def blocked_attention(
    queries: Sequence[Tensor], keys: Sequence[Tensor], values: Tensor, key_mask: Tensor | None, dropout: float
) -> Tensor:
    """Attention over several kinds of keys.

    Args:
        queries: for each kind, (B, H, N, d): what the rows ask of the keys of this kind.
        keys: for each kind, (B, H, M, d).
        values: (B, H, K, d), in the order of the keys.
        key_mask: (B, K) bool, False where nothing may attend; None: everywhere True.
        dropout: the share of attention probabilities dropped, in [0, 1]; 0 outside training.
    Returns:
        (B, H, N, d)
    """
    seed = new_seed() if dropout else 0
    mixed: Tensor = _BlockedAttention.apply(values, key_mask, dropout, seed, *queries, *keys)
    return mixed


class _BlockedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, key_mask: Tensor | None, dropout: float, seed: int, *queries_and_keys: Tensor
    ) -> Tensor:
        kinds = len(queries_and_keys) // 2
        factor = 1 / math.sqrt(values.size(-1))
        queries = [tensor.flatten(0, 1) * factor for tensor in queries_and_keys[:kinds]]
        flat_values, *keys = (tensor.flatten(0, 1).contiguous() for tensor in (values, *queries_and_keys[kinds:]))
        scores = _Scores(queries, keys, key_mask)
        masks = KeepMasks(seed, dropout) if dropout else None
        mixed = torch.empty_like(queries[0])  # (B·H, N, d)
        for block in scores.blocks():
            kept = scores.probabilities(block)  # (n, N, K)
            if masks is not None:
                kept.mul_(masks.draw(scores.room(1, block)))
            torch.bmm(kept, flat_values[block], out=mixed[block])
        if masks is not None:
            mixed.mul_(masks.scale)
        ctx.save_for_backward(mixed, flat_values, key_mask, *queries, *keys)
        ctx.dropout, ctx.seed, ctx.factor = dropout, seed, factor
        return mixed.view_as(queries_and_keys[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        mixed, values, key_mask, *queries_and_keys = ctx.saved_tensors
        kinds = len(queries_and_keys) // 2
        queries, keys = queries_and_keys[:kinds], queries_and_keys[kinds:]  # the queries are scaled already
        scores = _Scores(queries, keys, key_mask)
        masks = KeepMasks(ctx.seed, ctx.dropout) if ctx.dropout else None
        shape = gradients[0].shape[:2]  # B, H
        gradient = gradients[0].flatten(0, 1).contiguous()  # (B·H, N, d)
        # With o = s · (mask ∘ p) v: the gradient of a score is mask ∘ p ∘ (s g vᵀ) − p ∘ (g·o).
        joint = (gradient * mixed).sum(-1, keepdim=True)  # (B·H, N, 1)
        if masks is not None:
            gradient = gradient * masks.scale
        of_values = torch.empty_like(values)
        of_queries, of_keys = ([torch.empty_like(tensor) for tensor in group] for group in (queries, keys))
        for block in scores.blocks():
            probabilities = kept = scores.probabilities(block)  # (n, N, K)
            if masks is not None:
                kept = masks.draw(scores.room(1, block)).mul_(probabilities)
            torch.bmm(kept.mT, gradient[block], out=of_values[block])
            of_kept = torch.bmm(gradient[block], values[block].mT, out=scores.room(2, block))
            of_scores = of_kept.mul_(kept).addcmul_(probabilities, joint[block], value=-1)
            for kind, part in enumerate(scores.parts):
                torch.bmm(of_scores[..., part], keys[kind][block], out=of_queries[kind][block])
                torch.bmm(of_scores[..., part].mT, queries[kind][block], out=of_keys[kind][block])
        for tensor in of_queries:
            tensor.mul_(ctx.factor)
        return tuple(None if tensor is None else tensor.unflatten(0, shape)
                     for tensor in (of_values, None, None, None, *of_queries, *of_keys))  # fmt: skip


class _Scores:
    """Attention probabilities before dropout, a block at a time.

    Args:
        queries: one a kind, (B·H, N, d), divided by √d.
        keys: one a kind, (B·H, M, d).
    """

    def __init__(self, queries: Sequence[Tensor], keys: Sequence[Tensor], key_mask: Tensor | None) -> None:
        self.queries, self.keys = queries, keys
        ends = list(accumulate(tensor.size(1) for tensor in keys))
        self.parts = [slice(end - tensor.size(1), end) for end, tensor in zip(ends, keys, strict=True)]
        pairs, rows, size = len(queries[0]), queries[0].size(1), ends[-1]
        fit = _BLOCK_BYTES * torch.get_num_threads() // (rows * size * queries[0].element_size())
        # Masks are drawn four numbers at a time: so they are the same however many pairs make a block.
        step = 4 // math.gcd(4, rows * size)
        self.block_size = max(step, fit // step * step)
        # Memory that is used again stays in the cache; fresh memory takes longer to get than a product to fill it.
        most = min(pairs, self.block_size)
        self._rooms = [queries[0].new_empty(most, rows, size) for _ in range(3)]
        self._of_kinds = [queries[0].new_empty(most, rows, tensor.size(1)) for tensor in keys]
        self._bias = None
        bias = bias_of(key_mask, keys[0])
        if bias is not None:
            self._bias = bias.squeeze(1).repeat_interleave(pairs // len(bias), dim=0)  # (B·H, 1, K)

    def blocks(self) -> Iterator[slice]:
        """Slices of the B·H pairs."""
        for start in range(0, len(self.queries[0]), self.block_size):
            yield slice(start, min(start + self.block_size, len(self.queries[0])))

    def room(self, index: int, block: slice) -> Tensor:
        """Memory for as many numbers as a block has probabilities, (n, N, K); room 0 is where these are."""
        return self._rooms[index][: block.stop - block.start]

    def probabilities(self, block: slice) -> Tensor:
        """(n, N, K), overwritten by the next call."""
        scores = self.room(0, block)
        if len(self.keys) == 1:
            torch.bmm(self.queries[0][block], self.keys[0][block].mT, out=scores)
        else:  # a product written straight into a part of `scores` takes longer than the copy
            kinds = zip(self.queries, self.keys, self._of_kinds, strict=True)
            of_kinds = [torch.bmm(queries[block], keys[block].mT, out=room[: len(scores)])
                        for queries, keys, room in kinds]  # fmt: skip
            torch.cat(of_kinds, dim=-1, out=scores)
        if self._bias is not None:
            scores.add_(self._bias[block])
        return torch.softmax(scores, dim=-1, out=scores)
