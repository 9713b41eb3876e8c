"""Features to batches: padding, and the order of batches within an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, EntityAttention, Features, FloatArray, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.registry import PositiveInt

_POOLED_BATCHES = 50  # batches' worth of shuffled windows that are sorted by length together


class DataLoader:
    """How features become batches (`data_loader` in a config).

    Args:
        batch_size: windows a batch; of multiple choice, examples with all their choices.
        shuffle: whether the windows of an epoch come in random order (decided by `seed` and the epoch alone, so that
            a recovered run sees the same batches); never in evaluation.
        drop_last: leave out the last batch when it is smaller than `batch_size`.
        bucket: with `shuffle`, put windows of like length into one batch, which leaves less padding; which of them
            meet, and the order of batches, stay random.
    """

    def __init__(
        self,
        *,
        batch_size: PositiveInt = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        bucket: bool = False,
    ) -> None:
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.bucket = bucket

    def num_batches(self, num_features: int) -> int:
        """Batches in an epoch over `num_features` windows."""
        full, rest = divmod(num_features, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def order(self, features: Sequence[Features], *, seed: int, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as lists of indices into `features`."""
        order = np.arange(len(features))
        random = np.random.default_rng([seed, epoch])
        if self.shuffle:
            random.shuffle(order)
        order = order[: self.num_batches(len(features)) * self.batch_size]  # before sorting: drop_last drops any
        if self.shuffle and self.bucket and len(order):
            pool = _POOLED_BATCHES * self.batch_size
            lengths = np.array([len(feature.word_ids) + len(feature.entity_ids) for feature in features])
            pools = [order[start : start + pool] for start in range(0, len(order), pool)]
            order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
        batches = [order[start : start + self.batch_size].tolist() for start in range(0, len(order), self.batch_size)]
        if self.shuffle and self.bucket:
            random.shuffle(batches)
        return batches


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


def batches_of(features: Sequence[Features], *, batch_size: int, pad_id: int, labels: Labels | None) -> Iterator[Batch]:
    """Batches for evaluation: windows of like length together, longest first (less padding)."""
    order = sorted(range(len(features)), key=lambda index: -len(features[index].word_ids))
    for start in range(0, len(order), batch_size):
        chosen = [features[index] for index in order[start : start + batch_size]]
        yield collate(chosen, pad_id=pad_id, labels=labels)


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
    shape = np.max([array.shape for array in arrays], axis=0) if arrays[0].ndim else ()
    padded = np.full((len(arrays), *shape), value, dtype=np.float32 if arrays[0].dtype.kind == "f" else np.int64)
    for index, array in enumerate(arrays):
        corner: tuple[int | slice, ...] = (index, *(slice(size) for size in array.shape))
        padded[corner] = array
    return torch.from_numpy(padded)


def _mask(lengths: Tensor) -> Tensor:
    """(B,) lengths → (B, longest) bool, True where there is something."""
    return torch.arange(int(lengths.max())) < lengths[:, None]
