"""What saves memory and changes no number: layers computed twice, a table of entities that stays on the CPU."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from tests.encoder.test_luke import random_batch


def gradients_of(encoder: Encoder) -> dict[str, Tensor]:
    """Those of all that the encoder gives, its dropout drawn from the same seed each time."""
    torch.manual_seed(1)
    output = encoder(random_batch(0))
    given = [getattr(output, field.name) for field in fields(output)]
    torch.stack([tensor.square().mean() for tensor in given if isinstance(tensor, Tensor)]).sum().backward()
    return {name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("kind", [LukeEncoder, TransformerEncoder])
def test_gradient_checkpointing_changes_no_gradient(
    kind: type[LukeEncoder | TransformerEncoder], tiny_luke_dir: Path, tmp_path: Path
) -> None:
    """With dropout: the second time, the same is dropped as the first time. And layers do run twice."""
    pretrained = tiny_luke_dir
    if kind is TransformerEncoder:
        from tests.tiny import tiny_roberta

        pretrained = tiny_roberta(tmp_path / "roberta")
    found, runs = [], []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        encoder = kind.from_pretrained(pretrained=str(pretrained), dropout=0.3).train()
        layers = next(module for module in encoder.modules() if isinstance(module, nn.ModuleList))
        counted: list[int] = []
        inner = next(module for module in layers[0].modules() if isinstance(module, nn.LayerNorm))
        inner.register_forward_pre_hook(lambda *inputs, counted=counted: counted.append(1))
        if checkpointed:
            encoder.checkpoint_gradients()
        found.append(gradients_of(encoder))
        runs.append(len(counted))
    assert runs == [1, 2]
    assert found[0].keys() == found[1].keys()
    assert all(found[0][name].equal(found[1][name]) for name in found[0])
    assert any(bool(gradient.any()) for gradient in found[0].values())


def test_a_table_on_the_cpu(tiny_luke_dir: Path) -> None:
    """It stays when the model goes, follows a change of type, and gets the same gradient."""
    name = "entity_embeddings.entity_embeddings"
    found = []
    for place in ("device", "cpu"):
        encoder = LukeEncoder.from_pretrained(
            pretrained=str(tiny_luke_dir),
            dropout=0.0,
            entity_embeddings_on=place,  # type: ignore[arg-type]
        )
        found.append(gradients_of(encoder)[f"{name}.weight"])
    assert found[0].equal(found[1])
    encoder.to("meta")
    assert encoder.embeddings.word_embeddings.weight.device.type == "meta"
    table = encoder.get_submodule(name)
    assert isinstance(table, nn.Embedding)
    assert table.weight.device.type == "cpu"
    assert table.weight.grad is not None and table.weight.grad.device.type == "cpu"
    assert table(torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, table.embedding_dim)
    assert encoder.double().get_submodule(name).weight.dtype == torch.float64
