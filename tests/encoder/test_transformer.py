"""Baselines through `AutoModel`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from luke_tasks.data.batch import Batch
from luke_tasks.data.hub import checkpoint_dir
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.transformer import TransformerEncoder
from luke_tasks.errors import CheckpointError, DataError
from tests.encoder.test_luke import assert_close_to, random_batch
from tests.tiny import needs_minilm, tiny_bert, tiny_luke, tiny_roberta


def load(directory: Path, **options: Any) -> TransformerEncoder:
    return TransformerEncoder.from_pretrained(pretrained=str(directory), **options).eval()


def words_only(pad: int, types: int) -> Batch:
    batch = random_batch(0, types=types)
    ids = batch.word_ids.remainder(130).clamp(min=2).masked_fill(~batch.word_mask, pad)
    return Batch(word_ids=ids, word_mask=batch.word_mask, word_type_ids=batch.word_type_ids)


@pytest.mark.parametrize(
    "make, architecture, longest",
    [
        (tiny_bert, "BertModel", 64), (tiny_bert, "BertForMaskedLM", 64),
        (tiny_roberta, "RobertaModel", 68), (tiny_roberta, "RobertaForMaskedLM", 68), (tiny_luke, "LukeModel", 68),
    ],
)  # fmt: skip
def test_words_are_read_as_automodel_does(make: Any, architecture: str, longest: int, tmp_path: Path) -> None:
    checkpoint = make(tmp_path, architecture=architecture)
    encoder = load(checkpoint)
    assert (encoder.hidden_size, encoder.max_word_length, encoder.has_entities) == (16, longest, False)
    model = transformers.AutoModel.from_pretrained(checkpoint).eval()
    types = model.config.type_vocab_size
    batch = words_only(model.config.pad_token_id, types)
    with torch.no_grad():
        expected = model(
            batch.word_ids, attention_mask=batch.word_mask.long(), token_type_ids=batch.word_type_ids
        ).last_hidden_state
        found = encoder(batch)
    assert_close_to(found.word_hidden[batch.word_mask], expected[batch.word_mask])
    assert found.word_hidden.shape == (4, 24, 16) and found.entity_hidden is None


@pytest.mark.parametrize("make, longest", [(tiny_bert, 64), (tiny_roberta, 68)])
def test_the_longest_window_is_read_and_a_longer_one_is_refused(make: Any, longest: int, tmp_path: Path) -> None:
    encoder = load(make(tmp_path))
    full = Batch(torch.full((1, longest), 9), torch.ones(1, longest, dtype=torch.bool))
    assert encoder(full).word_hidden.isfinite().all()
    with pytest.raises(DataError) as raised:
        encoder(Batch(torch.full((1, longest + 1), 9), torch.ones(1, longest + 1, dtype=torch.bool)))
    assert str(raised.value) == f"a window of {longest + 1} word pieces: this encoder reads at most {longest}"


def test_every_weight_gets_a_gradient(tmp_path: Path) -> None:
    encoder = load(tiny_bert(tmp_path))
    encoder(words_only(0, 2)).word_hidden.square().sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_an_archive_rebuilds_from_its_config(tmp_path: Path) -> None:
    for make in (tiny_bert, tiny_roberta):
        encoder = load(make(tmp_path / make.__name__), dropout=0.25)
        archive = tmp_path / f"{make.__name__}-archive"
        archive.mkdir()
        encoder.save_config(archive)
        assert [path.name for path in archive.iterdir()] == ["config.json"]
        rebuilt = load(archive, load_weights=False)
        assert rebuilt.model.config.hidden_dropout_prob == 0.25
        rebuilt.load_state_dict(encoder.state_dict())
        batch = words_only(encoder.model.config.pad_token_id, 1)
        with torch.no_grad():
            assert torch.equal(rebuilt(batch).word_hidden, encoder(batch).word_hidden)


def test_dropout_as_asked(tmp_path: Path) -> None:
    checkpoint = tiny_bert(tmp_path)
    batch = words_only(0, 2)
    none = load(checkpoint, dropout=0.0).train()
    assert torch.equal(none(batch).word_hidden, none(batch).word_hidden)
    usual = load(checkpoint).train()
    assert not torch.equal(usual(batch).word_hidden, usual(batch).word_hidden)


def test_it_is_registered() -> None:
    assert Encoder.registered()["transformer"] == TransformerEncoder.from_pretrained


def test_faults(tmp_path: Path) -> None:
    checkpoint = tiny_bert(tmp_path / "bert")
    tensors = load_file(checkpoint / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if "word_embeddings" not in n}, checkpoint / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(CheckpointError) as raised:
        load(checkpoint)
    assert str(raised.value) == f"{checkpoint}: missing tensors: embeddings.word_embeddings.weight"
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"^.*/bert: holds no weights; expected model.safetensors or [^\n]+$"):
        load(checkpoint)
    (checkpoint / "config.json").write_text(json.dumps({"model_type": "no such model"}))
    with pytest.raises(CheckpointError, match=r"^.*/bert: transformers cannot load it: [^\n]+$"):
        load(checkpoint, load_weights=False)
    (checkpoint / "config.json").unlink()
    with pytest.raises(CheckpointError) as raised:
        load(checkpoint)
    assert str(raised.value) == (
        f"{checkpoint}/config.json: no such file; {checkpoint} does not hold a complete checkpoint"
    )


@needs_minilm
def test_embedded_minilm() -> None:
    encoder = load(Path("embedded:minilm"))
    model = transformers.AutoModel.from_pretrained(checkpoint_dir("embedded:minilm")).eval()
    batch = words_only(0, 2)
    with torch.no_grad():
        expected = model(batch.word_ids, batch.word_mask.long(), batch.word_type_ids).last_hidden_state
        assert_close_to(encoder(batch).word_hidden, expected)
    assert (encoder.hidden_size, encoder.max_word_length) == (384, 512)
