"""What training data should not share with the data it is judged by: the same examples. And labels they should share.

Two examples are the same when a model reads the same: of documents, a sentence with the same words; else all fields but
the gold ones and those that say where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from luke_tasks.checks.data import ReadSet
from luke_tasks.errors import listed, printable

_PLACE = {"id", "where", "source", "title", "languages", "hide"}
_GOLD = {"label", "labels", "answers", "types", "entities"}
_FEWEST_WORDS = 5  # of a sentence; shorter ones ("By a reporter .") are the same by themselves
_MOST_NAMED = 3  # places in a warning
_MOST_LABELS = 20


def repeat_warnings(sets: Sequence[ReadSet]) -> Iterator[str]:
    """What stands twice within a set, and what of the validation and test data stands in the training data, too.

    Places are shown as `here = there`, without the names of their files; those with another gold label come first.
    """
    training: dict[int, tuple[str, int]] = {}  # what is read → where it stands, and its gold
    train_path = next((found.path for found in sets if found.name == "train"), "")
    for found in sets:
        own: dict[int, tuple[str, int]] = {}
        within, shared = _Repeats(found.path, found.path), _Repeats(found.path, train_path)
        total = 0
        for where, content, gold in _units(found.examples):
            total += 1
            if content in training:
                shared.add(where, gold, training[content])
            if content in own:
                within.add(where, gold, own[content])
            else:
                own[content] = where, gold
        unit = "sentences" if is_document(found.examples) else "examples"
        if within:
            yield f"{found.path}: {within.describe('repeat an earlier one', total, unit)}"
        if shared:
            yield f"{found.path}: {shared.describe('are in the training data, too', total, unit)}"
        if found.name == "train":
            training = own


class _Repeats:
    """Places that repeat others."""

    def __init__(self, path: str, other_path: str) -> None:
        self.path, self.other_path = path, other_path
        self.same: list[str] = []
        self.contrary: list[str] = []  # with another gold label

    def add(self, where: str, gold: int, other: tuple[str, int]) -> None:
        here, there = (place.removeprefix(f"{path}:").strip()
                       for place, path in ((where, self.path), (other[0], self.other_path)))  # fmt: skip
        (self.same if gold == other[1] else self.contrary).append(f"{here} = {there}")

    def __len__(self) -> int:
        return len(self.same) + len(self.contrary)

    def describe(self, what: str, total: int, unit: str) -> str:
        contrary = f", {len(self.contrary):,} of them with another gold label" if self.contrary else ""
        places = [*self.contrary, *self.same]
        shown = ", ".join(places[:_MOST_NAMED]) + (", ..." if len(places) > _MOST_NAMED else "")
        return f"{len(self):,} of {total:,} {unit} ({len(self) / total:.1%}) {what}{contrary}: {printable(shown)}"


def unseen_label_warnings(sets: Sequence[ReadSet]) -> Iterator[str]:
    """The labels that are in validation or test data only, with the first place of each."""
    known = {label for found in sets if found.name == "train" for label in found.label_counts}
    for found in sets:
        unseen = {label: count for label, count in found.label_counts.items() if label not in known}
        for label, count in list(unseen.items())[:_MOST_LABELS]:
            times = f"{count:,} time{'s' if count > 1 else ''}"
            yield (f"{_first_place(found, label)}: label {printable(repr(label))} is not in the training data, so "
                   f"nothing can learn it ({times} in {found.path})")  # fmt: skip
        if len(unseen) > _MOST_LABELS:
            more = listed(list(unseen)[_MOST_LABELS:], _MOST_LABELS)
            yield f"{found.path}: and so are {len(unseen) - _MOST_LABELS} more labels: {printable(more)}"


def is_document(examples: Sequence[Any]) -> bool:
    """Whether examples are documents of sentences, as those of column files."""
    return bool(examples) and hasattr(examples[0], "sentences") and hasattr(examples[0], "words")


def _units(examples: Sequence[Any]) -> Iterator[tuple[str, int, int]]:
    """Where each sentence or example stands, and hashes of what is read and of its gold."""
    if is_document(examples):
        for example in examples:
            yield from _sentences(example)
        return
    for example in examples:
        names = [field.name for field in fields(example)]
        content = [getattr(example, name) for name in names if name not in _PLACE | _GOLD]
        gold = [getattr(example, name) for name in names if name in _GOLD]
        yield str(getattr(example, "where", "?")), hash(repr(content)), hash(repr(gold))


def _sentences(example: Any) -> Iterator[tuple[str, int, int]]:
    entities = sorted(example.entities or (), key=lambda entity: entity.start)
    labels = getattr(example, "labels", None)
    index = 0
    for first, last in example.sentences:
        gold: list[Any] = labels[first:last] if labels else []
        while index < len(entities) and entities[index].start < last:
            entity = entities[index]
            gold.append((entity.start - first, entity.end - first, entity.label))
            index += 1
        if last - first >= _FEWEST_WORDS:
            yield example.where(first), hash(tuple(example.words[first:last])), hash(repr(gold))


def _first_place(found: ReadSet, label: str) -> str:
    for example in found.examples:
        if label not in found.reader.labels_of(example):
            continue
        if not is_document([example]):
            return str(getattr(example, "where", found.path))
        labels = getattr(example, "labels", None)
        if labels:
            return str(example.where(labels.index(label)))
        return str(next(example.where(entity.start) for entity in example.entities if entity.label == label))
    return found.path
