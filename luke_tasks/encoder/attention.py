"""Entity-aware self-attention (LUKE, Yamada et al. 2020, section 3.2).

Enters: the hidden vectors of words and entities, words first. Leaves: as many vectors, each a mixture of all values.
The query a token asks with depends on its own kind and on the kind of the key: four query matrices in all, and one key
and one value matrix. With entity-aware attention off, or without entities, it is plain self-attention.

Shapes: B windows, W word pieces, E entities, H heads, D hidden size, d = D / H.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from luke_tasks.encoder.fused_attention import merged_attention
from luke_tasks.encoder.shared_attention import SharedPattern, eager_shared_attention, shared_attention
from luke_tasks.errors import LukeTasksError

AttentionChoice = Literal["auto", "fused", "eager"]


class Queries(NamedTuple):
    """The four projections of a layer's input, named as in the paper: from words or entities, to words or entities."""

    w2w: Tensor  # (B, H, W, d)
    w2e: Tensor  # (B, H, W, d)
    e2w: Tensor  # (B, H, E, d)
    e2e: Tensor  # (B, H, E, d)


def entity_aware_attention(queries: Queries, keys: Tensor, values: Tensor, key_mask: Tensor, dropout: float) -> Tensor:
    """Attention in which the query depends on the pair of kinds, with one softmax over words and entities.

    Args:
        keys, values: (B, H, W+E, d), words first.
        key_mask: (B, W+E) bool, False where nothing may attend.
        dropout: the share of attention probabilities dropped; 0 outside training.
    Returns:
        (B, H, W+E, d)
    """
    words = queries.w2w.size(2)
    word_keys, entity_keys = keys[:, :, :words], keys[:, :, words:]
    word_scores = torch.cat([queries.w2w @ word_keys.mT, queries.w2e @ entity_keys.mT], dim=3)  # (B, H, W, W+E)
    entity_scores = torch.cat([queries.e2w @ word_keys.mT, queries.e2e @ entity_keys.mT], dim=3)  # (B, H, E, W+E)
    return _mixture(torch.cat([word_scores, entity_scores], dim=2), values, key_mask, dropout)


def plain_attention(query: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor, dropout: float) -> Tensor:
    """Self-attention with one query matrix: as `entity_aware_attention`, with a query of (B, H, W+E, d)."""
    return _mixture(query @ keys.mT, values, key_mask, dropout)


def _mixture(scores: Tensor, values: Tensor, key_mask: Tensor, dropout: float) -> Tensor:
    scores = scores / math.sqrt(values.size(-1))  # (B, H, W+E, W+E)
    # The least finite number, not -inf: a window with every key masked gives equal probabilities, not NaN.
    scores = scores.masked_fill(~key_mask[:, None, None, :], torch.finfo(scores.dtype).min)
    probabilities = nn.functional.dropout(scores.softmax(dim=-1), p=dropout, training=dropout > 0)
    return probabilities @ values  # (B, H, W+E, d)


def fused_entity_aware_attention(
    queries: Queries, keys: Tensor, values: Tensor, key_mask: Tensor, dropout: float
) -> Tensor:
    """`entity_aware_attention` through the fused kernel; `dropout` must be 0."""
    words = queries.w2w.size(2)
    bias = _bias(key_mask, keys.dtype)
    word_rows = merged_attention(queries.w2w, queries.w2e, keys, values, bias, words)  # (B, H, W, d)
    entity_rows = merged_attention(queries.e2w, queries.e2e, keys, values, bias, words)  # (B, H, E, d)
    return torch.cat([word_rows, entity_rows], dim=2)


def fused_plain_attention(query: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor, dropout: float) -> Tensor:
    """`plain_attention` through the fused kernel."""
    bias = _bias(key_mask, keys.dtype)
    return nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=bias, dropout_p=dropout)


def _bias(key_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, 1, 1, W+E), added to the scores; the least finite number, as in `_mixture`."""
    bias = torch.zeros(key_mask.shape, dtype=dtype, device=key_mask.device)
    return bias.masked_fill_(~key_mask, torch.finfo(dtype).min)[:, None, None, :]


class SelfAttention(nn.Module):
    """The projections around the attention function; the parameters bear the published checkpoints' names.

    Args:
        hidden_size: D. num_heads: H, which divides it.
        entity_aware: whether the three queries besides `query` exist.
        dropout: share of attention probabilities dropped in training.
        attention: `eager` holds all scores and is the reference; `fused` never does, and gives the same numbers but for
            rounding; `auto` is fused where it can be: on the CPU, without dropout.
    """

    def __init__(
        self, *, hidden_size: int, num_heads: int, entity_aware: bool, dropout: float,
        attention: AttentionChoice = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention = attention
        self.num_heads = num_heads
        self.entity_aware = entity_aware
        self.dropout = dropout
        self.query = nn.Linear(hidden_size, hidden_size)  # words to words, and the only query of plain attention
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        if entity_aware:
            self.w2e_query = nn.Linear(hidden_size, hidden_size)
            self.e2w_query = nn.Linear(hidden_size, hidden_size)
            self.e2e_query = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden: Tensor, key_mask: Tensor, words: int, pattern: SharedPattern | None = None
    ) -> Tensor:  # fmt: skip
        """From `hidden` (B, W+E, D), whose first `words` are words, and `key_mask` (B, W+E), to (B, W+E, D).

        With a `pattern`, words attend to words only, and entities as it says; `w2e_query` is then not asked.
        """
        keys, values = self._heads(self.key(hidden)), self._heads(self.value(hidden))  # (B, H, W+E, d)
        dropout = self.dropout if self.training else 0.0
        if pattern is not None and words < hidden.size(1):
            mixed = self._shared(hidden, keys, values, key_mask[:, :words], pattern, dropout)
        elif self.entity_aware and words < hidden.size(1):
            word_hidden, entity_hidden = hidden[:, :words], hidden[:, words:]  # (B, W, D), (B, E, D)
            queries = Queries(
                w2w=self._heads(self.query(word_hidden)),
                w2e=self._heads(self.w2e_query(word_hidden)),
                e2w=self._heads(self.e2w_query(entity_hidden)),
                e2e=self._heads(self.e2e_query(entity_hidden)),
            )
            function = fused_entity_aware_attention if self._is_fused(hidden, dropout) else entity_aware_attention
            mixed = function(queries, keys, values, key_mask, dropout)  # (B, H, W+E, d)
        else:
            plain = fused_plain_attention if self._is_fused(hidden, dropout) else plain_attention
            mixed = plain(self._heads(self.query(hidden)), keys, values, key_mask, dropout)
        return mixed.transpose(1, 2).flatten(2)  # (B, W+E, D)

    def _shared(
        self, hidden: Tensor, keys: Tensor, values: Tensor, word_mask: Tensor, pattern: SharedPattern, dropout: float
    ) -> Tensor:
        words = word_mask.size(1)
        word_hidden, entity_hidden = hidden[:, :words], hidden[:, words:]  # (B, W, D), (B, E, D)
        to_words = self._heads((self.e2w_query if self.entity_aware else self.query)(entity_hidden))
        to_entities = self._heads(self.e2e_query(entity_hidden)) if self.entity_aware else to_words
        word_query = self._heads(self.query(word_hidden))
        plain = fused_plain_attention if self._is_fused(hidden, dropout) else plain_attention
        word_rows = plain(word_query, keys[:, :, :words], values[:, :, :words], word_mask, dropout)  # (B, H, W, d)
        attend = eager_shared_attention if self.attention == "eager" else shared_attention
        entity_rows = attend(to_words, to_entities, keys, values, word_mask, pattern, dropout)  # (B, H, E, d)
        return torch.cat([word_rows, entity_rows], dim=2)

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, N, D) to (B, H, N, d)

    def _is_fused(self, hidden: Tensor, dropout: float) -> bool:
        """Whether the fused kernel is used. Raises LukeTasksError when it is asked for and cannot be."""
        obstacles = {"dropout of attention probabilities": dropout > 0, "a GPU": hidden.device.type != "cpu"}
        found = [name for name, stands in obstacles.items() if stands]
        if found and self.attention == "fused":
            raise LukeTasksError(f'model.encoder.attention: "fused" does not go with {" or ".join(found)}; use "auto"')
        return not found and self.attention != "eager"
