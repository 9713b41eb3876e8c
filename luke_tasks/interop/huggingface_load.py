"""A fine-tuned checkpoint of Hugging Face as a model of ours, without any config to write.

Enters: a folder or a hub name. Leaves: the config it stands for (reader, encoder, head), its labels, and the head's
weights in their places. Readers get the options of the original evaluation (studio-ousia/luke's
`examples/*/evaluate_transformers_checkpoint.py`), which are their defaults here, or those our own export has written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.data.hub import checkpoint_dir, read_json
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.pretrained import ENTITY_QUERY, LukeConfig
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import ArchiveError, CheckpointError, describe, listed
from luke_tasks.heads.head import Model
from luke_tasks.interop.huggingface import BY_NAME, CONFIG_KEY, NO_ENTITY_NAMES, Facts, HeadClass
from luke_tasks.readers.conll_span import NON_ENTITY
from luke_tasks.untrusted import parse_json

BATCH_SIZE = 32  # the original evaluation's
MAX_WINDOW = 512  # word pieces of a window there
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(?<!\.gz)(?<!\.tar)")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
# What checkpoints hold besides the model: buffers of old versions, and what pretraining needed.
_BUFFERS = re.compile(r"(entity_)?embeddings\.position_ids|pooler\.dense\.(weight|bias)")
_UNUSED = re.compile(rf"{_BUFFERS.pattern}|(lm_head|entity_predictions)\..+")


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned checkpoint, its `config.json` read and found to be of a known class."""

    name: str  # as the user gave it
    directory: Path
    kind: HeadClass
    labels: Labels
    values: dict[str, Any]  # the config it stands for


def find_checkpoint(name: str | Path) -> Path | None:
    """The folder of a Hugging Face checkpoint, downloaded first where `name` is a hub name; None for anything else.

    Raises:
        ArchiveError: there is nothing of this name here, nor on the hub.
    """
    path = Path(name)
    if path.is_dir():
        return path if _is_checkpoint(path) else None
    if path.exists() or not _HUB_NAME.fullmatch(str(name)):
        return None
    try:
        return checkpoint_dir(str(name))
    except CheckpointError as error:
        raise ArchiveError(f"{name}: no such archive or run; as a checkpoint's name: {error}") from None


def _is_checkpoint(directory: Path) -> bool:
    """Whether it is one, perhaps a damaged one, and not a run of ours or a checkpoint within a run."""
    has_weights = any((directory / name).exists() for name in _WEIGHTS) and not (directory / "state.json").exists()
    try:
        content = parse_json((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return has_weights
    return isinstance(content, dict) and not {"model_type", "architectures"}.isdisjoint(content)


def read_checkpoint(name: str | Path, directory: Path) -> Checkpoint:
    """Raises CheckpointError: it cannot be read, or is not a fine-tuned LUKE of a class that exists here."""
    path = directory / "config.json"
    content = read_json(path)
    kind = _kind(content, path)
    config = LukeConfig.from_json(content, path)
    weights = Weights.open(directory)
    if kind.pooler == "read" and not weights.names.issuperset(_POOLER):  # the encoder would make a new one
        missing = ", ".join(name for name in _POOLER if name not in weights.names)
        raise CheckpointError(f"{weights.path}: missing tensors: {missing}")
    labels = _labels(content, kind, path)
    window = min(MAX_WINDOW, config.max_position_embeddings - config.pad_token_id - 1)
    facts = Facts(labels.names, weights.names, content, window)
    reader = {"type": kind.reader, **kind.reader_options(facts)}
    head = {"type": kind.head, **kind.fixed, **kind.head_options(facts)}
    own = content.get(CONFIG_KEY, {})
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        raise CheckpointError(f"{path}: {CONFIG_KEY}: expected an object of objects, as `export` writes it")
    reader, head = own.get("dataset_reader", reader), {**head, **own.get("head", {})}
    values = {
        "dataset_reader": reader,
        "train_data_path": "",  # not known, and not needed
        "model": {"encoder": {"type": "luke", "pretrained": str(directory), "entities": kind.entities}, "head": head},
        "data_loader": {"batch_size": BATCH_SIZE},
        "trainer": {"optimizer": {"lr": 1e-5}},  # a config must have one; nothing is trained
    }
    return Checkpoint(str(name), directory, kind, labels, values)


def load_head(checkpoint: Checkpoint, model: Model) -> None:
    """Put the head's weights in their places, the encoder having its own already.

    Raises:
        CheckpointError: a tensor is missing, has another shape, or has no place in the model.
    """
    weights = Weights.open(checkpoint.directory)
    own = model.head.state_dict()
    copies = {ours: theirs for theirs, ours in checkpoint.kind.tied.items()}
    sources = {name: name if name in weights.names else copies.get(name, name) for name in own}
    weights.require({name: (sources[name], tuple(tensor.shape)) for name, tensor in own.items()})
    allowed = set(own) | set(checkpoint.kind.tied) | set(model.encoder.state_dict())
    unused = _BUFFERS if checkpoint.kind.tied else _UNUSED
    extra = sorted(name for name in weights.names - allowed if not unused.fullmatch(name))
    if isinstance(model.encoder, LukeEncoder) and not model.encoder.config.use_entity_aware_attention:
        extra = [name for name in extra if not ENTITY_QUERY.search(name)]  # left out on request
    if extra:
        raise CheckpointError(f"{weights.path}: tensors that {checkpoint.kind.name} does not have: {listed(extra, 8)}")
    model.head.load_state_dict({name: weights.read(source) for name, source in sources.items()})


def _kind(content: Mapping[str, Any], path: Path) -> HeadClass:
    model_type, architectures = content.get("model_type"), content.get("architectures")
    if model_type != "luke":
        raise CheckpointError(f"{path}: model_type {model_type!r}: only fine-tuned LUKE checkpoints ('luke') are read "
                              "without a config; name any other one as model.encoder.pretrained in a config and train "
                              "it")  # fmt: skip
    names = architectures if isinstance(architectures, list) else []
    known = [BY_NAME[name] for name in names if isinstance(name, str) and name in BY_NAME]
    if len(known) != 1:
        raise CheckpointError(f"{path}: architectures {architectures!r}: expected one of {', '.join(BY_NAME)}")
    return known[0]


def _labels(content: Mapping[str, Any], kind: HeadClass, path: Path) -> Labels:
    """The names of `id2label` in the order of their ids; `transformers` leaves them out where they are its own."""
    found = content.get("id2label")
    if found is None:
        found = {str(index): f"LABEL_{index}" for index in range(1 if content.get("num_labels") == 1 else 2)}
    ids = [str(number) for number in range(len(found))] if isinstance(found, dict) else []
    if not ids or set(found) != set(ids) or not all(isinstance(label, str) and label for label in found.values()):
        raise CheckpointError(f"{path}: id2label: expected a name for each id from 0 on, found {describe(found)}")
    names = [found[number] for number in ids]
    if kind.head == "ner":
        names = [NON_ENTITY if name in NO_ENTITY_NAMES else name for name in names]
        if NON_ENTITY not in names:
            raise CheckpointError(f"{path}: id2label: none of {', '.join(names)} is {' or '.join(NO_ENTITY_NAMES)}, "
                                  "which a span that is no entity gets; rename that one in config.json")  # fmt: skip
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CheckpointError(f"{path}: id2label: {', '.join(twice)} stands there more than once")
    return Labels(names)
