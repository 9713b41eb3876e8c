"""Suites `train-step` and `memory`: one optimizer step of LUKE for NER, beside LukeForEntitySpanClassification's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.models import (
    NER_LABELS,
    autocast,
    dtype_of,
    luke_config,
    make_batch,
    make_checkpoint,
    our_trained,
    their_inputs,
    their_model,
    windows_of,
)
from benchmarks.options import Options, Precision
from benchmarks.processes import MEGABYTE, in_own_process, peak_resident
from benchmarks.report import THEIRS, Comparison, Table, comparison_table, matrix_rate
from benchmarks.timing import MATRIX, MatrixProduct, interleave, synchronise
from luke_tasks.data.batch import Batch
from luke_tasks.encoder.flops import TRAINING, encoder_flops
from luke_tasks.training.devices import make_accelerator
from luke_tasks.training.optimization import AdamW, trainable

ARCHITECTURE = "LukeForEntitySpanClassification"
MAX_NORM = 1.0  # of the gradients: the default of `transformers`' Trainer
_LEARNING_RATE = 1e-5
_MANY_ENTITIES = 1000


def train_step(options: Options) -> list[Table]:
    """Forward, loss, backward, clip, optimizer, zero_grad; dropout as the published checkpoint says (0.1).

    Ours as `Trainer` does it; theirs as `transformers`' Trainer: AdamW of torch, fused (`adamw_torch_fused`, its
    default). bf16 is autocast on both sides. `difference` is that of the losses before the first step, without dropout.
    """
    checkpoint = make_checkpoint(options, ARCHITECTURE, NER_LABELS)
    device, rows = options.torch_device, []
    for precision in options.precisions:
        batch = make_batch(luke_config(checkpoint), options, labels=len(NER_LABELS))
        ours, theirs = our_trained(checkpoint, options).model, their_model(checkpoint, ARCHITECTURE, options)
        with torch.inference_mode(), autocast(precision, device):
            losses = [ours.eval()(batch).loss, theirs(**their_inputs(batch, spans=True)).loss]
        product = MatrixProduct(dtype_of(precision), device, options.matrix_size)
        times = interleave(
            {"ours": our_step(ours, batch, precision, options), THEIRS: their_step(theirs, batch, precision, options),
             MATRIX: product},
            repeats=options.repeats, device=device,
        )  # fmt: skip
        rows.append(Comparison(
            case=f"training step, {_shape(batch)}", precision=precision, ours=times["ours"], theirs=times[THEIRS],
            flops=TRAINING * encoder_flops(luke_config(checkpoint), windows_of(batch)),
            matrix_rate=matrix_rate(times, product), difference=abs(float(losses[0]) - float(losses[1])),
        ))  # fmt: skip
    return [comparison_table(rows)]


def our_step(model: Any, batch: Batch, precision: Precision, options: Options) -> Callable[[], None]:
    """One step as `training/learner.py` makes it."""
    accelerator = make_accelerator(torch.device(options.device), precision)
    optimizer = accelerator.prepare(AdamW(lr=_LEARNING_RATE, weight_decay=0.0).create(model))
    model.train()

    def step() -> None:
        with accelerator.autocast():
            loss = model(batch).loss
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(trainable(model), MAX_NORM)
        optimizer.step()
        optimizer.zero_grad()

    return step


def their_step(model: Any, batch: Batch, precision: Precision, options: Options) -> Callable[[], None]:
    """One step as `transformers`' Trainer makes it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.0, fused=True)
    inputs = their_inputs(batch, spans=True)
    model.train()

    def step() -> None:
        with autocast(precision, options.torch_device):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        model.zero_grad()

    return step


def memory(options: Options) -> list[Table]:
    """The most memory of two training steps, each model in a process of its own.

    On a CPU: all that the process holds, libraries, weights and optimizer included; on a GPU: what torch has allocated
    there. Once with the entities of the suite `train-step`, once with 1,000.
    """
    checkpoint = make_checkpoint(options, ARCHITECTURE, NER_LABELS)
    config = luke_config(checkpoint)
    rows = []
    for entities in (None, _MANY_ENTITIES):
        shape = _shape(make_batch(config, options, entities=entities))
        for precision in options.precisions:
            job = replace(options, precisions=(precision,), entities=entities or options.entities)
            values = json.loads(json.dumps(asdict(job), default=str))
            ours, theirs = (
                in_own_process("memory", {"side": side, "checkpoint": str(checkpoint), "options": values})
                for side in ("ours", THEIRS)
            )
            rows.append(Comparison(case=f"training step, {shape}", precision=precision, unit="MB", ours=[ours],
                                   theirs=[theirs]))  # fmt: skip
    return [comparison_table(rows)]


def child(job: dict[str, Any]) -> float:
    """Two steps of one side, in this process: its peak in megabytes."""
    values = job["options"]
    options = Options(**{**values, "folder": Path(values["folder"]), "precisions": tuple(values["precisions"]),
                         "data": None, "archive": None})  # fmt: skip
    checkpoint, (precision,) = Path(job["checkpoint"]), options.precisions
    batch = make_batch(luke_config(checkpoint), options, labels=len(NER_LABELS))
    if job["side"] == "ours":
        step = our_step(our_trained(checkpoint, options).model, batch, precision, options)
    else:
        step = their_step(their_model(checkpoint, ARCHITECTURE, options), batch, precision, options)
    for _ in range(2):  # the optimizer's state is made in the first
        step()
    synchronise(options.torch_device)
    if options.device == "cuda":
        return torch.cuda.max_memory_allocated() / MEGABYTE
    return peak_resident()


def _shape(batch: Batch) -> str:
    assert batch.entity_ids is not None
    return f"{batch.word_ids.size(0)}×{batch.word_ids.size(1)} + {batch.entity_ids.size(1):,}"
