"""The data files of a config, read with all their faults.

In: a reader and a file. Out: the examples that are as they must be and their windows, and a line for each that is not.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.errors import DataError
from luke_tasks.experiment_config import ExperimentConfig
from luke_tasks.readers.data_set import count_labels
from luke_tasks.readers.faults import all_faults, one_record
from luke_tasks.readers.reader import Reader

_FILE_LINE = re.compile(r".+?:(\d+): ")


@dataclass
class ReadSet:
    """A data file as `check` has read it."""

    name: str  # train, validation or test
    path: str
    reader: Reader
    examples: list[Any] = field(default_factory=list)  # those without fault
    features: Sequence[Features] = ()
    label_counts: Counter[str] = field(default_factory=Counter)  # empty for a task without classes
    dropped: Counter[str] = field(default_factory=Counter)  # what the config's limits leave out or cut → how often
    faults: list[str] = field(default_factory=list)  # a line each, in the order of the file
    is_whole: bool = True  # False: nothing behind the last fault of reading was looked at
    seconds: float = 0.0  # reading and encoding

    @property
    def num_words(self) -> int:
        """Words of all examples."""
        return sum(feature.num_words for feature in self.features)


def read_all(reader: Reader, name: str, path: str) -> ReadSet:
    """Read and encode a file; whatever is wrong with it goes into `faults`."""
    found = ReadSet(name, path, reader)
    began = time.perf_counter()
    reader.dropped.clear()
    with all_faults() as faults:
        try:
            for example in reader.read(path):
                found.examples.append(example)
        except DataError as error:
            faults.append(error)
            found.is_whole = False
        if not found.examples and not faults:
            faults.append(DataError(f"{path}: the file holds no example"))
        try:
            found.features = reader.encode(found.examples)
        except DataError as error:
            faults.append(error)
        if found.examples and not found.features and not faults:
            faults.append(DataError(f"{path}: no window could be made of its {len(found.examples)} examples"))
        found.label_counts = count_labels(reader, found.examples)
    found.dropped = Counter(reader.dropped)
    reader.dropped.clear()
    found.faults = lines(faults)
    found.seconds = time.perf_counter() - began
    return found


def label_faults(found: ReadSet, labels: Labels) -> list[str]:
    """A line for each window whose gold labels have no place in the model; for training data without any, too."""
    unlabelled = 0
    with all_faults() as faults:
        for feature in found.features:
            with one_record:
                unlabelled += feature.targets(labels) is None
    if unlabelled and found.name == "train":
        faults.append(DataError(f"{found.path}: {unlabelled} windows have no gold label: nothing can be learned from "
                                "them; check the options of dataset_reader"))  # fmt: skip
    return lines(faults)


def lines(faults: Sequence[DataError]) -> list[str]:
    """Each message once, as a terminal may show it, in the order of the file's lines."""
    return sorted(dict.fromkeys(str(fault) for fault in faults), key=_line)


def _line(message: str) -> int:
    """The line that a message begins with; 0 where it names none."""
    found = _FILE_LINE.match(message)
    return int(found[1]) if found else 0


def data_files(parts: ExperimentConfig) -> dict[str, str]:
    """Name → path of the sets that a config names."""
    paths = {"train": parts.train_data_path, "validation": parts.validation_data_path, "test": parts.test_data_path}
    return {name: path for name, path in paths.items() if path is not None}


@contextmanager
def kept_log() -> Iterator[list[tuple[int, str]]]:
    """Within it, what luke-tasks logs is put into the list, as levels and texts, and shown nowhere."""
    messages: list[tuple[int, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append((record.levelno, record.getMessage()))  # type: ignore[method-assign]
    package = logging.getLogger("luke_tasks")
    before = package.level, package.propagate, package.handlers
    package.handlers = [handler]
    package.setLevel(logging.INFO)
    package.propagate = False
    try:
        yield messages
    finally:
        package.setLevel(before[0])
        package.propagate, package.handlers = before[1:]
