"""The arithmetic of a LUKE, counted from its shape: two operations (a multiplication, an addition) for each product.

One window of W word pieces and E entities, N = W + E; hidden size D, feed-forward size I, L layers, entity embeddings
of size K:

| part | FLOPs |
|---|---|
| two queries of each token, its key and its value (one query without entities) | 2 · 4 N D² (2 · 3 N D²) |
| scores of all pairs, and the mixture of the values | 4 N² D |
| projection of the attention's output | 2 N D² |
| feed-forward | 4 N D I |
| all layers | L times the four above |
| entity embeddings, where K ≠ D | 2 E K D |

A forward pass is that; a training step three times as much, since the backward pass takes the gradients of both factors
of each product. Not counted, on either side: embeddings' look-ups, softmax, LayerNorm, activations, the head, the
optimizer, and anything computed twice or on padding. So a share of the matrix rate says how much of the machine goes
into the model itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

TRAINING = 3  # forward passes that a step is worth


class Shape(Protocol):
    """The numbers that are counted from; a `LukeConfig` has them."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def entity_emb_size(self) -> int: ...
    @property
    def use_entity_aware_attention(self) -> bool: ...


def attention_flops(config: Shape, words: int, entities: int) -> int:
    """Of one layer's self-attention on one window, forward, without the projection of its output."""
    size, tokens = config.hidden_size, words + entities
    projections = 4 if entities and config.use_entity_aware_attention else 3
    return 2 * projections * tokens * size**2 + 4 * tokens**2 * size


def encoder_flops(config: Shape, windows: Iterable[tuple[int, int]]) -> int:
    """Of a forward pass over windows of (words, entities)."""
    size = config.hidden_size
    total = 0
    for words, entities in windows:
        tokens = words + entities
        layer = attention_flops(config, words, entities)
        layer += 2 * tokens * size**2 + 4 * tokens * size * config.intermediate_size
        total += config.num_hidden_layers * layer
        if config.entity_emb_size != size:
            total += 2 * entities * config.entity_emb_size * size
    return total
