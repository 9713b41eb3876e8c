"""SentencePiece model files for tests: written by hand, byte by byte, or trained where `sentencepiece` is installed."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

PIECES = [("▁Paris", -3.0), ("▁", -2.0), ("P", -5.0), ("a", -5.0), ("r", -5.0), ("i", -5.0), ("s", -5.0), (",", -5.0)]
SIZE = 3 + len(PIECES)  # of the model; fairseq has one more, and <mask>


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def model_bytes(
    *, pieces: Any = None, trainer: dict[int, int] | None = None, normalizer: dict[int, int | bytes] | None = None
) -> bytes:
    """A ModelProto. `pieces` are (text, score) or (text, score, type)."""
    if pieces is None:
        pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *PIECES]
    content = b""
    for piece, score, *kind in pieces:
        content += field(1, field(1, piece.encode()) + field(2, score) + b"".join(field(3, k) for k in kind))
    content += field(2, b"".join(field(number, value) for number, value in (trainer or {3: 1}).items()))
    content += field(3, b"".join(field(number, value) for number, value in (normalizer or {}).items()))
    return content


def trained(rule: str = "nmt_nfkc") -> bytes:
    """A model trained by `sentencepiece` itself."""
    import sentencepiece  # type: ignore[import-not-found, unused-ignore]

    text = [
        "Beyoncé lives in Los Angeles.", "London is the capital of the United Kingdom, Paris is that of France.",
        "東京は日本の首都です。", "大阪城は大阪市にある。", "ガンダム が 好き", "café naïve Ångström",
        "한국어 문장", "हिन्दी भाषा",
    ]  # fmt: skip
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text * 3), model_writer=buffer, vocab_size=200, model_type="unigram", num_threads=1,
        normalization_rule_name=rule, hard_vocab_limit=False, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    return buffer.getvalue()


def mluke_files(
    directory: Path,
    *,
    model: bytes | None = None,
    vocab_size: int | None = None,
    added: dict[str, int] | None = None,
    tokenizer_class: str | None = "MLukeTokenizer",
    model_type: str = "luke",
) -> Path:
    """A folder with the tokenizer's files as `studio-ousia/mluke-base` and LUKE-Japanese have them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sentencepiece.bpe.model").write_bytes(model_bytes() if model is None else model)
    contents: dict[str, Any] = {
        "config.json": {"model_type": model_type, "vocab_size": vocab_size or 10_000},
        "entity_vocab.json": {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "en:Japan": 3, "ja:日本": 3, "[MASK2]": 4},
        "added_tokens.json": added,
        "tokenizer_config.json": tokenizer_class and {
            "tokenizer_class": tokenizer_class, "additional_special_tokens": ["<ent>", "<ent2>", "<ent>", "<ent2>"],
            "entity_token_1": {"content": "<ent>", "__type": "AddedToken"}, "sp_model_kwargs": {},
        },
    }  # fmt: skip
    for name, content in contents.items():
        if content is not None:
            (directory / name).write_text(json.dumps(content), encoding="utf-8")
    return directory
