"""The files that a config will name: as they are, written anew in a form that a reader takes, or cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing
from luke_tasks.own_data.fit import Fit
from luke_tasks.own_data.guess import fit_for, fits_of
from luke_tasks.own_data.kinds import DataFile, look_at
from luke_tasks.own_data.split import split
from luke_tasks.own_data.table_fits import Columns


def check_target(path: Path, *, force: bool) -> None:
    """Raises LukeTasksError when `path` is there already, or cannot be written."""
    if path.is_dir() or not path.parent.is_dir():
        raise LukeTasksError(f"{path}: cannot be written: expected the name of a file in a folder that exists")
    if path.exists() and not force:
        raise LukeTasksError(f"{path}: is there already; give another name with --output, or -f to replace what is "
                             "there")  # fmt: skip


@dataclass
class Preparation:
    """The data files of one task.

    Args:
        fit: of the training data.
        columns: of a table, as the user named them.
        force: whether files may be replaced.
    """

    task: str
    fit: Fit
    columns: Columns
    force: bool
    report: list[str] = field(default_factory=list)  # what was written
    _written: list[Path] = field(default_factory=list)
    _encodings: dict[Path, str] = field(default_factory=dict)

    def files(
        self, train: DataFile, validation: str | None, share: float | None, test: str | None
    ) -> tuple[Path, Path, Path | None]:
        """The paths for the config; `share`, where it is set, of the training data becomes validation data.

        Raises:
            LukeTasksError: a file cannot be read or converted, or one to be written is there already.
        """
        train = self._readable(train)
        test_path = self._readable(look_at(test)).path if test else None
        if validation is not None:
            return train.path, self._readable(look_at(validation)).path, test_path
        assert share is not None
        parts = split(train, share, has_header="columns" not in self.fit.options)
        first, second = (self._target(train.path, f".{name}{train.path.suffix}") for name in ("train", "validation"))
        for path, content in zip((first, second), parts[:2], strict=True):
            self._write(path, content, train.encoding)
        self.report.append(f"{train.path}: split into {first} and {second} ({parts[2]})")
        return first, second, test_path

    def settled_fit(self) -> Fit:
        """The fit of the files as they are now. Raises LukeTasksError when they differ in their encoding."""
        own = {path: name for path, name in self._encodings.items() if not _is_ascii(path)}
        if len({*own.values()}) > 1:
            found = ", ".join(f"{path} is {name}" for path, name in own.items())
            raise LukeTasksError(f"{found}: one reader cannot read both; save them all as UTF-8 (iconv -t utf-8)")
        encoding = next(iter(own.values()), "utf-8")
        options = self.fit.options | ({} if encoding == "utf-8" else {"encoding": encoding})
        return replace(self.fit, options=options)

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Remove what was written where the block fails, so that the command can be given again."""
        try:
            yield
        except BaseException:
            for path in self._written:
                path.unlink(missing_ok=True)
            raise

    def _readable(self, file: DataFile) -> DataFile:
        """The file, or what it was converted to."""
        fits = fits_of(file, self.columns)
        needs_fit = self.fit.conversion is not None
        fit = (
            fit_for(file, fits, self.task) if needs_fit else next((one for one in fits if one.task == self.task), None)
        )
        if fit is None or fit.conversion is None:
            self._encodings[file.path] = file.encoding
            return file
        target = self._target(file.path, fit.conversion.ending)
        try:
            content = fit.conversion.text()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LukeTasksError(f"{file.path}: cannot be converted: a record is not like the others "
                                 f"({type(error).__name__}: {error})") from None  # fmt: skip
        self._write(target, content, "utf-8")
        self.report.append(f"{file.path}: converted into {target} ({fit.conversion.what})")
        converted = look_at(target)
        self._encodings[target] = converted.encoding
        return converted

    def _target(self, path: Path, ending: str) -> Path:
        """A new file beside `path`. Raises LukeTasksError when it is there already."""
        target = path.with_name(path.stem + ending)
        if target == path:
            target = path.with_name(f"{path.stem}.converted{ending}")
        if target.exists() and (not self.force or target in self._encodings):
            raise LukeTasksError(f"{target}: would be written, but is there already; give -f to replace it")
        return target

    def _write(self, path: Path, content: str, encoding: str) -> None:
        with replacing(path) as partial:
            partial.write_text(content, encoding=encoding, newline="\n")
        self._written.append(path)


def _is_ascii(path: Path) -> bool:
    return path.read_bytes().isascii()
