"""Dropout: shares, scale, gradients, and what the masks depend on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from luke_tasks.encoder.dropout import Dropout, KeepMasks


def dropped(values: Tensor, share: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return Dropout(share).train()(values)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_and_the_scale(share: float, dtype: torch.dtype) -> None:
    found = dropped(torch.ones(1000, 1000, dtype=dtype), share)
    zeros = (found == 0).double().mean().item()
    assert abs(zeros - share) < 6 * (share * (1 - share) / 1e6) ** 0.5  # six standard deviations
    kept = found[found != 0].double()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=1e-2, atol=0)


def test_every_place_is_dropped_on_its_own() -> None:
    """Neighbours, which share 64 random bits, and rows have nothing to do with each other."""
    zeros = (dropped(torch.ones(2000, 512), 0.5) == 0).double() - 0.5
    for shift in (1, 2, 3, 4):
        assert (zeros[:, shift:] * zeros[:, :-shift]).mean().abs() < 1.5e-3
    assert (zeros[1:] * zeros[:-1]).mean().abs() < 1.5e-3
    assert zeros.mean(0).abs().max() < 0.06
    assert zeros.mean(1).abs().max() < 0.12


def test_the_gradient_is_dropped_alike() -> None:
    values = torch.randn(50, 7, requires_grad=True)
    found = dropped(values, 0.3)
    (gradient,) = torch.autograd.grad(found.sum(), values)
    torch.testing.assert_close(gradient * values, found)
    assert 0 < (gradient == 0).sum() < gradient.numel()


def test_masks_follow_from_torchs_generator() -> None:
    ones = torch.ones(64, 64)
    assert torch.equal(dropped(ones, 0.5), dropped(ones, 0.5))
    assert not torch.equal(dropped(ones, 0.5), dropped(ones, 0.5, seed=1))
    torch.manual_seed(0)
    layer = Dropout(0.5).train()
    state = torch.get_rng_state()
    first, second = layer(ones), layer(ones)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(layer(ones), first)


def test_a_sequence_of_masks_and_odd_sizes() -> None:
    masks, again = KeepMasks(7, 0.25), KeepMasks(7, 0.25)
    for size in (1, 5, 8, 1023):
        first, second = masks.draw(torch.empty(size)), again.draw(torch.empty(size))
        assert torch.equal(first, second)
        assert set(first.tolist()) <= {0.0, 1.0}


def test_without_dropout() -> None:
    values = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0).train()(values), values)
    assert torch.equal(Dropout(1.0).train()(values), torch.zeros_like(values))
    found = dropped(torch.ones(7, 3).T, 0.5)  # not contiguous
    assert found.shape == (3, 7)


def test_masks_from_torchs_own_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of other devices, here on the CPU."""
    generators = iter([torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)])
    masks, again = KeepMasks(3, 0.25), KeepMasks(3, 0.25)
    for drawer in (masks, again):
        monkeypatch.setattr(drawer, "_source", next(generators))
    for size in (1, 6, 400_000):
        first = masks.draw(torch.empty(size))
        assert torch.equal(first, again.draw(torch.empty(size)))
        assert set(first.tolist()) <= {0.0, 1.0}
    assert abs(first.mean().item() - 0.75) < 6 * (0.25 * 0.75 / 400_000) ** 0.5


def test_all_is_dropped() -> None:
    masks = KeepMasks(0, 1.0)
    assert masks.draw(torch.empty(500)).sum() == 0
    assert torch.equal(dropped(torch.randn(20, 9), 0.999999), torch.zeros(20, 9))  # rounds to all
