"""Modules made without drawing their weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.unfilled import unfilled
from tests.tiny import tiny_luke


def draws() -> Tensor:
    """The state of the generator that weights are drawn from."""
    return torch.get_rng_state()


def test_nothing_is_drawn() -> None:
    torch.manual_seed(0)
    before = draws()
    with unfilled():
        linear = nn.Linear(3, 4)
        table = nn.Embedding(5, 6, padding_idx=2)
        norm = nn.LayerNorm(7)
        assert linear.weight.normal_(std=2.0) is linear.weight
        nn.init.normal_(table.weight)
        nn.init.kaiming_uniform_(linear.weight)
    assert draws().equal(before)
    assert norm.weight.equal(torch.ones(7)) and not table.weight[2].any()  # what is not random is filled
    assert [tuple(p.shape) for p in (linear.weight, linear.bias, table.weight)] == [(4, 3), (4,), (5, 6)]
    assert linear.weight.requires_grad
    nn.Linear(3, 4)
    assert not draws().equal(before)  # as ever afterwards


def test_an_encoder_whose_weights_come_later(tmp_path: Path) -> None:
    checkpoint = str(tiny_luke(tmp_path))
    torch.manual_seed(0)
    before = draws()
    empty = LukeEncoder.from_pretrained(pretrained=checkpoint, load_weights=False)
    full = LukeEncoder.from_pretrained(pretrained=checkpoint)
    assert draws().equal(before)
    shapes = {name: (tensor.shape, tensor.dtype, tensor.device) for name, tensor in full.state_dict().items()}
    assert shapes == {name: (t.shape, t.dtype, t.device) for name, t in empty.state_dict().items()}
    assert all(parameter.requires_grad for parameter in empty.parameters())
    empty.load_state_dict(full.state_dict())
    assert all(tensor.equal(full.state_dict()[name]) for name, tensor in empty.state_dict().items())
