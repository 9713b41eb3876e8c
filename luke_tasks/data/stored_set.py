"""The examples and features of a data file as two Arrow files, which are mapped into memory and not loaded.

`examples.arrow` has a row an example, `features.arrow` a row a window (or group of windows, see `Features.windows`):
what `stored.py` makes of it, and, as columns of their own, what is asked of all windows at once. Hugging Face's
`datasets` writes and reads both; it is imported when a cache is used, as that takes 2 s.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.loader import Sizes
from luke_tasks.data.stored import RowReader, RowWriter, StoredClass
from luke_tasks.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

EXAMPLES_FILE, FEATURES_FILE = "examples.arrow", "features.arrow"
_SIZES = Sizes._fields
_KEPT_BYTES = 1 << 23  # of the rows of examples that are kept as objects, for the windows that share one
_OBJECT_BYTES = 1 << 10  # what an object takes besides, about


class SetWriter:
    """Writes the files into a directory, some examples with their windows at a time; used in a `with` block."""

    def __init__(self, directory: Path) -> None:
        import pyarrow
        from datasets.arrow_writer import ArrowWriter

        row = {"text": pyarrow.large_binary(), "numbers": pyarrow.large_binary()}
        whole = pyarrow.int64()
        self._schemas = (
            pyarrow.schema(row),
            pyarrow.schema({"example": whole, "num_words": whole, **dict.fromkeys(_SIZES, whole), **row}),
        )
        self._files = [
            ArrowWriter(schema=schema, path=str(directory / name))
            for schema, name in zip(self._schemas, (EXAMPLES_FILE, FEATURES_FILE), strict=True)
        ]
        self._rows = RowWriter()
        self.num_examples = self.num_features = self.num_words = 0

    @property
    def classes(self) -> list[StoredClass]:
        """What the rows so far are made of."""
        return self._rows.classes

    def add(self, examples: Sequence[Any], features: Sequence[Features]) -> None:
        """Append examples, and windows cut from them. Raises UnstorableError."""
        numbers = {id(example): self.num_examples + place for place, example in enumerate(examples)}
        columns: dict[str, Any] = {"example": [numbers.get(id(feature.example), -1) for feature in features]}
        columns |= {"num_words": [feature.num_words for feature in features], **Sizes.of(features)._asdict()}
        self._write(0, [self._rows.row(example) for example in examples], {})
        self._write(1, [self._rows.row(feature, numbers) for feature in features], columns)
        self.num_examples += len(examples)
        self.num_features += len(features)
        self.num_words += sum(columns["num_words"])

    def _write(self, which: int, rows: Sequence[tuple[bytes, bytes]], columns: dict[str, Any]) -> None:
        import pyarrow

        if rows:
            texts, numbers = zip(*rows, strict=True)
            table: pyarrow.Table = pyarrow.table(
                {**columns, "text": texts, "numbers": numbers}, schema=self._schemas[which]
            )
            self._files[which].write_table(table)

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            if kind is None and len(file):
                file.finalize()
            else:
                file.close()


class StoredExamples(Sequence[Any]):
    """The examples of a directory. One is made of its row when it is asked for; those asked for last are kept.

    Raises:
        ValueError, OSError: the file is not what `SetWriter` wrote. DataError: when asked for a damaged row.
    """

    def __init__(self, directory: Path, classes: Sequence[StoredClass]) -> None:
        self._objects = _Objects(directory / EXAMPLES_FILE, RowReader(classes, _no_example))
        self._kept: OrderedDict[int, tuple[Any, int]] = OrderedDict()  # row → example, bytes of the row
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._objects.table)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        index = range(len(self))[index]
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index][0]
        example, size = self._objects.object(index)
        size += _OBJECT_BYTES
        self._kept[index] = (example, size)
        self._kept_bytes += size
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1][1]
        return example


class StoredFeatures(Sequence[Features]):
    """The features of a directory, each made of its row when it is asked for.

    Args:
        examples: of the same directory.
    Raises:
        As `StoredExamples`.
    """

    def __init__(self, directory: Path, classes: Sequence[StoredClass], examples: StoredExamples) -> None:
        self._objects = _Objects(directory / FEATURES_FILE, RowReader(classes, examples.__getitem__))
        self._num_examples = len(examples)

    def __len__(self) -> int:
        return len(self._objects.table)

    @overload
    def __getitem__(self, index: int) -> Features: ...
    @overload
    def __getitem__(self, index: slice) -> list[Features]: ...
    def __getitem__(self, index: int | slice) -> Features | list[Features]:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        index = range(len(self))[index]
        made: Features = self._objects.object(index)[0]
        return made

    @cached_property
    def sizes(self) -> Sizes:
        """Of all, without making any; see `Sizes.of`."""
        return Sizes(*(self._column(name) for name in _SIZES))

    @cached_property
    def num_words(self) -> IntArray:
        """(N,) of each; see `count_words`."""
        return self._column("num_words")

    def rows_by_example(self) -> Iterator[list[int]]:
        """For each example in order, which features are its windows."""
        owners = self._column("example")
        order = np.argsort(owners, kind="stable")
        bounds = np.searchsorted(owners[order], np.arange(self._num_examples + 1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            yield order[start:end].tolist()

    def _column(self, name: str) -> IntArray:
        column: IntArray = self._objects.table.data.column(name).to_numpy()
        return column


class _Objects:
    """A file, memory-mapped and checked to be sound Arrow, and what its rows are made of."""

    def __init__(self, path: Path, rows: RowReader) -> None:
        from datasets import Dataset

        self.path = path
        self.table: Dataset = Dataset.from_file(str(path))
        self.table.data.validate(full=True)
        self._content = self.table.select_columns(["text", "numbers"]).with_format("arrow")  # fastest to look into
        self._rows = rows

    def object(self, index: int) -> tuple[Any, int]:
        """That of a row, and how many bytes it has there."""
        row = self._content[index]
        text, numbers = row.column("text")[0].as_py(), row.column("numbers")[0].as_py()
        try:
            return self._rows.object(text, numbers), len(text) + len(numbers)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise DataError(f"{self.path}: row {index} is damaged ({error}); remove the folder, and it is made "
                            "again") from None  # fmt: skip


def _no_example(row: int) -> Any:
    raise ValueError("an example refers to another one")
