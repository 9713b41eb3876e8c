"""Lite models: the embeddings of the four special entities and no others, half a gigabyte less for LUKE.

Enters: an archive, or a LUKE checkpoint as published. Leaves: a run's directory, or a checkpoint, that is read like any
other. Words and the entities `[MASK]`, `[MASK2]`, `[PAD]` and `[UNK]` get the vectors they had, so a task that names no
entity gets the same logits. It is what `entities: "special"` does when a training begins.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from luke_tasks.data.hub import CONFIG_FILES, SPECIAL_ENTITIES, checkpoint_dir, read_json
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.pretrained import read_config, read_weights
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import ArchiveError, ConfigError
from luke_tasks.experiment import write_run_files
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.files import replacing, write_json
from luke_tasks.interop.huggingface import CONFIG_KEY
from luke_tasks.trained import Trained, load_trained
from luke_tasks.training.archive import BEST_WEIGHTS_NAME, write_archive
from luke_tasks.training.checkpoint import save_weights

SPECIAL_IDS = {entity: index for index, entity in enumerate(SPECIAL_ENTITIES)}
MASKED_LM = "LukeForMaskedLM"  # its heads predict words and entities; the second cannot go without their embeddings
_NAMES_ENTITIES = ("its dataset_reader names entities, whose embeddings a lite model has not; only models of tasks "
                   "with [MASK] entities can be cut")  # fmt: skip


def export(
    archive: str,
    out: Path,
    *,
    overrides: str = "",
    include_packages: Sequence[str] = (),
    weights_file: str | None = None,
) -> str:
    """Write a lite copy of a model into `out`.

    Args:
        archive: a `model.tar.gz` or a run's directory, of which `out` becomes a run's directory with its own
            `model.tar.gz`; or a LUKE checkpoint (a folder or a hub name), of which it becomes a checkpoint.
        overrides, include_packages, weights_file: of an archive, as for `load_trained`; a checkpoint has none of them.
    Returns:
        What was written, with the number of entities and the size of the weights before and after.
    Raises:
        ArchiveError: the model names entities, has no entity embeddings, or has lost them already; or a checkpoint is
            to be overridden.
        CheckpointError, ConfigError: it cannot be read.
    """
    path = Path(archive).expanduser()
    if path.is_file() or (path.is_dir() and not _is_checkpoint(path)) or path.name.endswith(".tar.gz"):
        trained = load_trained(
            archive, overrides=overrides, include_packages=include_packages, weights_file=weights_file
        )
        return _export_archive(archive, trained, out, include_packages)
    if overrides.strip() or weights_file:
        raise ArchiveError(f"{archive}: a checkpoint is cut as it is; --overrides and --weights-file go with archives")
    return _export_checkpoint(archive, out)


def _is_checkpoint(directory: Path) -> bool:
    return (directory / "config.json").exists() and "model_type" in read_json(directory / "config.json")


def _export_archive(name: str, trained: Trained, out: Path, include_packages: Sequence[str]) -> str:
    encoder, tokenizer = trained.model.encoder, trained.reader.tokenizer
    if not isinstance(encoder, LukeEncoder):
        raise ArchiveError(f"{name}: its encoder has no entity embeddings, so there is nothing to cut")
    if trained.reader.names_entities:
        raise ArchiveError(f"{name}: {_NAMES_ENTITIES}")
    if encoder.config.special_entities_only:
        raise ArchiveError(f"{name}: has the embeddings of the four special entities only; there is nothing to cut")
    config = _lite_config(name, trained.config, include_packages)
    before, entities = _num_bytes(trained.model.state_dict()), encoder.config.entity_vocab_size

    table = encoder.entity_embeddings.entity_embeddings.weight.detach()  # (entities, entity_emb_size)
    rows = table[[tokenizer.entity_vocab[entity] for entity in SPECIAL_ENTITIES]]
    encoder.entity_embeddings.entity_embeddings = nn.Embedding.from_pretrained(rows, freeze=False)
    encoder.config = replace(encoder.config, entity_vocab_size=len(SPECIAL_ENTITIES), special_entities_only=True)
    tokenizer.entity_vocab = dict(SPECIAL_IDS)

    write_run_files(out, config, tokenizer, trained.labels, encoder)
    save_weights(trained.model, out / BEST_WEIGHTS_NAME)
    write_archive(out)
    metrics = Path(name) / "metrics.json"
    if metrics.exists():  # they hold for the copy too
        shutil.copy(metrics, out)
    return _report(entities, before, _num_bytes(trained.model.state_dict()))


def _lite_config(name: str, config: CheckedConfig, include_packages: Sequence[str]) -> CheckedConfig:
    """The config of the run that trains such a model. Raises ArchiveError when no run could."""
    model = config.resolved["model"]
    values = {**config.resolved, "model": {**model, "encoder": {**model["encoder"], "entities": "special"}}}
    try:
        return check_config(values, (), include_packages, for_training=False)
    except ConfigError as error:
        raise ArchiveError(f"{name}: cannot be cut to the special entities: {error.faults[0]}") from None


def _export_checkpoint(name: str, out: Path) -> str:
    directory = checkpoint_dir(name)
    content = read_json(directory / "config.json")
    if content.get("model_type") != "luke":
        raise ArchiveError(f"{name}: model_type {content.get('model_type')!r} has no entity embeddings, so there is "
                           "nothing to cut; a LUKE is expected")  # fmt: skip
    if content.get("special_entities_only", False):
        raise ArchiveError(f"{name}: has the embeddings of the four special entities only; there is nothing to cut")
    if _links_entities(content):
        raise ArchiveError(f"{name}: {_NAMES_ENTITIES}")
    weights = Weights.open(directory)
    with torch.device("meta"):
        config = read_config(directory, entities="special")
        encoder = LukeEncoder(config=config, pooler="pooler.dense.weight" in weights.names)
    shapes = {tensor_name: tuple(tensor.shape) for tensor_name, tensor in encoder.state_dict().items()}
    tensors = read_weights(directory, shapes, entities="special").tensors

    others = {other for other in weights.names - set(shapes) if not other.endswith("position_ids")}  # old buffers
    architecture = next(iter(content.get("architectures") or ()), "LukeModel")
    left_out: set[str] = set()
    if architecture in ("LukeModel", MASKED_LM):
        left_out = {other.partition(".")[0] for other in others}
        architecture = "LukeModel"
    else:  # a task's head, beside an encoder whose names begin with "luke."
        tensors = {f"luke.{tensor_name}": tensor for tensor_name, tensor in tensors.items()}
        tensors |= {other: weights.read(other) for other in others}

    out.mkdir(parents=True, exist_ok=True)
    lite = {"entity_vocab_size": len(SPECIAL_ENTITIES), "special_entities_only": True, "architectures": [architecture]}
    write_json(out / "config.json", {**content, **lite})
    write_json(out / "entity_vocab.json", SPECIAL_IDS)
    _copy_tokenizer(directory, out)
    with replacing(out / "model.safetensors") as partial:
        save_file({n: tensor.contiguous() for n, tensor in tensors.items()}, partial, metadata={"format": "pt"})
    report = _report(content["entity_vocab_size"], _num_stored_bytes(directory), _num_stored_bytes(out))
    return report + (f"; left out: {', '.join(sorted(left_out))}" if left_out else "")


def _links_entities(content: Mapping[str, Any]) -> bool:
    """Whether the reader that our export wrote into a checkpoint's `config.json` has a linker of entities."""
    own = content.get(CONFIG_KEY)
    reader = own.get("dataset_reader") if isinstance(own, dict) else None
    return isinstance(reader, dict) and reader.get("wiki_entity_linker") is not None


def _copy_tokenizer(directory: Path, out: Path) -> None:
    """The word-piece tokenizer's files. `transformers` 5 keeps the entity vocabulary in one of them: not there."""
    for name in CONFIG_FILES:
        if name not in ("config.json", "entity_vocab.json") and (directory / name).exists():
            shutil.copyfile(directory / name, out / name)
    path = out / "tokenizer_config.json"
    if path.exists():
        content = read_json(path)
        if content.pop("entity_vocab", None) is not None:
            write_json(path, content)


def _num_bytes(tensors: dict[str, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _num_stored_bytes(directory: Path) -> int:
    """Of a checkpoint's weights files."""
    found = [*directory.glob("model*.safetensors")] or [*directory.glob("pytorch_model*.bin")]
    return sum(path.stat().st_size for path in found)


def _report(entities: int, before: int, after: int) -> str:
    return (f"entity embeddings: {entities:,} before, {len(SPECIAL_ENTITIES)} after; "
            f"weights: {before:,} bytes before, {after:,} after")  # fmt: skip
