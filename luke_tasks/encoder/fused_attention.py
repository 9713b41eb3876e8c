"""Entity-aware attention through torch's fused kernels, which never hold the scores of all pairs.

A query differs with the kind of the key, so one call of the kernel cannot serve a row. The kernel attends to the
words and to the entities apart, and gives the log-sum-exp of each one's scores, l_w and l_e. The softmax over both is

    o = σ(l_w − l_e) o_w + (1 − σ(l_w − l_e)) o_e,    l = logaddexp(l_w, l_e)

which is exact. For the gradient the kernel's backward is called once for words and once for entities with the merged o
and l: it recomputes each probability as exp(score − l), which is then that of the joint softmax. The same holds with
dropout, which the kernel for GPUs applies to the probabilities it mixes with and leaves out of l. (The way of GPUs is
written from torch's declarations and has not run on one yet: `auto` does not take it.)

Shapes: B windows, H heads, N queries, M keys of one kind, d size of a head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Keys(NamedTuple):
    """What the tokens of one kind offer, and what the rows ask of them."""

    queries: Tensor  # (B, H, N, d)
    keys: Tensor  # (B, H, M, d)
    values: Tensor  # (B, H, M, d)
    mask: Tensor | None  # (B, M) bool, False where nothing may attend; None: everywhere True


def merged_attention(words: Keys, entities: Keys, dropout: float = 0.0) -> Tensor:
    """Attention of N rows over words and entities, with one softmax over both: (B, H, N, d).

    Args:
        dropout: the share of attention probabilities dropped; 0 on the CPU, whose kernel has none.
    """
    groups = [(*group[:3], bias_of(group.mask, group.keys)) for group in (words, entities)]
    mixed: Tensor = _MergedAttention.apply(dropout, *groups[0], *groups[1])
    return mixed


def bias_of(mask: Tensor | None, keys: Tensor) -> Tensor | None:
    """(B, 1, 1, M), added to the scores: 0, or the least finite number where nothing may attend.

    Not -inf: a window with every key masked gives equal probabilities, not NaN.
    """
    if mask is None:
        return None
    room = -(-mask.size(1) // 16) * 16  # kernels for GPUs read rows that begin at multiples of 16 numbers
    bias = torch.zeros(len(mask), room, dtype=keys.dtype, device=keys.device)[:, : mask.size(1)]
    return bias.masked_fill_(~mask, torch.finfo(keys.dtype).min)[:, None, None, :]


def merge(from_words: Tensor, log_words: Tensor, from_others: Tensor, log_others: Tensor) -> tuple[Tensor, Tensor]:
    """Two attentions, each to a part of the keys, as one: their mixtures (B, H, N, d) and log-sum-exps (B, H, N)."""
    share = torch.sigmoid(log_words - log_others).unsqueeze(-1).to(from_words.dtype)  # (B, H, N, 1), of the words
    return torch.lerp(from_others, from_words, share), torch.logaddexp(log_words, log_others)


class _MergedAttention(torch.autograd.Function):
    """The arguments after `dropout`: queries, keys, values and bias, of words and then of entities."""

    @staticmethod
    def forward(ctx: Any, dropout: float, *groups: Any) -> Tensor:
        kernel: Any = CpuKernel if groups[0].device.type == "cpu" else _CudaKernel
        from_words, log_words, *word_state = kernel.forward(*groups[:4], dropout)
        from_entities, log_entities, *entity_state = kernel.forward(*groups[4:], dropout)
        mixed, log_sum = merge(from_words, log_words, from_entities, log_entities)
        ctx.save_for_backward(*groups, *word_state, *entity_state, mixed, log_sum)
        ctx.kernel, ctx.dropout = kernel, dropout
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, mixed, log_sum = ctx.saved_tensors
        groups, states = saved[:8], saved[8:]
        half = len(states) // 2
        of_groups: list[Tensor | None] = []
        for group, state in ((groups[:4], states[:half]), (groups[4:], states[half:])):
            of_groups += ctx.kernel.backward(gradients[0], *group, mixed, log_sum, *state, ctx.dropout)
            of_groups.append(None)  # of the bias
        return None, *of_groups


class CpuKernel:
    """Torch's flash attention for the CPU; it has no dropout."""

    @staticmethod
    def forward(
        queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, dropout: float = 0.0
    ) -> tuple[Tensor, ...]:
        """The mixture (B, H, N, d) and the log-sum-exp of the scores (B, H, N)."""
        assert dropout == 0
        operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        found: tuple[Tensor, ...] = operator(queries, keys, values, attn_mask=bias)
        return found

    @staticmethod
    def backward(
        gradient: Tensor, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, mixed: Tensor,
        log_sum: Tensor, dropout: float = 0.0,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """The gradients of queries, keys and values."""
        operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        found: tuple[Tensor, ...] = operator(
            gradient, queries, keys, values, mixed, log_sum, dropout, False, attn_mask=bias
        )
        return found


class _CudaKernel:
    """Torch's memory-efficient attention for GPUs, the fused kernel there that takes a mask."""

    @staticmethod
    def forward(
        queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, dropout: float
    ) -> tuple[Tensor, ...]:
        """The mixture (B, H, N, d), the log-sum-exp (B, H, N), and the seed and offset of its random numbers."""
        rows = queries.size(2)
        mixed, log_sum, seed, offset = torch.ops.aten._scaled_dot_product_efficient_attention(
            queries, keys, values, _expanded(bias, queries, keys), True, dropout
        )
        return mixed, log_sum[..., :rows], seed, offset  # it pads the rows of the log-sum-exp

    @staticmethod
    def backward(
        gradient: Tensor, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, mixed: Tensor,
        log_sum: Tensor, seed: Tensor, offset: Tensor, dropout: float,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """The gradients of queries, keys and values."""
        rows = log_sum.size(2)
        log_sum = torch.nn.functional.pad(log_sum, (0, -rows % 32), value=torch.inf)
        found: tuple[Tensor, ...] = torch.ops.aten._scaled_dot_product_efficient_attention_backward(
            gradient, queries, keys, values, _expanded(bias, queries, keys), mixed, log_sum, seed, offset, dropout,
            [True, True, True, False],
        )  # fmt: skip
        return found[:3]


def _expanded(bias: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor | None:
    """(B, H, N, M), without a copy."""
    return None if bias is None else bias.expand(-1, queries.size(1), queries.size(2), keys.size(2))
