"""A trained model from wherever it is stored, ready to run.

That is an archive or a run of this project, an archive that AllenNLP made with studio-ousia/luke's `examples`, or a
fine-tuned checkpoint of Hugging Face.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from luke_tasks import config as config_files
from luke_tasks.data.hub import checkpoint_dir, read_json
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.limits import check_own, check_size
from luke_tasks.encoder.weights import Weights, read_pickle
from luke_tasks.errors import ArchiveError, CheckpointError, ConfigError
from luke_tasks.experiment import add_words, check_window, join_head, published_tokenizer
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.heads.head import Model
from luke_tasks.interop import allennlp_archive, upstream_config
from luke_tasks.interop.huggingface_load import find_checkpoint, load_head, read_checkpoint
from luke_tasks.readers.reader import Reader
from luke_tasks.training import archive
from luke_tasks.training.checkpoint import load_weights

logger = logging.getLogger(__name__)


@dataclass
class Trained:
    """What an archive holds, built and ready to run."""

    config: CheckedConfig
    reader: Reader
    labels: Labels
    model: Model

    @property
    def pad_id(self) -> int:
        """The tokenizer's pad id."""
        return self.reader.tokenizer.special.pad


def load_trained(
    path: str | Path, *, overrides: str = "", include_packages: Sequence[str] = (), weights_file: str | None = None
) -> Trained:
    """Build the reader and the model that are stored at `path`, with their weights, and nothing else.

    An archive of this project needs no hub, and nothing of the environment it was trained in. One of AllenNLP needs the
    tokenizer and the `config.json` of its pretrained checkpoint besides.

    Args:
        path: a `model.tar.gz`, a run's directory, or a Hugging Face checkpoint's folder or hub name.
        overrides: laid over the stored config.
        weights_file: weights to load instead of the stored ones.
    Raises:
        ArchiveError, CheckpointError, ConfigError: see there.
    """
    checkpoint = find_checkpoint(path)
    if checkpoint is not None:
        return _load_huggingface(path, checkpoint, overrides, include_packages, weights_file)
    path = allennlp_archive.archive_of(Path(path)) if weights_file is None else Path(path)
    with archive.unpacked(path) as directory:
        load = _load_allennlp if allennlp_archive.is_allennlp(directory) else _load_own
        return load(path, directory, overrides, include_packages, weights_file)


def _load_own(
    path: Path, directory: Path, overrides: str, include_packages: Sequence[str], weights_file: str | None
) -> Trained:
    weights = archive.weights_of(path, directory)
    values = _overridden(archive.read_config(directory / "config.json"), overrides)
    config = _checked(values, include_packages, f"{path}: config.json")
    if "entity_vocab_path" not in overrides:  # of the user's own choice
        _keep_off_the_hub(path, config)
    parts = config.parts
    reader = parts.evaluation_reader.build(tokenizer=Tokenizer.load(directory / "tokenizer"))
    labels = Labels.load(directory / "vocabulary") if reader.has_labels else Labels(())
    parts.model.encoder.values["pretrained"] = str(directory / "encoder")
    check_own(parts.model.encoder.type_name, directory / "encoder", Path(weights_file) if weights_file else weights)
    encoder = parts.model.encoder.build(load_weights=False, pooler=parts.model.head.owner.needs_pooler)
    if encoder.num_words < reader.tokenizer.num_words:
        raise ArchiveError(f"{path}: its tokenizer numbers {reader.tokenizer.num_words} word pieces, but its encoder "
                           f"has {encoder.num_words}; they are not of one archive")  # fmt: skip
    trained = _joined(config, reader, labels, encoder)
    load_weights(trained.model, Path(weights_file) if weights_file else weights)
    return trained


def _load_allennlp(
    path: Path, directory: Path, overrides: str, include_packages: Sequence[str], weights_file: str | None
) -> Trained:
    weights = Path(weights_file) if weights_file else allennlp_archive.weights_of(path, directory)
    values = _overridden(archive.read_config(directory / "config.json"), overrides)  # with the old keys
    allennlp_archive.check_config(path, values)
    config = _checked(upstream_config.without_training(values), include_packages, f"{path}: config.json")
    parts = config.parts
    encoder_values = parts.model.encoder.values
    with allennlp_archive.explained(path, parts.tokenizer or encoder_values["pretrained"]):
        tokenizer = published_tokenizer(parts)
    stored = Weights(weights, read_pickle(weights)) if weights.is_file() else None
    with allennlp_archive.explained(path, encoder_values["pretrained"]):
        folder = checkpoint_dir(encoder_values["pretrained"], weights=False)
        if stored is not None:
            check_size(read_json(folder / "config.json"), stored, folder / "config.json")
        encoder = parts.model.encoder.build(load_weights=False)
    reader = parts.evaluation_reader.build(tokenizer=tokenizer)
    add_words(tokenizer, encoder, tokenizer.add_words(reader.added_words))
    labels = allennlp_archive.read_labels(directory / "vocabulary") if reader.has_labels else Labels(())
    trained = _joined(config, reader, labels, encoder)
    allennlp_archive.load_weights(
        trained.model, weights, model_type=values["model"]["type"], encoder_type=parts.model.encoder.type_name
    )
    logger.info("%s: a model that AllenNLP trained; its config is read as MIGRATING.md says", path)
    return trained


def _load_huggingface(
    name: str | Path, directory: Path, overrides: str, include_packages: Sequence[str], weights_file: str | None
) -> Trained:
    checkpoint = read_checkpoint(name, directory)
    config = _checked(_overridden(checkpoint.values, overrides), include_packages, str(name))
    parts = config.parts
    logger.info("%s: %s, read by %s; -o changes it", name, checkpoint.kind.name, config.resolved["dataset_reader"])
    encoder = parts.model.encoder.build(pooler=parts.model.head.owner.needs_pooler)
    special_only = parts.model.encoder.values.get("entities") == "special"
    tokenizer = Tokenizer.from_pretrained(str(directory), special_entities_only=special_only)
    reader = parts.dataset_reader.build(tokenizer=tokenizer)
    unknown = [word for word in reader.added_words if tokenizer.word_id(word) is None]
    if unknown:
        raise CheckpointError(f"{directory}: its tokenizer has no {', '.join(unknown)}, between which a model of its "
                              "class expects the entities")  # fmt: skip
    check_window(reader, encoder)
    trained = _joined(config, reader, checkpoint.labels if reader.has_labels else Labels(()), encoder)
    if weights_file:
        load_weights(trained.model, Path(weights_file))
    else:
        load_head(checkpoint, trained.model)
    return trained


def _joined(config: CheckedConfig, reader: Reader, labels: Labels, encoder: Encoder) -> Trained:
    """With the head, whose weights are still random."""
    return Trained(config, reader, labels, join_head(config.parts, encoder, reader.tokenizer, labels).eval())


def _keep_off_the_hub(path: Path, config: CheckedConfig) -> None:
    """An archive needs no hub: where its linker names an entity vocabulary there, the hub's cache must have it.

    Raises:
        ArchiveError: it has not.
    """
    for key in ("dataset_reader", "validation_dataset_reader"):
        reader = getattr(config.parts, key)
        linker = reader.values.get("wiki_entity_linker") if reader is not None else None
        name = linker.values.get("entity_vocab_path") if linker is not None else None
        if linker is None or name is None or Path(name).exists():
            continue
        try:
            linker.values["entity_vocab_path"] = str(checkpoint_dir(name, weights=False, fetch=False))
        except CheckpointError as error:
            key = f"{key}.wiki_entity_linker.entity_vocab_path"
            raise ArchiveError(f"{path}: {key}: {error}; what an archive names is not fetched; to use its own "
                               f"vocabulary: -o '{{\"{key}\": null}}'") from None  # fmt: skip


def _overridden(values: dict[str, Any], overrides: str) -> dict[str, Any]:
    return config_files.apply_overrides(values, overrides) if overrides.strip() else values


def _checked(values: dict[str, Any], include_packages: Sequence[str], origin: str) -> CheckedConfig:
    """A stored config; `origin` begins the message of each fault."""
    try:
        return check_config(values, (), include_packages, for_training=False)
    except ConfigError as error:
        raise ConfigError([replace(fault, path=f"{origin}: {fault.path}") for fault in error.faults]) from None
