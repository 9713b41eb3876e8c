"""A batch: features of one or more windows, padded into tensors.

Shapes: B windows, W word pieces (longest of the batch), E entities (most of the batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from luke_tasks.data.features import EntityAttention


@dataclass
class Batch:
    """What an encoder and a head read. A batch stays as it was handed over."""

    word_ids: Tensor  # (B, W) int64, padded with the tokenizer's pad id
    word_mask: Tensor  # (B, W) bool, False on padding
    word_type_ids: Tensor | None = None  # (B, W) int64 segment ids; None: all 0
    entity_ids: Tensor | None = None  # (B, E) int64 entity vocabulary ids; None: no entity input
    entity_spans: Tensor | None = None  # (B, E, 2) int64 word pieces [start, end); (0, 0) on padding
    entity_mask: Tensor | None = None  # (B, E) bool, False on padding
    entity_type_ids: Tensor | None = None  # (B, E) int64 segment ids; None: all 0
    entity_attention: EntityAttention = "all"  # of all its windows
    entity_groups: Tensor | None = None  # (B, E) int64, where `entity_attention` is "group"; 0 on padding
    labels: Tensor | None = None  # what the head's loss reads, in the head's own shape; None without gold labels
    words_read: Tensor | None = None  # (B, W) bool, of which word pieces the head reads the vectors; None: of all
    features: Sequence[Any] = ()  # the B features this batch was made of; fewer where some give several rows

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def words_only(self) -> Batch:
        """The same batch without entity input; the spans stay, for heads that read word pieces at them."""
        return replace(
            self, entity_ids=None, entity_mask=None, entity_type_ids=None, entity_attention="all", entity_groups=None
        )


def covered_pieces(spans: Tensor, words: int) -> Tensor:
    """Which of the `words` word pieces of a window each span covers: from (B, E, 2) to (B, E, W) bool."""
    pieces = torch.arange(words, device=spans.device)
    return (spans[..., :1] <= pieces) & (pieces < spans[..., 1:])
