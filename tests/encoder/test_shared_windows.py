"""The LUKE encoder on shared windows: `transformers`' layers with a mask of all pairs, and the promise that an entity's
vector depends on its own group alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.luke import LukeEncoder
from tests.encoder.test_luke import assert_close_to, random_batch, reference, reference_inputs
from tests.tiny import tiny_luke

ENTITIES = 13


@pytest.fixture(scope="module", params=[True, False], ids=["entity-aware", "plain"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_luke(tmp_path_factory.mktemp("luke"), use_entity_aware_attention=request.param)


def encoder(checkpoint: Path, **options: Any) -> LukeEncoder:
    return LukeEncoder.from_pretrained(pretrained=str(checkpoint), **options).eval()


def shared_batch(attention: str, seed: int = 0) -> Batch:
    batch = random_batch(seed, entities=ENTITIES)
    if attention == "self":
        return replace(batch, entity_attention="self")
    groups = torch.randint(0, 4, (4, ENTITIES), generator=torch.Generator().manual_seed(seed))
    return replace(batch, entity_attention="group", entity_groups=groups)


def pairs(batch: Batch) -> Tensor:
    """Who may attend to whom, one by one: (B, W+E, W+E) bool."""
    assert batch.entity_mask is not None
    (windows, words), entities = batch.word_mask.shape, batch.entity_mask.size(1)
    to_words = batch.word_mask[:, None].expand(-1, words + entities, -1)
    to_entities = torch.zeros(windows, words + entities, entities, dtype=torch.bool)
    for window in range(windows):
        for row in range(entities):
            for other in range(entities):
                same = row == other
                if batch.entity_groups is not None and batch.entity_mask[window, other]:
                    same = same or bool(batch.entity_groups[window, row] == batch.entity_groups[window, other])
                to_entities[window, words + row, other] = same
    return torch.cat([to_words, to_entities], dim=2)


@pytest.mark.parametrize("attention", ["self", "group"])
@pytest.mark.parametrize("choice", ["auto", "eager"])
def test_it_is_transformers_encoder_with_a_mask_of_pairs(checkpoint: Path, attention: str, choice: str) -> None:
    batch = shared_batch(attention)
    inputs, model = reference_inputs(batch), reference(checkpoint)
    with torch.no_grad():
        words = model.embeddings(input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"])
        entities = model.entity_embeddings(inputs["entity_ids"], inputs["entity_position_ids"])
        mask = torch.where(pairs(batch)[:, None], 0.0, torch.finfo(torch.float32).min)
        expected = model.encoder(words, entities, attention_mask=mask)
        found = encoder(checkpoint, attention=choice)(batch)
    assert found.entity_hidden is not None and batch.entity_mask is not None
    assert_close_to(found.word_hidden[batch.word_mask], expected.last_hidden_state[batch.word_mask])
    assert_close_to(found.entity_hidden[batch.entity_mask], expected.entity_last_hidden_state[batch.entity_mask])


@torch.no_grad()
def test_words_do_not_see_the_entities(checkpoint: Path) -> None:
    batch = shared_batch("self")
    alone = encoder(checkpoint)(batch.words_only())
    assert_close_to(encoder(checkpoint)(batch).word_hidden[batch.word_mask], alone.word_hidden[batch.word_mask])
    assert alone.entity_hidden is None


@torch.no_grad()
def test_an_entity_is_the_same_in_any_company(checkpoint: Path) -> None:
    """Each alone in its window, without the others and without padding, as among all of them."""
    model, batch = encoder(checkpoint), shared_batch("self")
    assert batch.entity_ids is not None and batch.entity_spans is not None and batch.entity_mask is not None
    together = model(batch).entity_hidden
    for window in range(4):
        words = batch.word_ids[window : window + 1, : int(batch.word_mask[window].sum())]
        for entity in range(int(batch.entity_mask[window].sum())):
            chosen = slice(window, window + 1), slice(entity, entity + 1)
            alone = Batch(
                word_ids=words, word_mask=torch.ones_like(words, dtype=torch.bool),
                entity_ids=batch.entity_ids[chosen], entity_spans=batch.entity_spans[chosen],
                entity_mask=batch.entity_mask[chosen], entity_attention="self",
            )  # fmt: skip
            assert_close_to(model(alone).entity_hidden[0, 0], together[window, entity])


@torch.no_grad()
def test_a_group_is_the_same_in_any_company(checkpoint: Path) -> None:
    """The entities of one group alone in a window of LUKE's own attention, but for words that do not see them: other
    spans in other groups change nothing, other spans in its own do."""
    model, batch = encoder(checkpoint), shared_batch("group")
    assert batch.entity_spans is not None and batch.entity_groups is not None
    changed = batch.entity_spans.clone()
    changed[0, 0] = torch.tensor([3, 9])
    before, after = model(batch).entity_hidden[0], model(replace(batch, entity_spans=changed)).entity_hidden[0]
    for entity in range(1, ENTITIES):
        same = batch.entity_groups[0, entity] == batch.entity_groups[0, 0]
        assert torch.allclose(before[entity], after[entity], atol=1e-6) == (not same)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["self", "group"])
def test_groups_of_one_are_self_and_no_entities_are_none(checkpoint: Path, attention: str) -> None:
    model, batch = encoder(checkpoint), shared_batch(attention)
    alone = torch.arange(ENTITIES).expand(4, -1)
    lone = model(replace(batch, entity_attention="group", entity_groups=alone)).entity_hidden[batch.entity_mask]
    own = model(replace(batch, entity_attention="self", entity_groups=None)).entity_hidden[batch.entity_mask]
    assert_close_to(lone, own)
    assert batch.entity_ids is not None and batch.entity_spans is not None and batch.entity_mask is not None
    groups = None if batch.entity_groups is None else batch.entity_groups[:, :0]
    none = replace(batch, entity_ids=batch.entity_ids[:, :0], entity_spans=batch.entity_spans[:, :0],
                   entity_mask=batch.entity_mask[:, :0], entity_groups=groups)  # fmt: skip
    assert model(none).entity_hidden.shape == (4, 0, 16)


@pytest.mark.parametrize("attention", ["self", "group"])
def test_every_weight_but_the_words_query_for_entities_is_trained(checkpoint: Path, attention: str) -> None:
    gradients = []
    batch = shared_batch(attention)
    assert batch.entity_mask is not None
    for choice in ("auto", "eager"):
        model = encoder(checkpoint, attention=choice)
        output = model(batch)
        (output.word_hidden[batch.word_mask].square().sum() + output.entity_hidden[batch.entity_mask].sum()).backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    assert all((gradient is None) == ("w2e_query" in name) for name, gradient in gradients[0].items())
    for name, expected in gradients[1].items():
        if expected is not None:
            torch.testing.assert_close(gradients[0][name], expected, atol=1e-4, rtol=1e-4, msg=name)
