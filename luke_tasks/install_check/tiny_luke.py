"""A LUKE with random weights and a tokenizer of single bytes, made on the spot: nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers

from luke_tasks.data.hub import SPECIAL_ENTITIES
from luke_tasks.data.published_tokenizer import ENTITY_MARKERS
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.pretrained import LukeConfig
from luke_tasks.files import write_json

_SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}  # RoBERTa's ids 0 to 3
_MASK = "<mask>"


def write_tiny_luke(directory: Path) -> None:
    """A checkpoint as `studio-ousia/luke-base` is laid out: two layers of width 16, windows of up to 128 bytes."""
    directory.mkdir(parents=True)
    pieces = [*_SPECIAL.values(), *sorted(pre_tokenizers.ByteLevel.alphabet()), _MASK]
    write_json(directory / "vocab.json", {piece: index for index, piece in enumerate(pieces)})
    (directory / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    markers = {marker: len(pieces) + index for index, marker in enumerate(ENTITY_MARKERS)}
    write_json(directory / "added_tokens.json", markers)
    write_json(directory / "entity_vocab.json", {entity: index for index, entity in enumerate(SPECIAL_ENTITIES)})
    tokens = {**_SPECIAL, "cls_token": "<s>", "sep_token": "</s>", "mask_token": _MASK}
    kind = {"tokenizer_class": "LukeTokenizer", "additional_special_tokens": list(ENTITY_MARKERS)}
    write_json(directory / "tokenizer_config.json", {**kind, **tokens})
    config = LukeConfig(
        vocab_size=len(pieces) + len(markers), entity_vocab_size=len(SPECIAL_ENTITIES), hidden_size=16,
        entity_emb_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=130, type_vocab_size=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    torch.manual_seed(0)
    LukeEncoder(config=config).save_pretrained(directory)
