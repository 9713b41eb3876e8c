"""The tokenizer files of published checkpoints, most of them read with `transformers`, into a Rust backend.

LUKE, RoBERTa, XLM-R and BERT; and mLUKE and LUKE-Japanese, which `transformers` 5 (5.23 at least) numbers wrongly.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from luke_tasks.data.hub import SPECIAL_ENTITIES, check_counts, read_json
from luke_tasks.data.sentencepiece import FAIRSEQ_PIECES, MASK, Normaliser, SentencePieceModel
from luke_tasks.errors import CheckpointError, describe
from luke_tasks.untrusted import parse_json, reported

ENTITY_MARKERS = ("<ent>", "<ent2>")  # LUKE's own word pieces: around the first and the second entity of a text
SENTENCEPIECE_FILE = "sentencepiece.bpe.model"
_VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", SENTENCEPIECE_FILE, "spiece.model")
_FILES_WITH_IDS = ("tokenizer.json", "vocab.json", "added_tokens.json")
_MAY_GROW = re.compile(r"Replace|Prepend|\\u00")  # or an escape of ASCII, which could spell either
_MOST_GROWTH = 10_000
_HUGE_ID = re.compile(r":\s*([1-9]\d{7,})\s*[,}]")
_MLUKE = ("MLukeTokenizer",)
_XLM_R = ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")


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
class Published:
    """What the tokenizer files of a checkpoint say."""

    backend: Backend
    special: SpecialTokens
    pair_layout: PairLayout
    normaliser: Normaliser | None  # for SentencePiece
    has_entities: bool  # a LUKE's: an entity vocabulary goes with it


def read_published(folder: Path, config: Mapping[str, Any]) -> Published:
    """The tokenizer in a checkpoint's folder, whose `config.json` holds `config`.

    Raises:
        CheckpointError: there is no tokenizer, it lacks a special token, or it does not fit the checkpoint.
    """
    if not any((folder / file).exists() for file in _VOCABULARY_FILES):
        raise CheckpointError(f"{folder}: holds no tokenizer; expected one of {', '.join(_VOCABULARY_FILES)}")
    check_counts(config, folder / "config.json")  # `transformers` looks into it for the tokenizer's class
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
    last, vocab_size = max(asdict(special).values()), _vocab_size(folder, config)
    if last >= vocab_size:
        raise CheckpointError(f"{folder}: the tokenizer's special tokens have ids up to {last}, but config.json has a "
                              f"vocab_size of {vocab_size}; they are not of one checkpoint")  # fmt: skip
    has_entities = config.get("model_type") == "luke" or tokenizer_class in ("LukeTokenizer", *_MLUKE)
    return Published(backend, special, layout, normaliser, has_entities)


def check_description(text: str) -> None:
    """Whether the Rust library may read a tokenizer's JSON, which takes what time and memory the JSON asks for.

    Raises:
        ValueError: it has an id of ten million or more, up to which the library counts; or it is no JSON; or its
            normalizers, one after another, make a text more than ten thousand times as long.
    """
    found = _HUGE_ID.search(text)
    if found is not None:
        raise ValueError(f"it has the id {found[1]}; expected one below ten million")
    if _MAY_GROW.search(text):
        content = parse_json(text)
        growth = _growth(content.get("normalizer")) if isinstance(content, dict) else 1
        if growth > _MOST_GROWTH:
            raise ValueError(f"its normalizers make a text up to {growth:.3g} times as long; expected at most "
                             f"{_MOST_GROWTH:,} times")  # fmt: skip


def _growth(normalizer: Any) -> float:
    """How many times as long a text can become, at most."""
    if not isinstance(normalizer, dict):
        return 1.0
    steps = normalizer.get("normalizers")
    if isinstance(steps, list):
        return math.prod(map(_growth, steps), start=1.0)
    put_in = normalizer.get("content", normalizer.get("prepend"))  # by `Replace`, `Prepend`
    if not isinstance(put_in, str):
        return 1.0
    pattern = normalizer.get("pattern")
    between = isinstance(pattern, dict) and "Regex" in pattern  # which may match between any two characters
    return max(1.0, len(put_in) + between)


def _vocab_size(folder: Path, config: Mapping[str, Any]) -> float:
    """Rows of the word embeddings; infinite where `config.json` does not say."""
    size = config.get("vocab_size", float("inf"))
    if isinstance(size, bool) or not isinstance(size, int | float):
        raise CheckpointError(f"{folder / 'config.json'}: vocab_size: expected a positive integer, found "
                              f"{describe(size)}")  # fmt: skip
    return size


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
    vocab_size = _vocab_size(folder, config)
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
        with reported(lambda reason: CheckpointError(f"{path.name}: {reason}")):
            backend = model.backend(added)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    try:
        return backend, Normaliser(model.charsmap)
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
        try:
            added = {str(token["content"]): int(id) for id, token in decoder.items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise CheckpointError(f"{folder / 'tokenizer_config.json'}: added_tokens_decoder: expected objects with "
                                  "their content by id") from None  # fmt: skip
    else:
        return None
    odd = next((token for token, id in added.items() if not isinstance(id, int)), None)
    if odd is not None:
        raise CheckpointError(f"{folder / 'added_tokens.json'}: {odd!r}: expected an id, found {describe(added[odd])}")
    own = (*SPECIAL_ENTITIES, *FAIRSEQ_PIECES, MASK)
    return {token: id for token, id in added.items() if token not in own}


def _read_mluke_json(path: Path) -> Backend:
    """An mLUKE's `tokenizer.json`. `transformers`' MLukeTokenizer would rebuild it with <s> for unknown pieces.

    Raises:
        CheckpointError: it is damaged, or numbers the words otherwise than the checkpoints do.
    """
    content = read_json(path)
    with reported(lambda reason: CheckpointError(f"{path}: no tokenizer of an mLUKE, or damaged: {reason}")):
        text = json.dumps(content)
        check_description(text)
        backend = Backend.from_str(text)
        model = content["model"]
        pieces = [str(piece) for piece, _ in model["vocab"][: len(FAIRSEQ_PIECES)]]
        unknown = model["unk_id"]
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
    with reported(lambda reason: CheckpointError(f"{folder}: its tokenizer cannot be loaded: {reason}")):
        for name in _FILES_WITH_IDS:
            if (folder / name).is_file():
                check_description((folder / name).read_text(encoding="utf-8"))
        loaded = AutoTokenizer.from_pretrained(
            str(folder), add_prefix_space=True, trust_remote_code=False, local_files_only=True
        )
        backend = loaded.backend_tokenizer
        ids = {"cls": loaded.cls_token_id, "sep": loaded.sep_token_id, "pad": loaded.pad_token_id,
               "mask": loaded.mask_token_id, "unknown": loaded.unk_token_id}  # fmt: skip
    absent = [key for key, value in ids.items() if value is None]
    if absent:
        raise CheckpointError(f"{folder}: its tokenizer has no {', '.join(absent)} token; a LUKE, RoBERTa, XLM-R or "
                              "BERT tokenizer is expected")  # fmt: skip
    with reported(lambda reason: CheckpointError(f"{folder}: its tokenizer cannot join two texts: {reason}")):
        pair = backend.encode("a", "b")
    places = [place for place, id in enumerate(pair.ids) if id == ids["sep"]]  # padding may follow the last
    layout = PairLayout(len(places) - 1, pair.type_ids[places[-1]]) if len(places) > 1 else PairLayout(1, 0)
    return backend, SpecialTokens(**ids), layout
