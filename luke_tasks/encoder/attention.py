"""Entity-aware self-attention (LUKE, Yamada et al. 2020, section 3.2).

Enters: the hidden vectors of words and entities. Leaves: as many vectors, each a mixture of all values. The query a
token asks with depends on its own kind and on the kind of the key: four query matrices in all, and one key and one
value matrix. With entity-aware attention off, or without entities, it is plain self-attention.

One function is the reference, `eager_attention`; two others give its numbers faster: `blocked_attention.py` on the CPU,
`fused_attention.py` where torch's kernels are the better or the only choice. What the entities of shared windows attend
to is another thing: `shared_attention.py`.

Shapes: B windows, W word pieces, E entities, N of either, R = B·(W+E) rows, H heads, D hidden size, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from luke_tasks.encoder.blocked_attention import blocked_attention
from luke_tasks.encoder.fused_attention import Keys, bias_of, merged_attention
from luke_tasks.encoder.linear import Linear
from luke_tasks.encoder.plain_cpu import has_amx, is_on_plain_cpu
from luke_tasks.encoder.shared_attention import SharedPattern, eager_shared_attention, shared_attention
from luke_tasks.errors import LukeTasksError

AttentionChoice = Literal["auto", "fused", "eager"]


class Layout(NamedTuple):
    """How the rows of a hidden tensor (R, D) are windows: first the B·W word pieces, then the B·E entities.

    Masks are None where nothing is padding.
    """

    windows: int
    words: int
    entities: int
    word_mask: Tensor | None  # (B, W) bool, False on padding
    entity_mask: Tensor | None  # (B, E) bool, False on padding
    pattern: SharedPattern | None = None  # of a shared window with entities; None: all attend to all

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The words (B, W, ...) and the entities (B, E, ...) of (R, ...), as views."""
        words = rows[: self.windows * self.words].view(self.windows, self.words, *rows.shape[1:])
        return words, rows[self.windows * self.words :].view(self.windows, self.entities, *rows.shape[1:])

    def join(self, words: Tensor, entities: Tensor) -> Tensor:
        """What `split` takes apart."""
        return torch.cat([words.flatten(0, 1), entities.flatten(0, 1)])

    def joined_mask(self) -> Tensor | None:
        """(B, W+E) bool; None where nothing is padding."""
        return _joined_mask([self.word_mask, self.entity_mask], [self.words, self.entities])


def _joined_mask(masks: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor | None:
    """The masks (B, N) of several kinds as one; None where all are None, which stands for True everywhere."""
    known = [mask for mask in masks if mask is not None]
    if not known:
        return None
    filled = [known[0].new_ones(known[0].size(0), size) if mask is None else mask
              for mask, size in zip(masks, sizes, strict=True)]  # fmt: skip
    return torch.cat(filled, dim=1)


class Tokens(NamedTuple):
    """The tokens of one kind in a layer: what they ask of each kind of key, and what they offer."""

    queries: Sequence[Tensor]  # for each kind of key, (B, H, N, d); words first
    keys: Tensor  # (B, H, N, d)
    values: Tensor  # (B, H, N, d)
    mask: Tensor | None  # (B, N) bool, False where nothing may attend; None: everywhere True


def eager_attention(kinds: Sequence[Tokens], dropout: float) -> Sequence[Tensor]:
    """Attention of all tokens over all tokens, with one softmax over all kinds. The reference: it holds all scores.

    Args:
        kinds: words and entities; words alone; or both as one kind, for plain attention.
        dropout: the share of attention probabilities dropped; 0 outside training.
    Returns:
        for each kind, (B, H, N, d).
    """
    rows = [torch.cat([query @ other.keys.mT for query, other in zip(kind.queries, kinds, strict=True)], dim=3)
            for kind in kinds]  # fmt: skip
    values = _joined([kind.values for kind in kinds])
    scores = _joined(rows) / math.sqrt(values.size(-1))  # (B, H, N, N)
    mask = _mask_of(kinds)
    if mask is not None:
        # The least finite number, not -inf: a window with every key masked gives equal probabilities, not NaN.
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
    probabilities = nn.functional.dropout(scores.softmax(dim=-1), p=dropout, training=dropout > 0)
    return _parts(probabilities @ values, kinds)


def fused_attention(kinds: Sequence[Tokens], dropout: float) -> Sequence[Tensor]:
    """`eager_attention` without ever holding all scores."""
    if _goes_by_blocks(kinds[0].keys, dropout):
        queries = [_joined([kind.queries[index] for kind in kinds]) for index in range(len(kinds))]
        values = _joined([kind.values for kind in kinds])
        mixed = blocked_attention(queries, [kind.keys for kind in kinds], values, _mask_of(kinds), dropout)
        return _parts(mixed, kinds)
    if len(kinds) == 1:
        (words,) = kinds
        bias = bias_of(words.mask, words.keys)
        return [nn.functional.scaled_dot_product_attention(
            words.queries[0], words.keys, words.values, attn_mask=bias, dropout_p=dropout
        )]  # fmt: skip
    parts = []
    for kind in kinds:
        to_words, to_entities = (
            Keys(query, other.keys, other.values, other.mask) for query, other in zip(kind.queries, kinds, strict=True)
        )
        parts.append(merged_attention(to_words, to_entities, dropout))
    return parts


def _goes_by_blocks(keys: Tensor, dropout: float) -> bool:
    """On the CPU, except what torch's kernel can do with AMX."""
    return is_on_plain_cpu(keys) and (dropout > 0 or keys.dtype != torch.bfloat16 or not has_amx())


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """(B, H, N, d) of each kind as one tensor."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=2)


def _mask_of(kinds: Sequence[Tokens]) -> Tensor | None:
    return _joined_mask([kind.mask for kind in kinds], [kind.keys.size(2) for kind in kinds])


def _parts(joined: Tensor, kinds: Sequence[Tokens]) -> Sequence[Tensor]:
    """What `_joined` puts together."""
    return joined.split([kind.keys.size(2) for kind in kinds], dim=2)


class SelfAttention(nn.Module):
    """The projections around the attention function; the parameters bear the published checkpoints' names.

    Args:
        hidden_size: D. num_heads: H, which divides it.
        entity_aware: whether the three queries besides `query` exist.
        dropout: share of attention probabilities dropped in training.
        attention: `eager` holds all scores and is the reference; `fused` never does, and gives the same numbers but for
            rounding; `auto` is fused on the CPU, and on a GPU for windows without entities.
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
        self.query = Linear(hidden_size, hidden_size)  # words to words, and the only query of plain attention
        self.key = Linear(hidden_size, hidden_size)
        self.value = Linear(hidden_size, hidden_size)
        if entity_aware:
            self.w2e_query = Linear(hidden_size, hidden_size)
            self.e2w_query = Linear(hidden_size, hidden_size)
            self.e2e_query = Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """From (R, D) to (R, D)."""
        dropout = self.dropout if self.training else 0.0
        if layout.pattern is not None:
            rows = self._shared(hidden, layout, layout.pattern, dropout)
        else:
            kinds = self._kinds(hidden, layout)
            attend = fused_attention if self._is_fused(len(kinds), hidden, dropout) else eager_attention
            rows = attend(kinds, dropout)
        mixed = [part.transpose(1, 2).flatten(2) for part in rows]  # (B, N, D) each
        if len(mixed) == 1 and layout.entities:
            mixed = list(mixed[0].split([layout.words, layout.entities], dim=1))
        return layout.join(*mixed) if layout.entities else mixed[0].flatten(0, 1)

    def _kinds(self, hidden: Tensor, layout: Layout) -> list[Tokens]:
        words, entities = layout.split(hidden)  # (B, W, D), (B, E, D)
        word_keys, entity_keys = layout.split(self.key(hidden))
        word_values, entity_values = layout.split(self.value(hidden))
        if not layout.entities:
            return [self._tokens([self.query(words)], word_keys, word_values, layout.word_mask)]
        if self.entity_aware:
            of_words = [self.query(words), self.w2e_query(words)]
            of_entities = [self.e2w_query(entities), self.e2e_query(entities)]
            return [self._tokens(of_words, word_keys, word_values, layout.word_mask),
                    self._tokens(of_entities, entity_keys, entity_values, layout.entity_mask)]  # fmt: skip
        query = torch.cat(layout.split(self.query(hidden)), dim=1)  # (B, W+E, D)
        keys, values = torch.cat([word_keys, entity_keys], dim=1), torch.cat([word_values, entity_values], dim=1)
        return [self._tokens([query], keys, values, layout.joined_mask())]

    def _shared(self, hidden: Tensor, layout: Layout, pattern: SharedPattern, dropout: float) -> Sequence[Tensor]:
        """Words attend to words only, entities as the pattern says; so nothing asks `w2e_query`."""
        words, entities = layout.split(hidden)  # (B, W, D), (B, E, D)
        word_keys, own_keys = layout.split(self.key(hidden))
        word_values, own_values = layout.split(self.value(hidden))
        of_words = self._tokens([self.query(words)], word_keys, word_values, layout.word_mask)
        to_words = self._heads((self.e2w_query if self.entity_aware else self.query)(entities))
        to_own = self._heads(self.e2e_query(entities)) if self.entity_aware else to_words
        attend = fused_attention if self._is_fused(1, hidden, dropout) else eager_attention
        (word_rows,) = attend([of_words], dropout)  # (B, H, W, d)
        is_eager = self.attention == "eager" or torch.compiler.is_compiling()  # which cannot trace the random blocks
        attend_shared = eager_shared_attention if is_eager else shared_attention
        entity_rows = attend_shared(
            Keys(to_words, of_words.keys, of_words.values, of_words.mask),
            Keys(to_own, self._heads(own_keys), self._heads(own_values), layout.entity_mask),
            pattern,
            dropout,
        )  # (B, H, E, d)
        return [word_rows, entity_rows]

    def _tokens(self, queries: Sequence[Tensor], keys: Tensor, values: Tensor, mask: Tensor | None) -> Tokens:
        return Tokens([self._heads(query) for query in queries], self._heads(keys), self._heads(values), mask)

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, N, D) to (B, H, N, d)

    def _is_fused(self, num_kinds: int, hidden: Tensor, dropout: float) -> bool:
        """Whether a fused kernel is used. Raises LukeTasksError when it is asked for and cannot be."""
        on_cpu = hidden.device.type == "cpu"
        if on_cpu and dropout > 0 and not is_on_plain_cpu(hidden):
            if self.attention == "fused":
                raise LukeTasksError('model.encoder.attention: "fused" does not go with trainer.compile and dropout '
                                     'on the CPU; use "auto"')  # fmt: skip
            return False
        return self.attention == "fused" or (self.attention == "auto" and (on_cpu or num_kinds == 1))
