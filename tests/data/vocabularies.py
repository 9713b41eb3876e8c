"""Tokenizers small enough to check by hand, in the files of published checkpoints: LUKE, mLUKE and LUKE-Japanese."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tests.data.spm import mluke_files, model_bytes

# -- LUKE: byte-level BPE -------------------------------------------------------------------------------------------

FIRST_BYTE = 4  # after <s> <pad> </s> <unk>, the piece of byte b has id 4 + b
MERGES = ["L o", "Lo n", "d o", "do n", "Lon don", "Ġ London", "i n", "Ġ in", "Ã ©", "Ġ 2", "Ġ2 0", "2 0", "æ Ĺ",
          "Ġ a", "n d", "Ġa nd", "Ġ '", "' s", "Ġ Ġ"]  # fmt: skip
FIRST_MERGE = FIRST_BYTE + 256  # the piece of merge m has id 260 + m
LUKE_MASK = FIRST_MERGE + len(MERGES)  # then <ent>, <ent2>
LUKE_ENTITIES = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "London": 3, "Beyoncé": 4, "[MASK2]": 5}


def byte_pieces() -> list[str]:
    """How byte-level BPE (GPT-2) writes each byte: a printable one as itself, the others as characters from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def luke_files(folder: Path) -> Path:
    """A folder with the tokenizer's files as `studio-ousia/luke-base` has them."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *byte_pieces(), *(merge.replace(" ", "") for merge in MERGES), "<mask>"]
    config = {"tokenizer_class": "LukeTokenizer", "additional_special_tokens": ["<ent>", "<ent2>", "<ent>", "<ent2>"]}
    _write(folder, {
        "config.json": {"model_type": "luke", "vocab_size": LUKE_MASK + 3},
        "vocab.json": {piece: index for index, piece in enumerate(pieces)},
        "added_tokens.json": {"<ent>": LUKE_MASK + 1, "<ent2>": LUKE_MASK + 2},
        "entity_vocab.json": LUKE_ENTITIES,
        "tokenizer_config.json": config,
    })  # fmt: skip
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]), encoding="utf-8")
    return folder


# -- mLUKE and LUKE-Japanese: SentencePiece -------------------------------------------------------------------------

# The id of a piece is its place here and 4. What is not here is unknown: 3.
MLUKE_PIECES = ["▁", "▁London", "London", "▁in", "in", "▁日本", "日本", "日", "é", "Beyonc", "▁20", "20", "2", "6", "'",
                "s", "[", "]", "M", "A", "S", "K", "L", "o", "n", "d", "<", ">", "e", "t"]  # fmt: skip
JAPANESE_PIECES = ["▁", "▁東京", "東京", "東", "京", "日本", "日", "本", "は", "の", "首都", "ガンダム", "ガ", "カ",
                   "ン", "。", "T", "o", "k", "y", "1", "▁1", "▁T", "[", "]", "M", "A", "S", "K"]  # fmt: skip
MLUKE_MASK = 4 + len(MLUKE_PIECES)  # then <ent>, <ent2>
JAPANESE_MASK = 4 + len(JAPANESE_PIECES)
MLUKE_ENTITIES = {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 3, "en:London": 4, "ja:ロンドン": 4, "en:Japan": 5}
JAPANESE_ENTITIES = {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 3, "東京": 4, "日本": 5}
# Of NFKC, as SentencePiece applies it: spaces, wide letters, narrow kana with their voicing marks, numbers in circles.
NFKC = {"\u3000": " ", "\t": " ", "\u00a0": " ", "Ｔ": "T", "ｏ": "o", "ｋ": "k", "ｙ": "y", "ｶ": "カ", "ｶﾞ": "ガ",
        "①": "1"}  # fmt: skip


def small_mluke_files(folder: Path) -> Path:
    """A folder with the tokenizer's files as `studio-ousia/mluke-base` has them."""
    return _sentencepiece_files(folder, MLUKE_PIECES, {}, MLUKE_ENTITIES)


def small_japanese_files(folder: Path) -> Path:
    """The same as `studio-ousia/luke-japanese-base` has them: a model that normalises, entities without a language."""
    return _sentencepiece_files(folder, JAPANESE_PIECES, NFKC, JAPANESE_ENTITIES)


def _sentencepiece_files(folder: Path, pieces: list[str], rules: dict[str, str], entities: dict[str, int]) -> Path:
    special: list[Any] = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    scored = [*special, *((piece, -1.0 - 1.0 / len(piece) - 0.001 * i) for i, piece in enumerate(pieces))]
    model = model_bytes(pieces=scored, normalizer={2: charsmap(rules)} if rules else {})
    mluke_files(folder, model=model, vocab_size=4 + len(pieces) + 3)
    _write(folder, {"entity_vocab.json": entities})
    return folder


def charsmap(rules: dict[str, str]) -> bytes:
    """A SentencePiece normalisation table: its size, a double-array trie of what is replaced, and the replacements.

    Each node of the trie has 256 units of its own, one for each byte that may follow.
    """
    texts = b""
    values: dict[bytes, int] = {}
    for source, target in rules.items():
        values[source.encode()] = len(texts)
        texts += target.encode() + b"\0"
    units = [0] * 256

    def add(position: int, keys: dict[bytes, int]) -> None:
        base = len(units)
        units.extend([0] * 256)
        units[position] |= (position ^ base) << 10
        if b"" in keys:
            units[position] |= 1 << 8
            units[base] = keys[b""] | 1 << 31
        for byte in sorted({key[0] for key in keys if key}):
            units[base + byte] |= byte
            add(base + byte, {key[1:]: value for key, value in keys.items() if key[:1] == bytes([byte])})

    add(0, values)
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + texts


def _write(folder: Path, contents: dict[str, Any]) -> None:
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
