"""Words to word pieces, through the Rust `tokenizers` backend, and the ids of special words and entities.

A published checkpoint's tokenizer is read once (`published_tokenizer.py`); archives keep the backend's own
`tokenizer.json` and load without `transformers`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Backend

from luke_tasks.data.features import IntArray
from luke_tasks.data.hub import SPECIAL_ENTITIES, checkpoint_dir, read_entity_vocab, read_json
from luke_tasks.data.published_tokenizer import (
    ENTITY_MARKERS,
    PairLayout,
    SpecialTokens,
    check_description,
    read_published,
)
from luke_tasks.data.sentencepiece import Normaliser
from luke_tasks.errors import ArchiveError, CheckpointError
from luke_tasks.untrusted import parse_json, reported

PAD_ENTITY, UNKNOWN_ENTITY, MASK_ENTITY, MASK2_ENTITY = SPECIAL_ENTITIES
_CACHED_WORDS = 1 << 20
_BATCH_WORDS = 1 << 12  # words tokenized at once: what the backend returns takes many times the memory of the pieces
_SEQUENCE_WORDS = 1 << 8  # words of a batch that share one `Encoding`


@dataclass(frozen=True)
class Pair:
    """Two texts in one sequence of W word pieces."""

    word_ids: IntArray  # (W,)
    word_type_ids: IntArray | None  # (W,) segment ids; None: all 0
    second_start: int  # place of the second text's first word piece; the first text begins at place 1


@dataclass(frozen=True)
class Pieces:
    """The N word pieces of a text, and the characters `[start, end)` each stands for, spaces before it left out."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """Tokenizes words one by one, as the readers of word-level data sets want it, or stretches of text as they stand.

    Args:
        backend: the Rust tokenizer.
        special: ids of its special tokens.
        entity_vocab: entity name → id; holds at least the four special entities.
        normaliser: for backends that want their words normalised beforehand (SentencePiece).
        num_words: rows of the checkpoint's word embeddings; by default as many as the backend has word pieces.
        added_words: word pieces of a task that the backend does not have → id, see `add_words`.
        pair_layout: how the checkpoint joins two texts; by default as RoBERTa does.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        special: SpecialTokens,
        entity_vocab: dict[str, int],
        normaliser: Normaliser | None = None,
        num_words: int | None = None,
        added_words: Mapping[str, int] | None = None,
        pair_layout: PairLayout | None = None,
    ) -> None:
        self.backend = backend
        self.special = special
        self.entity_vocab = entity_vocab
        self.normaliser = normaliser
        self.num_words = backend.get_vocab_size() if num_words is None else num_words
        self.added_words = dict(added_words or {})
        self.pair_layout = pair_layout or PairLayout()
        self._pieces: dict[str, list[int]] = {}  # cache: the pieces of a word do not depend on its neighbours

    @classmethod
    def from_pretrained(cls, name: str, *, special_entities_only: bool = False) -> Tokenizer:
        """The tokenizer of a published checkpoint: a folder, a hub name, or `embedded:minilm`.

        Args:
            special_entities_only: number the special entities 0 to 3 and leave all others out, as an encoder with
                `entities: "special"` does.
        Raises:
            CheckpointError: there is no tokenizer, it lacks a special token, or it does not fit the checkpoint.
        """
        folder = checkpoint_dir(name, weights=False)
        config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
        found = read_published(folder, config)
        with reported(lambda reason: CheckpointError(f"{folder}: its tokenizer is damaged: {reason}")):
            backend = _word_backend(found.backend)
        if found.has_entities and not special_entities_only and not config.get("special_entities_only", False):
            entity_vocab = read_entity_vocab(folder)
        else:
            entity_vocab = {entity: index for index, entity in enumerate(SPECIAL_ENTITIES)}
        return cls(
            backend=backend, special=found.special, entity_vocab=entity_vocab,
            normaliser=found.normaliser, num_words=config.get("vocab_size"), pair_layout=found.pair_layout,
        )  # fmt: skip

    def words_to_pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The word-piece ids of each word, tokenized on its own with a space before it. No word is left empty.

        A word without any piece (a lone control character under BERT) becomes the unknown token, so that every word
        keeps a place.
        """
        self.learn_words(words)
        return [self._pieces[word] for word in words]

    def learn_words(self, words: Iterable[str]) -> None:
        """Tokenize words for calls of `words_to_pieces` to come: many at once take less time than a few at a time."""
        if len(self._pieces) > _CACHED_WORDS:
            self._pieces.clear()
        fresh = [word for word in dict.fromkeys(words) if word not in self._pieces]
        for start in range(0, len(fresh), _BATCH_WORDS):
            batch = fresh[start : start + _BATCH_WORDS]
            with reported(_unfit):
                texts = [self.normaliser(word) for word in batch] if self.normaliser else batch
            for word, pieces in zip(batch, self._pieces_of_each(texts), strict=True):
                self._pieces[word] = pieces or [self.special.unknown]

    def _pieces_of_each(self, words: Sequence[str]) -> list[list[int]]:
        """The pieces of words, each tokenized on its own. Many share one `Encoding`, as one for each would take longer
        to make than the pieces."""
        pieces: list[list[int]] = [[] for _ in words]
        firsts = range(0, len(words), _SEQUENCE_WORDS)
        sequences = [words[first : first + _SEQUENCE_WORDS] for first in firsts]
        with reported(_unfit):
            encodings = self.backend.encode_batch(sequences, is_pretokenized=True, add_special_tokens=False)
        for first, encoding in zip(firsts, encodings, strict=True):
            for place, piece in zip(encoding.word_ids, encoding.ids, strict=True):
                assert place is not None  # only special tokens belong to no word
                pieces[first + place].append(piece)
        return pieces

    def texts_to_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The word-piece ids of each text, as it stands: only SentencePiece puts a space before it.

        An entity marker that stands in a text itself is no marker there, but ordinary pieces.
        """
        with reported(_unfit):
            texts = [self.normaliser(text) for text in texts] if self.normaliser else texts
            encodings = self._text_backend.encode_batch_fast(list(texts), add_special_tokens=False)  # without offsets
        return [encoding.ids for encoding in encodings]

    def texts_to_offset_pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """As `texts_to_pieces`, with the characters of the text as it was given that each piece stands for."""
        with reported(_unfit):
            aligned = [self.normaliser.aligned(text) for text in texts] if self.normaliser else None
            inputs = [text for text, _ in aligned] if aligned else list(texts)
            encodings = self._text_backend.encode_batch(inputs, add_special_tokens=False)
        found = []
        for index, encoding in enumerate(encodings):
            offsets = [_without_spaces(inputs[index], start, end) for start, end in encoding.offsets]
            if aligned:
                origins = [*aligned[index][1], (len(texts[index]),) * 2]  # an empty piece may be the last one
                offsets = [(origins[start][0], origins[end - 1][1] if start < end else origins[start][0])
                           for start, end in offsets]  # fmt: skip
            found.append(Pieces(encoding.ids, offsets))
        return found

    def pair(self, first: Sequence[int], second: Sequence[int]) -> Pair:
        """The word pieces of two texts in one sequence, with the special tokens."""
        special, layout = self.special, self.pair_layout
        word_ids = [special.cls, *first, *[special.sep] * layout.num_separators, *second, special.sep]
        second_start = len(word_ids) - len(second) - 1
        types = None
        if layout.second_type:
            types = np.zeros(len(word_ids), dtype=np.int64)  # (W,)
            types[second_start:] = layout.second_type
        return Pair(np.array(word_ids), types, second_start)

    @cached_property
    def _text_backend(self) -> Backend:
        return _text_backend(self.backend)

    def word_id(self, word: str) -> int | None:
        """The id of a word piece; None where there is none."""
        found: int | None = self.added_words.get(word, self.backend.token_to_id(word))
        return found

    def add_words(self, copied_from: Mapping[str, str]) -> list[int]:
        """Add the word pieces that are not known yet, with the ids from `num_words` on.

        Args:
            copied_from: new word piece → the known one whose embedding it starts with.
        Returns:
            The ids of those known ones, in the order of the new ids, for `Encoder.add_words`; the unknown token's for
            one that is not known, as in the original.
        """
        sources = []
        for word, source in copied_from.items():
            if self.word_id(word) is None:
                self.added_words[word] = self.num_words
                self.num_words += 1
                known = self.word_id(source)
                sources.append(self.special.unknown if known is None else known)
        return sources

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `special.json` into `directory`, which is made."""
        directory.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(directory / "tokenizer.json"))
        (directory / "special.json").write_text(self._special_json(), encoding="utf-8")

    def digest(self) -> str:
        """SHA-256 of all that is saved: with the same, texts have the same pieces and ids."""
        found = hashlib.sha256(self.backend.to_str().encode("utf-8"))
        found.update(self._special_json().encode("utf-8"))
        return found.hexdigest()

    def _special_json(self) -> str:
        special: dict[str, Any] = {"special_tokens": asdict(self.special), "entity_vocab": self.entity_vocab,
                                   "num_words": self.num_words, "added_words": self.added_words,
                                   "pair_layout": asdict(self.pair_layout)}  # fmt: skip
        if self.normaliser is not None:
            special["sentencepiece_charsmap"] = base64.b64encode(self.normaliser.charsmap).decode("ascii")
        return json.dumps(special, ensure_ascii=False)

    @classmethod
    def load(cls, directory: Path) -> Tokenizer:
        """Read what `save` wrote. Raises ArchiveError when it is not there or damaged."""
        for name in ("special.json", "tokenizer.json"):
            if not (directory / name).is_file():
                raise ArchiveError(f"{directory / name}: no such file; the tokenizer is incomplete")
        with reported(lambda reason: ArchiveError(f"{directory}: the tokenizer is damaged: {reason}")):
            special: dict[str, Any] = parse_json((directory / "special.json").read_text(encoding="utf-8"))
            _check_special(special)
            description = (directory / "tokenizer.json").read_text(encoding="utf-8")
            check_description(description)
            charsmap = special.get("sentencepiece_charsmap")
            loaded = cls(
                backend=Backend.from_str(description),
                special=SpecialTokens(**special["special_tokens"]),
                entity_vocab=special["entity_vocab"],
                normaliser=Normaliser(base64.b64decode(charsmap, validate=True)) if charsmap is not None else None,
                num_words=special.get("num_words"),
                added_words=special.get("added_words"),
                pair_layout=PairLayout(**special["pair_layout"]),
            )
            loaded.backend.no_padding()
            loaded.backend.no_truncation()
            loaded._check_ids()
        return loaded

    def _check_ids(self) -> None:
        """Raises ValueError when an id has no row among the word embeddings."""
        if self.backend.get_vocab_size() > self.num_words:
            raise ValueError(f"it has {self.backend.get_vocab_size()} word pieces for {self.num_words} embeddings")
        ids = [*asdict(self.special).values(), *self.added_words.values()]
        if max(ids) >= self.num_words:
            raise ValueError(f"a special token has id {max(ids)}, beyond {self.num_words} embeddings")


def _unfit(reason: str) -> CheckpointError:
    return CheckpointError(f"the model's tokenizer is damaged, or does not go with this text: {reason}")


def _check_special(content: Any) -> None:
    """Raises ValueError when `special.json` does not hold ids where ids are expected."""
    if not isinstance(content, dict):
        raise ValueError("special.json: expected an object")
    vocab = content.get("entity_vocab")
    missing = [entity for entity in SPECIAL_ENTITIES if not isinstance(vocab, dict) or entity not in vocab]
    if missing:
        raise ValueError(f"no id for the special entities {', '.join(missing)}")
    counts: dict[str, Any] = {key: content.get(key) or {} for key in ("special_tokens", "added_words", "pair_layout")}
    for key, ids in {**counts, "entity_vocab": vocab}.items():
        odd = None if isinstance(ids, dict) else key
        for name, id in ids.items() if odd is None else ():
            if type(id) is not int or not 0 <= id < 2**31:
                odd = f"{key}.{name}"
                break
        if odd is not None:
            raise ValueError(f"special.json: {odd}: expected numbers from 0 on by name")
    if content.get("num_words") is not None and (type(content["num_words"]) is not int or content["num_words"] < 1):
        raise ValueError("special.json: num_words: expected a positive integer")
    if counts["pair_layout"].get("num_separators", 1) > 4 or counts["pair_layout"].get("second_type", 0) > 1:
        raise ValueError("special.json: pair_layout: expected at most 4 separators, and segments 0 and 1")


def _without_spaces(text: str, start: int, end: int) -> tuple[int, int]:
    """Characters `[start, end)` less the spaces they begin with, as pieces of byte-level tokenizers do."""
    stripped = text[start:end].lstrip()
    return end - len(stripped), end


def _word_backend(backend: Backend) -> Backend:
    """A copy of `backend` for single words: no padding or truncation, a space before each word, words only.

    `transformers` 5 adds the special entities of LUKE to the word vocabulary, beyond the embedding matrix; a literal
    "[MASK]" in a text would get an id no embedding has. They are taken out again.
    """
    description = json.loads(backend.to_str())
    vocabulary = description["model"]["vocab"]
    known = set(vocabulary) if isinstance(vocabulary, dict) else {piece for piece, _ in vocabulary}
    description["added_tokens"] = [
        token
        for token in description["added_tokens"]
        if token["content"] not in SPECIAL_ENTITIES or token["content"] in known
    ]
    description["padding"] = description["truncation"] = None
    return _rebuilt(description, space_before=True)


def _text_backend(backend: Backend) -> Backend:
    """A copy of `backend` for text as it stands: no space before it, and no entity markers, which readers place."""
    description = json.loads(backend.to_str())
    description["added_tokens"] = [
        token for token in description["added_tokens"] if token["content"] not in ENTITY_MARKERS
    ]
    return _rebuilt(description, space_before=False)


def _rebuilt(description: dict[str, Any], *, space_before: bool) -> Backend:
    """The backend of a description; `space_before` says whether byte-level pieces begin as after a space."""
    steps = description["pre_tokenizer"] or {}
    for step in steps.get("pretokenizers", [steps]):
        if step.get("type") == "ByteLevel":
            step["add_prefix_space"] = space_before
    return Backend.from_str(json.dumps(description))
