"""Linear layers that use the faster of torch's two matrix products on the CPU.

For float32 on x86, torch's own `linear` calls MKL; oneDNN, which torch carries as well, is a tenth faster for the
products of an encoder's forward pass and of the gradient of its input, and can apply the activation while the product
is in cache. The gradient of the weight stays with MKL, which is as fast there. For bfloat16 torch takes oneDNN itself;
the direct way to it is a little faster. The sums are the same, rounded in another order.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

# Name of an activation in a checkpoint's config → what oneDNN calls it, and its variant.
FUSED_ACTIVATIONS = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}


class Linear(nn.Linear):
    """`nn.Linear`, with the same parameters."""

    def forward(self, inputs: Tensor) -> Tensor:
        """From (..., in_features) to (..., out_features)."""
        if not _is_faster(inputs, self.weight):
            return nn.functional.linear(inputs, self.weight, self.bias)
        if torch.is_grad_enabled():
            product: Tensor = _Product.apply(inputs, self.weight, self.bias)
            return product
        return _onednn(inputs, self.weight, self.bias)

    def activated(self, inputs: Tensor, activation: str) -> Tensor | None:
        """`forward` and one of `FUSED_ACTIVATIONS` in one go; None where that cannot be, or gradients are wanted."""
        if torch.is_grad_enabled() or activation not in FUSED_ACTIVATIONS or not _is_faster(inputs, self.weight):
            return None
        return _onednn(inputs, self.weight, self.bias, *FUSED_ACTIVATIONS[activation])


class _Product(torch.autograd.Function):
    """inputs · weightᵀ + bias."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _onednn(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        gradient = gradients[0].contiguous()
        rows = gradient.flatten(0, -2)  # (N, out_features)
        return (
            _onednn(gradient, weight.T, None) if of_inputs else None,
            rows.T @ inputs.flatten(0, -2) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def _onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none", variant: str = "") -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, activation, [], variant)
    return product


def _is_faster(inputs: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is the better choice: on the CPU, in a plain run (not compiled, exported or autocast)."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype
        and inputs.dtype in _onednn_types()
        and inputs.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


@cache
def _onednn_types() -> tuple[torch.dtype, ...]:
    """The number types for which oneDNN is there and the faster choice."""
    if not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return ()
    has_bfloat16: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if has_bfloat16 else (torch.float32,)
