"""Batches: padding, masks, labels, and their order."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import DataLoader, Sizes, collate, evaluation_order, report_batches

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


def batches_of(features: Sequence[Features], *, batch_size: int | None, pad_id: int, labels: Labels | None,
               max_tokens: int | None = None) -> Iterator[Batch]:  # fmt: skip
    """The batches that an evaluation makes."""
    for rows in evaluation_order(Sizes.of(features), batch_size=batch_size, max_tokens=max_tokens):
        yield collate([features[index] for index in rows], pad_id=pad_id, labels=labels)


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
    windows = [window(n + 1, 1) for n in range(num_windows)]
    batches = loader.order(windows, seed=0, epoch=0)
    assert len(batches) == num_windows // 4 + (num_windows % 4 > 0 and not drop_last)
    assert loader.num_batches(windows, seed=0, num_epochs=3) == [len(batches)] * 3
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


def test_evaluation_looks_at_words_and_entities() -> None:
    windows = [window(*size) for size in ((9, 1), (4, 8), (5, 5), (6, 4), (9, 3))]
    found = [f for batch in batches_of(windows, batch_size=2, pad_id=PAD, labels=None) for f in batch.features]
    assert [windows.index(one) for one in found] == [
        4,
        0,
        3,
        2,
        1,
    ]  # one stratum: by words, then by the sum
    sizes = Sizes.of(uneven(1000))
    order = evaluation_order(sizes, batch_size=16)
    by_words = np.argsort(-sizes.words, kind="stable")
    by_sum = np.argsort(-sizes.words - sizes.entities, kind="stable")
    for other in (by_words, by_sum):
        batches = [other[start : start + 16].tolist() for start in range(0, 1000, 16)]
        assert sizes.padding_share(order) < 0.7 * sizes.padding_share(batches)


def test_evaluation_of_windows_with_as_many_entities_is_by_words() -> None:
    lengths = np.random.default_rng(0).integers(1, 90, 500).tolist()
    batches = list(batches_of([window(n, 2) for n in lengths], batch_size=4, pad_id=PAD, labels=None))
    found = [len(f.word_ids) for batch in batches for f in batch.features]
    assert found == sorted(lengths, reverse=True)


# -- max_tokens -----------------------------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class Choices(Window):
    """Several windows that stay together."""

    all: list[Window]

    @property
    def windows(self) -> Sequence[Features]:
        return self.all


def choices(*sizes: tuple[int, int]) -> Choices:
    all_windows = [window(*size) for size in sizes]
    return Choices(**{**vars(all_windows[0]), "all": all_windows})


def uneven(number: int) -> list[Features]:
    """Windows of 1 to 60 words and 0 to 30 entities, among them a choice of three; no two numbers are alike."""
    random = np.random.default_rng(5)
    found: list[Features] = [window(int(random.integers(1, 61)), int(random.integers(0, 31))) for _ in range(number)]
    found[number // 2] = choices((5, 1), (20, 3), (7, 9))
    return found


def places(features: list[Features], rows: list[int]) -> int:
    """Elements of the padded tensors."""
    batch = collate([features[row] for row in rows], pad_id=PAD, labels=None)
    assert batch.entity_ids is not None
    return batch.word_ids.numel() + batch.entity_ids.numel()


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_batch_keeps_within_max_tokens(shuffle: bool, batch_size: int | None) -> None:
    features = uneven(700)
    loader = DataLoader(max_tokens=400, batch_size=batch_size, shuffle=shuffle)
    for epoch in range(3):
        batches = loader.order(features, seed=3, epoch=epoch)
        assert sorted(flat(batches)) == list(range(700))
        assert max(places(features, rows) for rows in batches) <= 400
        longest = max(len(rows) for rows in batches)
        assert longest == 5 if batch_size else longest > 5  # without batch_size, any number of short windows


def test_batches_are_filled() -> None:
    """No batch has room for the window that begins the next."""
    features = uneven(300)
    batches = DataLoader(max_tokens=300).order(features, seed=0, epoch=0)
    assert flat(batches) == list(range(300))  # without shuffle, the file's order
    for rows, following in itertools.pairwise(batches):
        assert places(features, [*rows, following[0]]) > 300


def test_max_tokens_order_depends_on_seed_and_epoch_alone() -> None:
    features = uneven(1500)  # several pools
    loader = DataLoader(max_tokens=300, shuffle=True)
    first = loader.order(features, seed=1, epoch=2)
    np.random.seed(99)
    torch.manual_seed(99)
    assert loader.order(features, seed=1, epoch=2) == first
    again = DataLoader(max_tokens=300, shuffle=True, bucket=True)  # which max_tokens brings along
    assert again.order(features, seed=1, epoch=2) == first
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        other = loader.order(features, seed=seed, epoch=epoch)
        together = {frozenset(rows) for rows in first} & {frozenset(rows) for rows in other}
        assert len(together) < len(first) / 10  # other windows meet, not only in another order


def test_max_tokens_leaves_little_padding() -> None:
    features = uneven(2000)
    sizes = Sizes.of(features)
    shuffled = DataLoader(batch_size=8, shuffle=True).order(features, seed=0, epoch=0)
    by_tokens = DataLoader(max_tokens=500, shuffle=True).order(features, seed=0, epoch=0)
    assert sizes.padding_share(by_tokens) < sizes.padding_share(shuffled) / 2
    means = [float(np.mean([len(features[row].word_ids) for row in rows])) for rows in by_tokens]
    assert means != sorted(means) and means != sorted(means, reverse=True)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_number_of_batches_is_known_for_every_epoch(shuffle: bool) -> None:
    features = uneven(400)
    loader = DataLoader(max_tokens=250, shuffle=shuffle)
    found = [len(loader.order(features, seed=4, epoch=epoch)) for epoch in range(12)]
    assert loader.num_batches(features, seed=4, num_epochs=12) == found
    assert (len(set(found)) > 1) == shuffle  # windows meet others in each epoch, so the numbers differ
    assert loader.num_batches([], seed=4, num_epochs=2) == [0, 0]
    assert loader.order([], seed=4, epoch=0) == []


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_window_larger_than_max_tokens(shuffle: bool, caplog: pytest.LogCaptureFixture) -> None:
    features: list[Features] = [window(10, 2), window(90, 10), window(8, 1), choices((30, 0), (2, 0)), window(51, 0)]
    batches = DataLoader(max_tokens=50, shuffle=shuffle).order(features, seed=0, epoch=0)
    together = [[0, 2], [1], [3], [4]] if shuffle else [[0], [1], [2], [3], [4]]
    assert sorted(map(sorted, batches)) == together
    batches = [[1], [3], [4], [0, 2]]
    with caplog.at_level(logging.INFO, logger="luke_tasks"):
        report_batches("train.txt", Sizes.of(features), batches, 50)
    share = 1 - (12 + 9 + 100 + 32 + 51) / (2 * 12 + 100 + 2 * 30 + 51)
    assert caplog.messages == [
        f"train.txt: 6 windows in 4 batches; {100 * share:.0f} % of the word and entity places are padding",
        "train.txt: 3 are larger than max_tokens (50 word and entity places), each a batch by itself, the largest of "
        "100; if memory is short, lower dataset_reader.max_sequence_length",
    ]


def test_padding_share() -> None:
    sizes = Sizes.of([window(2, 1), window(4, 3), window(4, 0), choices((1, 1), (3, 1))])
    assert sizes.padding_share([[0, 1]]) == 1 - (3 + 7) / (2 * (4 + 3))
    assert sizes.padding_share([[1], [2]]) == 0
    assert sizes.padding_share([[2, 3], [0]]) == 1 - (4 + 6 + 3) / (3 * (4 + 1) + 3)
    assert sizes.padding_share([]) == 0


def test_evaluation_by_max_tokens() -> None:
    features = uneven(200)
    batches = list(batches_of(features, batch_size=None, max_tokens=300, pad_id=PAD, labels=None))
    found = [features.index(one) for batch in batches for one in batch.features]
    assert sorted(found) == list(range(200))
    for batch in batches:
        assert batch.entity_ids is not None and batch.word_ids.numel() + batch.entity_ids.numel() <= 300
    both = batches_of(features, batch_size=3, max_tokens=300, pad_id=PAD, labels=None)
    assert max(len(batch.features) for batch in both) == 3


def test_defaults() -> None:
    assert DataLoader().batch_size == 32
    assert DataLoader(max_tokens=9).batch_size is None
    assert DataLoader(max_tokens=9, batch_size=4).batch_size == 4


def test_features_without_targets_say_so() -> None:
    with pytest.raises(NotImplementedError, match="Window has no targets"):
        Features.targets(window(1, 1), LABELS)
