"""The label vocabulary, and AllenNLP's files for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from luke_tasks.data.labels import Labels
from luke_tasks.errors import ArchiveError, DataError


def test_order_is_by_frequency_then_by_appearance() -> None:
    assert list(Labels.count(["LOC", "O", "PER", "O", "ORG", "PER", "O"])) == ["O", "PER", "LOC", "ORG"]


def test_indices() -> None:
    labels = Labels(["O", "PER"])
    assert (len(labels), labels[1], labels.index("PER", "f:1")) == (2, "PER", 1)
    with pytest.raises(DataError) as raised:
        labels.index("per", "f.txt:4")
    assert str(raised.value) == (
        "f.txt:4: label 'per' is not among the model's: O, PER; rename or remove it in the data, or train with it"
    )


def test_equality() -> None:
    assert Labels(["a", "b"]) == Labels(["a", "b"]) != Labels(["b", "a"])
    assert hash(Labels(["a"])) == hash(Labels(["a"]))
    assert repr(Labels(["a"])) == "Labels(['a'])"


def test_allennlps_files(tmp_path: Path) -> None:
    Labels(["O", "PER", "two\nlines"]).save(tmp_path / "vocabulary")
    assert (tmp_path / "vocabulary" / "labels.txt").read_bytes() == b"O\nPER\ntwo@@NEWLINE@@lines\n"
    assert (tmp_path / "vocabulary" / "non_padded_namespaces.txt").read_bytes() == b"*tags\n*labels\n"


@pytest.mark.parametrize("names", [["O"], ["O", "PER"], ["a\nb", "c d", "e\rf", "g\r\nh"], ["", "x"], ["x", "", "人"]])
def test_round_trip(names: list[str], tmp_path: Path) -> None:
    Labels(names).save(tmp_path)
    assert Labels.load(tmp_path) == Labels(names)


def test_a_file_without_a_newline_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"O\nPER")
    assert Labels.load(tmp_path) == Labels(["O", "PER"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file; it holds the labels a model was trained with"),
        (b"", "the label vocabulary is damaged: it is empty"),
        (b"O\nPER\nO\n", "the label vocabulary is damaged: a label stands in it twice"),
        (b"O\n\xff\n", "cannot read the label vocabulary: 'utf-8' codec can't decode byte 0xff in position 2: invalid "
                       "start byte"),
    ],
)  # fmt: skip
def test_damaged(content: bytes | None, expected: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(ArchiveError) as raised:
        Labels.load(tmp_path)
    assert str(raised.value) == f"{tmp_path}/labels.txt: {expected}"
