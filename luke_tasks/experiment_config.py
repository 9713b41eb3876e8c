"""The keys of an experiment's config, and the check of a whole one before any data or weight is read."""

from __future__ import annotations

import fnmatch
import importlib.util
import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from luke_tasks import config as config_files
from luke_tasks.config import is_unset
from luke_tasks.data.loader import DataLoader
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.errors import ConfigError, Fault, PluginError, describe
from luke_tasks.heads.head import Head
from luke_tasks.interop import upstream_config
from luke_tasks.readers.reader import Reader
from luke_tasks.registry import Seed, discover, import_plugins
from luke_tasks.schema import check, nearest
from luke_tasks.spec import Spec
from luke_tasks.training.distributed import Distributed
from luke_tasks.training.trainer import Trainer

DatasetName = Literal["train", "validation", "test"]


@dataclass(kw_only=True)
class ModelConfig:
    """An encoder, and a head that solves the task (`model` in a config).

    Args:
        type: the only kind; may be left out.
        encoder: makes vectors of words and entities, from a pretrained checkpoint.
        head: the task's own layer over them, its loss and its scores.
    """

    type: Literal["encoder_head"] = "encoder_head"
    encoder: Spec[Encoder]
    head: Spec[Head]


@dataclass(kw_only=True)
class Vocabulary:
    """`vocabulary` in a config: the labels, counted in the data or read from a run's `vocabulary/` folder.

    Args:
        type: `from_instances`: counted in the data; `from_files`: read from `directory`.
        directory: the `vocabulary/` folder of a run, with `from_files` only.
    """

    type: Literal["from_instances", "from_files"] = "from_instances"
    directory: str | None = None

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The folder goes with `from_files`."""
        if values["type"] == "from_files" and values["directory"] is None:
            yield "directory", 'missing; type "from_files" reads the labels from this folder, the vocabulary/ of a run'
        if values["type"] == "from_instances" and values["directory"] is not None:
            yield "directory", 'read only with type "from_files"; give that type, or remove this key'


@dataclass(kw_only=True)
class ExperimentConfig:
    """The top level of a config.

    Args:
        dataset_reader: reads the data files: their format, and how long texts are cut into windows.
        validation_dataset_reader: the same for validation and test data, and for `evaluate` and `predict` later; by
            default `dataset_reader`.
        train_data_path: the file that is learned from.
        validation_data_path: the file that is scored after each epoch, which decides on the best one.
        test_data_path: a file that is scored once at the end, with `evaluate_on_test`; its labels are looked for, too.
        evaluate_on_test: score the best epoch's weights on the test data after training.
        datasets_for_vocab_creation: in which of the sets labels are looked for; by default in all.
        vocabulary: where labels come from; by default from the data.
        tokenizer: checkpoint whose tokenizer is used, a folder or a hub name; by default the encoder's.
        model: what is trained.
        data_loader: how windows become batches in training.
        validation_data_loader: the same in validation; by default `data_loader`.
        trainer: how the model is trained.
        distributed: training in several processes.
        random_seed: of Python's `random`, and of the order of batches.
        numpy_seed: of `numpy.random`.
        pytorch_seed: of torch: the weights of the head, and dropout.
    """

    dataset_reader: Spec[Reader]
    validation_dataset_reader: Spec[Reader] | None = None
    train_data_path: str
    validation_data_path: str | None = None
    test_data_path: str | None = None
    evaluate_on_test: bool = False
    datasets_for_vocab_creation: list[DatasetName] | None = None
    vocabulary: Vocabulary | None = None
    tokenizer: str | None = None
    model: ModelConfig
    data_loader: DataLoader
    validation_data_loader: DataLoader | None = None
    trainer: Spec[Trainer]
    distributed: Distributed | None = None
    random_seed: Seed = 13370
    numpy_seed: Seed = 1337
    pytorch_seed: Seed = 133

    @property
    def evaluation_reader(self) -> Spec[Reader]:
        """Reads all data but the training data."""
        return self.validation_dataset_reader or self.dataset_reader

    @property
    def evaluation_loader(self) -> DataLoader:
        """Makes the batches of all data but the training data."""
        return self.validation_data_loader or self.data_loader


@dataclass
class CheckedConfig:
    """A config without faults: `parts` to build from, and `resolved`, the plain values with every default."""

    parts: ExperimentConfig
    resolved: dict[str, Any]


def read_config(
    path: str | Path, overrides: str = "", include_packages: Sequence[str] = (), *, allow_imports: Sequence[str] = ()
) -> CheckedConfig:
    """Read a config file and check all of it, before any data or weight is read.

    Raises:
        ConfigError: with every fault found.
        PluginError: a package of the user's own cannot be imported.
    """
    loaded = config_files.load_config(path, overrides, allow_imports=allow_imports)
    return check_config(loaded.values, loaded.faults, include_packages, for_training=True)


def check_config(
    values: dict[str, Any], faults: Sequence[Fault], include_packages: Sequence[str], *, for_training: bool
) -> CheckedConfig:
    """Compare plain values with what is registered. `faults` are those known already.

    A config of studio-ousia/luke's `examples` is put into this project's form first, and what changed is logged.

    Args:
        for_training: whether the data files must be there.
    Raises:
        ConfigError: with every fault found, in the order of the keys above.
        PluginError: a package of the user's own cannot be imported.
    """
    discover_all()
    import_plugins(upstream_config.without_original_packages(include_packages))
    translation = upstream_config.translate(values)
    if translation.values is None:
        raise ConfigError([*faults, *translation.faults])
    spec, found = check(translation.values, ExperimentConfig)
    found = [*faults, *translation.with_later([*found, *_faults_between_parts(spec.values, for_training)])]
    if not found and for_training:
        translation.log()
    if found:
        order = {field.name: number for number, field in enumerate(fields(ExperimentConfig))}
        raise ConfigError(sorted(found, key=lambda fault: order.get(fault.path.partition(".")[0], -1)))
    return CheckedConfig(spec.build(), spec.to_json())


def discover_all() -> None:
    """Import all classes of luke-tasks that a config may name."""
    for package in ("readers", "heads", "encoder", "training", "training.callbacks"):
        discover(f"luke_tasks.{package}")


def _faults_between_parts(values: dict[str, Any], for_training: bool) -> Iterator[Fault]:
    """What no part can see alone. `values` may lack keys that are faulty themselves."""
    if for_training:
        yield from _file_faults(values)
        yield from _cache_faults(values)
    if values.get("evaluate_on_test") is True and values.get("test_data_path") is None:
        yield Fault("evaluate_on_test", "is true, but there is no test_data_path; give it, or remove this key")
    model, trainer = values.get("model"), values.get("trainer")
    head = model.values.get("head") if isinstance(model, Spec) else None
    encoder = model.values.get("encoder") if isinstance(model, Spec) else None
    if isinstance(encoder, Spec):
        taken = inspect.signature(encoder.builder).parameters
        lacking = [name for name in ("pretrained", "load_weights") if name not in taken]
        if lacking:
            yield Fault(
                "model.encoder.type",
                f'"{encoder.type_name}" could not be loaded from an archive: its constructor lacks '
                f"{' and '.join(lacking)} (see the docstring of luke_tasks.encoder.encoder.Encoder)",
            )
    if isinstance(head, Spec):
        yield from _head_faults(head, encoder)
        for key in ("dataset_reader", "validation_dataset_reader"):
            yield from _task_faults(key, values.get(key), head)
    for key in ("dataset_reader", "validation_dataset_reader"):
        yield from _linker_faults(key, values.get(key), encoder, for_training)
    yield from _pattern_faults(values.get("dataset_reader"), values.get("validation_dataset_reader"))
    if isinstance(trainer, Spec):
        yield from _trainer_faults(trainer, head, values.get("validation_data_path"))
        yield from _distributed_faults(trainer, values.get("distributed"))
    if isinstance(encoder, Spec) and encoder.values.get("entity_embeddings_on") == "cpu":
        yield from _table_faults(trainer, head, values.get("distributed"))


def _file_faults(values: dict[str, Any]) -> Iterator[Fault]:
    for key in ("train_data_path", "validation_data_path", "test_data_path"):
        path = values.get(key)
        if isinstance(path, str) and not is_unset(path):
            yield from _data_file_faults(key, path)
    names = values.get("datasets_for_vocab_creation")
    for index, name in enumerate(names if isinstance(names, list) else ()):
        if name in ("validation", "test") and values.get(f"{name}_data_path") is None:
            yield Fault(f"datasets_for_vocab_creation.{index}", f'"{name}" is named, but there is no {name}_data_path')
    vocabulary = values.get("vocabulary")
    if isinstance(vocabulary, Spec) and vocabulary.values.get("type") == "from_files":
        directory = vocabulary.values.get("directory")
        if isinstance(directory, str) and not is_unset(directory) and not os.path.isfile(f"{directory}/labels.txt"):
            yield Fault(
                "vocabulary.directory", f"there is no {directory}/labels.txt; expected the vocabulary/ of a run"
            )


def _cache_faults(values: dict[str, Any]) -> Iterator[Fault]:
    for key in ("data_loader", "validation_data_loader"):
        loader = values.get(key)
        folder = loader.values.get("cache_dir") if isinstance(loader, Spec) else None
        if not isinstance(folder, str) or is_unset(folder) or not folder.strip() or "\0" in folder:
            continue
        path = Path(folder).absolute()
        present = next(place for place in (path, *path.parents) if place.exists())
        if not present.is_dir():
            yield Fault(f"{key}.cache_dir", f"{present} is a file; expected a folder")
        elif present != path and not os.access(present, os.W_OK):
            yield Fault(f"{key}.cache_dir", f"{folder} cannot be made: {present} allows no new files")
        if importlib.util.find_spec("datasets") is None:
            yield Fault(f"{key}.cache_dir", "needs the package datasets, which is not installed: pip install "
                                            "'luke-tasks[cache]'; or remove this key")  # fmt: skip


def _data_file_faults(key: str, path: str) -> Iterator[Fault]:
    if os.path.isdir(path):
        yield Fault(key, f"{describe(path)} is a directory; expected a data file")
    elif not os.path.exists(path):
        where = "" if os.path.isabs(path) else f" in {Path.cwd()}"
        yield Fault(key, f"there is no file {describe(path)}{where}")
    elif not os.access(path, os.R_OK):
        yield Fault(key, f"{describe(path)} cannot be read: permission denied")


def _head_faults(head: Spec[Any], encoder: Any) -> Iterator[Fault]:
    features = head.values.get("features")
    wants_entities = isinstance(features, str) and not is_unset(features) and "entity" in features
    if wants_entities and isinstance(encoder, Spec) and not _attribute(encoder, "has_entities"):
        yield Fault("model.head.features", f"{describe(features)} needs vectors of entities, which the encoder "
                                           f'"{encoder.type_name}" does not give; use "token"')  # fmt: skip
    pools = not isinstance(encoder, Spec) or "pooler" in inspect.signature(encoder.builder).parameters
    if getattr(head.owner, "needs_pooler", False) and not pools:
        yield Fault("model.encoder.type", f'"{encoder.type_name}" gives no pooled vector, which the head '
                                          f'"{head.type_name}" reads: its constructor lacks pooler')  # fmt: skip


def _task_faults(key: str, reader: Any, head: Spec[Any]) -> Iterator[Fault]:
    if isinstance(reader, Spec):
        task, tasks = _attribute(reader, "task"), _attribute(head, "tasks")
        if task not in tasks:
            yield Fault(f"{key}.type", f'"{reader.type_name}" reads examples of {task}, but the head '
                                       f'"{head.type_name}" learns {" or ".join(tasks)}')  # fmt: skip
        kinds = [part.values.get("problem_type") for part in (reader, head)]
        if all(isinstance(kind, str) and not is_unset(kind) for kind in kinds) and kinds[0] != kinds[1]:
            yield Fault(f"{key}.problem_type", f"{describe(kinds[0])} does not go with model.head.problem_type, which "
                                               f"is {describe(kinds[1])}; give both the same")  # fmt: skip


def _pattern_faults(reader: Any, validation_reader: Any) -> Iterator[Fault]:
    """Shared windows have an attention pattern of their own: a model is validated and used with the one it learned."""
    if isinstance(reader, Spec) and isinstance(validation_reader, Spec):
        if "shared" not in (part.values.get("context") for part in (reader, validation_reader)):
            return
        for key in ("context", "span_attention"):
            learned, used = reader.values.get(key), validation_reader.values.get(key)
            if learned != used:
                other = f"dataset_reader.{key} {describe(learned)}"
                yield Fault(f"validation_dataset_reader.{key}", f"{describe(used)} does not go with {other}; give both "
                                                                "the same")  # fmt: skip


def _linker_faults(key: str, reader: Any, encoder: Any, for_training: bool) -> Iterator[Fault]:
    """A reader that links entities goes with an encoder that has some."""
    linker = reader.values.get("wiki_entity_linker") if isinstance(reader, Spec) else None
    if not isinstance(linker, Spec):
        return
    key = f"{key}.wiki_entity_linker"
    if isinstance(encoder, Spec) and not _attribute(encoder, "has_entities"):
        yield Fault(key, f'links entities, which the encoder "{encoder.type_name}" does not read; remove this key')
    elif isinstance(encoder, Spec) and encoder.values.get("entities") == "special":
        yield Fault(key, 'links entities, but model.encoder.entities is "special", which keeps no embeddings of any; '
                         'set it to "all", or remove this key')  # fmt: skip
    paths = linker.values.get("mention_candidate_json_file_paths")
    for languages, path in paths.items() if for_training and isinstance(paths, dict) else ():
        if isinstance(path, str) and not is_unset(path):
            yield from _data_file_faults(f"{key}.mention_candidate_json_file_paths.{languages}", path)


def _trainer_faults(trainer: Spec[Any], head: Any, validation_path: Any) -> Iterator[Fault]:
    metric = trainer.values.get("validation_metric")
    if isinstance(head, Spec) and isinstance(metric, str) and metric[:1] in ("+", "-") and not is_unset(metric):
        name, known = metric[1:], (*_attribute(head, "metric_names"), "loss")
        if name and not any(fnmatch.fnmatchcase(name, pattern) for pattern in known):
            listed = ", ".join(known) + ("; * is any label" if "*" in "".join(known) else "")
            yield Fault("trainer.validation_metric", f'the head "{head.type_name}" computes no {describe(name)}'
                                                     f"{nearest(name, known)} (computed: {listed})")  # fmt: skip
    if trainer.values.get("patience") is not None and validation_path is None:
        yield Fault("trainer.patience", "counts epochs without a better validation score, but there is no "
                                        "validation_data_path; give it, or remove this key")  # fmt: skip


def _distributed_faults(trainer: Spec[Any], distributed: Any) -> Iterator[Fault]:
    """What does not go together in several processes."""
    if not isinstance(distributed, Spec):
        return
    devices, device = distributed.values.get("cuda_devices"), trainer.values.get("cuda_device")
    if device is not None and isinstance(devices, list) and devices != [device] * len(devices):
        yield Fault("trainer.cuda_device", f"is {describe(device)}, while distributed.cuda_devices is "
                                           f"{describe(devices)}; remove one of them")  # fmt: skip
    if distributed.values.get("strategy") != "fsdp":
        return
    if trainer.values.get("moving_average") is not None:
        yield Fault("trainer.moving_average", 'does not go with distributed.strategy "fsdp"; remove it, or use "ddp"')
    if trainer.values.get("compile") is True:
        yield Fault("trainer.compile", 'does not go with distributed.strategy "fsdp"; remove it, or use "ddp"')
    if trainer.values.get("auto_batch_size") is True:
        yield Fault("trainer.auto_batch_size", 'does not go with distributed.strategy "fsdp", for it tries the whole '
                                               'model; remove it, or use "ddp"')  # fmt: skip
    if _is_fp16(trainer):
        yield Fault("trainer.precision", '"fp16" does not go with distributed.strategy "fsdp"; use "bf16" or "fp32"')


def _is_fp16(trainer: Spec[Any]) -> bool:
    return trainer.values.get("precision") == "fp16" or trainer.values.get("use_amp") is True


def _table_faults(trainer: Any, head: Any, distributed: Any) -> Iterator[Fault]:
    """A table of entities that stays on the CPU is one process's, and is read as an input only."""
    key = "model.encoder.entity_embeddings_on"
    if isinstance(head, Spec) and head.type_name == "masked_lm":
        yield Fault(key, 'is "cpu", but the head "masked_lm" decodes entities by this table, on the model\'s device; '
                         "remove this key")  # fmt: skip
    if isinstance(distributed, Spec):
        yield Fault(key, 'is "cpu", which goes with one process only; remove this key, and let distributed.strategy '
                         '"fsdp" share the table out')  # fmt: skip
    if isinstance(trainer, Spec) and (
        trainer.values.get("precision") == "fp16" or trainer.values.get("use_amp") is True
    ):
        yield Fault(key, 'is "cpu", where "fp16" cannot scale gradients; use trainer.precision "bf16" or "fp32"')


def _attribute(spec: Spec[Any], name: str) -> Any:
    """A class attribute that every registered class of this kind must have. Raises PluginError when it has not."""
    if not hasattr(spec.owner, name):
        where = f"{spec.owner.__module__}.{spec.owner.__qualname__}"
        raise PluginError(f'{where}: registered as "{spec.type_name}", but the class says no `{name} = ...`')
    return getattr(spec.owner, name)
