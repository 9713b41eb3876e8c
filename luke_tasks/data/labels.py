"""The label vocabulary: names ↔ indices, kept on disk as AllenNLP does (`vocabulary/labels.txt`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from luke_tasks.errors import ArchiveError, DataError, listed

_NAMESPACE_FILE = "labels.txt"
_NEWLINE = "@@NEWLINE@@"  # AllenNLP's escape for a newline inside a label


class Labels:
    """An ordered set of label names. Index 0 is the most frequent label of the data it was made from."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._index = {name: index for index, name in enumerate(self.names)}

    @classmethod
    def count(cls, labels: Iterable[str]) -> Labels:
        """By falling frequency, equally frequent ones in the order they came: AllenNLP's order."""
        return cls(name for name, _ in Counter(labels).most_common())

    def index(self, name: str, where: str) -> int:
        """The index of `name`; `where` (`file:line`) begins the message of the DataError when it is unknown."""
        try:
            return self._index[name]
        except KeyError:
            known = listed(self.names, 20)  # of what may be thousands
            raise DataError(f"{where}: label {name!r} is not among the model's: {known}; rename or remove it in the "
                            "data, or train with it") from None  # fmt: skip

    def save(self, directory: Path) -> None:
        """Write AllenNLP's two vocabulary files into `directory`, which is made."""
        directory.mkdir(parents=True, exist_ok=True)
        if self.names:  # a task without classes has no such file, as in AllenNLP
            lines = "".join(name.replace("\n", _NEWLINE) + "\n" for name in self.names)
            (directory / _NAMESPACE_FILE).write_bytes(lines.encode("utf-8"))  # no newline is translated
        (directory / "non_padded_namespaces.txt").write_text("*tags\n*labels\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Labels:
        """Read what `save` wrote. Raises ArchiveError when it is not there."""
        path = directory / _NAMESPACE_FILE
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            raise ArchiveError(f"{path}: no such file; it holds the labels a model was trained with") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{path}: cannot read the label vocabulary: {error}") from None
        names = [line.replace(_NEWLINE, "\n") for line in text.removesuffix("\n").split("\n")]
        if not text or len(set(names)) < len(names):
            raise ArchiveError(f"{path}: the label vocabulary is damaged: "
                               + ("a label stands in it twice" if text else "it is empty"))  # fmt: skip
        return cls(names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, index: int) -> str:
        return self.names[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labels) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Labels({list(self.names)})"
