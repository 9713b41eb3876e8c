"""The linear layer against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from luke_tasks.encoder import linear
from luke_tasks.encoder.linear import FUSED_ACTIVATIONS, Linear
from luke_tasks.encoder.luke import ACTIVATIONS


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12), (1, 12)])
def test_products_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    layer = Linear(12, 20, bias=bias)
    inputs = torch.randn(shape, requires_grad=True)
    gradient = torch.randn(*shape[:-1], 20)
    wanted = [inputs, *layer.parameters()]
    product = layer(inputs)
    expected = nn.functional.linear(inputs, layer.weight, layer.bias)
    torch.testing.assert_close(product, expected, atol=1e-6, rtol=1e-5)
    ours, theirs = torch.autograd.grad(product, wanted, gradient), torch.autograd.grad(expected, wanted, gradient)
    for found, exact in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-5)


def test_inputs_that_are_a_part_of_a_tensor() -> None:
    layer = Linear(12, 20)
    whole = torch.randn(3, 9, 12, requires_grad=True)
    product = layer(whole[:, 2:7])
    torch.testing.assert_close(product, nn.functional.linear(whole[:, 2:7], layer.weight, layer.bias))
    (found,) = torch.autograd.grad(product.transpose(0, 1).square().sum(), whole)  # the gradient is not contiguous
    (exact,) = torch.autograd.grad(nn.functional.linear(whole[:, 2:7], layer.weight, layer.bias).square().sum(), whole)
    torch.testing.assert_close(found, exact)


def test_a_frozen_weight_gets_no_gradient() -> None:
    layer = Linear(12, 20)
    layer.weight.requires_grad_(False)
    layer(torch.randn(4, 12)).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(layer.bias.grad, torch.full((20,), 4.0))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_activation_in_the_same_go(name: str) -> None:
    layer = Linear(12, 20)
    inputs = torch.randn(5, 12)
    with torch.no_grad():
        found = layer.activated(inputs, name)
        expected = ACTIVATIONS[name](nn.functional.linear(inputs, layer.weight, layer.bias))
    if torch.float32 in linear._onednn_types():
        assert found is not None
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert layer.activated(inputs, name) is None  # gradients are wanted
    assert name in FUSED_ACTIVATIONS


def test_an_activation_of_ones_own_is_left_to_the_caller() -> None:
    with torch.no_grad():
        assert Linear(12, 20).activated(torch.randn(5, 12), "swish") is None


def test_no_rows() -> None:
    with torch.no_grad():
        assert Linear(12, 20)(torch.randn(0, 12)).shape == (0, 20)


@pytest.mark.parametrize("gradients", [True, False])
def test_mixed_precision(gradients: bool) -> None:
    layer, inputs = Linear(12, 20), torch.randn(5, 12)
    with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16):
        product = layer(inputs)
        expected = nn.functional.linear(inputs, layer.weight, layer.bias)
    assert product.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(product, expected, atol=2e-2, rtol=2e-2)


def test_bfloat16_weights() -> None:
    layer, inputs = Linear(12, 20).bfloat16(), torch.randn(5, 12).bfloat16().requires_grad_()
    product = layer(inputs)
    expected = nn.functional.linear(inputs.double(), layer.weight.double(), layer.bias.double())
    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product.double(), expected, atol=2e-2, rtol=2e-2)
    product.sum().backward()
    assert inputs.grad is not None and layer.weight.grad is not None
    torch.testing.assert_close(inputs.grad.double(), layer.weight.double().sum(0).expand(5, -1), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("frozen", ["nothing", "weight", "inputs"])
def test_the_activation_before_the_product(name: str, frozen: str) -> None:
    layer = Linear(12, 20)
    inputs = torch.randn(5, 12, requires_grad=frozen != "inputs")
    layer.weight.requires_grad_(frozen != "weight")
    gradient = torch.randn(5, 20)
    product = layer(inputs, ACTIVATIONS[name])
    expected = nn.functional.linear(ACTIVATIONS[name](inputs), layer.weight, layer.bias)
    torch.testing.assert_close(product, expected, atol=1e-6, rtol=1e-5)
    wanted = [tensor for tensor in (inputs, *layer.parameters()) if tensor.requires_grad]
    ours, theirs = torch.autograd.grad(product, wanted, gradient), torch.autograd.grad(expected, wanted, gradient)
    for found, exact in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(layer(inputs, ACTIVATIONS[name]), expected, atol=1e-6, rtol=1e-5)


def test_one_row_without_a_batch() -> None:
    layer, inputs = Linear(12, 20), torch.randn(12, requires_grad=True)
    layer(inputs).sum().backward()
    torch.testing.assert_close(inputs.grad, layer.weight.sum(0))


def test_second_derivatives_are_refused() -> None:
    layer, inputs = Linear(12, 20), torch.randn(3, 12, requires_grad=True)
    (first,) = torch.autograd.grad(layer(inputs).square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
