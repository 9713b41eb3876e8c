"""Batches: padding, masks, labels, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from luke_tasks.data.features import IGNORED_LABEL, Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import DataLoader, batches_of, collate

PAD = 7
LABELS = Labels(["O", "PER", "LOC"])


@dataclass(eq=False, kw_only=True)
class Window(Features):
    gold: list[str] | str | None

    def targets(self, labels: Labels) -> IntArray | None:
        if self.gold is None:
            return None
        if isinstance(self.gold, str):
            return np.array(labels.index(self.gold, "f:1"))
        return np.array([labels.index(label, "f:1") for label in self.gold], dtype=np.int64)


def window(num_words: int, num_entities: int, gold: Any = None) -> Window:
    spans = np.array([[i, i + 1] for i in range(num_entities)], dtype=np.int64).reshape(-1, 2)
    entities = np.full(num_entities, 2)
    return Window(
        example="x",
        word_ids=np.arange(100, 100 + num_words),
        entity_ids=entities,
        entity_spans=spans,
        num_words=num_words,
        gold=gold,
    )


# -- collate --------------------------------------------------------------------------------------------------------


def test_padding() -> None:
    windows = [window(2, 1, ["PER"]), window(4, 3, ["O", "LOC", "O"])]
    batch = collate(windows, pad_id=PAD, labels=LABELS)
    assert batch.word_ids.tolist() == [[100, 101, PAD, PAD], [100, 101, 102, 103]]
    assert batch.word_mask.tolist() == [[True, True, False, False], [True] * 4]
    assert batch.entity_ids is not None and batch.entity_ids.tolist() == [[2, 0, 0], [2, 2, 2]]
    assert batch.entity_mask is not None and batch.entity_mask.tolist() == [[True, False, False], [True] * 3]
    assert batch.entity_spans is not None
    assert batch.entity_spans.tolist() == [[[0, 1], [0, 0], [0, 0]], [[0, 1], [1, 2], [2, 3]]]
    assert batch.labels is not None
    assert batch.labels.tolist() == [[1, IGNORED_LABEL, IGNORED_LABEL], [0, 2, 0]]
    assert batch.word_type_ids is None
    assert batch.features is windows
    assert {t.dtype for t in (batch.word_ids, batch.entity_ids, batch.entity_spans, batch.labels)} == {torch.int64}
    assert {t.dtype for t in (batch.word_mask, batch.entity_mask)} == {torch.bool}


def test_one_label_a_window() -> None:
    batch = collate([window(1, 1, "LOC"), window(2, 1, "O")], pad_id=PAD, labels=LABELS)
    assert batch.labels is not None and batch.labels.tolist() == [2, 0]


def test_segment_ids() -> None:
    windows = [window(2, 1), window(3, 2)]
    for own in windows:
        own.word_type_ids, own.entity_type_ids = np.ones_like(own.word_ids), np.ones_like(own.entity_ids)
    batch = collate(windows, pad_id=PAD, labels=None)
    assert batch.word_type_ids is not None and batch.word_type_ids.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch.entity_type_ids is not None and batch.entity_type_ids.tolist() == [[1, 0], [1, 1]]
    with pytest.raises(ValueError, match="some windows of a batch have segment ids and others have none"):
        collate([windows[0], window(1, 1)], pad_id=PAD, labels=None)


def test_windows_without_entities() -> None:
    batch = collate([window(1, 0, []), window(2, 0, [])], pad_id=PAD, labels=LABELS)
    assert batch.entity_ids is not None and batch.entity_ids.shape == (2, 0)
    assert batch.entity_spans is not None and batch.entity_spans.shape == (2, 0, 2)
    assert batch.entity_mask is not None and batch.entity_mask.shape == (2, 0)


@pytest.mark.parametrize(("gold", "labels"), [(["PER"], None), (None, LABELS)])
def test_no_labels(gold: Any, labels: Labels | None) -> None:
    assert collate([window(1, 1, gold)], pad_id=PAD, labels=labels).labels is None


def test_labels_only_where_all_have_them() -> None:
    assert collate([window(1, 1, ["PER"]), window(1, 1)], pad_id=PAD, labels=LABELS).labels is None


def test_a_batch_without_entity_input() -> None:
    batch = collate([window(2, 1, ["PER"])], pad_id=PAD, labels=LABELS)
    words = batch.words_only()
    assert words.entity_ids is None and words.entity_mask is None
    assert words.entity_spans is batch.entity_spans and words.labels is batch.labels
    assert batch.entity_ids is not None  # a batch stays as it was
    assert batch.to(torch.device("meta")).word_ids.device.type == "meta"
    assert batch.word_ids.device.type == "cpu"


# -- order ----------------------------------------------------------------------------------------------------------


def order(num_windows: int, seed: int = 0, epoch: int = 0, **options: Any) -> list[list[int]]:
    lengths = np.random.default_rng(0).integers(1, 50, num_windows)
    return DataLoader(**options).order([window(int(n), 1) for n in lengths], seed=seed, epoch=epoch)


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


def test_without_shuffle_the_files_order() -> None:
    assert order(5, batch_size=2) == [[0, 1], [2, 3], [4]]
    assert order(5, batch_size=2, drop_last=True) == [[0, 1], [2, 3]]
    assert order(5, batch_size=2, seed=3, epoch=4) == order(5, batch_size=2)


@pytest.mark.parametrize("bucket", [False, True])
def test_order_depends_on_seed_and_epoch_alone(bucket: bool) -> None:
    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "bucket": bucket}
    first = order(50, seed=1, epoch=2, **options)
    np.random.seed(99)
    torch.manual_seed(99)
    assert order(50, seed=1, epoch=2, **options) == first
    assert order(50, seed=1, epoch=3, **options) != first
    assert order(50, seed=2, epoch=2, **options) != first
    assert order(50, seed=2, epoch=1, **options) != first
    assert sorted(flat(first)) == list(range(50))
    assert flat(first) != list(range(50))


@pytest.mark.parametrize("bucket", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("num_windows", [0, 1, 3, 4, 5, 8, 230])
def test_batches_are_full_but_one(num_windows: int, drop_last: bool, bucket: bool) -> None:
    loader = DataLoader(batch_size=4, shuffle=True, drop_last=drop_last, bucket=bucket)
    batches = loader.order([window(n + 1, 1) for n in range(num_windows)], seed=0, epoch=0)
    assert len(batches) == loader.num_batches(num_windows) == num_windows // 4 + (num_windows % 4 > 0 and not drop_last)
    sizes = sorted(len(batch) for batch in batches)
    rest = [num_windows % 4] if num_windows % 4 and not drop_last else []
    assert sizes == rest + [4] * (num_windows // 4)
    assert len(set(flat(batches))) == sum(sizes)


def test_buckets_leave_less_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 400)

    def padding(batches: list[list[int]]) -> int:
        return sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in batches)

    plain = order(400, batch_size=8, shuffle=True)
    bucketed = order(400, batch_size=8, shuffle=True, bucket=True)
    assert padding(bucketed) < padding(plain) / 5
    means = [float(lengths[batch].mean()) for batch in bucketed]
    assert means != sorted(means)  # short batches do not all come first


def test_what_buckets_drop_is_random() -> None:
    """Not always the longest window."""
    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "drop_last": True, "bucket": True}
    dropped = {(set(range(41)) - set(flat(order(41, epoch=epoch, **options)))).pop() for epoch in range(20)}
    assert len(dropped) > 5


def test_evaluation_batches_are_by_falling_length() -> None:
    windows = [window(n, 1, ["PER"]) for n in (3, 9, 1, 9, 5)]
    batches = list(batches_of(windows, batch_size=2, pad_id=PAD, labels=LABELS))
    assert [[len(f.word_ids) for f in batch.features] for batch in batches] == [[9, 9], [5, 3], [1]]
    assert batches[0].features[0] is windows[1] and batches[0].features[1] is windows[3]
    assert list(batches_of([], batch_size=2, pad_id=PAD, labels=LABELS)) == []


def test_features_without_targets_say_so() -> None:
    with pytest.raises(NotImplementedError, match="Window has no targets"):
        Features.targets(window(1, 1), LABELS)
