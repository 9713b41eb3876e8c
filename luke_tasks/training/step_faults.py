"""What can go wrong within a step: a loss or gradients that are no numbers, or memory that is not enough.

Here is what the messages say; `learner.py` sees the faults, `loop.py` decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.errors import TrainingError, listed

MOST_SKIPPED_IN_A_ROW = 100  # with `on_nan: "skip"`: after so many, or an epoch of fewer, nothing more is learned
MOST_DROPPED_IN_A_ROW = 20  # fp16 steps: halved so often, the first scale, 65536, is below 1, where nothing is scaled
_MOST_NAMED = 8  # examples of a batch
_ALLOCATION = re.compile(r"(?:tried|unable) to allocate ([\d.,]+ ?\w+)", re.IGNORECASE)


def number_fault(loss: float, gradient_norm: float | None) -> str | None:
    """What to say when one of them is no finite number. `gradient_norm` None: not looked at."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if gradient_norm is not None and not math.isfinite(gradient_norm):
        return f"the norm of the gradients is {gradient_norm} (the loss is {loss:.4g})"
    return None


def overflow_fault(dropped_in_a_row: int, scale: float) -> str | None:
    """What to say of a step that the scaler of fp16 gradients dropped; None while a smaller scale may help.

    Args:
        dropped_in_a_row: steps up to this one.
        scale: that the next step is to use.
    """
    if dropped_in_a_row < MOST_DROPPED_IN_A_ROW:
        return None
    return (f"the gradients are too large for fp16 at every scale (down to {scale:.2g}): {dropped_in_a_row} steps in a "
            "row changed nothing")  # fmt: skip


def norm_of(gradients: Sequence[Tensor]) -> float:
    """The 2-norm of all gradients together."""
    return scalar(torch.nn.utils.get_total_norm(gradients))


def scalar(value: Tensor) -> float:
    """The value of a tensor of shape (), put together from its shards where it is in shards."""
    return float(value.full_tensor() if hasattr(value, "full_tensor") else value)


def example_names(features: Sequence[Any]) -> str:
    """The examples of some windows, as a message names them: `file:line`, or their ids."""
    names = dict.fromkeys(map(_name, features))
    return listed(list(names), _MOST_NAMED)


def _name(feature: Any) -> str:
    for owner, key in ((feature, "where"), (feature.example, "where"), (feature.example, "id")):
        value = getattr(owner, key, None)
        if isinstance(value, (str, int)) and value != "":
            return str(value)
    return "(an example without id)"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was not enough: a GPU's, or the machine's, for which torch and numpy have their own errors."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    texts = ("DefaultCPUAllocator", "not enough memory", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def explained_memory(error: Exception, batch: Batch) -> Exception:
    """What to raise for an error that came while `batch` was run: one with advice, if it was memory; or itself."""
    if not is_out_of_memory(error):
        return error
    found = _ALLOCATION.search(str(error))
    tried = f" ({found.group(1)} more were asked for)" if found else ""
    rows, words = batch.word_ids.shape
    entities = batch.entity_ids.shape[1] if batch.entity_ids is not None else 0
    return TrainingError(
        f"out of memory{tried} on a batch of {rows} windows of {words} word pieces and {entities} entities; lower "
        "data_loader.batch_size or max_tokens, and raise trainer.num_gradient_accumulation_steps as much "
        "(trainer.auto_batch_size does both), or set trainer.gradient_checkpointing to true (with -r, too), or "
        'trainer.precision to "bf16"'
    )
