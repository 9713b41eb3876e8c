"""Linear layers that use the faster of torch's two matrix products on the CPU.

For float32 on x86, torch's own `linear` calls MKL; oneDNN, which torch carries as well, is a tenth faster for the
products of an encoder's forward pass and of the gradient of its input, and can apply the activation while the product
is in cache. The gradient of the weight stays with MKL, which is as fast there. For bfloat16 torch takes oneDNN itself;
the direct way to it is a little faster. The sums are the same, rounded in another order.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from luke_tasks.encoder.plain_cpu import is_on_plain_cpu

# Name of an activation in a checkpoint's config → what oneDNN calls it, and its variant.
FUSED_ACTIVATIONS = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}


class Linear(nn.Linear):
    """`nn.Linear`, with the same parameters."""

    def forward(self, inputs: Tensor, activation: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """From (..., in_features) to (..., out_features).

        Args:
            activation: applied to the inputs first; the backward pass applies it again instead of keeping both.
        """
        inputs, weight, bias = self._cast(inputs)
        if _is_faster(inputs, weight) and torch.is_grad_enabled():
            product: Tensor = _Product.apply(inputs, weight, bias, activation)
            return product
        if activation is not None:
            inputs = activation(inputs)
        multiply = _onednn if _is_faster(inputs, weight) else nn.functional.linear
        return multiply(inputs, weight, bias)

    def activated(self, inputs: Tensor, activation: str) -> Tensor | None:
        """`forward` and one of `FUSED_ACTIVATIONS` in one go; None where that cannot be, or gradients are wanted."""
        inputs, weight, bias = self._cast(inputs)
        if torch.is_grad_enabled() or activation not in FUSED_ACTIVATIONS or not _is_faster(inputs, weight):
            return None
        return _onednn(inputs, weight, bias, *FUSED_ACTIVATIONS[activation])

    def _cast(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs, weight and bias, in the precision of a mixed-precision run on the CPU."""
        if not is_on_plain_cpu(inputs) or not torch.is_autocast_enabled("cpu"):
            return inputs, self.weight, self.bias
        dtype = torch.get_autocast_dtype("cpu")
        return inputs.to(dtype), self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype)


class _Product(torch.autograd.Function):
    """activation(inputs) · weightᵀ + bias."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, activation: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.activation = activation
        return _onednn(inputs if activation is None else activation(inputs), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias, _ = ctx.needs_input_grad
        gradient = gradients[0].contiguous()
        rows = gradient.flatten(0, -2)  # (N, out_features)
        of_inputs = _onednn(gradient, weight.T, None) if needs_inputs else None
        if ctx.activation is not None:
            with torch.enable_grad():
                inputs = inputs.detach().requires_grad_()
                activated = ctx.activation(inputs)
            if of_inputs is not None:
                (of_inputs,) = torch.autograd.grad(activated, inputs, of_inputs)
            inputs = activated.detach()
        of_weight = rows.T @ inputs.flatten(0, -2) if needs_weight else None
        return of_inputs, of_weight, rows.sum(0) if needs_bias else None, None


def _onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none", variant: str = "") -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, activation, [], variant)
    return product


def _is_faster(inputs: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is the better choice: on the CPU, in a plain run (not compiled or exported)."""
    return (
        is_on_plain_cpu(inputs)
        and inputs.dtype == weight.dtype
        and inputs.dtype in _onednn_types()
        and inputs.numel() > 0
        and inputs.dim() > 1
    )


@cache
def _onednn_types() -> tuple[torch.dtype, ...]:
    """The number types for which oneDNN is there and the faster choice."""
    if not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return ()
    has_bfloat16: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if has_bfloat16 else (torch.float32,)
