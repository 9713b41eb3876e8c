"""Attention of a shared window, where the candidate spans of many sentences stand over one text, encoded once.

Words attend to words only. An entity attends to the words and to itself, or to the words and the entities of its own
group (the spans of its sentence). So each entity's vector is what it would be if it, or its group, stood in the window
alone, but for the words, which never see it. Precedent: the levitated markers of PL-Marker (Ye et al. 2022, section 3).

An entity's softmax runs over both kinds of keys. As in `fused_attention.py` each kind is attended to apart
(`partial_attention.py`) and merged by the log-sum-exps, exactly; no matrix of entities by entities is ever made.

Shapes: B windows, H heads, W words, E entities, d size of a head; G groups of at most S entities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.fused_attention import Keys, bias_of, merge
from luke_tasks.encoder.partial_attention import (
    Drops,
    Merged,
    attend,
    attend_backward,
    attend_to_own,
    attend_to_own_backward,
)


class Slots(NamedTuple):
    """Entities laid out by group, each in a slot; slots that are left over are padding."""

    entity: Tensor  # (B, G*S) the entity in each slot; 0 in padding
    filled: Tensor  # (B, G*S) bool
    slot: Tensor  # (B, E) the slot of each entity; 0 of padding
    mask: Tensor  # (B, E) bool, False on padding
    size: int  # S

    def spread(self, rows: Tensor) -> Tensor:
        """(B, H, E, n) to (B*G, H, S, n), with zeros in padding."""
        index = self.entity[:, None, :, None].expand(-1, rows.size(1), -1, rows.size(3))
        found = rows.gather(2, index) * self.filled[:, None, :, None]  # (B, H, G*S, n)
        return found.unflatten(2, (-1, self.size)).transpose(1, 2).flatten(0, 1)

    def collect(self, spread: Tensor) -> Tensor:
        """(B*G, H, S, n) to (B, H, E, n), with zeros in padding."""
        rows = spread.unflatten(0, (len(self.entity), -1)).transpose(1, 2).flatten(2, 3)  # (B, H, G*S, n)
        index = self.slot[:, None, :, None].expand(-1, rows.size(1), -1, rows.size(3))
        return rows.gather(2, index) * self.mask[:, None, :, None]

    def bias(self, keys: Tensor) -> Tensor | None:
        """(B*G, 1, 1, S), added to the scores: nothing attends to padding."""
        return bias_of(self.filled.reshape(-1, self.size), keys)


@dataclass(frozen=True)
class SharedPattern:
    """What the entities of a batch attend to besides the words."""

    entity_mask: Tensor  # (B, E) bool, False on padding
    groups: Tensor | None = None  # (B, E) int64 the group of each entity; None: each one is alone

    @staticmethod
    def of(batch: Batch) -> SharedPattern | None:
        """That of a batch; None for LUKE's own, where all attend to all."""
        if batch.entity_attention == "all" or batch.entity_ids is None:
            return None
        assert batch.entity_mask is not None  # a Batch with entities has it
        return SharedPattern(batch.entity_mask.bool(), batch.entity_groups)

    @cached_property
    def slots(self) -> Slots:
        """The layout by group, made once for all layers. The number of groups, and of the largest, are read back."""
        assert self.groups is not None
        mask, (windows, entities) = self.entity_mask, self.groups.shape
        last = torch.iinfo(self.groups.dtype).max
        groups, order = self.groups.masked_fill(~mask, last).sort(dim=1, stable=True)  # (B, E), padding at the end
        opens = torch.ones_like(groups, dtype=torch.bool)
        opens[:, 1:] = groups[:, 1:] != groups[:, :-1]
        number = opens.cumsum(dim=1) - 1  # (B, E) which group, counted from 0
        position = torch.arange(entities, device=groups.device).expand_as(groups)
        first = position.masked_fill(~opens, 0).cummax(dim=1).values  # where the group of each begins
        real = groups != last
        place = (position - first).masked_fill(~real, 0)  # within the group
        size = int(place.max()) + 1
        slot_of_sorted = (number * size + place).masked_fill(~real, 0)
        count = (int(number.masked_fill(~real, 0).max()) + 1) * size
        slot = torch.zeros_like(order).scatter_(1, order, slot_of_sorted)
        # Padding writes into a column of its own, which is cut off.
        target = torch.where(mask, slot, count)
        entity = groups.new_zeros(windows, count + 1).scatter_(1, target, position)[:, :count]
        filled = mask.new_zeros(windows, count + 1).scatter_(1, target, mask)[:, :count]
        return Slots(entity, filled, slot, mask, size)


def shared_attention(words: Keys, own: Keys, pattern: SharedPattern, dropout: float) -> Tensor:
    """The entities' rows of a shared window's attention: (B, H, E, d).

    Args:
        words: what the words offer, and what the entities ask of them.
        own: what the entities offer, and what they ask of each other; its mask is not read, the pattern has it.
        dropout: the share of attention probabilities dropped, to 1/65536; 0 outside training.
    """
    seeds = torch.randint(2**62, (2,)).tolist() if dropout else (0, 0)
    mixed: Tensor = _SharedAttention.apply(
        words.queries, own.queries, words.keys, words.values, own.keys, own.values, bias_of(words.mask, words.keys),
        pattern, tuple(Drops(dropout, seed) for seed in seeds),
    )  # fmt: skip
    return mixed


def eager_shared_attention(words: Keys, own: Keys, pattern: SharedPattern, dropout: float) -> Tensor:
    """`shared_attention` with all scores at once: the reference, and what ONNX has operators for."""
    num_words, factor = words.keys.size(2), 1 / math.sqrt(words.keys.size(-1))
    to_words = words.queries @ words.keys.mT * factor  # (B, H, E, W)
    if words.mask is not None:
        to_words = to_words.masked_fill(~words.mask[:, None, None], torch.finfo(to_words.dtype).min)
    if pattern.groups is None:
        to_own = (own.queries * own.keys).sum(dim=-1, keepdim=True) * factor  # (B, H, E, 1)
    else:
        groups, mask = pattern.groups, pattern.entity_mask
        seen = (groups[:, :, None] == groups[:, None, :]) & mask[:, None] & mask[:, :, None]  # (B, E, E)
        to_own = own.queries @ own.keys.mT * factor  # (B, H, E, E)
        to_own = to_own.masked_fill(~seen[:, None], torch.finfo(to_own.dtype).min)
    probabilities = torch.cat([to_words, to_own], dim=3).softmax(dim=-1)  # (B, H, E, W+1 or W+E)
    probabilities = torch.nn.functional.dropout(probabilities, p=dropout, training=dropout > 0)
    from_words, of_own = probabilities[..., :num_words] @ words.values, probabilities[..., num_words:]
    return from_words + (of_own * own.values if pattern.groups is None else of_own @ own.values)


class _SharedAttention(torch.autograd.Function):
    """Called through `shared_attention`. Each kind of key is a part of its own, forwards and backwards."""

    @staticmethod
    def forward(
        ctx: Any, to_words: Tensor, to_entities: Tensor, word_keys: Tensor, word_values: Tensor, own_keys: Tensor,
        own_values: Tensor, bias: Tensor | None, pattern: SharedPattern, drops: tuple[Drops, Drops],
    ) -> Tensor:  # fmt: skip
        from_words, log_words = attend(to_words, word_keys, word_values, bias, drops[0])
        if pattern.groups is None:
            from_own, log_own = attend_to_own(to_entities, own_keys, own_values, drops[1])
        else:
            from_own, log_own = _attend_to_groups(to_entities, own_keys, own_values, pattern.slots, drops[1])
        mixed, log_sum = merge(from_words, log_words, from_own, log_own)  # (B, H, E, d), (B, H, E)
        ctx.save_for_backward(
            to_words, to_entities, word_keys, word_values, own_keys, own_values, bias, mixed, log_sum
        )  # fmt: skip
        ctx.pattern, ctx.drops = pattern, drops
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_words, to_entities, word_keys, word_values, own_keys, own_values, bias, mixed, log_sum = ctx.saved_tensors
        merged = Merged(mixed, log_sum, gradients[0])
        of_words = attend_backward(to_words, word_keys, word_values, bias, merged, ctx.drops[0])
        own = to_entities, own_keys, own_values
        if ctx.pattern.groups is None:
            of_own = attend_to_own_backward(*own, merged, ctx.drops[1])
        else:
            of_own = _attend_to_groups_backward(*own, ctx.pattern.slots, merged, ctx.drops[1])
        return of_words[0], of_own[0], *of_words[1:], *of_own[1:], None, None, None


def _attend_to_groups(query: Tensor, keys: Tensor, values: Tensor, slots: Slots, drops: Drops) -> tuple[Tensor, Tensor]:
    """As `attend`, each entity to its group: all are (B, H, E, d). Padding attends to none."""
    spread = slots.spread(query), slots.spread(keys), slots.spread(values)  # (B*G, H, S, d) each
    mixed, log_sum = attend(*spread, slots.bias(keys), drops)
    log_sum = slots.collect(log_sum.unsqueeze(-1)).squeeze(-1)  # (B, H, E)
    return slots.collect(mixed), log_sum.masked_fill_(~slots.mask[:, None], torch.finfo(log_sum.dtype).min)


def _attend_to_groups_backward(
    query: Tensor, keys: Tensor, values: Tensor, slots: Slots, merged: Merged, drops: Drops
) -> tuple[Tensor, Tensor, Tensor]:
    """As `attend_backward`, for `_attend_to_groups`."""
    log_sum = slots.spread(merged.log_sum.unsqueeze(-1)).squeeze(-1)
    spread = slots.spread(query), slots.spread(keys), slots.spread(values)
    spread_merged = Merged(slots.spread(merged.mixed), log_sum, slots.spread(merged.gradient))
    of_query, of_keys, of_values = attend_backward(*spread, slots.bias(keys), spread_merged, drops)
    return slots.collect(of_query), slots.collect(of_keys), slots.collect(of_values)
