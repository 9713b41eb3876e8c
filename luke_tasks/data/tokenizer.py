"""Words to word pieces, through the Rust `tokenizers` backend, and the ids of special words and entities.

A published checkpoint's tokenizer is read once, most of them with `transformers`; archives keep the backend's own
`tokenizer.json` and load without `transformers`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Backend

from luke_tasks.data.features import IntArray
from luke_tasks.data.hub import SPECIAL_ENTITIES, checkpoint_dir, read_entity_vocab, read_json
from luke_tasks.data.sentencepiece import FAIRSEQ_PIECES, MASK, Normaliser, SentencePieceModel
from luke_tasks.errors import ArchiveError, CheckpointError

PAD_ENTITY, UNKNOWN_ENTITY, MASK_ENTITY, MASK2_ENTITY = SPECIAL_ENTITIES
ENTITY_MARKERS = ("<ent>", "<ent2>")  # LUKE's own word pieces: around the first and the second entity of a text
SENTENCEPIECE_FILE = "sentencepiece.bpe.model"
_VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", SENTENCEPIECE_FILE, "spiece.model")
_MLUKE = ("MLukeTokenizer",)
_XLM_R = ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")
_CACHED_WORDS = 1 << 20


@dataclass(frozen=True)
class SpecialTokens:
    """Word-piece ids of the special tokens; `unknown` stands for words that leave no piece at all."""

    cls: int
    sep: int
    pad: int
    mask: int
    unknown: int


@dataclass(frozen=True)
class PairLayout:
    """How a checkpoint joins two texts: `[CLS] first [SEP] second [SEP]`, or with two separators between them."""

    num_separators: int = 2  # between the texts; RoBERTa has 2, BERT 1
    second_type: int = 0  # segment id of the second text and its [SEP]; BERT has 1

    @property
    def num_special(self) -> int:
        """Special tokens of a pair."""
        return self.num_separators + 2


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
        pair_layout: how the checkpoint joins two texts.
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
        pair_layout: PairLayout = PairLayout(),
    ) -> None:
        self.backend = backend
        self.special = special
        self.entity_vocab = entity_vocab
        self.normaliser = normaliser
        self.num_words = backend.get_vocab_size() if num_words is None else num_words
        self.added_words = dict(added_words or {})
        self.pair_layout = pair_layout
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
        if not any((folder / file).exists() for file in _VOCABULARY_FILES):
            raise CheckpointError(f"{folder}: holds no tokenizer; expected one of {', '.join(_VOCABULARY_FILES)}")
        config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
        tokenizer_class = _tokenizer_class(folder, config)
        normaliser, layout = None, PairLayout()
        if (folder / SENTENCEPIECE_FILE).exists() and _is_authority(folder, tokenizer_class):
            backend, normaliser = _read_sentencepiece(folder, config)
            special = _fairseq_ids(backend)
        elif tokenizer_class in _MLUKE:
            backend = _read_mluke_json(folder / "tokenizer.json")
            special = _fairseq_ids(backend)
        else:
            backend, special, layout = _read_with_transformers(folder)
        last, vocab_size = max(asdict(special).values()), config.get("vocab_size", float("inf"))
        if last >= vocab_size:
            raise CheckpointError(f"{folder}: the tokenizer's special tokens have ids up to {last}, but config.json "
                                  f"has a vocab_size of {vocab_size}; they are not of one checkpoint")  # fmt: skip
        luke = config.get("model_type") == "luke" or tokenizer_class in ("LukeTokenizer", *_MLUKE)
        if luke and not special_entities_only and not config.get("special_entities_only", False):
            entity_vocab = read_entity_vocab(folder)
        else:
            entity_vocab = {entity: index for index, entity in enumerate(SPECIAL_ENTITIES)}
        return cls(
            backend=_word_backend(backend), special=special, entity_vocab=entity_vocab, normaliser=normaliser,
            num_words=config.get("vocab_size"), pair_layout=layout,
        )  # fmt: skip

    def words_to_pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The word-piece ids of each word, tokenized on its own with a space before it. No word is left empty.

        A word without any piece (a lone control character under BERT) becomes the unknown token, so that every word
        keeps a place.
        """
        if len(self._pieces) > _CACHED_WORDS:
            self._pieces.clear()
        fresh = list(dict.fromkeys(word for word in words if word not in self._pieces))
        texts = [self.normaliser(word) for word in fresh] if self.normaliser else fresh
        for word, encoding in zip(fresh, self.backend.encode_batch(texts, add_special_tokens=False), strict=True):
            self._pieces[word] = encoding.ids or [self.special.unknown]
        return [self._pieces[word] for word in words]

    def texts_to_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The word-piece ids of each text, as it stands: only SentencePiece puts a space before it.

        An entity marker that stands in a text itself is no marker there, but ordinary pieces.
        """
        texts = [self.normaliser(text) for text in texts] if self.normaliser else texts
        return [encoding.ids for encoding in self._text_backend.encode_batch(list(texts), add_special_tokens=False)]

    def texts_to_offset_pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """As `texts_to_pieces`, with the characters of the text as it was given that each piece stands for."""
        aligned = [self.normaliser.aligned(text) for text in texts] if self.normaliser else None
        inputs = [text for text, _ in aligned] if aligned else list(texts)
        found = []
        for index, encoding in enumerate(self._text_backend.encode_batch(inputs, add_special_tokens=False)):
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
        special: dict[str, Any] = {"special_tokens": asdict(self.special), "entity_vocab": self.entity_vocab,
                                   "num_words": self.num_words, "added_words": self.added_words,
                                   "pair_layout": asdict(self.pair_layout)}  # fmt: skip
        if self.normaliser is not None:
            special["sentencepiece_charsmap"] = base64.b64encode(self.normaliser.charsmap).decode("ascii")
        (directory / "special.json").write_text(json.dumps(special, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Tokenizer:
        """Read what `save` wrote. Raises ArchiveError when it is not there or damaged."""
        try:
            special: dict[str, Any] = json.loads((directory / "special.json").read_text(encoding="utf-8"))
            missing = [entity for entity in SPECIAL_ENTITIES if entity not in special["entity_vocab"]]
            if missing:
                raise ValueError(f"no id for the special entities {', '.join(missing)}")
            charsmap = special.get("sentencepiece_charsmap")
            return cls(
                backend=Backend.from_str((directory / "tokenizer.json").read_text(encoding="utf-8")),
                special=SpecialTokens(**special["special_tokens"]),
                entity_vocab=special["entity_vocab"],
                normaliser=Normaliser(base64.b64decode(charsmap, validate=True)) if charsmap is not None else None,
                num_words=special.get("num_words"),
                added_words=special.get("added_words"),
                pair_layout=PairLayout(**special["pair_layout"]),
            )
        except FileNotFoundError as error:
            raise ArchiveError(f"{error.filename}: no such file; the tokenizer is incomplete") from None
        except Exception as error:  # the Rust library raises bare Exception on a damaged file
            raise ArchiveError(f"{directory}: the tokenizer is damaged: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _tokenizer_class(folder: Path, config: Mapping[str, Any]) -> str:
    """What `tokenizer_config.json` says, or else what goes with the model."""
    path = folder / "tokenizer_config.json"
    named = read_json(path).get("tokenizer_class") if path.exists() else None
    if named is None and (folder / SENTENCEPIECE_FILE).exists():
        named = {"luke": _MLUKE[0], "xlm-roberta": _XLM_R[0]}.get(str(config.get("model_type")))
    return str(named or "")


def _is_authority(folder: Path, tokenizer_class: str) -> bool:
    """Whether the SentencePiece model is to be read: a `tokenizer.json` beside mLUKE's comes from `transformers` 5."""
    return tokenizer_class in _MLUKE or (tokenizer_class in _XLM_R and not (folder / "tokenizer.json").exists())


def _read_sentencepiece(folder: Path, config: Mapping[str, Any]) -> tuple[Backend, Normaliser]:
    """The backend and normaliser of a SentencePiece model, with the checkpoint's added tokens."""
    path = folder / SENTENCEPIECE_FILE
    model = SentencePieceModel.read(path)
    words = len(model.pieces) + 2  # <pad> and <mask> are fairseq's
    vocab_size = config.get("vocab_size", float("inf"))
    added = _added_tokens(folder)
    if added is None and config.get("model_type") != "xlm-roberta":
        markers = {token: words + i for i, token in enumerate(ENTITY_MARKERS)}
        added = markers if max(markers.values()) < vocab_size else {}  # early checkpoints have no rows for them
    added = added or {}
    last = max([words - 1, *added.values()])
    if last >= vocab_size:
        raise CheckpointError(f"{path}: gives ids up to {last} with the added tokens, but config.json has a vocab_size "
                              f"of {vocab_size}; they are not of one checkpoint")  # fmt: skip
    try:
        return model.backend(added), Normaliser(model.charsmap)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _added_tokens(folder: Path) -> dict[str, int] | None:
    """The tokens a checkpoint adds to its vocabulary, with their ids; None where no file says."""
    if (folder / "added_tokens.json").exists():
        added = read_json(folder / "added_tokens.json")
    elif (folder / "tokenizer_config.json").exists():
        decoder = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
        if not decoder:
            return None
        added = {token["content"]: int(id) for id, token in decoder.items()}
    else:
        return None
    own = (*SPECIAL_ENTITIES, *FAIRSEQ_PIECES, MASK)
    return {token: id for token, id in added.items() if token not in own}


def _read_mluke_json(path: Path) -> Backend:
    """An mLUKE's `tokenizer.json`. `transformers`' MLukeTokenizer would rebuild it with <s> for unknown pieces.

    Raises:
        CheckpointError: it is damaged, or numbers the words otherwise than the checkpoints do.
    """
    content = read_json(path)
    try:
        backend = Backend.from_str(json.dumps(content))
        model = content["model"]
        pieces = [piece for piece, _ in model["vocab"][: len(FAIRSEQ_PIECES)]]
        unknown = model["unk_id"]
    except Exception as error:  # the Rust library raises bare Exception
        raise CheckpointError(f"{path}: no tokenizer of an mLUKE, or damaged: {_reason(error)}") from None
    if pieces != list(FAIRSEQ_PIECES) or unknown != FAIRSEQ_PIECES.index("<unk>"):
        raise CheckpointError(
            f"{path}: begins with the pieces {', '.join(pieces)} and takes id {unknown} for unknown ones; mLUKE's "
            f"begins with {', '.join(FAIRSEQ_PIECES)} and takes 3. transformers 5 writes such files; put the published "
            f"checkpoint's {SENTENCEPIECE_FILE} beside it"
        )
    return backend


def _fairseq_ids(backend: Backend) -> SpecialTokens:
    cls, pad, sep, unknown = range(len(FAIRSEQ_PIECES))
    mask = backend.token_to_id(MASK)
    if mask is None:
        raise CheckpointError(f"the tokenizer has no {MASK} token")
    return SpecialTokens(cls=cls, sep=sep, pad=pad, mask=mask, unknown=unknown)


def _read_with_transformers(folder: Path) -> tuple[Backend, SpecialTokens, PairLayout]:
    """LUKE, RoBERTa, XLM-R, BERT, and whatever else `AutoTokenizer` reads into a Rust backend."""
    from transformers import AutoTokenizer

    only_sentencepiece = not any((folder / file).exists() for file in ("tokenizer.json", "vocab.json", "vocab.txt"))
    if only_sentencepiece and find_spec("sentencepiece") is None:
        raise CheckpointError(f"{folder}: holds a SentencePiece model but no tokenizer.json; put the published one "
                              "beside it, or `pip install sentencepiece`")  # fmt: skip
    try:
        loaded = AutoTokenizer.from_pretrained(str(folder), add_prefix_space=True)
        backend = loaded.backend_tokenizer
    except Exception as error:  # the Rust library raises bare Exception on a damaged file
        raise CheckpointError(f"{folder}: its tokenizer cannot be loaded: {_reason(error)}") from None
    ids = {"cls": loaded.cls_token_id, "sep": loaded.sep_token_id, "pad": loaded.pad_token_id,
           "mask": loaded.mask_token_id, "unknown": loaded.unk_token_id}  # fmt: skip
    absent = [key for key, value in ids.items() if value is None]
    if absent:
        raise CheckpointError(f"{folder}: its tokenizer has no {', '.join(absent)} token; a LUKE, RoBERTa, XLM-R or "
                              "BERT tokenizer is expected")  # fmt: skip
    pair = backend.encode("a", "b")
    places = [place for place, id in enumerate(pair.ids) if id == ids["sep"]]  # padding may follow the last
    layout = PairLayout(len(places) - 1, pair.type_ids[places[-1]]) if len(places) > 1 else PairLayout(1, 0)
    return backend, SpecialTokens(**ids), layout


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
