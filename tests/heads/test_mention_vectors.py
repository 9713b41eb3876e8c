"""What stands for marked entities, by hand."""

from __future__ import annotations

import pytest
import torch

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.mention_vectors import mention_vectors, num_vectors

WORDS = torch.arange(10.0).reshape(1, 5, 2)
ENTITIES = torch.tensor([[[20.0, 21.0], [30.0, 31.0]]])
SPANS = torch.tensor([[[1, 3], [2, 5]]])
ENTITY_VECTORS = [20.0, 21.0, 30.0, 31.0]


@pytest.mark.parametrize(
    ("features", "token_feature", "expected"),
    [
        ("entity", "entity_start", ENTITY_VECTORS),
        ("token", "entity_start", [2, 3, 4, 5]),
        ("token", "mention_pooling", [3, 4, 6, 7]),
        ("token", "cls_token", [0, 1]),
        ("token+entity", "entity_start", [2, 3, 4, 5, *ENTITY_VECTORS]),
        ("token+entity", "cls_token", [0, 1, *ENTITY_VECTORS]),
    ],
)
def test_vectors(features: str, token_feature: str, expected: list[float]) -> None:
    mask = torch.ones(1, 5, dtype=torch.bool)
    batch = Batch(word_ids=torch.zeros(1, 5, dtype=torch.long), word_mask=mask, entity_spans=SPANS)
    found = mention_vectors(batch, EncoderOutput(WORDS, ENTITIES), features, token_feature)  # type: ignore[arg-type]
    assert found.tolist() == [expected]
    assert num_vectors(features, token_feature, 2) * 2 == len(expected)  # type: ignore[arg-type]
