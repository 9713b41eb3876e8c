"""An archive's tokenizer as the files of a published checkpoint.

| the tokenizer is | class | files |
|---|---|---|
| byte-level BPE (LUKE, RoBERTa) | `LukeTokenizer` | `vocab.json`, `merges.txt`, `added_tokens.json` |
| SentencePiece (mLUKE, LUKE-Japanese, XLM-R) | `MLukeTokenizer` | `tokenizer.json`, `sentencepiece.bpe.model` |
| WordPiece (BERT) | `BertTokenizer` | `tokenizer.json`, `vocab.txt` |
| any other | `PreTrainedTokenizerFast` | `tokenizer.json` |

All have `entity_vocab.json`, `tokenizer_config.json` and `special_tokens_map.json` besides. Only the first two classes
take `entity_spans`. `sentencepiece.bpe.model` is made anew from what the archive keeps of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luke_tasks.data.published_tokenizer import ENTITY_MARKERS, SENTENCEPIECE_FILE
from luke_tasks.data.sentencepiece import FAIRSEQ_PIECES, SentencePieceModel
from luke_tasks.data.tokenizer import (
    MASK2_ENTITY,
    MASK_ENTITY,
    PAD_ENTITY,
    UNKNOWN_ENTITY,
    Tokenizer,
)
from luke_tasks.files import write_json

LUKE, MLUKE, BERT, OTHER = "LukeTokenizer", "MLukeTokenizer", "BertTokenizer", "PreTrainedTokenizerFast"
TAKES_ENTITIES = (LUKE, MLUKE)


def class_of(tokenizer: Tokenizer) -> str:
    """The class of `transformers` that reads the files of this tokenizer."""
    content = json.loads(tokenizer.backend.to_str())
    model = content["model"]
    steps = content["pre_tokenizer"] or {}
    if model["type"] == "BPE" and any(step.get("type") == "ByteLevel" for step in steps.get("pretokenizers", [steps])):
        return LUKE
    if model["type"] == "Unigram":
        first = [piece for piece, _ in model["vocab"][: len(FAIRSEQ_PIECES)]]
        return MLUKE if first == list(FAIRSEQ_PIECES) and model["unk_id"] == 3 else OTHER
    return BERT if model["type"] == "WordPiece" else OTHER


def write_tokenizer(tokenizer: Tokenizer, directory: Path, *, window: int, options: Mapping[str, Any]) -> None:
    """Write the files.

    Args:
        window: word pieces a text may have.
        options: further ones of LukeTokenizer: its task, how many entities, how long.
    """
    name = class_of(tokenizer)
    content = json.loads(tokenizer.backend.to_str())
    vocab = content["model"]["vocab"]
    known = set(vocab) if isinstance(vocab, dict) else {piece for piece, _ in vocab}
    added = {token["content"]: token["id"] for token in content["added_tokens"] if token["content"] not in known}
    added = _without_gaps(added | tokenizer.added_words, len(known))
    if name == LUKE:
        _write_compact(directory / "vocab.json", vocab)
        pairs = (merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"])
        lines = "".join(f"{pair}\n" for pair in pairs)
        (directory / "merges.txt").write_text(f"#version: 0.2\n{lines}", encoding="utf-8", newline="\n")
        _write_compact(directory / "added_tokens.json", added)
    else:
        listed = {token["content"] for token in content["added_tokens"]}
        content["added_tokens"] += [_added_token(word, id) for word, id in added.items() if word not in listed]
        _write_compact(directory / "tokenizer.json", content)
    if name == BERT:
        lines = "".join(f"{piece}\n" for piece in sorted(vocab, key=lambda piece: vocab[piece]))
        (directory / "vocab.txt").write_text(lines, encoding="utf-8", newline="\n")
    if name == MLUKE and tokenizer.normaliser is not None:
        model = SentencePieceModel.of_backend(tokenizer.backend, tokenizer.normaliser.charsmap)
        model.write(directory / SENTENCEPIECE_FILE)
        _write_compact(directory / "added_tokens.json", added)
    _write_compact(directory / "entity_vocab.json", tokenizer.entity_vocab)

    tokens = _special_tokens(tokenizer)
    markers = [marker for marker in ENTITY_MARKERS if tokenizer.word_id(marker) is not None]
    write_json(directory / "special_tokens_map.json", {**tokens, "additional_special_tokens": markers})
    config: dict[str, Any] = {"tokenizer_class": name, **tokens, "additional_special_tokens": markers,
                              "model_max_length": window}  # fmt: skip
    if name in TAKES_ENTITIES:
        config |= options
        config |= {"entity_token_1": ENTITY_MARKERS[0], "entity_token_2": ENTITY_MARKERS[1],
                   "entity_pad_token": PAD_ENTITY, "entity_unk_token": UNKNOWN_ENTITY,
                   "entity_mask_token": MASK_ENTITY, "entity_mask2_token": MASK2_ENTITY}  # fmt: skip
    if name == LUKE:
        config["add_prefix_space"] = False
    if name == BERT:
        normalizer = content["normalizer"] or {}
        config |= {"do_lower_case": bool(normalizer.get("lowercase")),
                   "strip_accents": normalizer.get("strip_accents"),
                   "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True)}  # fmt: skip
    write_json(directory / "tokenizer_config.json", config)


def _special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Under the names that `transformers` has for them."""
    special = tokenizer.special
    ids = {"bos_token": special.cls, "eos_token": special.sep, "cls_token": special.cls, "sep_token": special.sep,
           "pad_token": special.pad, "mask_token": special.mask, "unk_token": special.unknown}  # fmt: skip
    return {name: str(tokenizer.backend.id_to_token(id)) for name, id in ids.items()}


def _without_gaps(added: Mapping[str, int], size: int) -> dict[str, int]:
    """By rising id, the ids between `size` and the last one all there: `transformers` numbers added tokens in a row."""
    words = {id: word for word, id in added.items() if id >= size}
    return {words.get(id, f"<unused{id}>"): id for id in range(size, max(words, default=-1) + 1)}


def _added_token(word: str, id: int) -> dict[str, Any]:
    return {"id": id, "content": word, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True}  # fmt: skip


def _write_compact(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
