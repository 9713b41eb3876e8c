"""What a `config.json` may ask for: no code, and no more numbers than the weights beside it hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from luke_tasks.data.hub import read_json
from luke_tasks.encoder.weights import Weights, open_safetensors
from luke_tasks.errors import CheckpointError
from luke_tasks.untrusted import reported

_LAYERS = ("layers", "n_layer", "blocks", "num_groups")  # within the keys that count them
_ATTENTIONS = (None, "eager", "sdpa", "flash_attention_2", "flex_attention")


def check_no_code(content: Mapping[str, Any], path: Path) -> None:
    """Raises CheckpointError when a config of `transformers` would have code fetched from the hub and run."""
    for key, value in _entries(content):
        if key == "auto_map" and value:
            raise CheckpointError(f"{path}: auto_map: names code of its own, which is never run; use a model that "
                                  "transformers has built in")  # fmt: skip
        if key in ("attn_implementation", "_attn_implementation") and value not in _ATTENTIONS:
            raise CheckpointError(f"{path}: {key}: {value!r} would be fetched and run; remove this key")
        if key in ("quantization_config", "kernel_config") and value:
            raise CheckpointError(f"{path}: {key}: needs packages of its own, and is not read here; use the weights as "
                                  "they were before")  # fmt: skip


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)


def check_size(content: Mapping[str, Any], weights: Weights, path: Path) -> None:
    """Whether the weights can be those of a model that a config describes, before memory is taken for it.

    Raises:
        CheckpointError: it asks for more layers than there are tensors, or for more numbers than all tensors hold.
    """
    for key, value in content.items():
        if any(word in key for word in _LAYERS) and isinstance(value, int) and value > len(weights.names):
            raise CheckpointError(f"{path}: {key}: {value} layers, but {weights.path.name} holds {len(weights.names)} "
                                  "tensors; they are not of one checkpoint")  # fmt: skip
    asked = least_numbers(content)
    if asked > weights.num_elements():
        raise CheckpointError(f"{path}: describes a model of {asked:,} numbers and more, but {weights.path.name} holds "
                              f"{weights.num_elements():,}; they are not of one checkpoint")  # fmt: skip


def least_numbers(content: Mapping[str, Any]) -> int:
    """Weights that a model of BERT's kind has at least: its tables, and attention and feed-forward of its layers."""

    def number(key: str) -> int:
        value = content.get(key)
        return value if isinstance(value, int) and value > 0 else 0

    hidden, layers = number("hidden_size"), max(1, number("num_hidden_layers"))
    narrow = min(hidden, number("embedding_size") or hidden)  # ALBERT's and ELECTRA's tables are narrower
    if content.get("model_type") == "albert":  # whose layers are one
        layers = 1
    tables = narrow * (number("vocab_size") + number("type_vocab_size"))
    entities = number("entity_vocab_size") * (number("entity_emb_size") or hidden)
    if content.get("model_type") == "luke":
        tables += hidden * number("max_position_embeddings")
    return tables + entities + layers * (hidden * hidden + hidden * number("intermediate_size"))


def check_own(encoder_type: str | None, directory: Path, weights: Path) -> None:
    """`check_size` for an archive, whose `encoder/config.json` is built before its weights are read.

    Raises:
        CheckpointError: see `check_size` and `check_no_code`.
    """
    path = directory / "config.json"
    content, stored = read_json(path), Weights(weights, open_safetensors(weights))
    check_size(content, stored, path)
    if encoder_type != "transformer":
        return
    check_no_code(content, path)
    from transformers import AutoConfig, AutoModel

    with reported(lambda reason: CheckpointError(f"{path}: transformers cannot build it: {reason}")):
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):  # takes no memory
            model = AutoModel.from_config(config, trust_remote_code=False)
    asked = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith("pooler."))
    if asked > stored.num_elements():
        raise CheckpointError(f"{path}: describes a model of {asked:,} numbers, but {weights.name} holds "
                              f"{stored.num_elements():,}; they are not of one checkpoint")  # fmt: skip
