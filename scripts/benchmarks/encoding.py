"""Suites `attention` and `encoder`: one layer's self-attention, and the whole encoder, beside LukeModel's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.models import (
    autocast,
    dtype_of,
    luke_config,
    make_batch,
    make_checkpoint,
    their_inputs,
    their_model,
    windows_of,
)
from benchmarks.options import Options, Precision
from benchmarks.report import THEIRS, Comparison, Table, comparison_table, matrix_rate
from benchmarks.timing import MATRIX, MatrixProduct, interleave
from luke_tasks.data.batch import Batch
from luke_tasks.encoder.attention import AttentionChoice, Layout
from luke_tasks.encoder.flops import TRAINING, attention_flops, encoder_flops
from luke_tasks.encoder.luke import LukeEncoder

ATTENTION = "encoder.layer.0.attention.self"  # the published checkpoints' name, here and there
CHOICES: tuple[AttentionChoice, ...] = ("auto", "eager")


def encoder(options: Options) -> list[Table]:
    """Evaluation forward pass of the whole encoder.

    In bf16 ours runs in both ways a user can choose: weights in bf16 (`model.bfloat16()`, as theirs), or autocast with
    weights in fp32, as the trainer validates with `precision: "bf16"`.
    """
    checkpoint = make_checkpoint(options, "LukeModel")
    config = luke_config(checkpoint)
    batch = make_batch(config, options)
    shape = f"{batch.word_ids.size(0)}×{batch.word_ids.size(1)} + {_entities(batch)}"
    inputs = their_inputs(batch)
    rows = []
    exact: Tensor | None = None
    for precision in options.precisions:
        device, dtype = options.torch_device, dtype_of(precision)
        ours = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).to(device).eval()
        theirs = their_model(checkpoint, "LukeModel", options)
        if exact is None:
            exact = _their_hidden(theirs, inputs)  # in fp32, whatever is asked for
        contenders: dict[str, Callable[[], Tensor]] = {}
        if precision == "bf16":
            contenders["forward, autocast"] = partial(_our_hidden, ours, batch, precision)
            ours = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).to(device, dtype).eval()
        name = "forward, weights in bf16" if precision == "bf16" else "forward"
        contenders[name] = partial(_our_hidden, ours, batch)
        theirs.to(dtype)
        contenders[THEIRS] = partial(_their_hidden, theirs, inputs)
        product = MatrixProduct(dtype, device, options.matrix_size)
        times = interleave({**contenders, MATRIX: product}, repeats=options.repeats, device=device)
        outputs = {name: run().float() for name, run in contenders.items()}
        for name in contenders:
            if name != THEIRS:
                rows.append(Comparison(
                    case=f"{name}, {shape}", precision=precision, ours=times[name], theirs=times[THEIRS],
                    flops=encoder_flops(config, windows_of(batch)), matrix_rate=matrix_rate(times, product),
                    difference=_largest(outputs[name], exact),
                    their_own_difference=_largest(outputs[THEIRS], exact),
                ))  # fmt: skip
    return [comparison_table(rows)]


def attention(options: Options) -> list[Table]:
    """One layer's self-attention: forward and forward with backward, with and without dropout.

    Both are called as their encoder calls them on the batch (with the same hidden vectors, those of layer 0). Of ours,
    `auto` is what runs unless a config says otherwise, `eager` the reference.
    """
    rows = []
    for dropout in (0.0, 0.1):
        checkpoint = make_checkpoint(options, "LukeModel", num_hidden_layers=1, attention_probs_dropout_prob=dropout)
        config = luke_config(checkpoint)
        batch = make_batch(config, options)
        for precision in options.precisions:
            dtype = dtype_of(precision)
            calls: dict[str, _Call] = {}
            for choice in CHOICES:
                ours = LukeEncoder.from_pretrained(pretrained=str(checkpoint), attention=choice)
                calls[choice] = _Call(ours.to(options.torch_device, dtype).eval(), partial(ours, batch), dropout)
            theirs = their_model(checkpoint, "LukeModel", options).to(dtype)
            calls[THEIRS] = _Call(theirs, partial(theirs, **their_inputs(batch)), dropout)
            for backward in (False, True):
                rows += _attention_rows(calls, batch, options, precision, backward, dropout)
    return [comparison_table(rows)]


class _Call:
    """A self-attention module of a model, and what the model gives it for a batch.

    Args:
        forward: runs the model once; the module's inputs are caught then.
        dropout: in `__call__` the module is in training mode where this is not 0.
    """

    def __init__(self, model: nn.Module, forward: Callable[[], object], dropout: float) -> None:
        self.module = model.get_submodule(ATTENTION)
        caught: list[tuple[Any, Any]] = []
        handle = self.module.register_forward_pre_hook(
            lambda module, args, kwargs: caught.append((args, kwargs)), with_kwargs=True
        )
        with torch.no_grad():
            forward()
        handle.remove()
        (args, self.kwargs), *_ = caught
        self.args = [_leaf(value) for value in args]
        self.kwargs = {name: _leaf(value) for name, value in self.kwargs.items()}
        self.exact = self.hidden(backward=False)
        self.module.train(dropout > 0)

    def hidden(self, *, backward: bool) -> Tensor:
        """The mixed values, words then entities, as fresh as the call made them: (B, W+E, D)."""
        with torch.set_grad_enabled(backward):
            found = self.module(*self.args, **self.kwargs)
            layouts = [value for value in self.args if isinstance(value, Layout)]
            if layouts:  # ours
                found = layouts[0].split(found)
            parts = [found] if isinstance(found, Tensor) else [part for part in found if part is not None]
            return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def __call__(self, *, backward: bool) -> None:
        mixed = self.hidden(backward=backward)
        if backward:
            mixed.backward(torch.ones_like(mixed))


def _attention_rows(
    calls: dict[str, _Call], batch: Batch, options: Options, precision: Precision, backward: bool, dropout: float
) -> list[Comparison]:
    config = luke_config(make_checkpoint(options, "LukeModel", num_hidden_layers=1,
                                         attention_probs_dropout_prob=dropout))  # fmt: skip
    product = MatrixProduct(dtype_of(precision), options.torch_device, options.matrix_size)
    runs = {name: partial(call, backward=backward) for name, call in calls.items()}
    times = interleave({**runs, MATRIX: product}, repeats=options.repeats, device=options.torch_device)
    flops = sum(attention_flops(config, *window) for window in windows_of(batch)) * (TRAINING if backward else 1)
    what = "forward + backward" if backward else "forward"
    theirs = calls[THEIRS].exact.float()
    return [
        Comparison(
            case=f"`{choice}`, {what}, dropout {dropout:g}", precision=precision, ours=times[choice],
            theirs=times[THEIRS], flops=flops, matrix_rate=matrix_rate(times, product),
            difference=_largest(calls[choice].exact.float(), theirs),  # of both without dropout
        )
        for choice in calls if choice != THEIRS
    ]  # fmt: skip


def _our_hidden(model: LukeEncoder, batch: Batch, precision: Precision = "fp32") -> Tensor:
    with torch.inference_mode(), autocast(precision, batch.word_ids.device):
        output = model(batch)
    assert output.entity_hidden is not None
    return torch.cat([output.word_hidden, output.entity_hidden], dim=1)  # (B, W+E, D)


def _their_hidden(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    with torch.inference_mode():
        output = model(**inputs)
    return torch.cat([output.last_hidden_state, output.entity_last_hidden_state], dim=1)  # (B, W+E, D)


def _leaf(value: Any) -> Any:
    """A tensor of numbers as the beginning of its own graph; anything else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.dim() in (2, 3):
        return value.detach().clone().requires_grad_()
    return value


def _largest(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())


def _entities(batch: Batch) -> int:
    assert batch.entity_ids is not None
    return batch.entity_ids.size(1)
