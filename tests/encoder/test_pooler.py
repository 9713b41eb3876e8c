"""The pooler: there for the heads that read it, with the checkpoint's weights where it has them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from tests.encoder.test_luke import assert_close_to
from tests.tiny import tiny_bert, tiny_luke, tiny_roberta


def pooler_weight(encoder: Encoder) -> torch.Tensor:
    return encoder.get_parameter("pooler.dense.weight")


@pytest.mark.parametrize("make", [tiny_luke, tiny_roberta, tiny_bert])
@pytest.mark.parametrize("encoder_class", [LukeEncoder, TransformerEncoder])
def test_it_is_the_checkpoints(tmp_path: Path, make, encoder_class) -> None:  # type: ignore[no-untyped-def]
    checkpoint = make(tmp_path)
    encoder = encoder_class.from_pretrained(pretrained=str(checkpoint), pooler=True)
    published = load_file(checkpoint / "model.safetensors")
    assert pooler_weight(encoder).equal(published["pooler.dense.weight"])
    assert encoder.get_parameter("pooler.dense.bias").equal(published["pooler.dense.bias"])
    assert "pooler" not in "".join(encoder_class.from_pretrained(pretrained=str(checkpoint)).state_dict())


@pytest.mark.parametrize("make", [tiny_luke, tiny_roberta, tiny_bert])
def test_pooled_as_transformers(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    checkpoint = make(tmp_path)
    words = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    reference = transformers.AutoModel.from_pretrained(checkpoint).eval()
    expected = reference(input_ids=words, attention_mask=mask.long()).pooler_output
    encoders = [TransformerEncoder, LukeEncoder] if make is tiny_luke else [TransformerEncoder]
    for encoder_class in encoders:
        encoder = encoder_class.from_pretrained(pretrained=str(checkpoint), pooler=True).eval()
        pooled = encoder(Batch(word_ids=words, word_mask=mask)).pooled
        assert pooled is not None
        assert_close_to(pooled, expected)


@pytest.mark.parametrize("make", [tiny_luke, tiny_roberta])
@pytest.mark.parametrize("encoder_class", [LukeEncoder, TransformerEncoder])
def test_a_checkpoint_without_one(  # type: ignore[no-untyped-def]
    tmp_path: Path, make, encoder_class, caplog: pytest.LogCaptureFixture
) -> None:
    name = "LukeForTokenClassification" if make is tiny_luke else "RobertaForMaskedLM"
    checkpoint = make(tmp_path, architecture=name)
    weights = load_file(checkpoint / "model.safetensors")
    without = {key: value for key, value in weights.items() if "pooler" not in key}
    from safetensors.torch import save_file

    save_file(without, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with caplog.at_level(logging.INFO, "luke_tasks"):
        encoder = encoder_class.from_pretrained(pretrained=str(checkpoint), pooler=True)
    assert "has no pooler; a new one is trained" in caplog.text
    assert 0 < pooler_weight(encoder).std() < 0.3 and pooler_weight(encoder).requires_grad
