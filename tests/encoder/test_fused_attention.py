"""The fused attention against the eager one, which holds all scores: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from luke_tasks.encoder.attention import (
    Queries,
    SelfAttention,
    entity_aware_attention,
    fused_entity_aware_attention,
    fused_plain_attention,
    plain_attention,
)
from luke_tasks.errors import LukeTasksError

WINDOWS, HEADS, WORDS, ENTITIES, SIZE = 3, 2, 37, 9, 8


def tensors(dtype: torch.dtype) -> list[Tensor]:
    """The four queries, keys, values and the gradient of the output; the same numbers in every type."""
    generator = torch.Generator().manual_seed(0)
    lengths = [WORDS, WORDS, ENTITIES, ENTITIES, *[WORDS + ENTITIES] * 3]
    drawn = [torch.randn(WINDOWS, HEADS, n, SIZE, generator=generator, dtype=torch.float64) * 2 for n in lengths]
    return [tensor.to(torch.bfloat16).to(dtype).requires_grad_() for tensor in drawn]


def mask() -> Tensor:
    """A full window, one padded on both sides, one without any entity."""
    mask = torch.ones(WINDOWS, WORDS + ENTITIES, dtype=torch.bool)
    mask[1, 20:WORDS] = False
    mask[1, -4:] = False
    mask[2, WORDS:] = False
    return mask


def output_and_gradients(dtype: torch.dtype, *, fused: bool, plain: bool) -> list[Tensor]:
    *queries, keys, values, gradient = tensors(dtype)
    if plain:
        query = torch.cat([queries[0], queries[2]], dim=2)
        output = (fused_plain_attention if fused else plain_attention)(query, keys, values, mask(), 0.0)
        inputs = [queries[0], queries[2], keys, values]
    else:
        attend = fused_entity_aware_attention if fused else entity_aware_attention
        output = attend(Queries(*queries), keys, values, mask(), 0.0)
        inputs = [*queries, keys, values]
    return [output, *torch.autograd.grad(output, inputs, gradient)]


@pytest.mark.parametrize("plain", [False, True], ids=["entity-aware", "plain"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_outputs_and_gradients_are_those_of_eager_attention_in_float64(
    dtype: torch.dtype, bound: float, plain: bool
) -> None:
    found = output_and_gradients(dtype, fused=True, plain=plain)
    expected = output_and_gradients(torch.float64, fused=False, plain=plain)
    for index, (ours, exact) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == dtype
        error = (ours.double() - exact).abs().max() / exact.abs().max()
        assert error < bound, f"tensor {index}: {error}"


def test_gradients_by_finite_differences() -> None:
    *inputs, _ = (tensor[:1, :1, :4].detach().requires_grad_() for tensor in tensors(torch.float64))
    part = torch.ones(1, 4, dtype=torch.bool)  # 3 words, 1 entity
    part[0, 1] = False

    def attend(w2w: Tensor, w2e: Tensor, e2w: Tensor, e2e: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        queries = Queries(w2w[:, :, :3], w2e[:, :, :3], e2w[:, :, :1], e2e[:, :, :1])
        return fused_entity_aware_attention(queries, keys, values, part, 0.0)

    assert torch.autograd.gradcheck(attend, inputs)


def layer(attention: str, dropout: float) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(hidden_size=16, num_heads=2, entity_aware=True, dropout=dropout, attention=attention)  # type: ignore[arg-type]


def test_the_choice() -> None:
    torch.manual_seed(1)
    hidden = torch.randn(WINDOWS, WORDS + ENTITIES, 16)
    eager = layer("eager", 0.1).eval()(hidden, mask(), WORDS)
    for attention in ("auto", "fused"):
        torch.testing.assert_close(layer(attention, 0.1).eval()(hidden, mask(), WORDS), eager, atol=1e-6, rtol=1e-5)
    layer("auto", 0.1).train()(hidden, mask(), WORDS)
    layer("fused", 0.0).train()(hidden, mask(), WORDS)
    with pytest.raises(LukeTasksError, match='"fused" does not go with dropout of attention probabilities; use "auto"'):
        layer("fused", 0.1).train()(hidden, mask(), WORDS)
