"""Data read by the reader that will read them: how many, which labels, how long in word pieces.

Nothing is trained and no weight is loaded; of a checkpoint only its `config.json` and its tokenizer are needed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from luke_tasks.data.features import IntArray
from luke_tasks.data.hub import EMBEDDED_MINILM, checkpoint_dir
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.pretrained import read_config
from luke_tasks.errors import CheckpointError, DataError
from luke_tasks.own_data.fit import refused_together
from luke_tasks.readers.data_set import count_labels
from luke_tasks.readers.reader import Reader
from luke_tasks.registry import discover

logger = logging.getLogger(__name__)
_MOST_MEASURED = 20_000  # examples of a file, the first ones
_ENDLESS = 1_000_000  # word pieces: no text is cut while it is measured
_USUAL_WINDOW = 512


@dataclass(frozen=True)
class Checkpoint:
    """What can be known of a checkpoint without its weights.

    `name` is the config's `pretrained`. `is_luke`: whether it has LUKE's entities. `max_window`: word pieces it can
    read at once. `tokenizer` measures lengths; `tokenizer_name` is whose it is, another's where the checkpoint is not
    here.
    """

    name: str
    is_luke: bool
    max_window: int
    tokenizer: Tokenizer | None
    tokenizer_name: str

    @property
    def is_small(self) -> bool:
        """The embedded model, which trains on a CPU."""
        return self.name == EMBEDDED_MINILM

    @classmethod
    def find(cls, name: str) -> Checkpoint:
        """What a folder, the hub or its cache holds; a hub that is out of reach is warned of, and guessed at by name.

        Raises:
            CheckpointError: `name` is a folder, or an embedded model, that cannot be read.
        """
        is_luke, max_window = "luke" in name.lower(), _USUAL_WINDOW
        is_here = name.startswith(("embedded:", "/", "./", "../", "~", ".")) or Path(name).expanduser().exists()
        try:
            config = read_config(checkpoint_dir(name, weights=False))
            max_window = min(max_window, config.max_position_embeddings - config.pad_token_id - 1)
            return cls(name, is_luke, max_window, Tokenizer.from_pretrained(name, special_entities_only=True), name)
        except CheckpointError as error:
            if is_here:
                raise
            logger.warning("%s; lengths are measured with %s", error, EMBEDDED_MINILM)
        try:
            return cls(name, is_luke, max_window, Tokenizer.from_pretrained(EMBEDDED_MINILM), EMBEDDED_MINILM)
        except CheckpointError as error:
            logger.warning("%s; lengths are not measured", error)
            return cls(name, is_luke, max_window, None, "")


@dataclass
class Measures:
    """A data file in numbers.

    Args:
        examples: how many; of column files sentences.
        unit: what they are called.
        labels: how often each comes.
        windows: (N,) word pieces of each text with its special tokens, were it in one window.
        mentions: (M,) word pieces of each gold entity.
        spans: (N, 16) spans of each sentence with up to 1, 2, ..., 16 word pieces.
        questions: (N,) word pieces of each question.
    """

    examples: int
    unit: str
    labels: Counter[str]
    windows: IntArray
    mentions: IntArray
    spans: IntArray
    questions: IntArray


def measure(path: str | Path, options: dict[str, Any], tokenizer: Tokenizer | None) -> Measures:
    """Read all of a file, and measure its first 20,000 examples.

    Args:
        options: of the reader, with its `type`.
        tokenizer: None: lengths are left empty.
    Raises:
        DataError: the reader finds no example, or cannot go on.
        Unreadable: the reader refuses lines: all of them.
    """
    reader = make_reader(options, tokenizer)
    with refused_together(path):
        examples = list(reader.read(path))
    if not examples:
        raise DataError(f"{path}: the file holds no example")
    labels = count_labels(reader, examples)
    empty = np.zeros(0, dtype=np.int64)
    found = Measures(len(examples), _unit(reader), labels, empty, empty, empty.reshape(0, 16), empty)
    if reader.task in ("ner", "token_classification"):
        found.examples = sum(len(example.sentences) for example in examples)
        labels.pop("O", None)
    if tokenizer is None:
        return found
    sample = list(islice(examples, _MOST_MEASURED))
    if reader.task in ("ner", "token_classification"):
        _measure_sentences(found, sample, tokenizer)
        return found
    features = reader.encode(sample)
    reader.dropped.clear()
    windows = [window for one in features for window in one.windows]
    found.windows = np.array([len(window.word_ids) for window in windows], dtype=np.int64)
    name = {"question_answering": "question", "record": "query"}.get(reader.task)
    if name is not None:
        pieces = tokenizer.texts_to_pieces([getattr(example, name) for example in sample])
        found.questions = np.array([len(one) for one in pieces], dtype=np.int64)
    return found


def make_reader(options: dict[str, Any], tokenizer: Tokenizer | None) -> Reader:
    """The reader without limits on length. One without a tokenizer can read, but not encode."""
    discover("luke_tasks.readers")
    rest = {key: value for key, value in options.items() if key != "type"}
    built: Reader = Reader.registered()[options["type"]](
        tokenizer=tokenizer, **{**rest, "max_sequence_length": _ENDLESS}
    )
    if tokenizer is not None:
        tokenizer.add_words(built.added_words)
    return built


def _measure_sentences(found: Measures, documents: Sequence[Any], tokenizer: Tokenizer) -> None:
    """Of files of columns, whose documents may be long."""
    windows: list[int] = []
    mentions: list[int] = []
    spans: list[IntArray] = []
    limits = np.arange(1, 17)
    for document in documents:
        lengths = [len(pieces) for pieces in tokenizer.words_to_pieces(document.words)]
        starts = np.concatenate([[0], np.cumsum(lengths)])  # (words + 1,)
        mentions += [starts[entity.end] - starts[entity.start] for entity in document.entities or ()]
        for first, last in document.sentences[: _MOST_MEASURED - len(windows)]:
            own = starts[first : last + 1]
            windows.append(own[-1] - own[0] + 2)
            ends = (
                np.searchsorted(own, own[:-1, None] + limits, side="right") - 1
            )  # (words, 16) the last word that fits
            spans.append((ends - np.arange(last - first)[:, None]).sum(0))
    found.windows, found.mentions = np.array(windows, dtype=np.int64), np.array(mentions, dtype=np.int64)
    found.spans = np.array(spans, dtype=np.int64).reshape(-1, 16)


def _unit(reader: Reader) -> str:
    return {
        "ner": "sentences", "token_classification": "sentences", "question_answering": "questions", "record": "queries",
        "entity_typing": "mentions", "relation_classification": "sentences",
    }.get(reader.task, "texts")  # fmt: skip
