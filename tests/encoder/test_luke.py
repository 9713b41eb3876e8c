"""The LUKE encoder against `transformers`' LukeModel, on tiny random checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.attention import Layout
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.luke import EntityEmbeddings, LukeConfig, LukeEncoder
from luke_tasks.errors import CheckpointError, DataError
from tests.tiny import LUKE_ENTITIES, tiny_luke, tiny_mluke

WORDS, PAD = 340, 1  # ids to draw from; the pad word


def random_batch(seed: int, *, windows: int = 4, words: int = 24, entities: int = 6, types: int = 1) -> Batch:
    """Windows of random lengths, padded; spans of all lengths, overlapping; the first entity is there twice."""
    draw = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=draw)

    lengths = integers(4, words + 1, windows)
    lengths[0] = words
    word_mask = torch.arange(words) < lengths[:, None]
    word_ids = integers(2, WORDS, windows, words).masked_fill(~word_mask, PAD)
    entity_counts = integers(0, entities + 1, windows)
    entity_counts[0], entity_counts[-1] = entities, 0
    entity_mask = torch.arange(entities) < entity_counts[:, None]
    starts = torch.stack([integers(0, int(length), entities) for length in lengths])
    ends = torch.minimum(starts + integers(1, 12, windows, entities), lengths[:, None])
    spans = torch.stack([starts, ends], dim=-1)
    spans[:, 1:2] = spans[:, :1]
    return Batch(
        word_ids=word_ids,
        word_mask=word_mask,
        word_type_ids=integers(0, types, windows, words),
        entity_ids=integers(1, 12, windows, entities).masked_fill(~entity_mask, 0),
        entity_spans=spans.masked_fill(~entity_mask[..., None], 0),
        entity_mask=entity_mask,
    )


def reference_inputs(batch: Batch) -> dict[str, Tensor]:
    """A batch as LukeModel takes it, with entity positions as padded lists."""
    inputs = {"input_ids": batch.word_ids, "attention_mask": batch.word_mask.long()}
    if batch.word_type_ids is not None:
        inputs["token_type_ids"] = batch.word_type_ids
    if batch.entity_ids is not None:
        assert batch.entity_spans is not None and batch.entity_mask is not None
        positions = torch.arange(batch.word_ids.size(1)).expand(*batch.entity_ids.shape, -1)
        inside = (batch.entity_spans[..., :1] <= positions) & (positions < batch.entity_spans[..., 1:])
        inputs["entity_ids"] = batch.entity_ids
        inputs["entity_position_ids"] = positions.masked_fill(~inside, -1)
        inputs["entity_attention_mask"] = batch.entity_mask.long()
    return inputs


def assert_close_to(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def without_entities(batch: Batch) -> Batch:
    return replace(batch, entity_ids=None, entity_spans=None, entity_mask=None)


def reference(checkpoint: Path) -> transformers.LukeModel:
    return transformers.LukeModel.from_pretrained(checkpoint, add_pooling_layer=False).eval()


@pytest.fixture(scope="module", params=["entity-aware", "plain", "entity width equal", "mluke", "two segments, pad 0"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("luke")
    match request.param:
        case "plain":
            return tiny_luke(directory, use_entity_aware_attention=False)
        case "entity width equal":
            return tiny_luke(directory, entity_emb_size=16, hidden_act="gelu_new", num_attention_heads=4)
        case "mluke":
            return tiny_mluke(directory, vocab_size=WORDS, entity_vocab_size=12)
        case "two segments, pad 0":  # as a LUKE begun from BERT
            return tiny_luke(directory, type_vocab_size=2, pad_token_id=0, hidden_act="relu", layer_norm_eps=1e-12)
    return tiny_luke(directory)


@pytest.mark.parametrize("seed", range(4))
def test_outputs_are_the_references(checkpoint: Path, seed: int) -> None:
    encoder, model = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval(), reference(checkpoint)
    batch = random_batch(seed, types=model.config.type_vocab_size)
    batch.word_ids[~batch.word_mask] = model.config.pad_token_id
    with torch.no_grad():
        expected, found = model(**reference_inputs(batch)), encoder(batch)
    assert_close_to(found.word_hidden[batch.word_mask], expected.last_hidden_state[batch.word_mask])
    real = batch.entity_mask
    assert_close_to(found.entity_hidden[real], expected.entity_last_hidden_state[real])
    # Nor do they differ on padding: a head that reads it by mistake reads the same.
    assert_close_to(found.word_hidden, expected.last_hidden_state)
    assert_close_to(found.entity_hidden, expected.entity_last_hidden_state)


@pytest.mark.parametrize("none", [True, False])
def test_words_alone_are_the_references(checkpoint: Path, none: bool) -> None:
    encoder, model = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval(), reference(checkpoint)
    batch = random_batch(0) if none else random_batch(0, entities=0)
    batch.word_ids[~batch.word_mask] = model.config.pad_token_id
    words = without_entities(batch)
    with torch.no_grad():
        expected, found = model(**reference_inputs(words)), encoder(words if none else batch)
    assert_close_to(found.word_hidden, expected.last_hidden_state)
    if none:
        assert found.entity_hidden is None
    else:
        assert found.entity_hidden is not None and found.entity_hidden.shape == (4, 0, 16)


def test_gradients_are_the_references(checkpoint: Path) -> None:
    encoder = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval().double()
    model = reference(checkpoint).double()
    batch = random_batch(1, types=model.config.type_vocab_size)
    batch.word_ids[~batch.word_mask] = model.config.pad_token_id
    draw = torch.Generator().manual_seed(0)
    word_weight = torch.randn(4, 24, 16, generator=draw) * batch.word_mask[..., None]
    entity_weight = torch.randn(4, 6, 16, generator=draw) * batch.entity_mask[..., None]

    expected, found = model(**reference_inputs(batch)), encoder(batch)
    words, entities = expected.last_hidden_state, expected.entity_last_hidden_state
    ((words * word_weight).sum() + (entities * entity_weight).sum()).backward()
    ((found.word_hidden * word_weight).sum() + (found.entity_hidden * entity_weight).sum()).backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert gradients[name] is not None, name
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-10, rtol=1e-6, msg=name)


def test_gradients_in_single_precision(checkpoint: Path) -> None:
    encoder, model = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval(), reference(checkpoint)
    batch = random_batch(2, types=model.config.type_vocab_size)
    batch.word_ids[~batch.word_mask] = model.config.pad_token_id
    model(**reference_inputs(batch)).entity_last_hidden_state[batch.entity_mask].square().sum().backward()
    encoder(batch).entity_hidden[batch.entity_mask].square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    largest = max(parameter.grad.abs().max() for parameter in model.parameters())
    for name, parameter in model.named_parameters():
        scale = parameter.grad.abs().max().clamp(min=1e-3 * largest)  # a key's bias has none but rounding, when plain
        torch.testing.assert_close(gradients[name] / scale, parameter.grad / scale, atol=1e-4, rtol=0, msg=name)


def test_a_span_has_the_mean_of_its_positions() -> None:
    config = LukeConfig(vocab_size=5, entity_vocab_size=4, hidden_size=8, entity_emb_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=8, max_position_embeddings=600)  # fmt: skip
    embeddings = EntityEmbeddings(config)
    spans = torch.tensor([[[0, 1], [3, 10], [0, 512], [0, 0], [511, 512], [7, 7]]])
    table = embeddings.position_embeddings.weight
    expected = torch.stack([table[s:e].double().mean(dim=0) if e > s else torch.zeros(8) for s, e in spans[0].tolist()])
    torch.testing.assert_close(embeddings._mean_positions(spans, 512)[0].double(), expected.double(), atol=1e-6, rtol=0)


def test_mean_positions_hold_under_autocast() -> None:
    config = LukeConfig(vocab_size=5, entity_vocab_size=4, hidden_size=8, entity_emb_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=8, max_position_embeddings=64)  # fmt: skip
    embeddings = EntityEmbeddings(config)
    spans = torch.tensor([[[2, 9]]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = embeddings._mean_positions(spans, 16)
    torch.testing.assert_close(found[0, 0], embeddings.position_embeddings.weight[2:9].mean(dim=0), atol=1e-6, rtol=0)


def test_special_entities_give_the_same_outputs(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path)
    every = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval()
    special = LukeEncoder.from_pretrained(pretrained=str(checkpoint), entities="special").eval()
    batch = random_batch(2)
    ours = torch.randint(0, 4, (4, 6), generator=torch.Generator().manual_seed(0))
    published = torch.tensor([LUKE_ENTITIES[name] for name in ("[PAD]", "[UNK]", "[MASK]", "[MASK2]")])[ours]
    with torch.no_grad():
        expected = every(replace(batch, entity_ids=published))
        found = special(replace(batch, entity_ids=ours))
    assert special.entity_embeddings.entity_embeddings.weight.shape == (4, 8)
    assert_close_to(found.word_hidden, expected.word_hidden)
    assert_close_to(found.entity_hidden, expected.entity_hidden)


def test_masked_tokens_change_nothing(tmp_path: Path) -> None:
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path))).eval()
    batch = random_batch(3)
    other = replace(
        batch,
        word_ids=batch.word_ids.masked_fill(~batch.word_mask, 77),
        entity_ids=batch.entity_ids.masked_fill(~batch.entity_mask, 5),
    )
    with torch.no_grad():
        expected, found = encoder(batch), encoder(other)
    assert_close_to(found.word_hidden[batch.word_mask], expected.word_hidden[batch.word_mask])
    real = batch.entity_mask
    assert_close_to(found.entity_hidden[real], expected.entity_hidden[real])


def test_a_batch_stays_as_it_was(tmp_path: Path) -> None:
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path)))
    batch, again = random_batch(4), random_batch(4)
    encoder(batch)
    for name, value in vars(again).items():
        assert torch.equal(getattr(batch, name), value) if isinstance(value, Tensor) else getattr(batch, name) == value


def test_dropout_only_in_training_and_as_asked(tmp_path: Path) -> None:
    checkpoint = str(tiny_luke(tmp_path))
    batch = random_batch(5)
    usual = LukeEncoder.from_pretrained(pretrained=checkpoint)
    assert not torch.equal(usual.train()(batch).word_hidden, usual(batch).word_hidden)
    assert torch.equal(usual.eval()(batch).word_hidden, usual(batch).word_hidden)
    none = LukeEncoder.from_pretrained(pretrained=checkpoint, dropout=0.0).train()
    assert torch.equal(none(batch).word_hidden, none(batch).word_hidden)
    assert none.config.hidden_dropout_prob == none.config.attention_probs_dropout_prob == 0.0


def test_attention_dropout_keeps_the_mean(tmp_path: Path) -> None:
    """Only attention drops here: the first layer's mean over many draws is the undropped output."""
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path, hidden_dropout_prob=0.0)))
    attention = encoder.encoder.layer[0].attention.self
    attention.dropout = 0.3
    draw = torch.Generator().manual_seed(0)
    words, entities = torch.randn(1, 6, 16, generator=draw), torch.randn(1, 3, 16, generator=draw)
    one, many = (Layout(windows, 6, 3, None, None) for windows in (1, 8000))
    torch.manual_seed(0)
    with torch.no_grad():
        copies = many.join(words.expand(8000, -1, -1), entities.expand(8000, -1, -1))
        dropped = torch.cat(many.split(attention.train()(copies, many)), dim=1)  # (8000, 9, 16)
        whole = torch.cat(one.split(attention.eval()(one.join(words, entities), one)), dim=1)
    assert dropped.var(dim=0).max() > 1e-3
    torch.testing.assert_close(dropped.mean(dim=0), whole[0], atol=0.02, rtol=0)


def test_what_an_encoder_says_of_itself(tmp_path: Path) -> None:
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path)))
    assert (encoder.hidden_size, encoder.max_word_length, encoder.has_entities) == (16, 68, True)
    assert Encoder.registered()["luke"] == LukeEncoder.from_pretrained
    assert encoder.pooler is None


def test_the_longest_window_is_read_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path)))
    longest = Batch(word_ids=torch.full((1, 68), 9), word_mask=torch.ones(1, 68, dtype=torch.bool))
    assert encoder(longest).word_hidden.shape == (1, 68, 16)
    longer = Batch(word_ids=torch.full((1, 69), 9), word_mask=torch.ones(1, 69, dtype=torch.bool))
    with pytest.raises(DataError) as raised:
        encoder(longer)
    assert str(raised.value) == "a window of 69 word pieces: this encoder reads at most 68"


def test_unknown_activation_is_named(tmp_path: Path) -> None:
    config = replace(LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path))).config, hidden_act="mish")
    with pytest.raises(CheckpointError) as raised:
        LukeEncoder(config=config)
    assert str(raised.value) == ("config.json: hidden_act 'mish': supported: gelu, gelu_new, gelu_pytorch_tanh, relu")


def test_no_state_outside_the_published_names(tmp_path: Path) -> None:
    """Copies, pickles and `.to()` meet parameters only."""
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke(tmp_path)))
    assert list(encoder.buffers()) == []
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in encoder.parameters())
    assert encoder.state_dict().keys() == reference(tmp_path).state_dict().keys()
