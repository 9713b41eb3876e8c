"""Modules whose weights are read from a file next: made without drawing random ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWING = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_}


class unfilled(TorchFunctionMode):
    """Within it, nothing is drawn: weights that would be random hold whatever their memory holds.

    It spares the random numbers and the memory they would touch. On the meta device it spares more than a second:
    there torch (seen in 2.13) imports its compiler to draw from a normal distribution.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        if func in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
