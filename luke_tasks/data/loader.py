"""Features to batches: padding, and the order of batches within an epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, EntityAttention, Features, FloatArray, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.registry import Folder, PositiveInt

logger = logging.getLogger(__name__)

_DEFAULT_BATCH_SIZE = 32  # windows, where neither batch_size nor max_tokens is given
_POOLED_BATCHES = 50  # batches' worth of shuffled windows that are sorted by length together


class Sizes(NamedTuple):
    """How large some features are: (N,) each."""

    rows: IntArray  # windows; more than 1 where they must stay in one batch, as choices must
    words: IntArray  # word pieces of the longest window
    entities: IntArray  # most entities of a window
    tokens: IntArray  # word pieces and entities of all windows together

    @classmethod
    def of(cls, features: Sequence[Features]) -> Sizes:
        """The sizes of each of N features; of stored ones (`stored_set.py`) without making any."""
        known = getattr(features, "sizes", None)
        if isinstance(known, cls):
            return known
        counts = [[(len(window.word_ids), len(window.entity_ids)) for window in one.windows] for one in features]
        return cls(
            rows=np.array([len(windows) for windows in counts], dtype=np.int64),
            words=np.array([max(words for words, _ in windows) for windows in counts], dtype=np.int64),
            entities=np.array([max(entities for _, entities in windows) for windows in counts], dtype=np.int64),
            tokens=np.array([sum(map(sum, windows)) for windows in counts], dtype=np.int64),
        )

    @property
    def cost(self) -> IntArray:
        """(N,) word and entity places of each, were it a batch by itself."""
        return self.rows * (self.words + self.entities)

    def padding_share(self, batches: Sequence[Sequence[int]]) -> float:
        """The share of the batches' word and entity places that is padding; 0 of no batch."""
        places = sum(
            int(self.rows[rows].sum() * (self.words[rows].max() + self.entities[rows].max()))
            for rows in map(list, batches)
        )
        filled = sum(int(self.tokens[list(rows)].sum()) for rows in batches)
        return 1 - filled / places if places else 0.0


def count_words(features: Sequence[Features], rows: Sequence[int]) -> int:
    """The words of some features, given by their places; of stored ones (`stored_set.py`) without making any."""
    known = getattr(features, "num_words", None)
    if known is not None:
        return int(known[list(rows)].sum())
    return sum(features[row].num_words for row in rows)


def batch_limit(batch_size: int | None, max_tokens: int | None) -> int | None:
    """Windows a batch at most: as given, or else 32, or with `max_tokens` no limit (None).

    Raises:
        ValueError: one of them is not positive.
    """
    for name, value in (("batch_size", batch_size), ("max_tokens", max_tokens)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected a positive number, found {value}")
    return _DEFAULT_BATCH_SIZE if batch_size is None and max_tokens is None else batch_size


class DataLoader:
    """How features become batches (`data_loader` in a config).

    With `max_tokens`, the number of batches depends on which windows meet, and so on the epoch: `num_batches` forms the
    batches of every epoch before training, so that the learning rate's schedule knows the number of steps exactly.

    Args:
        batch_size: windows a batch; of multiple choice, examples with all their choices. With `max_tokens`: at most so
            many. Default: 32, or no limit with `max_tokens`.
        max_tokens: word and entity places a batch at most, padding included: windows × (word pieces of the longest +
            most entities). A window that alone has more is a batch by itself, which is reported. With `shuffle` it
            brings `bucket` with it.
        shuffle: whether the windows of an epoch come in random order (decided by `seed` and the epoch alone, so that
            a recovered run sees the same batches); never in evaluation.
        drop_last: leave out the last batch when it is smaller than `batch_size`.
        bucket: with `shuffle`, put windows of like length into one batch, which leaves less padding; which of them
            meet, and the order of batches, stay random.
        cache_dir: folder, relative to the working directory, for a cache of the features (`readers/feature_cache.py`,
            needs the extra `cache`): they are read and encoded once, and mapped from disk then, so that data larger
            than memory can be trained on; the results are the same. None: they are held in memory.
    """

    def __init__(
        self,
        *,
        batch_size: PositiveInt | None = None,
        max_tokens: PositiveInt | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        bucket: bool = False,
        cache_dir: Folder | None = None,
    ) -> None:
        self.batch_size = batch_limit(batch_size, max_tokens)
        self.max_tokens = max_tokens
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.bucket = bucket
        self.cache_dir = cache_dir

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Batches by `max_tokens` have no full size, so none falls short of it."""
        if values["drop_last"] and values["max_tokens"] is not None:
            yield "drop_last", "goes with batches of a fixed size only, not with max_tokens; remove one of them"

    def num_batches(self, features: Sequence[Features], *, seed: int, num_epochs: int) -> list[int]:
        """The batches of each epoch."""
        if self.max_tokens is not None:
            sizes = Sizes.of(features)
            return [len(self._by_tokens(sizes, np.random.default_rng([seed, epoch]))) for epoch in range(num_epochs)]
        assert self.batch_size is not None
        full, rest = divmod(len(features), self.batch_size)
        return [full if self.drop_last or not rest else full + 1] * num_epochs

    def order(self, features: Sequence[Features], *, seed: int, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as lists of indices into `features`."""
        random = np.random.default_rng([seed, epoch])
        if self.max_tokens is not None:
            batches = self._by_tokens(Sizes.of(features), random)
        else:
            batches = self._by_windows(features, random)
        if self.shuffle and (self.bucket or self.max_tokens is not None):
            random.shuffle(batches)
        return batches

    def _by_windows(self, features: Sequence[Features], random: np.random.Generator) -> list[list[int]]:
        """Batches of `batch_size` windows; by rising length within a pool where they are bucketed."""
        assert self.batch_size is not None
        order = np.arange(len(features))
        if self.shuffle:
            random.shuffle(order)
        if self.drop_last:  # before sorting: it drops any
            order = order[: len(order) // self.batch_size * self.batch_size]
        if self.shuffle and self.bucket and len(order):
            pool = _POOLED_BATCHES * self.batch_size
            sizes = Sizes.of(features)
            lengths = sizes.words + sizes.entities
            pools = [order[start : start + pool] for start in range(0, len(order), pool)]
            order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
        return [order[start : start + self.batch_size].tolist() for start in range(0, len(order), self.batch_size)]

    def _by_tokens(self, sizes: Sizes, random: np.random.Generator) -> list[list[int]]:
        """Batches within `max_tokens`; when shuffled, sorted by length within pools that make many batches."""
        assert self.max_tokens is not None
        order = np.arange(len(sizes.rows))
        if self.shuffle:
            random.shuffle(order)
            pool_of_each = np.cumsum(sizes.cost[order]) // (_POOLED_BATCHES * self.max_tokens)  # (N,)
            pools = np.split(order, np.flatnonzero(np.diff(pool_of_each)) + 1)
            order = joined([by_length(rows, sizes, self.batch_size, self.max_tokens) for rows in pools], sizes)
        return packed(order, sizes, self.batch_size, self.max_tokens)


def by_length(rows: IntArray, sizes: Sizes, batch_size: int | None, max_tokens: int | None) -> IntArray:
    """`rows`, roughly the longest first, so that batches cut from them within these limits hold little padding.

    A batch is as long as its longest words and its most entities together, and windows of one length may share it out
    in many ways. So the windows, sorted by length, fall into strata, as many as a stratum has batches, and each stratum
    is sorted by its words. Windows of the same size stay in the order they came.
    """
    if not len(rows):
        return rows
    costs = sizes.cost[rows]
    order = np.lexsort([-sizes.words[rows], -(sizes.words + sizes.entities)[rows]])
    of_a_batch = [] if max_tokens is None else [float(max_tokens)]  # places, about
    if batch_size is not None:
        of_a_batch.append(batch_size * float(costs.mean()))
    num_strata = max(1, int(math.sqrt(costs.sum() / min(of_a_batch)))) if of_a_batch else 1
    before = np.cumsum(costs[order]) - costs[order]  # (N,) places of all that are longer
    stratum_of_each = before * num_strata // costs.sum()
    strata = np.split(rows[order], np.flatnonzero(np.diff(stratum_of_each)) + 1)
    return joined([stratum[np.argsort(-sizes.words[stratum], kind="stable")] for stratum in strata], sizes)


def joined(parts: Sequence[IntArray], sizes: Sizes) -> IntArray:
    """Sorted stretches one after the other, each turned so that it begins where the one before ended, most nearly."""
    found = list(parts[:1])
    for part in parts[1:]:
        end, first, last = found[-1][-1], part[0], part[-1]
        to_first, to_last = (
            abs(sizes.words[end] - sizes.words[other]) + abs(sizes.entities[end] - sizes.entities[other])
            for other in (first, last)
        )
        found.append(part if to_first <= to_last else part[::-1])
    return np.concatenate(found)


def packed(order: IntArray, sizes: Sizes, batch_size: int | None, max_tokens: int | None) -> list[list[int]]:
    """`order` cut into batches within both limits (None: no limit), each begun when the one before is full.

    What is larger than `max_tokens` by itself is a batch of its own.
    """
    batches: list[list[int]] = []
    rows = words = entities = 0  # of the batch that is being filled
    all_rows, all_words, all_entities = sizes.rows.tolist(), sizes.words.tolist(), sizes.entities.tolist()
    for index in order.tolist():
        rows += all_rows[index]
        words, entities = max(words, all_words[index]), max(entities, all_entities[index])
        is_large = max_tokens is not None and rows * (words + entities) > max_tokens
        if not batches or is_large or len(batches[-1]) == batch_size:
            batches.append([])
            rows, words, entities = all_rows[index], all_words[index], all_entities[index]
        batches[-1].append(index)
    return batches


def report_batches(what: str, sizes: Sizes, batches: Sequence[Sequence[int]], max_tokens: int | None) -> None:
    """Log how much of some batches is padding, and warn of windows larger than `max_tokens`.

    Args:
        what: whose windows they are, to begin the line: a file, say.
    """
    logger.info("%s: %s windows in %s batches; %.0f %% of the word and entity places are padding", what,
                f"{sizes.rows.sum():,}", f"{len(batches):,}", 100 * sizes.padding_share(batches))  # fmt: skip
    oversize = int((sizes.cost > max_tokens).sum()) if max_tokens is not None else 0
    if oversize:
        logger.warning("%s: %d are larger than max_tokens (%d word and entity places), each a batch by itself, the "
                       "largest of %d; if memory is short, lower dataset_reader.max_sequence_length", what, oversize,
                       max_tokens, sizes.cost.max())  # fmt: skip


def collate(features: Sequence[Features], *, pad_id: int, labels: Labels | None) -> Batch:
    """Pad the features of some windows into one batch.

    Args:
        pad_id: the tokenizer's pad id.
        labels: gives the gold labels their indices; None: the batch gets no labels.
    """
    targets = [feature.targets(labels) for feature in features] if labels is not None else []
    known_targets = [target for target in targets if target is not None]
    windows = [window for feature in features for window in feature.windows]
    entity_lengths = torch.tensor([len(window.entity_ids) for window in windows])
    word_lengths = torch.tensor([len(window.word_ids) for window in windows])
    return Batch(
        word_ids=_pad([window.word_ids for window in windows], pad_id),
        word_mask=_mask(word_lengths),
        entity_ids=_pad([window.entity_ids for window in windows], 0),
        entity_spans=_pad([window.entity_spans for window in windows], 0),
        entity_mask=_mask(entity_lengths),
        word_type_ids=_pad_types([window.word_type_ids for window in windows]),
        entity_type_ids=_pad_types([window.entity_type_ids for window in windows]),
        entity_attention=_entity_attention(windows),
        entity_groups=_pad_types([window.entity_groups for window in windows], "groups of entities"),
        labels=_pad(known_targets, IGNORED_LABEL) if len(known_targets) == len(features) else None,
        features=features,
    )


def evaluation_order(sizes: Sizes, *, batch_size: int | None, max_tokens: int | None = None) -> list[list[int]]:
    """Batches for evaluation, as lists of indices: windows of like length together (less padding), longest first."""
    order = by_length(np.arange(len(sizes.rows)), sizes, batch_size, max_tokens)
    return packed(order, sizes, batch_size, max_tokens)


def _entity_attention(windows: Sequence[Features]) -> EntityAttention:
    """That of all windows."""
    found = {window.entity_attention for window in windows}
    if len(found) > 1:
        raise ValueError(f"the entities of a batch attend in several ways: {', '.join(sorted(found))}")
    return found.pop()


def _pad_types(arrays: Sequence[IntArray | None], what: str = "segment ids") -> Tensor | None:
    """Segment ids, or groups, padded with 0; None where no window has any."""
    known = [array for array in arrays if array is not None]
    if len(known) not in (0, len(arrays)):
        raise ValueError(f"some windows of a batch have {what} and others have none")
    return _pad(known, 0) if known else None


def _pad(arrays: Sequence[IntArray | FloatArray], value: int) -> Tensor:
    """Stack arrays of equal rank, each dimension padded at its end: (B, longest, ...)."""
    dtype = np.float32 if arrays[0].dtype.kind == "f" else np.int64
    if not arrays[0].ndim:
        return torch.from_numpy(np.array(arrays, dtype=dtype))
    shape = tuple(map(max, zip(*(array.shape for array in arrays), strict=True)))
    padded = np.full((len(arrays), *shape), value, dtype=dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return torch.from_numpy(padded)


def _mask(lengths: Tensor) -> Tensor:
    """(B,) lengths → (B, longest) bool, True where there is something."""
    return torch.arange(int(lengths.max())) < lengths[:, None]
