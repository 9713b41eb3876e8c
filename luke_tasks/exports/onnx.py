"""ONNX: a trained model's graph for runtimes without PyTorch, and what it takes to use it.

Enters: an archive. Leaves: a folder with

| file | what |
|---|---|
| `model.onnx` | word pieces and entities → logits; batch, words and entities of any number |
| `config.json` | the graph's inputs and outputs, the labels, and the reader's config, which says how windows are made |
| `vocabulary/`, `tokenizer/` | as in an archive: label names; the word pieces and the entities' ids |

Shapes: B windows, W word pieces, E entities, C labels.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import EntityAttention
from luke_tasks.data.tokenizer import MASK_ENTITY
from luke_tasks.encoder.attention import SelfAttention
from luke_tasks.errors import ArchiveError, ExportError, LukeTasksError
from luke_tasks.files import write_json
from luke_tasks.heads.head import Model
from luke_tasks.trained import Trained, load_trained
from luke_tasks.training.archive import meta

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MODEL_NAME = "model.onnx"
TOLERANCE = 1e-4  # largest difference of a logit from PyTorch's
# How many entities a task's windows have; None: any number. No other task can be exported so far.
NUM_ENTITIES: dict[str, int | None] = {"ner": None, "entity_typing": 1, "relation_classification": 2}
# Above it the weights go into a file of their own, model.onnx.data: one file holds 2 GiB at most.
_MAX_BYTES_INSIDE = 1_500_000_000
_MEANINGS = {
    "word_ids": "(batch, words) word-piece ids, special tokens included",
    "word_mask": "(batch, words) 1 for a word piece, 0 for padding",
    "entity_ids": "(batch, entities) ids, see entity_vocab in tokenizer/special.json",
    "entity_spans": "(batch, entities, 2) the word pieces [start, end) of each entity; [0, 0) for padding",
    "entity_mask": "(batch, entities) 1 for an entity, 0 for padding",
    "entity_groups": "(batch, entities) which sentence of the window each entity is of; anything for padding",
}


def export(
    archive: str,
    out: Path,
    *,
    overrides: str = "",
    include_packages: Sequence[str] = (),
    weights_file: str | None = None,
) -> str:
    """Write a trained model as ONNX into `out`, and compare its logits with PyTorch's.

    Args:
        archive: a `model.tar.gz` or a run's directory.
        overrides, include_packages, weights_file: as for `load_trained`.
    Returns:
        What was written, and the largest difference from PyTorch's logits that was seen.
    Raises:
        LukeTasksError: a package is missing.
        ArchiveError: the task is not one that can be exported.
        ExportError: the graph cannot be made, or its logits differ by more than 1e-4.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise LukeTasksError(f"--to onnx needs {', '.join(missing)}: pip install 'luke-tasks[onnx]'")
    trained = load_trained(archive, overrides=overrides, include_packages=include_packages, weights_file=weights_file)
    task = trained.reader.task
    if task not in NUM_ENTITIES:
        raise ArchiveError(f"{archive}: a model of {task}; --to onnx writes models of {', '.join(NUM_ENTITIES)} so far")
    out.mkdir(parents=True, exist_ok=True)
    attention = trained.reader.entity_attention
    graph = Graph(trained.model, input_names(trained.model, attention), attention).eval()
    shapes = _Shapes(trained)
    _write(graph, shapes.batch(3, 16, 5), trained, out / MODEL_NAME)
    difference = max(_difference(graph, batch, out / MODEL_NAME) for batch in shapes.others())
    if not difference <= TOLERANCE:  # NaN too
        raise ExportError(f"{archive}: the ONNX model's logits differ from PyTorch's by {difference:.1e}; at most "
                          f"{TOLERANCE:.0e} was expected")  # fmt: skip
    trained.labels.save(out / "vocabulary")
    trained.reader.tokenizer.save(out / "tokenizer")
    write_json(out / "config.json", _config(trained, graph))
    return f"{MODEL_NAME} from {', '.join(graph.inputs)} to logits, within {difference:.1e} of PyTorch's"


def input_names(model: Model, attention: EntityAttention) -> list[str]:
    """Those tensors of a `Batch` that the logits depend on. Segments are none of them: these tasks have one text."""
    names = ["word_ids", "word_mask"]
    if model.head.needs_entities:
        groups = ["entity_groups"] if attention == "group" else []
        return [*names, "entity_ids", "entity_spans", "entity_mask", *groups]
    reads_spans = getattr(model.head, "token_feature", None) != "cls_token"
    return [*names, "entity_spans"] if reads_spans else names


class Graph(nn.Module):
    """A model as a function of plain tensors.

    Args:
        inputs: the names of those it takes.
        attention: what entities attend to, which is part of the graph.
    """

    def __init__(self, model: Model, inputs: Sequence[str], attention: EntityAttention = "all") -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        self.attention = attention
        for module in model.modules():
            if isinstance(module, SelfAttention):
                module.attention = "eager"  # ONNX has no operator for the fused one

    def forward(self, *tensors: Tensor) -> Tensor:
        """From `inputs`, int64, masks too, to logits: (B, C), or (B, E, C) for NER."""
        named: dict[str, Any] = dict(zip(self.inputs, tensors, strict=True))
        masks = {name: tensor.bool() for name, tensor in named.items() if name.endswith("mask")}
        logits: Tensor = self.model(Batch(**{**named, **masks}, entity_attention=self.attention)).logits
        return logits

    def tensors(self, batch: Batch) -> tuple[Tensor, ...]:
        """A batch as what `forward`, and the ONNX model, take."""
        return tuple(getattr(batch, name).long() for name in self.inputs)


class _Shapes:
    """Random batches of a model's task in any shape, with padding."""

    def __init__(self, trained: Trained) -> None:
        tokenizer = trained.reader.tokenizer
        self.pad_id = trained.pad_id
        self.num_entities = NUM_ENTITIES[trained.reader.task]
        self.max_words = trained.model.encoder.max_word_length
        self.word_ids = [id for id in range(tokenizer.num_words) if id != self.pad_id]
        self.mask_id = tokenizer.entity_vocab[MASK_ENTITY]
        self.generator = torch.Generator().manual_seed(0)

    def batch(self, windows: int, words: int, entities: int) -> Batch:
        """Of this shape, as far as the task and the encoder's positions allow; the first window has no padding."""
        words = min(words, self.max_words)
        entities = entities if self.num_entities is None else self.num_entities
        lengths = self._integers(1, words + 1, windows)
        lengths[0] = words
        word_mask = torch.arange(words) < lengths[:, None]  # (B, W)
        word_ids = torch.tensor(self.word_ids)[self._integers(0, len(self.word_ids), windows, words)]
        entity_mask = torch.ones(windows, entities, dtype=torch.bool)  # (B, E)
        if self.num_entities is None:
            entity_mask &= torch.arange(entities) < self._integers(0, entities + 1, windows)[:, None]
            entity_mask[0] = True
        starts = self._integers(0, words, windows, entities) % lengths[:, None]  # (B, E)
        ends = torch.minimum(starts + self._integers(1, 5, windows, entities), lengths[:, None])
        return Batch(
            word_ids=word_ids.where(word_mask, torch.tensor(self.pad_id)),
            word_mask=word_mask,
            entity_ids=torch.full((windows, entities), self.mask_id) * entity_mask,
            entity_spans=torch.stack([starts, ends], dim=-1) * entity_mask[..., None],  # (B, E, 2)
            entity_mask=entity_mask,
            entity_groups=self._integers(0, 3, windows, entities),
        )

    def others(self) -> Iterator[Batch]:
        """Shapes to check the graph at: one window and many, few words and many, no entity, one and many."""
        for windows, words, entities in ((1, 7, 1), (5, 33, 12), (2, 64, 0)):
            yield self.batch(windows, words, entities)

    def _integers(self, low: int, high: int, *size: int) -> Tensor:
        return torch.randint(low, high, size, generator=self.generator)


def _write(graph: Graph, example: Batch, trained: Trained, path: Path) -> None:
    """Trace the graph with `example`, every size but the hidden ones left open. Raises ExportError."""
    limit = trained.model.encoder.max_word_length
    batch, words, entities = Dim("batch"), Dim("words", max=None if limit == sys.maxsize else limit), Dim("entities")
    of_words, of_entities = {0: batch, 1: words}, {0: batch, 1: entities}
    if NUM_ENTITIES[trained.reader.task] is not None:
        of_entities = {0: batch}
    sizes = tuple(of_words if name.startswith("word") else of_entities for name in graph.inputs)
    num_bytes = sum(tensor.nbytes for tensor in graph.state_dict().values())
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                graph, graph.tensors(example), path, dynamo=True, verbose=False, input_names=list(graph.inputs),
                output_names=["logits"], dynamic_shapes=(sizes,), external_data=num_bytes > _MAX_BYTES_INSIDE,
            )  # fmt: skip
    except Exception as error:  # torch's exporter raises whatever its many passes raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"{path.name}: torch {torch.__version__} cannot express this model in ONNX: {reason}"
                          ) from error  # fmt: skip


def _difference(graph: Graph, batch: Batch, path: Path) -> float:
    """The largest difference between the ONNX model's logits and the graph's own."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tensors = graph.tensors(batch)
    arrays = {name: tensor.numpy() for name, tensor in zip(graph.inputs, tensors, strict=True)}
    (found,) = session.run(None, arrays)
    with torch.no_grad():
        expected = graph(*tensors).numpy()
    if found.shape != expected.shape:
        raise ExportError(f"{path.name}: gives logits of shape {found.shape}; PyTorch's are {expected.shape}")
    return float(np.abs(found - expected).max(initial=0.0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on its own workings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _config(trained: Trained, graph: Graph) -> dict[str, Any]:
    """What one must know to use the model."""
    shape = "(batch, entities, labels)" if trained.reader.task == "ner" else "(batch, labels)"
    fixed = NUM_ENTITIES[trained.reader.task]
    config = trained.config.resolved
    return {
        "task": trained.reader.task,
        "inputs": {name: f"int64 {_MEANINGS[name]}" for name in graph.inputs},
        "outputs": {"logits": f"float32 {shape}"},
        **({} if fixed is None else {"entities": fixed}),
        "labels": list(trained.labels),
        "pad_token_id": trained.pad_id,
        "dataset_reader": config["validation_dataset_reader"] or config["dataset_reader"],
        "head": config["model"]["head"],
        "made_with": meta(),
    }
