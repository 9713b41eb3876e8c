"""How many examples a config's data files hold, and into how many windows they are cut."""

from __future__ import annotations

from luke_tasks.checks.data import data_files
from luke_tasks.experiment import published_tokenizer
from luke_tasks.experiment_config import ExperimentConfig
from luke_tasks.readers.data_set import read_set


def count_instances(parts: ExperimentConfig) -> dict[str, dict[str, int]]:
    """For train, validation and test, as far as the config names them: instances (what AllenNLP's command counts:
    examples), features (what batches are made of), windows (rows of a batch) and words.

    Raises:
        DataError: at the first fault of a file.
    """
    tokenizer = published_tokenizer(parts)
    reader = parts.dataset_reader.build(tokenizer=tokenizer)
    validation_reader = parts.evaluation_reader.build(tokenizer=tokenizer)
    tokenizer.add_words({**validation_reader.added_words, **reader.added_words})
    counts = {}
    for name, path in data_files(parts).items():
        found = read_set(reader if name == "train" else validation_reader, path)
        counts[name] = {
            "instances": len(found.examples),
            "features": len(found.features),
            "windows": sum(len(feature.windows) for feature in found.features),
            "words": found.num_words,
        }
    return counts
