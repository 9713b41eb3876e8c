"""Dropout on the CPU without waiting for torch's random numbers, which cost more there than the products around them.

A number of 16 random bits decides about one value, so the share that is dropped is the nearest multiple of 1/65536 to
the one asked for (0.1 becomes 0.1000061), and what is kept is divided by exactly the share kept. Each call draws one
seed from torch's generator: the masks follow from its state alone, and the backward pass makes them again instead of
keeping them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from luke_tasks.encoder.plain_cpu import is_on_plain_cpu

_VALUES = 1 << 16
_CPU = torch.device("cpu")


class KeepMasks:
    """A sequence of random masks, the same for the same seed and the same kind of device.

    Args:
        seed: from `new_seed`.
        dropout: the share of zeros.
        device: where the masks are made.
    """

    def __init__(self, seed: int, dropout: float, device: torch.device = _CPU) -> None:
        self._source: Any = np.random.SFC64(seed) if device.type == "cpu" else torch.Generator(device).manual_seed(seed)
        num_dropped = round(dropout * _VALUES)
        self._first_kept = num_dropped - _VALUES // 2  # of the numbers from -32768 on
        self.scale = _VALUES / max(1, _VALUES - num_dropped)  # of all dropped, any number will do

    def draw(self, out: Tensor) -> Tensor:
        """Write the next mask into `out`: 1 where a value is kept, 0 where it is dropped."""
        if self._first_kept == _VALUES // 2:  # none; no number of 16 bits is so large
            return out.zero_()
        words = -(-out.numel() // 4)  # of 64 bits
        if isinstance(self._source, torch.Generator):
            drawn = torch.empty(words, dtype=torch.int64, device=out.device)
            bits = drawn.random_(-(2**63), None, generator=self._source).view(torch.int16)
        else:
            bits = torch.from_numpy(self._source.random_raw(words).view(np.int16))
        return torch.ge(bits[: out.numel()].view_as(out), self._first_kept, out=out)


def new_seed() -> int:
    """A seed drawn from torch's generator."""
    return int(torch.randint(2**63 - 1, ()).item())


class Dropout(nn.Dropout):
    """`nn.Dropout`, faster on the CPU. The masks are others than torch's for the same seed."""

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape, each zero with probability `p` in training, the others scaled up."""
        if not self.training or self.p == 0 or not is_on_plain_cpu(values):
            return nn.functional.dropout(values, self.p, self.training)
        dropped: Tensor = _Dropout.apply(values, self.p, new_seed())
        return dropped


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropout: float, seed: int) -> Tensor:
        ctx.dropout, ctx.seed = dropout, seed
        return _dropped(values, dropout, seed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _dropped(gradients[0], ctx.dropout, ctx.seed), None, None


def _dropped(values: Tensor, dropout: float, seed: int) -> Tensor:
    masks = KeepMasks(seed, dropout)
    return masks.draw(torch.empty_like(values, memory_format=torch.contiguous_format)).mul_(values).mul_(masks.scale)
