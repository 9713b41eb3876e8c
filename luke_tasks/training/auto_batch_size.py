"""Batches that fit into memory: halved before the first step until the largest of them does (`auto_batch_size`)."""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from luke_tasks.data.batch import Batch
from luke_tasks.data.loader import DataLoader, Sizes, collate
from luke_tasks.errors import TrainingError
from luke_tasks.heads.head import Model
from luke_tasks.training.checkpoint import random_states, restore_random_states
from luke_tasks.training.optimization import trainable
from luke_tasks.training.step_faults import explained_memory, is_out_of_memory
from luke_tasks.training.trainer import Trainer, TrainingData

logger = logging.getLogger(__name__)
_STATES_PER_WEIGHT = 2  # AdamW's; they come with the first step only


def fitting_halvings(trainer: Trainer, model: Model, data: TrainingData, *, seed: int, device: torch.device) -> int:
    """How many times the batches must be halved for the largest of them to fit into memory.

    Each try is a forward and backward pass whose effect is undone: no weight changes, and no random number is used up.

    Raises:
        TrainingError: a batch of one window does not fit.
    """
    before = random_states()
    was_training = model.training
    model.to(device).train()
    halvings = 0
    try:
        while True:
            fitted_trainer, fitted = halved(trainer, data, halvings)
            refusal = _refusal(fitted_trainer, model, fitted, seed)
            if refusal is None:
                break
            if _limit(fitted.loader) == 1:
                raise refusal
            halvings += 1
    finally:
        restore_random_states(before)
        model.train(was_training)
    if halvings:
        logger.info("auto_batch_size: %s is %d instead of %d, and num_gradient_accumulation_steps %d instead of %d",
                    "max_tokens" if data.loader.max_tokens is not None else "batch_size", _limit(fitted.loader),
                    _limit(data.loader), fitted_trainer.num_gradient_accumulation_steps,
                    trainer.num_gradient_accumulation_steps)  # fmt: skip
    else:
        logger.info("auto_batch_size: the largest batch fits into memory; nothing is halved")
    return halvings


def halved(trainer: Trainer, data: TrainingData, halvings: int) -> tuple[Trainer, TrainingData]:
    """The same training with batches halved so many times, and as many more of them for each optimizer step."""
    if not halvings:
        return trainer, data
    trainer = copy.copy(trainer)
    trainer.num_gradient_accumulation_steps *= 2**halvings
    loader = copy.copy(data.loader)
    loader.batch_size = _halved(loader.batch_size, halvings)
    loader.max_tokens = _halved(loader.max_tokens, halvings)
    return trainer, replace(data, loader=loader)


def _halved(limit: int | None, halvings: int) -> int | None:
    return None if limit is None else max(1, limit >> halvings)


def _limit(loader: DataLoader) -> int:
    limit = loader.max_tokens if loader.max_tokens is not None else loader.batch_size
    assert limit is not None
    return limit


def _refusal(trainer: Trainer, model: Model, data: TrainingData, seed: int) -> TrainingError | None:
    """Run the largest batches; the error if memory is not enough."""
    for batch in _largest_batches(data, seed):
        error = _try(trainer, model, batch)
        model.zero_grad(set_to_none=True)
        gc.collect()  # what the failed pass held
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if error is not None:
            return error
    return None


def _largest_batches(data: TrainingData, seed: int) -> Iterator[Batch]:
    """By word pieces, and by entities: with `batch_size`, the largest that any epoch could bring."""
    sizes = Sizes.of(data.features)
    for size in (sizes.words, sizes.entities):
        if data.loader.max_tokens is not None:
            order = data.loader.order(data.features, seed=seed, epoch=0)
            rows = max(order, key=lambda rows: (int(sizes.rows[rows].sum() * size[rows].max()), len(rows)))
        else:
            rows = np.argsort(-size, kind="stable")[: data.loader.batch_size].tolist()
        yield collate([data.features[row] for row in rows], pad_id=data.pad_id, labels=data.labels)


def _try(trainer: Trainer, model: Model, batch: Batch) -> TrainingError | None:
    device = next(model.parameters()).device
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    context = (torch.autocast(device.type, kinds[trainer.precision]) if trainer.precision in kinds
               else contextlib.nullcontext())  # fmt: skip
    try:
        copies = _STATES_PER_WEIGHT + (trainer.moving_average is not None)
        held = [torch.empty_like(weight) for weight in trainable(model) for _ in range(copies)]
        with context:
            loss = model(batch.to(device)).loss
        loss.backward()
        del held
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        explained = explained_memory(error, batch)
        assert isinstance(explained, TrainingError)
        return explained  # the error itself would hold the pass's memory through its traceback
    return None
