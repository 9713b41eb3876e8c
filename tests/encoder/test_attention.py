"""Every way to compute attention against the eager one in float64: outputs, gradients, and the dropout they share."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from luke_tasks.encoder import attention, blocked_attention
from luke_tasks.encoder.attention import Layout, SelfAttention, Tokens, eager_attention, fused_attention
from luke_tasks.encoder.dropout import KeepMasks
from luke_tasks.errors import LukeTasksError

WINDOWS, HEADS, WORDS, ENTITIES, SIZE = 3, 2, 37, 9, 8
ALMOST_NONE = 1e-9  # rounds to no dropout, but takes the way of training
BOUNDS = pytest.mark.parametrize(
    ("dtype", "bounds"), [(torch.float32, (1e-5, 1e-4)), (torch.bfloat16, (2e-2, 4e-2))], ids=str
)
KINDS = pytest.mark.parametrize("kinds", ["entity-aware", "plain"])


def tensors(dtype: torch.dtype) -> list[Tensor]:
    """The four queries, and keys and values of words and of entities; the same numbers in every type."""
    generator = torch.Generator().manual_seed(0)
    lengths = [WORDS, WORDS, ENTITIES, ENTITIES, WORDS, ENTITIES, WORDS, ENTITIES]
    drawn = [torch.randn(WINDOWS, HEADS, n, SIZE, generator=generator, dtype=torch.float64) * 2 for n in lengths]
    return [tensor.to(torch.bfloat16).to(dtype).requires_grad_() for tensor in drawn]


def masks() -> tuple[Tensor, Tensor]:
    """A full window, one padded on both sides, one without any entity."""
    words, entities = torch.ones(WINDOWS, WORDS, dtype=torch.bool), torch.ones(WINDOWS, ENTITIES, dtype=torch.bool)
    words[1, 20:] = False
    entities[1, -4:] = False
    entities[2] = False
    return words, entities


def make_kinds(inputs: list[Tensor], kinds: str) -> list[Tokens]:
    w2w, w2e, e2w, e2e, word_keys, entity_keys, word_values, entity_values = inputs
    word_mask, entity_mask = masks()
    if kinds == "entity-aware":
        return [Tokens([w2w, w2e], word_keys, word_values, word_mask),
                Tokens([e2w, e2e], entity_keys, entity_values, entity_mask)]  # fmt: skip
    join = torch.cat
    query, keys, values = join([w2w, e2w], 2), join([word_keys, entity_keys], 2), join([word_values, entity_values], 2)
    return [Tokens([query], keys, values, join([word_mask, entity_mask], 1))]


def output_and_gradients(dtype: torch.dtype, kinds: str, *, fused: bool, dropout: float = 0.0) -> list[Tensor]:
    inputs = tensors(dtype)
    attend = fused_attention if fused else eager_attention
    output = torch.cat(list(attend(make_kinds(inputs, kinds), dropout)), dim=2)
    gradient = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad(output, inputs, gradient.to(torch.bfloat16).to(dtype), allow_unused=True)
    return [output, *(found for found in gradients if found is not None)]


def assert_close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype, bounds: tuple[float, float]) -> None:
    """Within a share of the largest number: the first bound is the output's, the second the gradients'."""
    assert len(found) == len(expected)
    for index, (ours, exact) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == dtype
        error = (ours.double() - exact).abs().max() / exact.abs().max()
        assert error < bounds[min(index, 1)], f"tensor {index}: {error}"


@KINDS
@BOUNDS
@pytest.mark.parametrize("dropout", [0.0, ALMOST_NONE], ids=["evaluation", "training"])
def test_blocks_are_eager(dtype: torch.dtype, bounds: tuple[float, float], kinds: str, dropout: float) -> None:
    found = output_and_gradients(dtype, kinds, fused=True, dropout=dropout)
    assert_close(found, output_and_gradients(torch.float64, kinds, fused=False), dtype, bounds)


@KINDS
@BOUNDS
@pytest.mark.parametrize("reason", ["compiling", "AMX"])
def test_kernels_are_eager(
    dtype: torch.dtype, bounds: tuple[float, float], kinds: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's fused kernels are taken in compiled models, and in bfloat16 where the processor has AMX."""
    expected = output_and_gradients(torch.float64, kinds, fused=False)
    if reason == "compiling":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    else:
        monkeypatch.setattr(attention, "has_amx", lambda: True)
    by_blocks: list[bool] = []
    goes_by_blocks = attention._goes_by_blocks

    def watched(*given: Any) -> bool:
        by_blocks.append(goes_by_blocks(*given))
        return by_blocks[-1]

    monkeypatch.setattr(attention, "_goes_by_blocks", watched)
    assert_close(output_and_gradients(dtype, kinds, fused=True), expected, dtype, bounds)
    assert by_blocks == [reason == "AMX" and dtype == torch.float32]


def dense_with_masks(inputs: list[Tensor], kinds: str, dropout: float, seed: int) -> Tensor:
    """Attention with all scores in memory, and the dropout masks of `seed` given."""
    tokens = make_kinds(inputs, kinds)
    rows = [torch.cat([query @ other.keys.mT for query, other in zip(kind.queries, tokens, strict=True)], dim=3)
            for kind in tokens]  # fmt: skip
    mask = torch.cat([kind.mask for kind in tokens if kind.mask is not None], dim=1)[:, None, None]
    scores = (torch.cat(rows, dim=2) / math.sqrt(SIZE)).masked_fill(~mask, torch.finfo(torch.float64).min)
    keep = KeepMasks(seed, dropout)
    masks = torch.stack([keep.draw(torch.empty(scores.shape[2:], dtype=scores.dtype))
                         for _ in range(WINDOWS * HEADS)])  # fmt: skip
    probabilities = scores.softmax(-1) * masks.view_as(scores) * keep.scale
    return probabilities @ torch.cat([kind.values for kind in tokens], dim=2)


@KINDS
def test_dropout_drops_after_the_softmax(kinds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same masks, the dense computation and its gradients by autograd are the same, to rounding."""
    monkeypatch.setattr(blocked_attention, "_BLOCK_BYTES", 1)  # one (window, head) a block: a mask each, as drawn below
    torch.manual_seed(3)
    found = output_and_gradients(torch.float64, kinds, fused=True, dropout=0.3)
    torch.manual_seed(3)
    inputs = tensors(torch.float64)
    output = dense_with_masks(inputs, kinds, 0.3, blocked_attention.new_seed())
    gradient = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad(output, inputs, gradient.to(torch.bfloat16).double(), allow_unused=True)
    assert_close(found, [output, *(g for g in gradients if g is not None)], torch.float64, (1e-12, 1e-12))


def test_masks_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So they are the same for any number of threads; 35 scores a pair are no multiple of the 4 drawn at once."""
    draw = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(3, 2, n, SIZE, generator=draw, requires_grad=True) for n in (5, 7, 7))
    found = []
    for block in (1, 35 * 4 * 5, 1 << 20):
        monkeypatch.setattr(blocked_attention, "_BLOCK_BYTES", block)
        torch.manual_seed(0)
        output = blocked_attention.blocked_attention([queries], [keys], values, None, 0.5)
        found.append([output, *torch.autograd.grad(output.square().sum(), (queries, keys, values))])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


@KINDS
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("block", [1, 5600, 1 << 20])
def test_gradients_by_finite_differences(
    kinds: str, dropout: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the pairs of windows and heads do not divide into equal blocks."""
    monkeypatch.setattr(blocked_attention, "_BLOCK_BYTES", block)
    few = [tensor[:, :, :5].detach().requires_grad_() for tensor in tensors(torch.float64)]

    def attend(*inputs: Tensor) -> Tensor:
        torch.manual_seed(0)
        tokens = [kind._replace(mask=None) for kind in make_kinds(list(inputs), kinds)]
        return torch.cat(list(fused_attention(tokens, dropout)), dim=2)

    assert torch.autograd.gradcheck(attend, few, fast_mode=True)


def layer(choice: str, dropout: float, *, entity_aware: bool = True) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(
        hidden_size=16, num_heads=2, entity_aware=entity_aware, dropout=dropout, attention=choice  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("entity_aware", [True, False])
@pytest.mark.parametrize("entities", [ENTITIES, 0])
def test_the_choice_changes_no_number(entity_aware: bool, entities: int) -> None:
    torch.manual_seed(1)
    hidden = torch.randn(WINDOWS * (WORDS + entities), 16)
    word_mask, entity_mask = masks()
    layout = Layout(WINDOWS, WORDS, entities, word_mask, entity_mask if entities else None)
    eager = layer("eager", 0.1, entity_aware=entity_aware).eval()(hidden, layout)
    for choice in ("auto", "fused"):
        ours = layer(choice, 0.1, entity_aware=entity_aware).eval()(hidden, layout)
        torch.testing.assert_close(ours, eager, atol=1e-6, rtol=1e-5)
    full = layout._replace(word_mask=None, entity_mask=None)
    ones = layout._replace(word_mask=torch.ones_like(word_mask), entity_mask=torch.ones(WINDOWS, entities).bool())
    auto = layer("auto", 0.0, entity_aware=entity_aware)
    torch.testing.assert_close(auto(hidden, full), auto(hidden, ones), atol=1e-6, rtol=1e-5)


def test_fused_is_refused_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(1, 4, 0, None, None)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    layer("auto", 0.1)(torch.randn(4, 16), layout)
    with pytest.raises(LukeTasksError, match=r'"fused" does not go with trainer\.compile and dropout on the CPU'):
        layer("fused", 0.1)(torch.randn(4, 16), layout)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@KINDS
@BOUNDS
def test_fused_is_eager_on_a_gpu(dtype: torch.dtype, bounds: tuple[float, float], kinds: str) -> None:
    inputs = [tensor.detach().cuda().requires_grad_() for tensor in tensors(dtype)]
    tokens = [kind._replace(mask=kind.mask.cuda()) for kind in make_kinds(inputs, kinds) if kind.mask is not None]
    output = torch.cat(list(fused_attention(tokens, 0.0)), dim=2)
    gradient = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    given = gradient.to(torch.bfloat16).to(dtype).cuda()
    gradients = torch.autograd.grad(output, inputs, given, allow_unused=True)
    found = [output, *(gradient for gradient in gradients if gradient is not None)]
    expected = output_and_gradients(torch.float64, kinds, fused=False)
    assert_close([tensor.cpu() for tensor in found], expected, dtype, bounds)
