"""The same random weights in two models: a LUKE of `transformers`, saved as a checkpoint, and ours read from it.

Nothing is downloaded. The tokenizer is a byte-level BPE, as LUKE's, learned from the project's samples (and from the
file given with `--data`), so that a word has about as many pieces as with the published one.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers.utils import logging as transformers_logging

from benchmarks.options import ROOT, Options, Precision
from luke_tasks.data.batch import Batch
from luke_tasks.data.hub import SPECIAL_ENTITIES
from luke_tasks.encoder.luke import LukeConfig
from luke_tasks.trained import Trained, load_trained

NER_LABELS = ("O", "LOC", "PER", "ORG", "MISC")
MASK_ID = SPECIAL_ENTITIES.index("[MASK]")
_PUBLISHED: dict[str, Any] = {
    "vocab_size": 50267, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip
_WORD_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]  # ids 0 to 3, as RoBERTa's
_MENTION_PIECES = 30  # positions of an entity that LukeTokenizer pads to
_MOST_PIECES = 20_000


@dataclass(frozen=True)
class Size:
    """A model, and the batch its forward pass is measured on."""

    config: dict[str, Any]  # the published config's numbers
    windows: int
    words: int
    entities: int


SIZES = {
    "luke-base": Size(
        {**_PUBLISHED, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "intermediate_size": 3072, "entity_emb_size": 256}, 2, 512, 128),
    "luke-large": Size(
        {**_PUBLISHED, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096, "entity_emb_size": 256}, 2, 512, 128),
    "minilm": Size(
        {**_PUBLISHED, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
         "intermediate_size": 1536, "entity_emb_size": 384, "vocab_size": 30522}, 2, 512, 128),
    "small": Size(
        {**_PUBLISHED, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 64, "entity_emb_size": 16, "vocab_size": 3000}, 2, 48, 12),
}  # fmt: skip


def make_checkpoint(
    options: Options, architecture: str, labels: Sequence[str] = (), *, size: str | None = None, **config: Any
) -> Path:
    """The folder of a checkpoint of one of `transformers`' LUKE classes, with random weights and a tokenizer.

    Only the four special entities are kept, as tasks that name no entity need (`entities: "special"`).

    Args:
        labels: of the head. Where "O" is one of them the bias favours it, as in a trained model most spans are none.
        size: instead of the one asked for.
        config: changes to the published numbers.
    """
    name = size or options.size
    folder = options.folder / "_".join([name, architecture, *map(str, config.values()), _number_of(labels)])
    if folder.exists():
        return folder
    numbers = {**SIZES[name].config, "entity_vocab_size": len(SPECIAL_ENTITIES), **config}
    if labels:
        numbers |= {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    torch.manual_seed(0)
    model_class = getattr(transformers, architecture)
    pooler = {"add_pooling_layer": False} if architecture == "LukeModel" else {}
    model = model_class(transformers.LukeConfig(**numbers), **pooler)
    if "O" in labels:
        with torch.no_grad():
            # Random logits have about this standard deviation.
            spread = float(model.classifier.weight.std()) * model.classifier.in_features**0.5
            model.classifier.bias[list(labels).index("O")] += 1.5 * spread
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer = options.folder / f"tokenizer_{numbers['vocab_size']}"
    if not tokenizer.exists():
        _write_tokenizer(tokenizer, numbers["vocab_size"], options.data)
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)
    return folder


def _number_of(labels: Sequence[str]) -> str:
    """One for each list of labels, for the name of a folder."""
    return f"{zlib.crc32(json.dumps(list(labels)).encode()):08x}"


def _write_tokenizer(folder: Path, vocab_size: int, data: Path | None) -> None:
    """Files as published ones: byte-level BPE, `<mask>` last, and the two entity markers added after it."""
    folder.mkdir()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocab_size - 3, _MOST_PIECES), special_tokens=_WORD_SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator(_texts(data), trainer)
    learned = json.loads(backend.to_str())["model"]
    vocab: dict[str, int] = learned["vocab"]
    vocab["<mask>"] = len(vocab)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in learned["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    markers = {marker: len(vocab) + index for index, marker in enumerate(("<ent>", "<ent2>"))}
    named = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>",
             "pad_token": "<pad>", "mask_token": "<mask>"}  # fmt: skip
    config = {"tokenizer_class": "LukeTokenizer", "additional_special_tokens": list(markers), **named}
    files = {"vocab.json": vocab, "added_tokens.json": markers, "tokenizer_config.json": config,
             "entity_vocab.json": {entity: index for index, entity in enumerate(SPECIAL_ENTITIES)}}  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _texts(data: Path | None) -> Iterator[str]:
    """Lines of the project's samples, and of the user's file."""
    paths = sorted(path for path in (ROOT / "data").glob("*/*.*") if path.suffix in (".txt", ".jsonl", ".json", ".tsv"))
    for path in [*paths, *([data] if data else [])]:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield line.strip().partition(" -X-")[0]  # of the NER sample's columns, the word


def our_trained(checkpoint: Path, options: Options, **overrides: Any) -> Trained:
    """Ours from a checkpoint with a head, as `luke_tasks.load` reads it, on the device."""
    trained = load_trained(checkpoint, overrides=json.dumps(overrides) if overrides else "")
    trained.model.to(options.torch_device)
    return trained


def their_model(checkpoint: Path, architecture: str, options: Options) -> Any:
    """Theirs, ready for evaluation."""
    transformers_logging.disable_progress_bar()
    pooler = {"add_pooling_layer": False} if architecture == "LukeModel" else {}
    model = getattr(transformers, architecture).from_pretrained(checkpoint, dtype=torch.float32, **pooler)
    return model.to(options.torch_device).eval()


def luke_config(checkpoint: Path) -> LukeConfig:
    """The numbers of a checkpoint's encoder."""
    return LukeConfig.from_json(json.loads((checkpoint / "config.json").read_text(encoding="utf-8")))


def make_batch(config: LukeConfig, options: Options, *, entities: int | None = None, labels: int = 0) -> Batch:
    """Random full windows, entities of 1 to 6 pieces.

    Args:
        entities: of each window, instead of what the size or the command line says.
        labels: how many there are; gold ones for each entity, 0: none.
    """
    size = SIZES[options.size]
    windows, words = options.windows or size.windows, options.words or size.words
    entities = entities or options.entities or size.entities
    random = np.random.default_rng(0)
    starts = random.integers(0, max(1, words - 6), (windows, entities))
    spans = np.stack([starts, np.minimum(starts + random.integers(1, 7, starts.shape), words)], axis=-1)
    gold = random.integers(0, labels, starts.shape) if labels else None
    batch = Batch(
        word_ids=torch.from_numpy(random.integers(len(_WORD_SPECIALS), config.vocab_size, (windows, words))),
        word_mask=torch.ones(windows, words, dtype=torch.bool),
        entity_ids=torch.full((windows, entities), MASK_ID),
        entity_spans=torch.from_numpy(spans),
        entity_mask=torch.ones(windows, entities, dtype=torch.bool),
        labels=None if gold is None else torch.from_numpy(gold),
    )
    return batch.to(options.torch_device)


def windows_of(batch: Batch) -> list[tuple[int, int]]:
    """(words, entities) of each window, padding not counted."""
    words = batch.word_mask.sum(1).tolist()
    entities = batch.entity_mask.sum(1).tolist() if batch.entity_mask is not None else [0] * len(words)
    return list(zip(words, entities, strict=True))


def their_inputs(batch: Batch, *, spans: bool = False) -> dict[str, Tensor]:
    """A batch of ours as `transformers` wants it.

    Args:
        spans: with the first and last piece of each entity, which LukeForEntitySpanClassification reads.
    """
    inputs = {"input_ids": batch.word_ids, "attention_mask": batch.word_mask.long()}
    if batch.entity_ids is not None and batch.entity_ids.size(1):
        assert batch.entity_spans is not None and batch.entity_mask is not None
        starts, ends = batch.entity_spans[..., :1], batch.entity_spans[..., 1:]  # (B, E, 1)
        longest = max(_MENTION_PIECES, int((ends - starts).max()))
        positions = starts + torch.arange(longest, device=starts.device)  # (B, E, M)
        inputs |= {
            "entity_ids": batch.entity_ids,
            "entity_attention_mask": batch.entity_mask.long(),
            "entity_position_ids": positions.masked_fill(positions >= ends, -1),
        }
        if spans:
            inputs["entity_start_positions"] = starts[..., 0]
            inputs["entity_end_positions"] = (ends[..., 0] - 1).clamp(min=0)  # padding spans are [0, 0)
    if batch.labels is not None:
        inputs["labels"] = batch.labels
    return inputs


def dtype_of(precision: Precision) -> torch.dtype:
    """The number type whose matrix rate a precision is held against."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Mixed precision, weights in fp32: what `trainer.precision: "bf16"` means."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
