"""SentencePiece models (`sentencepiece.bpe.model`) for the Rust backend, numbered as fairseq numbers XLM-R's words.

mLUKE and LUKE-Japanese ship nothing else, and `transformers` 5 (5.23 at least) numbers it wrongly:

| id | 0 | 1 | 2 | 3 | 4 | ... | size | size + 1 |
|---|---|---|---|---|---|---|---|---|
| in the model, of `size` pieces | `<unk>` | `<s>` | `</s>` | `,` | `.` | ... | | |
| in fairseq and the checkpoints | `<s>` | `<pad>` | `</s>` | `<unk>` | `,` | ... | last piece | `<mask>` |

The file is one protocol buffer (sentencepiece_model.proto of google/sentencepiece), of which a few fields are read.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import Unigram

from luke_tasks.errors import CheckpointError

FAIRSEQ_PIECES = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3
MASK = "<mask>"
SPACE = "▁"  # how pieces write a space
_MODEL_PIECES = ["<unk>", "<s>", "</s>"]
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # types of pieces
_UNIGRAM = 1  # the type of a model


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says: its pieces with their scores, and its normalisation (b"" for none)."""

    pieces: list[tuple[str, float]]
    charsmap: bytes

    @classmethod
    def read(cls, path: Path) -> SentencePieceModel:
        """Raises CheckpointError: it cannot be read, or asks for what the backend could not do exactly."""
        pieces: list[tuple[str, float]] = []
        types: list[int] = []
        trainer: dict[int, int | bytes] | None = None
        normalizer: dict[int, int | bytes] | None = None
        try:
            for field, value in _fields(path.read_bytes()):
                if field == 1:
                    piece = dict(_fields(_bytes(value)))
                    score = struct.unpack("<f", _bytes(piece.get(2, bytes(4))))[0]
                    pieces.append((_bytes(piece[1]).decode("utf-8"), score))
                    types.append(_int(piece.get(3, _NORMAL)))
                elif field == 2:
                    trainer = dict(_fields(_bytes(value)))
                elif field == 3:
                    normalizer = dict(_fields(_bytes(value)))
            if trainer is None or normalizer is None:  # they come after the pieces
                raise ValueError("it ends among the pieces")
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise CheckpointError(
                f"{path}: cannot be read as a SentencePiece model, perhaps truncated: {error}"
            ) from None
        unfit = {
            "a model_type other than unigram": trainer.get(3, _UNIGRAM) != _UNIGRAM,
            "pieces before the first other than <unk>, <s> and </s>": [p for p, _ in pieces[:3]] != _MODEL_PIECES,
            "no piece of text": len(pieces) < 4,
            "pieces of other types than text (user-defined, unused or bytes)": not set(types[3:]) <= {_NORMAL},
            "an option against a space before each word (add_dummy_prefix)": normalizer.get(3, 1) != 1,
            "an option to keep needless spaces (remove_extra_whitespaces)": normalizer.get(4, 1) != 1,
            "spaces as they are (escape_whitespaces)": normalizer.get(5, 1) != 1,
            "spaces at the end of pieces (treat_whitespace_as_suffix)": trainer.get(24, 0) != 0,
        }
        faults = [what for what, found in unfit.items() if found]
        if faults:
            raise CheckpointError(
                f"{path}: not a model as XLM-R's, mLUKE's or LUKE-Japanese's are: {'; '.join(faults)}"
            )
        return cls(pieces, _bytes(normalizer.get(2, b"")))

    @classmethod
    def of_backend(cls, backend: Backend, charsmap: bytes) -> SentencePieceModel:
        """The model that `backend` was made of, as an archive keeps the two apart."""
        vocab = json.loads(backend.to_str())["model"]["vocab"]
        return cls([(piece, 0.0) for piece in _MODEL_PIECES] + [tuple(entry) for entry in vocab[4:-1]], charsmap)

    def write(self, path: Path) -> None:
        """Write a model file that `read` and the `sentencepiece` library read, with what `read` wants of one."""
        kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_NORMAL] * (len(self.pieces) - 3)]
        with path.open("wb") as file:
            for (piece, score), kind in zip(self.pieces, kinds, strict=True):
                file.write(_field(1, _field(1, piece.encode("utf-8")) + _field(2, score) + _field(3, kind)))
            file.write(_field(2, _field(3, _UNIGRAM) + _field(4, len(self.pieces))))
            name = b"nmt_nfkc" if self.charsmap else b"identity"
            file.write(_field(3, _field(1, name) + _field(2, self.charsmap)))

    def backend(self, added: Mapping[str, int]) -> Backend:
        """The Rust tokenizer with fairseq's ids, for text that `Normaliser` has normalised.

        Args:
            added: further special tokens and their ids, which follow `<mask>` without a gap.
        Raises:
            CheckpointError: they do not.
        """
        vocab = [(piece, 0.0) for piece in FAIRSEQ_PIECES] + self.pieces[3:] + [(MASK, 0.0)]
        backend = Backend(Unigram(vocab, FAIRSEQ_PIECES.index("<unk>"), False))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
        tokens = [*FAIRSEQ_PIECES, MASK, *sorted(added, key=lambda token: added[token])]
        backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in tokens])
        for token, id in added.items():
            if backend.token_to_id(token) != id:
                raise CheckpointError(f"added token {token!r} has id {id}, expected {backend.token_to_id(token)}: "
                                      f"{MASK} has {len(vocab) - 1}, and the others follow without a gap")  # fmt: skip
        return backend


class Normaliser:
    """SentencePiece's normalisation, exactly: from left to right, the longest match of its table is replaced.

    The Rust library's own `Precompiled` goes by grapheme clusters, and loses the marks of a letter that it replaces:
    an Arabic presentation form's vowel sign, for one. So words are normalised here, before the backend sees them.

    Args:
        charsmap: a double-array trie (its size in bytes, then 32-bit units, as Darts lays them out), whose values are
            places in the texts after it, each ended by a zero byte; empty to replace nothing.
    """

    def __init__(self, charsmap: bytes) -> None:
        self.charsmap = charsmap
        size = int.from_bytes(charsmap[:4], "little")
        if charsmap and (size % 4 or not 0 < size <= len(charsmap) - 4):
            raise ValueError("the normalisation table is truncated")
        self._units = struct.unpack(f"<{size // 4}I", charsmap[4 : 4 + size])
        self._texts = charsmap[4 + size :]

    def __call__(self, word: str) -> str:
        text = b"".join(replacement for replacement, _, _ in self._replaced(word.encode("utf-8"))).decode("utf-8")
        text = re.sub(" +", " ", text).lstrip(" ").rstrip(f" {SPACE}")
        return SPACE + text if text.startswith(SPACE) else text  # or else the backend would put none before it

    def aligned(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """The normalised text, and for each of its characters the characters `[start, end)` of `text` it comes from."""
        places = [place for place, char in enumerate(text) for _ in char.encode("utf-8")]  # of each byte
        places.append(len(text))
        chars: list[str] = []
        origins: list[tuple[int, int]] = []
        for replacement, start, end in self._replaced(text.encode("utf-8")):
            for char in replacement.decode("utf-8"):
                if char != " " or (chars and chars[-1] != " "):
                    chars.append(char)
                    origins.append((places[start], places[end - 1] + 1))
        while chars and chars[-1] in (" ", SPACE):
            del chars[-1], origins[-1]
        if chars and chars[0] == SPACE:
            chars, origins = [SPACE, *chars], [(origins[0][0], origins[0][0]), *origins]
        return "".join(chars), origins

    def _replaced(self, data: bytes) -> Iterator[tuple[bytes, int, int]]:
        """From left to right, what stands in place of the bytes `[start, end)`."""
        start = 0
        while start < len(data):
            length, replacement = self._longest_match(data, start)
            if not length:  # one character as it is
                length = next(n for n in range(1, 5) if start + n >= len(data) or data[start + n] & 0xC0 != 0x80)
                replacement = data[start : start + length]
            yield replacement, start, start + length
            start += length

    def _longest_match(self, data: bytes, start: int) -> tuple[int, bytes]:
        """Its length in bytes and what replaces it; 0 where nothing matches."""
        units = self._units
        if not units:
            return 0, b""
        node, length, value = _offset(units[0]), 0, 0
        for index in range(start, len(data)):
            node ^= data[index]
            if node >= len(units) or units[node] & 0x800000FF != data[index]:
                break
            unit = units[node]
            node ^= _offset(unit)
            if unit >> 8 & 1:  # something ends here
                length, value = index + 1 - start, units[node] & 0x7FFFFFFF
        return length, self._texts[value : self._texts.index(b"\0", value)] if length else b""


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value of each field of a protocol buffer message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            size, position = _varint(message, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"no field can begin at byte {position}")
        if position + size > len(message):
            raise ValueError(f"a field ends at byte {position + size} of {len(message)}")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("it ends within a number")


def _field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, float):
        return _as_varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where text is expected")
    return value


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("text stands where a number is expected")
    return value
