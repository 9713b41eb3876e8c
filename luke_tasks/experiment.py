"""From a config to built parts, in visible order: reader, labels, encoder, head, trainer."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.errors import CheckpointError, ConfigError, Fault, LukeTasksError
from luke_tasks.experiment_config import CheckedConfig, ExperimentConfig, check_config, read_config
from luke_tasks.files import write_json
from luke_tasks.heads.head import Head, Model
from luke_tasks.readers.data_set import DataSet, read_set
from luke_tasks.readers.feature_cache import read_cached
from luke_tasks.readers.reader import Reader
from luke_tasks.schema import nearest
from luke_tasks.training import archive
from luke_tasks.training.checkpoint import load_weights
from luke_tasks.training.devices import check_precision, training_device
from luke_tasks.training.distributed import Distributed
from luke_tasks.training.evaluation import Runner, evaluate
from luke_tasks.training.loop import train
from luke_tasks.training.processes import ALONE, Processes
from luke_tasks.training.run_lock import check_still_ours
from luke_tasks.training.trainer import Trainer, TrainingData

logger = logging.getLogger(__name__)
_MOST_NAMED = 20  # labels a message names, of what may be thousands

__all__ = ["CheckedConfig", "Experiment", "ExperimentConfig", "build", "check_config", "read_config"]


@dataclass
class Experiment:
    """A config's parts, built, and its data, read: ready to train. Nothing has been written yet."""

    config: CheckedConfig
    tokenizer: Tokenizer
    labels: Labels
    model: Model
    trainer: Trainer
    data: TrainingData
    test: tuple[Sequence[Any], Sequence[Features]] | None
    device: torch.device
    processes: Processes = ALONE

    def train(self, run_dir: Path, *, recover: bool = False, plain_progress: bool = False) -> dict[str, Any]:
        """Train, and leave metrics and archive in `run_dir`. Of several processes, rank 0 writes.

        Args:
            recover: go on from the newest checkpoint in `run_dir`.
        Returns:
            The metrics, as `metrics.json` holds them.
        Raises:
            LukeTasksError: recovering, but the data are no longer those of the run.
        """
        parts, processes = self.config.parts, self.processes
        is_whole = (run_dir / "meta.json").exists()  # it is written last
        if processes.is_main and recover and is_whole and self.labels:
            self._check_same_labels(run_dir)
        if processes.is_main and not (recover and is_whole):
            write_run_files(run_dir, self.config, self.tokenizer, self.labels, self.model.encoder)
        metrics = train(
            self.trainer, self.model, self.data, run_dir=run_dir, seed=parts.random_seed, recover=recover,
            config=self.config.resolved, plain_progress=plain_progress, device=self.device, processes=processes,
            is_sharded=parts.distributed is not None and parts.distributed.strategy == "fsdp",
        )  # fmt: skip
        if parts.evaluate_on_test and self.test is not None:
            load_weights(self.model, run_dir / archive.BEST_WEIGHTS_NAME)
            runner = Runner.of(
                self.model, batch_size=self.data.validation_batch_size, max_tokens=self.data.validation_max_tokens,
                pad_id=self.data.pad_id, device=self.device, processes=processes,
            )  # fmt: skip
            runner.report("test data", self.test[1])
            scores = evaluate(runner, *self.test).scores
            metrics = {**metrics, **{f"test_{name}": value for name, value in scores.items()}}
        if processes.is_main:
            check_still_ours(run_dir)
            write_json(run_dir / "metrics.json", metrics)
            archive.write_archive(run_dir)
        return metrics

    def _check_same_labels(self, run_dir: Path) -> None:
        if (run_dir / "vocabulary").exists():
            labels = Labels.load(run_dir / "vocabulary")
            if labels != self.labels:
                raise LukeTasksError(
                    f"{run_dir}: the data have changed since this run began: its labels were {', '.join(labels)}, now "
                    f"they are {', '.join(self.labels)}; restore the data, or start a new run"
                )


def build(config: CheckedConfig, processes: Processes = ALONE) -> Experiment:
    """Read the data and build the model, in this order: tokenizer, readers, encoder, data, labels, head.

    Args:
        processes: those that will train it; each builds the same.
    Raises:
        LukeTasksError: a part cannot be built, a file cannot be read, or a label of the validation or test data has
            no place in the model; all before anything is written.
    """
    parts = config.parts
    trainer = parts.trainer.build()
    device = training_device(trainer.cuda_device, parts.distributed, processes)
    check_precision(device, trainer.precision)
    if processes.are_many and parts.model.encoder.values.get("entity_embeddings_on") == "cpu":
        raise ConfigError([Fault("model.encoder.entity_embeddings_on", 'is "cpu", which goes with one process only, '
                                 f"and the launcher has started {processes.world_size}; remove this key, and let "
                                 'distributed.strategy "fsdp" share the table out')])  # fmt: skip
    processes.join(device.type, (parts.distributed or Distributed()).timeout_seconds)
    seed_everything(parts)
    tokenizer = published_tokenizer(parts)
    reader = parts.dataset_reader.build(tokenizer=tokenizer)
    validation_reader = parts.evaluation_reader.build(tokenizer=tokenizer)
    encoder = parts.model.encoder.build(pooler=parts.model.head.owner.needs_pooler)
    check_window(reader, encoder)
    copied_words = tokenizer.add_words({**validation_reader.added_words, **reader.added_words})
    add_words(tokenizer, encoder, copied_words)

    sets = _read_sets(parts, reader, validation_reader)
    labels = make_labels(parts, reader, {name: found.label_counts for name, found in sets.items()})
    for name, found in sets.items():  # a label without a place in the model is said now, not after an epoch
        if found.count_unlabelled(labels) and name == "train":
            raise LukeTasksError(f"{parts.train_data_path}: holds examples without a gold label: nothing can be "
                                 "learned from them; check the options of dataset_reader")  # fmt: skip
    model = join_head(parts, encoder, tokenizer, labels)
    model.head.load_pretrained(parts.model.encoder.values["pretrained"])
    check_metric(trainer, model.head)

    logger.info("model: %s parameters", f"{sum(p.numel() for p in model.parameters()):,}")
    validation_loader = parts.evaluation_loader
    train, validation, test = (sets.get(name) for name in ("train", "validation", "test"))
    assert train is not None
    if parts.data_loader.num_batches(train.features, seed=parts.random_seed, num_epochs=1) == [0]:
        raise ConfigError([Fault("data_loader.drop_last", f"the {len(train.features)} windows of the training data "
                                 f"make no full batch of {parts.data_loader.batch_size}")])  # fmt: skip
    data = TrainingData(
        features=train.features,
        loader=parts.data_loader,
        labels=labels,
        pad_id=tokenizer.special.pad,
        validation_examples=validation.examples if validation else (),
        validation_features=validation.features if validation else (),
        validation_batch_size=validation_loader.batch_size,
        validation_max_tokens=validation_loader.max_tokens,
    )
    if not processes.is_main:  # all begin with the same weights; what each drops is its own
        torch.manual_seed((parts.pytorch_seed + processes.rank) % 2**32)
    return Experiment(config, tokenizer, labels, model, trainer, data,
                      (test.examples, test.features) if test else None, device, processes)  # fmt: skip


def published_tokenizer(parts: ExperimentConfig) -> Tokenizer:
    """The tokenizer of the checkpoint that the config names, with the entities that the encoder keeps."""
    encoder = parts.model.encoder.values
    return Tokenizer.from_pretrained(
        parts.tokenizer or encoder["pretrained"], special_entities_only=encoder.get("entities") == "special"
    )


def join_head(parts: ExperimentConfig, encoder: Encoder, tokenizer: Tokenizer, labels: Labels) -> Model:
    """The encoder with the config's head, whose weights are random."""
    head = parts.model.head.build(hidden_size=encoder.hidden_size, labels=labels, encoder=encoder, tokenizer=tokenizer)
    return Model(encoder=encoder, head=head)


def check_metric(trainer: Trainer, head: Head) -> None:
    """Raises ConfigError when `validation_metric` names a label that is not there."""
    known = (*head.scores(head.make_metrics()), "loss")
    name = trainer.validation_metric[1:]
    if name not in known:
        message = f"no such score: {name!r}{nearest(name, known)} (computed: {', '.join(known)})"
        raise ConfigError([Fault("trainer.validation_metric", message)])


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
    """What a run's directory and its archive hold besides weights and metrics; `meta.json` says they are complete."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / "config.json", config.resolved)
    labels.save(run_dir / "vocabulary")
    tokenizer.save(run_dir / "tokenizer")
    (run_dir / "encoder").mkdir(exist_ok=True)
    encoder.save_config(run_dir / "encoder")
    write_json(run_dir / "meta.json", archive.meta())


def _read_sets(parts: ExperimentConfig, reader: Reader, validation_reader: Reader) -> dict[str, DataSet]:
    """The sets that the config names; those whose loader has a `cache_dir` through the cache."""
    validation_spec = parts.evaluation_reader
    validation_loader = parts.evaluation_loader
    sources = {
        "train": (parts.train_data_path, reader, parts.dataset_reader, parts.data_loader),
        "validation": (parts.validation_data_path, validation_reader, validation_spec, validation_loader),
        "test": (parts.test_data_path, validation_reader, validation_spec, validation_loader),
    }
    sets = {}
    for name, (path, own_reader, spec, loader) in sources.items():
        if path is None:
            continue
        if loader.cache_dir is None:
            found = read_set(own_reader, path)
        else:
            found = read_cached(own_reader, spec, path, loader.cache_dir)
        logger.info("%s: %s words in %s windows (examples: %s) from %s", name, f"{found.num_words:,}",
                    f"{len(found.features):,}", f"{len(found.examples):,}", found.origin)  # fmt: skip
        if not found.features:
            raise LukeTasksError(f"{path}: no window could be made of its {len(found.examples)} examples")
        sets[name] = found
    return sets


def make_labels(parts: ExperimentConfig, reader: Reader, counts: dict[str, Counter[str]]) -> Labels:
    """The label vocabulary, from a run's folder or the counts of each set (train, validation, test).

    Raises:
        LukeTasksError: there is no such folder, or the data hold too few labels to learn any.
    """
    if not reader.has_labels:
        return Labels(())
    if parts.vocabulary is not None and parts.vocabulary.directory is not None:
        return Labels.load(Path(parts.vocabulary.directory))
    unseen = [label for count in counts.values() for label in count if label not in counts["train"]]
    for label in list(dict.fromkeys(unseen))[:_MOST_NAMED]:
        logger.warning("label %r is in the validation or test data only: nothing can learn it", label)
    if len(set(unseen)) > _MOST_NAMED:
        logger.warning("and so are %d more labels", len(set(unseen)) - _MOST_NAMED)
    chosen: Iterable[str] = parts.datasets_for_vocab_creation or counts
    labels = Labels.count(label for name in chosen if name in counts for label in counts[name].elements())
    if len(labels) < reader.min_labels:
        found = f"one label only ({labels[0]})" if labels else "no label"
        raise LukeTasksError(f"{parts.train_data_path}: the data hold {found}: nothing can be learned from them")
    return labels
