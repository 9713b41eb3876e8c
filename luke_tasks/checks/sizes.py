"""How large a data set is: counts, distributions of lengths, and what the config's limits cut or leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from luke_tasks.checks.data import ReadSet
from luke_tasks.checks.repeats import is_document
from luke_tasks.data.loader import DataLoader, Sizes, evaluation_order

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
# What a message of `Reader.dropped` counts, by its first word → the fields of an example whose items these are. A
# message that begins with another word counts examples, or what only the reader knows.
_PARTS = {
    "entities": ("entities", "mentions", "passage.candidates"), "sentences": ("sentences",), "choices": ("choices",),
    "candidates": ("passage.candidates",), "types": ("types",), "words": ("words",),
}  # fmt: skip
_EXAMPLES = ("texts", "questions", "queries", "sentences")


def sizes_of(found: ReadSet) -> dict[str, Any]:
    """The numbers of a set, for JSON.

    Returns:
        examples, sentences (of documents, else 0), words, features (what batches are made of), windows (rows of a
        batch: more than features where choices stay together), word_pieces and entities of all windows, special tokens
        included; labels with their counts; `lengths`, each with p50, p90, p99, max and mean; `full_windows`, as long as
        the reader allows; `dropped`.
    """
    documents = found.examples if is_document(found.examples) else []
    sentences = [sentence for document in documents for sentence in document.sentences]
    windows = [window for feature in found.features for window in feature.windows]
    pieces = [len(window.word_ids) for window in windows]
    entities = [len(window.entity_ids) for window in windows]
    longest = found.reader.max_sequence_length
    return {
        "path": found.path,
        "examples": len(found.examples),
        "sentences": len(sentences),
        "words": found.num_words,
        "features": len(found.features),
        "windows": len(windows),
        "word_pieces": sum(pieces),
        "entities": sum(entities),
        "labels": _label_counts(found),
        "lengths": {
            "words_per_example": distribution(_words_of_examples(found)),
            "words_per_sentence": distribution(last - first for first, last in sentences),
            "word_pieces_per_window": distribution(pieces),
            "entities_per_window": distribution(entities),
        },
        "max_sequence_length": longest,
        "full_windows": sum(length >= longest for length in pieces),
        "dropped": [dropped(found, what, count) for what, count in found.dropped.items()],
        "seconds_to_read": round(found.seconds, 3),
    }


def distribution(values: Iterable[int]) -> dict[str, float]:
    """Quantiles that are values themselves (the least that so many are not above), and the mean; empty of no value."""
    array = np.sort(np.fromiter(values, dtype=np.int64))
    if not len(array):
        return {}
    found: dict[str, float] = {
        name: int(array[max(0, int(np.ceil(share * len(array))) - 1)]) for name, share in _QUANTILES.items()
    }
    return {**found, "mean": round(float(array.mean()), 2)}


def dropped(found: ReadSet, what: str, count: int) -> dict[str, Any]:
    """A line of `Reader.dropped`, and its share where it is known of how many."""
    total = _total(found, what, count)
    share = round(count / total, 6) if total else None
    return {"what": what, "count": count, "of": total, "share": share}


def padding_share(features: Sequence[Any], loader: DataLoader, *, seed: int | None) -> float:
    """The share of word and entity places that is padding: of the first epoch with this seed; None: of evaluation."""
    sizes = Sizes.of(features)
    if seed is None:
        return sizes.padding_share(evaluation_order(sizes, batch_size=loader.batch_size, max_tokens=loader.max_tokens))
    return sizes.padding_share(loader.order(features, seed=seed, epoch=0))


def _label_counts(found: ReadSet) -> dict[str, int]:
    """Gold labels, the most frequent first. Of named entities `O` comes first, and counts words outside entities."""
    counts = dict(found.label_counts.most_common())
    if found.reader.task == "ner" and "O" in counts:
        entities = [entity for example in found.examples for entity in example.entities or ()]
        counts = {"O": counts.pop("O") - sum(entity.end - entity.start for entity in entities), **counts}
    return counts


def _words_of_examples(found: ReadSet) -> Iterable[int]:
    words: Counter[int] = Counter({id(example): 0 for example in found.examples})
    for feature in found.features:
        words[id(feature.example)] += feature.num_words
    return words.values()


def _total(found: ReadSet, what: str, count: int) -> int | None:
    """How many there are of what a message counts."""
    noun = what.partition(" ")[0]
    if noun == "windows":
        return len(found.features) + (count if "left out" in what and "last" not in what else 0)
    for name in _PARTS.get(noun, ()):
        total = sum(_num_items(example, name) for example in found.examples)
        if total:
            return total + (count if noun == "types" or "listed twice" in what else 0)
    return len(found.examples) if noun in _EXAMPLES else None


def _num_items(example: Any, name: str) -> int:
    """Items of an example's field, which may be one of a part of it, or a list of lists; 0 where there is none."""
    value = example
    for part in name.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, list | tuple):
        return 0
    return sum(len(item) if isinstance(item, list) else 1 for item in value)
