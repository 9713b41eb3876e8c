"""What a training will take, before it: memory and the time of an epoch, from the model's shape. No weight is read.

**Memory**, in bytes, of one process. P parameters, of which T are trained; the largest batch of the first epoch has R
places (rows × (longest words + most entities), padding included), a row of them N; L layers, hidden size D,
feed-forward size I, H heads:

| part | bytes |
|---|---|
| weights | 4 P (and 4 P for a moving average; in bf16 or fp16 2 P for the cast copies) |
| gradients | 4 T |
| optimizer | 8 T for AdamW; 4 T for SGD with momentum, else 0 |
| activations kept for the gradient | 4 R L (a D + 2 I), and 12 R L H N for `attention: "eager"` |
| the same with gradient checkpointing | 4 R (L D + a D + 2 I), and 12 R H N |

a is 7 for a LUKE with entity-aware attention, 5.5 for one without or whose head reads no entities, and for an encoder
of `transformers` 9, with dropout 13 (counted in saved tensors). In bf16 and fp16 activations take 0.7 of that. Not
counted: the head's logits (large where it predicts words), temporary buffers, and what Python, torch and the data take,
about 0.5 GB.

**Time** of an epoch: the arithmetic of all batches, padding included (`encoder/flops.py`), three times for training and
once for validation, over 0.7 of the rate at which this machine multiplies matrices of the model's own shape, measured
for a fraction of a second. Training steps were seen at 0.6 to 0.8 of it (`docs/benchmarks.md`). Windows with
`context: "shared"` are counted as if all attended to all, and take less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import Sizes, evaluation_order
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.flops import TRAINING, encoder_flops
from luke_tasks.encoder.unfilled import unfilled
from luke_tasks.experiment import add_words, check_window, join_head
from luke_tasks.experiment_config import ExperimentConfig
from luke_tasks.heads.head import Model
from luke_tasks.readers.reader import Reader
from luke_tasks.training.optimization import SGD, Optimizer, grouped_parameters
from luke_tasks.training.trainer import Trainer

_FLOAT = 4  # bytes
_SHARE_OF_RATE = 0.7
_HALF_SHARE = 0.7  # of the activations' bytes in fp32, that bf16 and fp16 take
_MOST_ROWS = 4096  # of the measured matrix product
_MEASURED_SECONDS = 0.2


@dataclass(frozen=True)
class Shape:
    """The numbers of an encoder that cost is counted from; see `encoder/flops.py`."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    entity_emb_size: int
    use_entity_aware_attention: bool
    kept_per_place: float  # the a above
    is_eager: bool

    @classmethod
    def of(cls, encoder: Encoder, reads_entities: bool) -> Shape | None:
        """None for an encoder whose config does not say these numbers."""
        own = getattr(encoder, "config", None)
        config: Any = own if own is not None else getattr(getattr(encoder, "model", None), "config", None)

        def number(name: str) -> Any:
            return getattr(config, name, None)

        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        if not all(isinstance(number(name), int) for name in names):
            return None
        is_aware = reads_entities and bool(number("use_entity_aware_attention"))
        kept = 7.0 if is_aware else 5.5
        if own is None:  # of transformers, which keeps dropout's masks
            kept = 13.0 if number("hidden_dropout_prob") else 9.0
        return cls(
            hidden_size=number("hidden_size"), intermediate_size=number("intermediate_size"),
            num_hidden_layers=number("num_hidden_layers"), num_attention_heads=number("num_attention_heads"),
            entity_emb_size=number("entity_emb_size") or number("hidden_size"), use_entity_aware_attention=is_aware,
            kept_per_place=kept, is_eager=getattr(encoder, "attention", "") == "eager",
        )  # fmt: skip


def bare_encoder(parts: ExperimentConfig, tokenizer: Tokenizer, readers: Sequence[Reader]) -> Encoder:
    """The config's encoder without numbers in it: it takes no memory. The readers' words are added to the tokenizer.

    Raises:
        LukeTasksError: the checkpoint's config cannot be read, or the windows are too long for it.
    """
    with torch.device("meta"), unfilled():
        encoder = parts.model.encoder.build(pooler=parts.model.head.owner.needs_pooler, load_weights=False)
        for reader in readers:
            check_window(reader, encoder)
        words = {name: source for reader in reversed(readers) for name, source in reader.added_words.items()}
        add_words(tokenizer, encoder, tokenizer.add_words(words))
    return encoder


def bare_model(parts: ExperimentConfig, encoder: Encoder, tokenizer: Tokenizer, labels: Labels) -> Model:
    """The encoder with its head, without numbers. Raises LukeTasksError where the head does not go with the labels."""
    with torch.device("meta"), unfilled():
        return join_head(parts, encoder, tokenizer, labels)


def estimate(
    parts: ExperimentConfig, trainer: Trainer, model: Model, device: torch.device, training: Sequence[Any],
    validation: Sequence[Any],
) -> dict[str, Any]:  # fmt: skip
    """Batches, memory and time, for JSON; see above.

    Args:
        device: whose rate is measured.
        training, validation: features.
    Returns:
        `memory_bytes` and `epoch_seconds` are None where the encoder's shape is not known.
    Raises:
        ConfigError: the parameter groups of the optimizer overlap.
    """
    groups = getattr(trainer.optimizer, "parameter_groups", [])
    grouped_parameters(model, groups)  # freezes those that are not to be trained
    sizes, checks = Sizes.of(training), Sizes.of(validation)
    loader, other = parts.data_loader, parts.evaluation_loader
    batches = loader.order(training, seed=parts.random_seed, epoch=0)
    evaluated = evaluation_order(checks, batch_size=other.batch_size, max_tokens=other.max_tokens)
    reads_entities = model.encoder.has_entities and model.head.needs_entities
    shape = Shape.of(model.encoder, reads_entities)
    found: dict[str, Any] = {
        "device": str(device), "precision": trainer.precision, "batches": len(batches),
        "optimizer_steps": -(-len(batches) // trainer.num_gradient_accumulation_steps) * trainer.num_epochs,
        "parameters": _count(model), "trained_parameters": _count(model, trained=True), "memory": None,
        "memory_bytes": None, "matrix_flops_per_second": None, "epoch_flops": None, "epoch_seconds": None,
        "num_epochs": trainer.num_epochs,
    }  # fmt: skip
    if shape is None or not batches:
        return found
    windows = list(_windows(sizes, batches, reads_entities))
    memory = _memory(shape, trainer, model, *max(windows, key=lambda batch: batch[0] * (batch[1] + batch[2])))
    flops = TRAINING * _flops(shape, windows) + _flops(shape, list(_windows(checks, evaluated, reads_entities)))
    places = statistics.median(rows * (words + entities) for rows, words, entities in windows)
    rate = matrix_rate(int(places), shape, device, trainer.precision)
    return {
        **found, "memory": memory, "memory_bytes": sum(memory.values()), "epoch_flops": flops,
        "matrix_flops_per_second": round(rate), "epoch_seconds": round(flops / rate / _SHARE_OF_RATE, 2),
    }  # fmt: skip


def matrix_rate(places: int, shape: Shape, device: torch.device, precision: str) -> float:
    """FLOP/s of products (places, D) · (D, I), median of those that fit into a fraction of a second."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    rows = max(1, min(places, _MOST_ROWS))
    left = torch.ones(rows, shape.hidden_size, device=device, dtype=dtype)
    right = torch.ones(shape.hidden_size, shape.intermediate_size, device=device, dtype=dtype)
    seconds: list[float] = []
    end = time.perf_counter() + _MEASURED_SECONDS
    while len(seconds) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return 2 * rows * shape.hidden_size * shape.intermediate_size / statistics.median(seconds[1:])


def _windows(sizes: Sizes, batches: Sequence[Sequence[int]], reads_entities: bool) -> Iterator[tuple[int, int, int]]:
    """Rows, words and entities of each batch, padded."""
    for batch in batches:
        rows = list(batch)
        entities = int(sizes.entities[rows].max()) if reads_entities else 0
        yield int(sizes.rows[rows].sum()), int(sizes.words[rows].max()), entities


def _flops(shape: Shape, batches: Sequence[tuple[int, int, int]]) -> int:
    return sum(rows * encoder_flops(shape, [(words, entities)]) for rows, words, entities in batches)


def _memory(shape: Shape, trainer: Trainer, model: nn.Module, rows: int, words: int, entities: int) -> dict[str, int]:
    """Bytes of each part, for a batch of this size."""
    weights, trained = _FLOAT * _count(model), _FLOAT * _count(model, trained=True)
    is_half = trainer.precision != "fp32"
    length = words + entities
    places = rows * length
    kept = shape.kept_per_place * shape.hidden_size + 2 * shape.intermediate_size
    if shape.is_eager:
        kept += 3 * shape.num_attention_heads * length
    layers = shape.num_hidden_layers
    floats = places * (layers * shape.hidden_size + kept if trainer.gradient_checkpointing else layers * kept)
    return {
        "weights": weights + (weights // 2 if is_half else 0) + (weights if trainer.moving_average else 0),
        "gradients": trained,
        "optimizer": int(_states(trainer.optimizer) * trained),
        "activations": int(_FLOAT * floats * (_HALF_SHARE if is_half else 1)),
    }


def _states(optimizer: Optimizer) -> int:
    """Numbers that an optimizer keeps for each parameter: AdamW two, and so it is taken of one that is not known."""
    if isinstance(optimizer, SGD):
        return 1 if optimizer.options["momentum"] else 0
    return 2


def _count(model: nn.Module, *, trained: bool = False) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad or not trained)
