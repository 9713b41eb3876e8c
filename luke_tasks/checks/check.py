"""The whole check of a config whose keys are without fault: its data files, their sizes, what a run will cost.

In: a checked config. Out: a report of plain values, as `check --json` writes it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from luke_tasks.checks.cost import bare_encoder, bare_model, estimate
from luke_tasks.checks.data import ReadSet, data_files, kept_log, label_faults, read_all
from luke_tasks.checks.repeats import repeat_warnings, unseen_label_warnings
from luke_tasks.checks.sizes import padding_share, sizes_of
from luke_tasks.data.labels import Labels
from luke_tasks.errors import ConfigError, DataError, DeviceError, LukeTasksError
from luke_tasks.experiment import check_metric, make_labels, published_tokenizer
from luke_tasks.experiment_config import CheckedConfig, ExperimentConfig
from luke_tasks.heads.head import Model
from luke_tasks.training.devices import check_precision, training_device
from luke_tasks.training.processes import ALONE
from luke_tasks.training.trainer import Trainer


def check_data(config: CheckedConfig) -> dict[str, Any]:
    """Read all data files of a config, and describe them and the run.

    Returns:
        `sets`: by name, with `faults` (all of them), `is_whole` and what `sizes_of` gives; `warnings`; `notes`;
        `estimate`, None where faults leave nothing to estimate from.
    Raises:
        LukeTasksError: what no data file can mend: the checkpoint's files, a window too long for the encoder, a metric
            that is not computed, a vocabulary that is not there.
    """
    parts = config.parts
    with kept_log() as messages:
        trainer = parts.trainer.build()
        tokenizer = published_tokenizer(parts)
        reader = parts.dataset_reader.build(tokenizer=tokenizer)
        validation_reader = parts.evaluation_reader.build(tokenizer=tokenizer)
        encoder = bare_encoder(parts, tokenizer, [reader, validation_reader])
        sets = [
            read_all(reader if name == "train" else validation_reader, name, path)
            for name, path in data_files(parts).items()
        ]
        labels = _labels(parts, sets)
        model = None
        if labels is not None:
            for found in sets:
                found.faults += label_faults(found, labels)
            model = bare_model(parts, encoder, tokenizer, labels)
            check_metric(trainer, model.head)
        _check_batches(parts, sets[0])
        warnings = [*unseen_label_warnings(sets), *repeat_warnings(sets)]
        cost = None
        if model is not None and sets[0].features:
            cost = _estimate(parts, trainer, model, sets, warnings)
    logged = list(dict.fromkeys(messages))
    warnings += [text for level, text in logged if level >= logging.WARNING]
    return {
        "sets": {found.name: _described(parts, found) for found in sets},
        "warnings": warnings,
        "notes": [text for level, text in logged if level < logging.WARNING],
        "estimate": cost,
    }


def _labels(parts: ExperimentConfig, sets: Sequence[ReadSet]) -> Labels | None:
    """The model's labels; None, and a fault of the training data, where there are too few."""
    try:
        with kept_log():  # the labels that it warns of are warned of with their places
            return make_labels(parts, sets[0].reader, {found.name: found.label_counts for found in sets})
    except LukeTasksError as error:
        if parts.vocabulary is not None and parts.vocabulary.directory is not None:
            raise
        if sets[0].examples or not sets[0].faults:  # else it is a consequence of these
            sets[0].faults.append(str(error))
        return None


def _check_batches(parts: ExperimentConfig, training: ReadSet) -> None:
    counts = parts.data_loader.num_batches(training.features, seed=parts.random_seed, num_epochs=1)
    if training.features and counts == [0]:
        training.faults.append(str(DataError(
            f"{training.path}: its {len(training.features)} windows make no full batch of "
            f"{parts.data_loader.batch_size}, and data_loader.drop_last leaves out what is no full one"
        )))  # fmt: skip


def _estimate(
    parts: ExperimentConfig, trainer: Trainer, model: Model, sets: Sequence[ReadSet], warnings: list[str]
) -> dict[str, Any]:
    """Cost on this machine; where it lacks the config's device, on its CPU, with a warning."""
    try:
        device = training_device(trainer.cuda_device, parts.distributed, ALONE)
        check_precision(device, trainer.precision)
    except DeviceError as error:
        warnings.append(f"{error} (this machine; the estimate is for its CPU)")
        device = torch.device("cpu")
        trainer.precision = "fp32" if trainer.precision == "fp16" else trainer.precision
    validation = next((found.features for found in sets if found.name == "validation"), ())
    return estimate(parts, trainer, model, device, sets[0].features, validation)


def _described(parts: ExperimentConfig, found: ReadSet) -> dict[str, Any]:
    is_training = found.name == "train"
    loader = parts.data_loader if is_training else parts.evaluation_loader
    seed = parts.random_seed if is_training else None
    padding = padding_share(found.features, loader, seed=seed) if found.features else 0.0
    return {
        **sizes_of(found), "padding_share": round(padding, 4), "faults": found.faults, "is_whole": found.is_whole,
    }  # fmt: skip


def config_faults(error: LukeTasksError) -> list[dict[str, str]]:
    """The faults of a config for JSON."""
    if isinstance(error, ConfigError):
        return [{"path": fault.path, "message": fault.message} for fault in error.faults]
    return [{"path": "", "message": str(error)}]
