"""A data file, read and encoded: what an experiment trains and scores on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.readers.reader import Reader


@dataclass
class DataSet:
    """The examples of a file and all their windows."""

    examples: Sequence[Any]
    features: Sequence[Features]
    num_words: int
    label_counts: Counter[str]  # in the order the labels came; empty for a task without classes
    origin: str  # where they were read from, for messages

    def count_unlabelled(self, labels: Labels) -> int:
        """How many windows have no gold label. Raises DataError when one has a label that `labels` does not know."""
        return sum(feature.targets(labels) is None for feature in self.features)


def read_set(reader: Reader, path: str | Path) -> DataSet:
    """All of a file in memory. Raises DataError, also when there is no example."""
    examples, features = reader.read_encoded(path)
    num_words = sum(feature.num_words for feature in features)
    return DataSet(examples, features, num_words, count_labels(reader, examples), str(path))


def count_labels(reader: Reader, examples: Sequence[Any]) -> Counter[str]:
    """How often each gold label comes in some examples."""
    if not reader.has_labels:
        return Counter()
    return Counter(label for example in examples for label in reader.labels_of(example))
