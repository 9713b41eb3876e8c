"""Published checkpoints: their config, the names of their tensors, and how each becomes a LUKE.

Enters: a folder with `config.json`, weights and the tokenizer's files. Leaves: a `LukeConfig` and the tensors of a LUKE
of that config. LUKE, mLUKE, LUKE-Japanese and the lite variants are read as they are; RoBERTa, XLM-R, CamemBERT and
BERT become a fresh LUKE, much as LUKE's own pretraining began from RoBERTa (Yamada et al. 2020, appendix A).
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from luke_tasks.data.hub import SPECIAL_ENTITIES, read_entity_vocab, read_json
from luke_tasks.data.published_tokenizer import SENTENCEPIECE_FILE
from luke_tasks.data.sentencepiece import SentencePieceModel
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import CheckpointError
from luke_tasks.files import write_json
from luke_tasks.untrusted import reported

logger = logging.getLogger(__name__)

ROBERTA_LIKE = ("roberta", "xlm-roberta", "camembert")  # word positions start at padding_idx + 1
BERT_LIKE = ("bert",)  # word positions start at 0

WORD_TABLE = "embeddings.word_embeddings.weight"
WORD_POSITIONS = "embeddings.position_embeddings.weight"
ENTITY_TABLE = "entity_embeddings.entity_embeddings.weight"
ENTITY_POSITIONS = "entity_embeddings.position_embeddings.weight"
POOLER = "pooler.dense."
ENTITY_QUERY = re.compile(r"\.(w2e|e2w|e2e)_query\.")
# A file that stores tied tensors once may have kept the head's name for them.
TIED = {WORD_TABLE: "lm_head.decoder.weight", ENTITY_TABLE: "entity_predictions.decoder.weight"}


@dataclass(frozen=True, kw_only=True)
class LukeConfig:
    """The numbers of a LUKE, named as in a published `config.json`. Defaults are those of `transformers`' LukeConfig.

    `extra` keeps the keys not used here, so that reading and writing a config is the identity.
    """

    vocab_size: int
    entity_vocab_size: int
    hidden_size: int
    entity_emb_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    pad_token_id: int = 1
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    use_entity_aware_attention: bool = True
    special_entities_only: bool = False  # ours: the entities are SPECIAL_ENTITIES in this order, and no other
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], origin: Path | str = "config.json") -> LukeConfig:
        """From the object in a `config.json`; `origin` begins the messages.

        Raises:
            CheckpointError: a number is missing, is not one, or does not go with the others.
        """
        known = {f.name: f for f in fields(cls) if f.name != "extra"}
        values = {name: content[name] for name in known if name in content}
        if values.get("entity_emb_size", 0) is None:  # early checkpoints: as wide as the words
            values["entity_emb_size"] = content.get("hidden_size")
        required = ("vocab_size", "entity_vocab_size", "hidden_size", "entity_emb_size", "num_hidden_layers",
                    "num_attention_heads", "intermediate_size", "max_position_embeddings")  # fmt: skip
        missing = [name for name in required if name not in values]
        if missing:
            raise CheckpointError(f"{origin}: missing {', '.join(missing)}")
        for name, value in values.items():
            expected = _expected(known[name].type, name)
            if not expected[0](value):
                raise CheckpointError(f"{origin}: {name}: expected {expected[1]}, found {value!r}")
        if values["hidden_size"] % values["num_attention_heads"]:
            raise CheckpointError(
                f"{origin}: hidden_size {values['hidden_size']} is not a multiple of num_attention_heads "
                f"{values['num_attention_heads']}"
            )
        for name in ("vocab_size", "max_position_embeddings"):  # whose embeddings have a row of padding
            pad, rows = values.get("pad_token_id", cls.pad_token_id), values.get(name, known[name].default)
            if pad >= rows:
                raise CheckpointError(f"{origin}: pad_token_id {pad} is not below {name} {rows}")
        rewritten = ("model_type", "architectures")
        extra = {name: value for name, value in content.items() if name not in known and name not in rewritten}
        return cls(**values, extra=extra)

    def to_json(self) -> dict[str, Any]:
        """The object to write as `config.json`: a LukeModel's."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        if not self.special_entities_only:
            del values["special_entities_only"]  # published configs do not have it
        return {**self.extra, **values, "model_type": "luke", "architectures": ["LukeModel"]}


def _expected(annotation: Any, name: str) -> tuple[Any, str]:
    """What a config value must be: a condition and its wording."""

    def is_int(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31

    def is_number(value: Any) -> bool:
        return is_int(value) or (isinstance(value, float) and math.isfinite(value))

    if annotation == "bool":
        return lambda value: isinstance(value, bool), "true or false"
    if annotation == "str":
        return lambda value: isinstance(value, str), "a string"
    if name.endswith("_prob"):
        return lambda value: is_number(value) and 0 <= value <= 1, "a number between 0 and 1"
    if annotation == "float":
        return lambda value: is_number(value) and value >= 0, "a number of at least 0"
    if name == "pad_token_id":
        return lambda value: is_int(value) and value >= 0, "an integer of at least 0"
    return lambda value: is_int(value) and value > 0, "a positive integer"


def read_config(
    directory: Path, *, use_entity_aware_attention: bool | None = None, entities: Literal["all", "special"] = "all"
) -> LukeConfig:
    """The config of the LUKE that a checkpoint becomes.

    Args:
        use_entity_aware_attention: None keeps what the checkpoint says; a fresh LUKE has it.
        entities: `special` for the four special entities only.
    Raises:
        CheckpointError: the config cannot be read, or is of another kind of model.
    """
    path = directory / "config.json"
    content = read_json(path)
    model_type = content.get("model_type")
    if model_type == "luke":
        config = LukeConfig.from_json(content, path)
    elif model_type in ROBERTA_LIKE + BERT_LIKE:
        config = _fresh_config(content, path)
    else:
        supported = ", ".join(("luke", *ROBERTA_LIKE, *BERT_LIKE))
        raise CheckpointError(f"{path}: model_type {model_type!r} cannot become a LUKE; supported: {supported}")
    if entities == "special":
        config = replace(config, entity_vocab_size=len(SPECIAL_ENTITIES), special_entities_only=True)
    if use_entity_aware_attention is not None:
        config = replace(config, use_entity_aware_attention=use_entity_aware_attention)
    return config


def _fresh_config(content: Mapping[str, Any], path: Path) -> LukeConfig:
    """A RoBERTa's or BERT's config as that of a LUKE with the four special entities."""
    if content.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(
            f"{path}: position_embedding_type {content['position_embedding_type']!r} cannot become a LUKE; "
            "supported: 'absolute'"
        )
    kept = ("bos_token_id", "eos_token_id", *(f.name for f in fields(LukeConfig)))
    values = {name: content[name] for name in kept if content.get(name) is not None}
    values.setdefault("pad_token_id", 0 if content["model_type"] in BERT_LIKE else 1)
    values.update(
        entity_vocab_size=len(SPECIAL_ENTITIES), entity_emb_size=content.get("hidden_size"),
        use_entity_aware_attention=True, special_entities_only=True,
    )  # fmt: skip
    config = LukeConfig.from_json(values, path)
    if content["model_type"] in BERT_LIKE:  # room for the offset that LUKE's word positions have
        config = replace(config, max_position_embeddings=config.max_position_embeddings + config.pad_token_id + 1)
    return config


@dataclass(frozen=True)
class LoadedWeights:
    """Tensors for a LUKE by name, in fp32, and the checkpoint's names that had no use."""

    tensors: dict[str, Tensor]
    unused: list[str]


def read_weights(
    directory: Path,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    use_entity_aware_attention: bool | None = None,
    entities: Literal["all", "special"] = "all",
) -> LoadedWeights:
    """The tensors of the LUKE that a checkpoint becomes.

    Args:
        shapes: name → shape of every tensor that the LUKE has, built from `read_config` with the same arguments.
        use_entity_aware_attention: True where it is asked for: a checkpoint without the three entity queries then
            starts them from `query`, as LUKE's fine-tuning does.
    Raises:
        CheckpointError: the weights cannot be read, or do not fit.
    """
    content = read_json(directory / "config.json")
    weights = Weights.open(directory)
    pooler = {name: shape for name, shape in shapes.items() if name.startswith(POOLER) and name not in weights.names}
    shapes = {name: shape for name, shape in shapes.items() if name not in pooler}
    fresh = content.get("model_type") != "luke"
    if fresh or (use_entity_aware_attention and not any(ENTITY_QUERY.search(name) for name in weights.names)):
        sources = {name: ENTITY_QUERY.sub(".query.", name) for name in shapes}
    else:
        sources = {name: name for name in shapes}
    if fresh:
        tensors = _fresh_tensors(weights, sources, shapes, directory, content)
    else:
        stored = dict(shapes)
        ids = None
        if entities == "special" and not content.get("special_entities_only", False):
            vocab = read_entity_vocab(directory)
            ids = [vocab[entity] for entity in SPECIAL_ENTITIES]
            stored[ENTITY_TABLE] = (content["entity_vocab_size"], shapes[ENTITY_TABLE][1])
        sources = {name: TIED[name] if name in TIED and source not in weights.names else source
                   for name, source in sources.items()}  # fmt: skip
        weights.require({name: (sources[name], stored[name]) for name in shapes})
        tensors = {}
        for name, source in sources.items():
            tensors[name] = weights.rows(source, ids) if ids and name == ENTITY_TABLE else weights.read(source)
    if pooler:  # RoBERTa is published without one
        logger.info("%s: has no pooler; a new one is trained", weights.path)
        tensors |= _new_pooler(pooler, float(content.get("initializer_range") or LukeConfig.initializer_range))
    unused = sorted(weights.unused())
    if unused:
        logger.debug("%s: %d tensors not used: %s", weights.path, len(unused), ", ".join(unused))
    return LoadedWeights(tensors, unused)


def _fresh_tensors(
    weights: Weights,
    sources: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    directory: Path,
    content: Mapping[str, Any],
) -> dict[str, Tensor]:
    """The tensors of a LUKE that begins as a RoBERTa or BERT: entities start from the word side."""
    config = _fresh_config(content, directory / "config.json")
    first = config.pad_token_id + 1  # the row of WORD_POSITIONS that the first word piece reads
    stored = dict(shapes)
    made = {ENTITY_TABLE, ENTITY_POSITIONS}
    if content["model_type"] in BERT_LIKE:
        stored[WORD_POSITIONS] = (config.max_position_embeddings - first, config.hidden_size)
    word_side = {name: re.sub("^entity_embeddings", "embeddings", source) for name, source in sources.items()}
    weights.require({name: (source, stored[name]) for name, source in word_side.items() if name not in made})
    tensors = {name: weights.read(source) for name, source in word_side.items() if name not in made}

    padding = torch.zeros(first, config.hidden_size)
    if content["model_type"] in BERT_LIKE:
        tensors[WORD_POSITIONS] = torch.cat([padding, tensors[WORD_POSITIONS]])
    # Entity positions have no offset: row p is what the word at p reads.
    tensors[ENTITY_POSITIONS] = torch.cat([tensors[WORD_POSITIONS][first:], padding])

    mask_id = word_mask_id(directory, content["model_type"])
    if mask_id >= config.vocab_size:
        raise CheckpointError(
            f"{weights.path}: {WORD_TABLE} has {config.vocab_size} rows, but the mask token's id is {mask_id}"
        )
    mask = tensors[WORD_TABLE][mask_id]
    unknown = torch.randn(config.hidden_size, generator=torch.Generator().manual_seed(0)) * config.initializer_range
    rows = {"[PAD]": torch.zeros_like(mask), "[UNK]": unknown, "[MASK]": mask, "[MASK2]": mask}
    tensors[ENTITY_TABLE] = torch.stack([rows[entity] for entity in SPECIAL_ENTITIES])
    return tensors


def _new_pooler(shapes: Mapping[str, tuple[int, ...]], std: float) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) if name.endswith("bias") else torch.empty(shape).normal_(std=std)
            for name, shape in shapes.items()}  # fmt: skip


def word_mask_id(directory: Path, model_type: str) -> int:
    """The id of the tokenizer's mask token, from whichever of the tokenizer's files are there.

    Raises:
        CheckpointError: none of them has it.
    """
    token: Any = None
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if token is None and (directory / name).exists():
            token = read_json(directory / name).get("mask_token")
    if isinstance(token, dict):
        token = token.get("content")
    if not isinstance(token, str):
        token = "[MASK]" if model_type in BERT_LIKE else "<mask>"
    with reported(lambda reason: CheckpointError(f"{directory}: its vocabulary cannot be read: {reason}")):
        found = _id_of(_word_vocab(directory), token)
    if found is None:
        raise CheckpointError(
            f"{directory}: no id for the mask token {token!r} in tokenizer.json, vocab.json, vocab.txt or "
            "added_tokens.json; the [MASK] entity starts from its embedding"
        )
    return found


def _word_vocab(directory: Path) -> dict[str, int]:
    vocab: dict[str, int] = {}
    if (directory / "vocab.txt").exists():
        lines = (directory / "vocab.txt").read_text(encoding="utf-8").split("\n")
        vocab.update({line.rstrip("\r"): i for i, line in enumerate(lines)})
    for name in ("vocab.json", "added_tokens.json"):
        if (directory / name).exists():
            vocab.update(read_json(directory / name))
    if (directory / SENTENCEPIECE_FILE).exists():
        vocab["<mask>"] = len(SentencePieceModel.read(directory / SENTENCEPIECE_FILE).pieces) + 1  # fairseq's numbering
    if (directory / "tokenizer.json").exists():
        tokenizer = read_json(directory / "tokenizer.json")
        pieces = tokenizer.get("model", {}).get("vocab", {})
        vocab.update(pieces if isinstance(pieces, dict) else {piece: i for i, (piece, _) in enumerate(pieces)})
        vocab.update({added["content"]: added["id"] for added in tokenizer.get("added_tokens", [])})
    return vocab


def _id_of(vocab: Mapping[str, Any], token: str) -> int | None:
    found = vocab.get(token)
    return found if type(found) is int and found >= 0 else None


def write_config(config: LukeConfig, directory: Path) -> None:
    """Write `config.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "config.json", dict(sorted(config.to_json().items())))
