"""What bulk prediction works through: input files → shards, and the record of those that are finished.

A shard is a file, or so many lines of it. Its predictions are one file of JSON lines in the output folder; beside it, a
manifest says what they were made from and by, and is written last: a shard that has one is whole.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import file_sha256, is_partial, write_json

_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """A file to predict on."""

    name: str  # as the user named it, or its folder; ids begin with it
    output_name: str  # where its predictions go, within the output folder and without `.jsonl`

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.name)


@dataclass(frozen=True)
class Shard:
    """Some lines of a file: the bytes `[start, end)`, of which the first line has the number `first_line`."""

    name: str
    path: str  # absolute
    part: int | None  # from 1; None: the whole file
    start: int
    end: int
    first_line: int
    sha256: str  # of the bytes
    output: str  # absolute; the file of predictions

    def __str__(self) -> str:
        return self.name if self.part is None else f"{self.name} part {self.part} (from line {self.first_line})"

    @property
    def manifest(self) -> Path:
        """The file that says the shard is finished."""
        return Path(f"{self.output}.manifest.json")

    @property
    def tries(self) -> Path:
        """The file in which a worker notes that it begins, and that its model is loaded."""
        return Path(f"{self.output}.tries")

    def clean_up(self) -> None:
        """Delete what tries left that came to nothing."""
        self.tries.unlink(missing_ok=True)
        output = Path(self.output)
        for path in output.parent.glob(f"{glob.escape(output.name)}.*"):
            if is_partial(path) and path.is_file():
                path.unlink()

    def lines(self) -> Iterator[bytes]:
        """Its lines, read as they are asked for."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            left = self.end - self.start
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield line

    def check_unchanged(self) -> None:
        """Raises DataError when its bytes are no longer those that were planned."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            digest, left = hashlib.sha256(), self.end - self.start
            while left > 0 and (data := file.read(min(left, _BYTES_AT_ONCE))):
                digest.update(data)
                left -= len(data)
            is_longer = self.part is None and bool(file.read(1))
        if left or is_longer or digest.hexdigest() != self.sha256:
            raise DataError(f"{self.name}: the file changed while it was worked on; run the command again")


def find_files(inputs: Sequence[str], expected: str, apart_from: Path | None = None) -> list[InputFile]:
    """The files that are meant by names of files, of folders (with all that is in them) and by patterns, in order.

    Hidden files of a folder are left out. Below a folder, or below the part of a pattern that has no signs, predictions
    keep the files' places; those of a single file bear its name.

    Args:
        expected: ends the message when there is no such file.
        apart_from: the output folder; a folder or a pattern does not mean what lies in it.
    Raises:
        DataError: a name stands for nothing.
    """
    found: dict[Path, InputFile] = {}
    for name in inputs:
        path = Path(name)
        files: Iterable[Path]
        if path.is_dir():
            files, root = (file for file in path.rglob("*") if not _is_hidden(file.relative_to(path))), path
        elif path.exists():
            files, root = [path], path.parent
        elif glob.has_magic(name):
            files, root = map(Path, glob.glob(name, recursive=True)), _fixed_part(path)
        else:
            raise DataError(f"{name}: no such file; expected {expected}")
        if path.is_dir() or not path.exists():
            own = apart_from.resolve() if apart_from else None
            files = (file for file in files
                     if file.is_file() and not is_partial(file) and own not in file.resolve().parents)  # fmt: skip
        chosen = sorted(files)
        if not chosen:
            raise DataError(f"{name}: {'holds no file' if path.is_dir() else 'matches no file'}; expected {expected}")
        for file in chosen:
            found.setdefault(file.resolve(), InputFile(str(file), str(file.relative_to(root))))
    return list(found.values())


def plan(files: Sequence[InputFile], output_dir: Path, lines_per_shard: int | None) -> list[Shard]:
    """The shards of all files; each is read once.

    Args:
        lines_per_shard: None: a file is a shard (formats whose records are not lines).
    Raises:
        LukeTasksError: two files would have one output.
        DataError: one is no file that can be read again.
    """
    output_dir = output_dir.absolute()
    names: dict[str, str] = {}
    for file in files:
        if not file.path.is_file():
            raise DataError(f"{file.name}: is no plain file, and could not be read again; expected a file")
        if file.output_name in names:
            raise LukeTasksError(
                f"{names[file.output_name]} and {file.name} would both be written to "
                f"{output_dir / file.output_name}.jsonl; give the folder above both as input"
            )
        names[file.output_name] = file.name
    return [shard for file in files for shard in _cut(file, output_dir, lines_per_shard)]


def _cut(file: InputFile, output_dir: Path, lines_per_shard: int | None) -> Iterator[Shard]:
    ranges = list(_ranges(file.path, lines_per_shard))
    for index, (start, end, first_line, sha256) in enumerate(ranges, start=1):
        part = index if len(ranges) > 1 else None
        name = file.output_name + (f".part-{index:05d}" if part else "") + ".jsonl"
        yield Shard(file.name, str(file.path.absolute()), part, start, end, first_line, sha256, str(output_dir / name))


def _ranges(path: Path, lines_per_shard: int | None) -> Iterator[tuple[int, int, int, str]]:
    """The parts of a file: bytes `[start, end)`, number of the first line, SHA-256."""
    if lines_per_shard is None:
        yield 0, path.stat().st_size, 1, file_sha256(path)
        return
    with path.open("rb") as file:
        start = end = 0
        first_line, digest = 1, hashlib.sha256()
        for number, line in enumerate(file, start=1):
            if number - first_line == lines_per_shard:
                yield start, end, first_line, digest.hexdigest()
                start, first_line, digest = end, number, hashlib.sha256()
            digest.update(line)
            end += len(line)
        yield start, end, first_line, digest.hexdigest()


def records_if_finished(shard: Shard, made_by: Mapping[str, Any]) -> int | None:
    """How many records it has if it was finished with this input and `made_by`, and its output is there; else None."""
    try:
        manifest = json.loads(shard.manifest.read_text(encoding="utf-8"))
        is_same = manifest["input"] == _input_of(shard) and manifest["made_by"] == made_by
        is_there = Path(shard.output).stat().st_size == manifest["output_bytes"]
        return int(manifest["records"]) if is_same and is_there else None
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
        return None


def write_manifest(shard: Shard, made_by: Mapping[str, Any], records: int) -> None:
    """Say that a shard is finished."""
    size = Path(shard.output).stat().st_size
    content = {"input": _input_of(shard), "made_by": made_by, "records": records, "output_bytes": size}
    write_json(shard.manifest, content)


def remove_leftovers(shards: Iterable[Shard]) -> int:
    """Delete outputs that an earlier run made of parts of these files which are no more (it cut them otherwise, or they
    were longer). Returns how many."""
    planned = {shard.output for shard in shards}
    stems = {shard.output.removesuffix(".jsonl") if shard.part is None else shard.output.rpartition(".part-")[0]
             for shard in shards}  # fmt: skip
    removed = 0
    for stem in sorted(stems):
        folder, name = Path(stem).parent, glob.escape(Path(stem).name)
        for manifest in sorted([*folder.glob(f"{name}.jsonl.manifest.json"),
                                *folder.glob(f"{name}.part-[0-9]*.jsonl.manifest.json")]):  # fmt: skip
            output = str(manifest).removesuffix(".manifest.json")
            if output not in planned:
                manifest.unlink()
                Path(output).unlink(missing_ok=True)
                removed += 1
    return removed


def _input_of(shard: Shard) -> dict[str, Any]:
    return {"name": shard.name, "first_line": shard.first_line, "bytes": shard.end - shard.start,
            "sha256": shard.sha256}  # fmt: skip


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before the first one with a sign in it."""
    fixed = []
    for part in pattern.parent.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)
