"""What stands for the marked entities of a text, for heads that classify one mention or a pair.

Shapes: B windows, W word pieces, E entities (the same number in every window), D hidden size.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from luke_tasks.data.batch import Batch, covered_pieces
from luke_tasks.encoder.encoder import EncoderOutput

FeatureSet = Literal["token", "entity", "token+entity"]
TokenFeature = Literal["entity_start", "mention_pooling", "cls_token"]


def num_vectors(features: FeatureSet, token_feature: TokenFeature, num_entities: int) -> int:
    """How many vectors of size D `mention_vectors` joins."""
    of_tokens = 1 if token_feature == "cls_token" else num_entities
    return of_tokens * ("token" in features) + num_entities * ("entity" in features)


def mention_vectors(
    batch: Batch, encoded: EncoderOutput, features: FeatureSet, token_feature: TokenFeature
) -> Tensor:  # (B, num_vectors · D)
    """Vectors of word pieces, then of entities, side by side.

    Args:
        token_feature: of the word pieces: the opening markers, the mean of each mention with its markers, or the first
            piece of the text.
    """
    vectors = []
    if "token" in features:
        vectors.append(_of_words(batch, encoded.word_hidden, token_feature))
    if "entity" in features:
        assert encoded.entity_hidden is not None
        vectors.append(encoded.entity_hidden.flatten(1))
    return torch.cat(vectors, dim=-1)


def _of_words(batch: Batch, words: Tensor, token_feature: TokenFeature) -> Tensor:
    """From (B, W, D) to (B, D) of the first piece, or (B, E · D) of the mentions."""
    if token_feature == "cls_token":
        return words[:, 0]
    assert batch.entity_spans is not None
    if token_feature == "entity_start":
        return at_places(words, batch.entity_spans[..., 0]).flatten(1)
    lengths = batch.entity_spans[..., 1:] - batch.entity_spans[..., :1]  # (B, E, 1)
    covered = covered_pieces(batch.entity_spans, words.size(1)).to(words.dtype)  # (B, E, W)
    return ((covered @ words) / lengths).flatten(1)


def words_read(batch: Batch, features: FeatureSet, token_feature: TokenFeature) -> Tensor:  # (B, W) bool
    """The word pieces that `mention_vectors` reads."""
    if "token" not in features:
        return words_at(batch)
    if token_feature == "cls_token":
        return words_at(batch, torch.zeros_like(batch.word_ids[:, :1]))
    assert batch.entity_spans is not None
    if token_feature == "entity_start":
        return words_at(batch, batch.entity_spans[..., 0])
    return covered_pieces(batch.entity_spans, batch.word_ids.size(1)).any(dim=1)


def words_at(batch: Batch, *places: Tensor) -> Tensor:
    """The word pieces at any of (B, E) places: (B, W) bool."""
    read = torch.zeros_like(batch.word_ids, dtype=torch.bool)
    for places_of_windows in places:
        read.scatter_(1, places_of_windows, True)
    return read


def at_places(words: Tensor, places: Tensor) -> Tensor:
    """The vectors of word pieces (B, W, D) at (B, E) places: (B, E, D)."""
    return words.gather(1, places[..., None].expand(-1, -1, words.shape[-1]))
