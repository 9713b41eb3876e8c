"""Where ways are open that only the CPU and only a plain run have."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def is_on_plain_cpu(tensor: Tensor) -> bool:
    """On the CPU, and neither compiled nor exported.

    There a number of a tensor can be read without waiting for a GPU, and what torch cannot trace may be called.
    """
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


@cache
def has_amx() -> bool:
    """Whether this processor multiplies bfloat16 in tiles (AMX); False where torch does not tell."""
    tells = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return tells is not None and bool(tells())
