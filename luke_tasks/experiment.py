"""From a config to built parts, in visible order: reader, labels, encoder, head, trainer. And back from an archive."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luke_tasks import config as config_files
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.errors import CheckpointError, ConfigError, Fault, LukeTasksError
from luke_tasks.experiment_config import CheckedConfig, ExperimentConfig, check_config, read_config
from luke_tasks.files import write_json
from luke_tasks.heads.head import Model
from luke_tasks.readers.reader import Reader
from luke_tasks.training import archive
from luke_tasks.training.checkpoint import load_weights
from luke_tasks.training.devices import choose_device
from luke_tasks.training.trainer import TrainingData

logger = logging.getLogger(__name__)

__all__ = ["CheckedConfig", "ExperimentConfig", "Trained", "check_config", "load_trained", "read_config", "train"]


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


# -- building -------------------------------------------------------------------------------------------------------


def train(
    config: CheckedConfig, run_dir: Path, *, recover: bool = False, plain_progress: bool = False, dry_run: bool = False
) -> dict[str, Any]:
    """Read the data, build the model, train it, and leave metrics and archive in `run_dir`.

    Args:
        recover: go on from the newest checkpoint in `run_dir`.
        dry_run: stop before the first step, having read and built everything.
    Returns:
        The metrics, as `metrics.json` holds them.
    """
    parts = config.parts
    trainer = parts.trainer.build()
    choose_device(trainer.cuda_device)  # a GPU that is not there is said before the data are read
    seed_everything(parts)
    encoder_values = parts.model.encoder.values
    tokenizer = Tokenizer.from_pretrained(
        parts.tokenizer or encoder_values["pretrained"],
        special_entities_only=encoder_values.get("entities") == "special",
    )
    reader = parts.dataset_reader.build(tokenizer=tokenizer)
    validation_reader = (parts.validation_dataset_reader or parts.dataset_reader).build(tokenizer=tokenizer)
    copied_words = tokenizer.add_words({**validation_reader.added_words, **reader.added_words})

    paths = {"train": (reader, parts.train_data_path), "validation": (validation_reader, parts.validation_data_path),
             "test": (validation_reader, parts.test_data_path)}  # fmt: skip
    sets = {name: _read_set(name, own_reader, path) for name, (own_reader, path) in paths.items() if path is not None}
    labels = _make_labels(parts, reader, {name: examples for name, (examples, _) in sets.items()})

    encoder = parts.model.encoder.build()
    check_window(reader, encoder)
    add_words(tokenizer, encoder, copied_words)
    head = parts.model.head.build(hidden_size=encoder.hidden_size, labels=labels)
    model = Model(encoder=encoder, head=head)
    logger.info("model: %s parameters", f"{sum(p.numel() for p in model.parameters()):,}")
    if dry_run:
        logger.info("dry run: everything is read and built; nothing is trained or written")
        return {}

    write_run_files(run_dir, config, tokenizer, labels, encoder)
    validation_loader = parts.validation_data_loader or parts.data_loader
    validation_examples, validation_features = sets.get("validation", ((), ()))
    data = TrainingData(
        features=sets["train"][1],
        loader=parts.data_loader,
        labels=labels,
        pad_id=tokenizer.special.pad,
        validation_examples=validation_examples,
        validation_features=validation_features,
        validation_batch_size=validation_loader.batch_size,
    )
    metrics = trainer.train(
        model, data, run_dir=run_dir, seed=parts.random_seed, recover=recover, config=config.resolved,
        plain_progress=plain_progress,
    )  # fmt: skip
    if parts.evaluate_on_test:
        metrics = {**metrics, **_test_scores(run_dir, model, sets["test"], validation_loader.batch_size, tokenizer)}
    write_json(run_dir / "metrics.json", metrics)
    archive.write_archive(run_dir)
    return metrics


def seed_everything(parts: ExperimentConfig) -> None:
    """Seed Python, numpy and torch."""
    random.seed(parts.random_seed)
    np.random.seed(parts.numpy_seed)
    torch.manual_seed(parts.pytorch_seed)


def check_window(reader: Reader, encoder: Encoder) -> None:
    """Raises ConfigError when the reader's windows are longer than the encoder can read."""
    if reader.max_sequence_length > encoder.max_word_length:
        raise ConfigError([Fault("dataset_reader.max_sequence_length", f"{reader.max_sequence_length} is more than the "
                                 f"encoder's {encoder.max_word_length} positions")])  # fmt: skip


def add_words(tokenizer: Tokenizer, encoder: Encoder, copied_from: Sequence[int]) -> None:
    """Give the encoder a row for each word piece that a reader's task has added to the tokenizer.

    Raises:
        CheckpointError: its rows would not be those the tokenizer has numbered.
    """
    if not copied_from:
        return
    if encoder.num_words != tokenizer.num_words - len(copied_from):
        raise CheckpointError(f"tokenizer: numbers the added word pieces {', '.join(tokenizer.added_words)} from "
                              f"{tokenizer.num_words - len(copied_from)}, but the encoder has {encoder.num_words} word "
                              "embeddings; name the tokenizer of the encoder's checkpoint")  # fmt: skip
    encoder.add_words(copied_from)


def write_run_files(
    run_dir: Path, config: CheckedConfig, tokenizer: Tokenizer, labels: Labels, encoder: Encoder
) -> None:
    """What a run's directory and its archive hold besides weights and metrics."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / "config.json", config.resolved)
    write_json(run_dir / "meta.json", archive.meta())
    labels.save(run_dir / "vocabulary")
    tokenizer.save(run_dir / "tokenizer")
    (run_dir / "encoder").mkdir(exist_ok=True)
    encoder.save_config(run_dir / "encoder")


def _read_set(name: str, reader: Reader, path: str) -> tuple[Sequence[Any], Sequence[Any]]:
    examples, features = reader.read_encoded(path)
    words = sum(feature.num_words for feature in features)
    logger.info("%s: %s words in %s windows (examples: %s) from %s", name, f"{words:,}", f"{len(features):,}",
                f"{len(examples):,}", path)  # fmt: skip
    if not features:
        raise LukeTasksError(f"{path}: no window could be made of its {len(examples)} examples")
    return examples, features


def _make_labels(parts: ExperimentConfig, reader: Reader, sets: dict[str, Sequence[Any]]) -> Labels:
    if parts.vocabulary is not None and parts.vocabulary.directory is not None:
        return Labels.load(Path(parts.vocabulary.directory))
    chosen: Iterable[str] = parts.datasets_for_vocab_creation or sets
    return Labels.count(
        label for name in chosen if name in sets for example in sets[name] for label in reader.labels_of(example)
    )


def _test_scores(
    run_dir: Path, model: Model, test: tuple[Any, Any], batch_size: int, tokenizer: Tokenizer
) -> dict[str, float]:
    from luke_tasks.training.evaluation import Runner, evaluate

    load_weights(model, run_dir / archive.BEST_WEIGHTS_NAME)
    device = next(model.parameters()).device
    runner = Runner.of(model, batch_size=batch_size, pad_id=tokenizer.special.pad, device=device)
    return {f"test_{name}": value for name, value in evaluate(runner, *test).scores.items()}


# -- archives -------------------------------------------------------------------------------------------------------


def load_trained(
    path: str | Path, *, overrides: str = "", include_packages: Sequence[str] = (), weights_file: str | None = None
) -> Trained:
    """Build the reader and the model an archive holds, with its weights, and nothing else: no hub, no environment.

    Args:
        path: a `model.tar.gz` or a run's directory.
        overrides: laid over the archive's config.
        weights_file: weights to load instead of the archive's own.
    Raises:
        ArchiveError, CheckpointError, ConfigError: see there.
    """
    with archive.opened_archive(path) as (directory, weights):
        values = archive.read_config(directory / "config.json")
        if overrides.strip():
            values = config_files.apply_overrides(values, overrides)
        try:
            config = check_config(values, (), include_packages, for_training=False)
        except ConfigError as error:
            raise ConfigError([replace(fault, path=f"{path}: config.json: {fault.path}") for fault in error.faults]
                              ) from None  # fmt: skip
        parts = config.parts
        reader = (parts.validation_dataset_reader or parts.dataset_reader).build(
            tokenizer=Tokenizer.load(directory / "tokenizer")
        )
        labels = Labels.load(directory / "vocabulary")
        parts.model.encoder.values["pretrained"] = str(directory / "encoder")
        encoder = parts.model.encoder.build(load_weights=False)
        head = parts.model.head.build(hidden_size=encoder.hidden_size, labels=labels)
        model = Model(encoder=encoder, head=head)
        load_weights(model, Path(weights_file) if weights_file else weights)
    return Trained(config, reader, labels, model.eval())
