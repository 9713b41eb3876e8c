"""Entity-aware attention through torch's fused kernel, which never holds the scores of all pairs.

A query differs with the kind of the key, so one call of the kernel cannot serve a row. The kernel attends to the
words and to the entities apart, and gives the log-sum-exp of each one's scores, l_w and l_e. The softmax over both is

    o = σ(l_w − l_e) o_w + (1 − σ(l_w − l_e)) o_e,    l = logaddexp(l_w, l_e)

which is exact. For the gradient the kernel's backward is called once for words and once for entities with the merged o
and l: it recomputes each probability as exp(score − l), which is then that of the joint softmax.

Shapes: B windows, H heads, N queries, W words, E entities, d size of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class _MergedAttention(torch.autograd.Function):
    """Some rows' attention over words and entities; `forward` is called through `merged_attention`."""

    @staticmethod
    def forward(
        ctx: Any, query_to_words: Tensor, query_to_entities: Tensor, word_keys: Tensor, word_values: Tensor,
        entity_keys: Tensor, entity_values: Tensor, word_bias: Tensor, entity_bias: Tensor,
    ) -> Tensor:  # fmt: skip
        from_words, log_words = _forward(query_to_words, word_keys, word_values, attn_mask=word_bias)
        from_entities, log_entities = _forward(query_to_entities, entity_keys, entity_values, attn_mask=entity_bias)
        share = torch.sigmoid(log_words - log_entities).unsqueeze(-1).to(from_words.dtype)  # (B, H, N, 1), of the words
        mixed = torch.lerp(from_entities, from_words, share)  # (B, H, N, d)
        log_sum = torch.logaddexp(log_words, log_entities)  # (B, H, N)
        ctx.save_for_backward(
            query_to_words, query_to_entities, word_keys, word_values, entity_keys, entity_values, word_bias,
            entity_bias, mixed, log_sum,
        )  # fmt: skip
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (query_to_words, query_to_entities, word_keys, word_values, entity_keys, entity_values, word_bias, entity_bias,
         mixed, log_sum) = ctx.saved_tensors  # fmt: skip
        gradient = gradients[0]
        to_words, of_word_keys, of_word_values = _backward(
            gradient, query_to_words, word_keys, word_values, mixed, log_sum, 0.0, False, attn_mask=word_bias
        )
        to_entities, of_entity_keys, of_entity_values = _backward(
            gradient, query_to_entities, entity_keys, entity_values, mixed, log_sum, 0.0, False, attn_mask=entity_bias
        )
        return to_words, to_entities, of_word_keys, of_word_values, of_entity_keys, of_entity_values, None, None


def merged_attention(
    query_to_words: Tensor, query_to_entities: Tensor, keys: Tensor, values: Tensor, bias: Tensor, words: int
) -> Tensor:
    """Attention of N rows over words and entities, with one softmax over both.

    Args:
        query_to_words, query_to_entities: (B, H, N, d), what the rows ask of words, and of entities.
        keys, values: (B, H, W+E, d), words first.
        bias: (B, 1, 1, W+E), added to the scores: 0, or the least finite number where nothing may attend.
        words: W.
    Returns:
        (B, H, N, d)
    """
    mixed: Tensor = _MergedAttention.apply(
        query_to_words, query_to_entities, keys[:, :, :words], values[:, :, :words], keys[:, :, words:],
        values[:, :, words:], bias[..., :words], bias[..., words:],
    )  # fmt: skip
    return mixed
