"""Archives as AllenNLP 2.10.1 leaves them, made on the spot: old config, `weights.th`, `vocabulary/`.

The tensors are those of `transformers`' own classes with the prefixes of the original, so that what comes out can be
compared with `transformers`.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel

TYPES = ["person", "time", "location"]
RECORDS = [
    {"left_context_token": ["Beyoncé", "lives", "in"], "mention_span": "Los Angeles", "right_context_token": ["."],
     "y_str": ["location"]},
    {"left_context_token": [], "mention_span": "Phil Simmons", "right_context_token": ["took", "four", "."],
     "y_str": ["person"]},
    {"left_context_token": ["four", "on"], "mention_span": "Friday", "right_context_token": [], "y_str": ["time"]},
]  # fmt: skip


def tokenizer_of(checkpoint: Path | str, *, add_special_tokens: bool, **kwargs: Any) -> dict[str, Any]:
    """The two sections by which an old reader names its tokenizer."""
    named = {"type": "pretrained_transformer", "model_name": str(checkpoint)}
    return {
        "tokenizer": {**named, "add_special_tokens": add_special_tokens, "tokenizer_kwargs": kwargs},
        "token_indexers": {"tokens": {**named, "tokenizer_kwargs": kwargs}},
    }


def typing_config(checkpoint: Path | str, kind: str = "luke") -> dict[str, Any]:
    """`kind`: "luke" (entity vectors) or "baseline" (first marker, any encoder)."""
    embedder: dict[str, Any] = {"type": "transformers-luke", "model_name": str(checkpoint),
                                "output_embeddings": "entity", "use_entity_aware_attention": True}  # fmt: skip
    if kind == "baseline":
        embedder = {"type": "pretrained_transformer", "model_name": str(checkpoint),
                    "tokenizer_kwargs": {"additional_special_tokens": ["<ent>"]}}  # fmt: skip
    features = {"type": "entity"} if kind == "luke" else {"type": "token", "feature_type": "entity_start"}
    return {
        "dataset_reader": {
            "type": "entity_typing",
            **tokenizer_of(checkpoint, add_special_tokens=True, additional_special_tokens=["<ent>"]),
            "use_entity_feature": kind == "luke",
        },
        "model": {"type": "entity_typing", "feature_extractor": {**features, "embedder": embedder}},
        "train_data_path": "gone/train.json",
        "validation_data_path": "gone/dev.json",
        "trainer": {"cuda_device": 7, "optimizer": {"type": "adam"}, "callbacks": ["a_class_of_long_ago"]},
        "data_loader": {"batch_size": 4, "shuffle": True},
        "random_seed": 0,
    }


def typing_weights(
    checkpoint: Path, kind: str = "luke", *, rows: int = len(TYPES), **extra: Tensor
) -> dict[str, Tensor]:
    """What the original would save, with a random classifier."""
    encoder = AutoModel.from_pretrained(checkpoint)
    name = "luke_model"
    if kind == "baseline":
        name = "transformer_model"
        encoder.resize_token_embeddings(encoder.config.vocab_size + 1, mean_resizing=False)  # as AllenNLP, for <ent>
    prefix = f"feature_extractor.embedder.{name}."
    weights = {prefix + key: tensor.detach().clone() for key, tensor in encoder.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    weights["classifier.weight"] = torch.randn(rows, encoder.config.hidden_size, generator=generator)
    weights["classifier.bias"] = torch.randn(rows, generator=generator)
    return {**weights, **extra}


def write_archive(
    folder: Path, config: dict[str, Any], weights: dict[str, Tensor] | None, *, padded: bool = False,
    weights_name: str = "weights.th",
) -> Path:  # fmt: skip
    """A serialization directory; `weights` None leaves them out."""
    vocabulary = folder / "vocabulary"
    vocabulary.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "meta.json").write_text('{"version": "2.10.1"}', encoding="utf-8")
    (vocabulary / ".lock").touch()
    patterns = "*tags\n" if padded else "*tags\n*labels\n"
    (vocabulary / "non_padded_namespaces.txt").write_text(patterns, encoding="utf-8")
    labels = ["@@UNKNOWN@@", *TYPES] if padded else TYPES
    (vocabulary / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    if weights is not None:
        torch.save(weights, folder / weights_name)
    return folder


def pack(folder: Path) -> Path:
    """The directory as a `model.tar.gz` beside it."""
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as tar:
        for part in sorted(folder.iterdir()):
            tar.add(part, arcname=part.name)
    return path


def write_records(path: Path) -> Path:
    """The typing records as Open Entity's JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    return path
