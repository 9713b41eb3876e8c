"""Shared windows: the attention of their entities against plain masked attention, and what the pattern promises."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from luke_tasks.encoder import partial_attention
from luke_tasks.encoder.attention import Layout, SelfAttention
from luke_tasks.encoder.fused_attention import Keys
from luke_tasks.encoder.partial_attention import Drops, Merged, attend, attend_backward
from luke_tasks.encoder.shared_attention import SharedPattern, eager_shared_attention, shared_attention

WINDOWS, HEADS, WORDS, ENTITIES, SIZE = 3, 2, 37, 11, 8
# Out of order and with gaps, of unequal sizes; the second window has four padding entities, the third none at all.
GROUPS = torch.tensor([[5, 5, 5, 0, 0, 7, 5, 9, 9, 9, 9], [1, 1, 2, 2, 2, 3, 3, 0, 0, 0, 0], [0] * ENTITIES])
LENGTHS = torch.tensor([ENTITIES, 7, 0])


def pattern(attention: str) -> SharedPattern:
    mask = torch.arange(ENTITIES) < LENGTHS[:, None]
    return SharedPattern(mask, GROUPS if attention == "group" else None)


def word_mask() -> Tensor:
    mask = torch.ones(WINDOWS, WORDS, dtype=torch.bool)
    mask[1, 20:] = False
    mask[2, 5:] = False
    return mask


def tensors(dtype: torch.dtype) -> list[Tensor]:
    """Both queries, keys, values and the gradient of the output; the same numbers in every type."""
    generator = torch.Generator().manual_seed(0)
    lengths = [ENTITIES, ENTITIES, WORDS + ENTITIES, WORDS + ENTITIES, ENTITIES]
    drawn = [torch.randn(WINDOWS, HEADS, n, SIZE, generator=generator, dtype=torch.float64) * 2 for n in lengths]
    drawn[-1] *= (torch.arange(ENTITIES) < LENGTHS[:, None])[:, None, :, None]  # no loss reads padding
    return [tensor.to(torch.bfloat16).to(dtype).requires_grad_() for tensor in drawn]


def attended(
    function: Any, to_words: Tensor, to_own: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None,
    pattern: SharedPattern, dropout: float,
) -> Tensor:  # fmt: skip
    """`shared_attention` or the eager one on keys and values of words and entities, words first."""
    words = keys.size(2) - to_words.size(2)
    of_words = Keys(to_words, keys[:, :, :words], values[:, :, :words], mask)
    output: Tensor = function(of_words, Keys(to_own, keys[:, :, words:], values[:, :, words:], None), pattern, dropout)
    return output


fused, eager = partial(attended, shared_attention), partial(attended, eager_shared_attention)


def by_hand(to_words: Tensor, to_entities: Tensor, keys: Tensor, values: Tensor, attention: str) -> Tensor:
    """Every entity on its own, with the keys it may see picked out one by one."""
    rows = []
    for window in range(WINDOWS):
        for entity in range(ENTITIES):
            groups, length = GROUPS[window], int(LENGTHS[window])
            same = [other for other in range(length) if groups[other] == groups[entity]]
            seen = [WORDS + other for other in ([entity] if attention == "self" else same)]
            words = torch.arange(WORDS)[word_mask()[window]]
            scores = torch.cat([
                torch.einsum("hd,hnd->hn", to_words[window, :, entity], keys[window][:, words]),
                torch.einsum("hd,hnd->hn", to_entities[window, :, entity], keys[window][:, seen]),
            ], dim=1) / math.sqrt(SIZE)  # fmt: skip
            own_values = torch.cat([values[window][:, words], values[window][:, seen]], dim=1)
            rows.append(torch.einsum("hn,hnd->hd", scores.softmax(dim=1), own_values))
    return torch.stack(rows).unflatten(0, (WINDOWS, ENTITIES)).transpose(1, 2)  # (B, H, E, d)


def real(output: Tensor) -> Tensor:
    return output * (torch.arange(ENTITIES) < LENGTHS[:, None])[:, None, :, None]


def output_and_gradients(attend: Any, dtype: torch.dtype, *arguments: Any) -> list[Tensor]:
    *inputs, gradient = tensors(dtype)
    output = attend(*inputs, *arguments)
    return [real(output), *torch.autograd.grad(output, inputs, gradient)]


@pytest.mark.parametrize("attention", ["self", "group"])
@pytest.mark.parametrize("attend", [fused, eager], ids=["fused", "eager"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 4e-2)],
                         ids=str)  # fmt: skip
def test_outputs_and_gradients_are_those_of_each_entity_on_its_own(
    attention: str, attend: Any, dtype: torch.dtype, bound: float
) -> None:
    found = output_and_gradients(attend, dtype, word_mask(), pattern(attention), 0.0)
    expected = output_and_gradients(by_hand, torch.float64, attention)
    for index, (ours, exact) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == dtype
        error = (ours.double() - exact).abs().max() / exact.abs().max()
        assert error < bound, f"tensor {index}: {error}"


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 30])
def test_blocks_of_scores_give_what_the_kernel_gives(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of GPUs, here on the CPU, whatever the size of a block: a share of 2**-20 drops nothing."""
    monkeypatch.setitem(partial_attention._SCORES_AT_ONCE, "cpu", at_once)
    for attention in ("self", "group"):
        blocks = output_and_gradients(fused, torch.float64, word_mask(), pattern(attention), 2.0**-20)
        kernel = output_and_gradients(fused, torch.float64, word_mask(), pattern(attention), 0.0)
        torch.testing.assert_close(blocks, kernel, atol=1e-12, rtol=1e-10)


def dropped_by_hand(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor, drops: Drops) -> Tensor:
    """Plain attention whose probabilities are dropped by the mask that `dropout` gives."""
    scores = query @ keys.mT / math.sqrt(SIZE) + bias
    masks = drops.masks(scores.device)
    return (scores.softmax(dim=-1) * masks.draw(torch.empty_like(scores)) * masks.scale) @ values


def test_dropout_drops_the_same_probabilities_in_the_gradient() -> None:
    query, _, keys, values, gradient = tensors(torch.float64)
    keys, values = keys[:, :, :WORDS], values[:, :, :WORDS]
    bias = torch.zeros(WINDOWS, 1, 1, WORDS, dtype=torch.float64).masked_fill_(~word_mask()[:, None, None], -1e300)
    drops = Drops(0.3, seed=1)
    expected = dropped_by_hand(query, keys, values, bias, drops)
    mixed, log_sum = attend(query, keys, values, bias, drops)
    torch.testing.assert_close(mixed, expected)
    found = attend_backward(query, keys, values, bias, Merged(mixed, log_sum, gradient), drops)
    torch.testing.assert_close(list(found), list(torch.autograd.grad(expected, (query, keys, values), gradient)))


@pytest.mark.parametrize("attention", ["self", "group"])
def test_gradients_with_dropout_by_finite_differences(attention: str) -> None:
    inputs = [tensor[:1, :1].detach().requires_grad_() for tensor in tensors(torch.float64)[:4]]
    part = SharedPattern(torch.ones(1, ENTITIES, dtype=torch.bool), GROUPS[:1] if attention == "group" else None)

    def attend(*tensors: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same probabilities each time
        return fused(*tensors, word_mask()[:1], part, 0.4)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(attend, inputs)
    assert not torch.allclose(attend(*inputs), fused(*inputs, word_mask()[:1], part, 0.0))  # type: ignore[arg-type]


def test_an_entitys_own_key_is_dropped_as_a_words() -> None:
    """Three words and the entity itself, all alike: of 4 probabilities of 1/4 each kept one gives 1/4 / 3/4."""
    torch.manual_seed(0)
    alone = SharedPattern(torch.ones(1, 400, dtype=torch.bool))
    zeros, ones = torch.zeros(1, 1, 403, 4), torch.ones(1, 1, 403, 4)
    query = zeros[:, :, :400]
    output = fused(query, query, zeros, ones, torch.ones(1, 3, dtype=torch.bool), alone, 0.25)
    kept = output * 3
    torch.testing.assert_close(kept, kept.round(), atol=1e-5, rtol=0)
    assert set(kept.round().flatten().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert output.mean().item() == pytest.approx(1.0, abs=0.05)


def layer(attention: str, dropout: float, *, entity_aware: bool = True) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(hidden_size=16, num_heads=2, entity_aware=entity_aware, dropout=dropout, attention=attention)  # type: ignore[arg-type]


def layout(attention: str) -> Layout:
    own = pattern(attention)
    return Layout(WINDOWS, WORDS, ENTITIES, word_mask(), own.entity_mask, own)


def without_padding(rows: Tensor, own: Layout) -> Tensor:
    """(R, D), with zeros in padding."""
    assert own.word_mask is not None and own.entity_mask is not None
    return rows * torch.cat([own.word_mask.flatten(), own.entity_mask.flatten()])[:, None]


@pytest.mark.parametrize("attention", ["self", "group"])
@pytest.mark.parametrize("entity_aware", [True, False])
def test_a_layer(attention: str, entity_aware: bool) -> None:
    """Fused and eager agree; `w2e_query`, which no word asks, gets no gradient."""
    torch.manual_seed(1)
    own, hidden = layout(attention), torch.randn(WINDOWS * (WORDS + ENTITIES), 16)
    outputs, gradients = [], []
    for choice in ("auto", "eager"):
        module = layer(choice, 0.1, entity_aware=entity_aware).eval()
        outputs.append(without_padding(module(hidden, own), own))
        outputs[-1].square().sum().backward()
        gradients.append({name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None})
        without = [name for name, weight in module.named_parameters() if weight.grad is None]
        assert without == (["w2e_query.weight", "w2e_query.bias"] if entity_aware else [])
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


def test_a_layer_without_padding() -> None:
    """No mask at all, as the encoder says it where nothing is padding."""
    own = Layout(1, WORDS, ENTITIES, None, None, SharedPattern(torch.ones(1, ENTITIES, dtype=torch.bool), GROUPS[:1]))
    hidden = torch.randn(WORDS + ENTITIES, 16)
    for dropout in (0.0, 2.0**-20):  # the kernel, and blocks
        found = layer("auto", dropout).train()(hidden, own)
        torch.testing.assert_close(found, layer("eager", 0.0)(hidden, own), atol=1e-6, rtol=1e-5)


def test_dropout_is_of_training_only() -> None:
    own, hidden = layout("self"), torch.randn(WINDOWS * (WORDS + ENTITIES), 16)
    module = layer("auto", 0.5)
    torch.testing.assert_close(module.eval()(hidden, own), module(hidden, own))
    module.train()
    first, second = (own.split(module(hidden, own))[1][0] for _ in range(2))
    assert not torch.allclose(first, second)
    torch.manual_seed(5)
    again = module(hidden, own)
    torch.manual_seed(5)
    torch.testing.assert_close(module(hidden, own), again, atol=0, rtol=0)
