"""Writing files so that a reader never sees half of one: beside the target, flushed to disk, then renamed.

And the digest of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write a file to; when the block ends well, it takes the place of `path` in one step.

    A link is followed. A device or a pipe (`/dev/stdout`) is written to as it is.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(path.name + _PARTIAL)
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush(path.parent)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give an empty directory to fill; when the block ends well, it becomes `path`, in one step if `path` is new.

    Where there is a `path` already, it is kept, and what was written is dropped: a checkpoint's name says all that is
    in it.
    """
    partial = path.with_name(path.name + _PARTIAL)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in (*partial.iterdir(), partial):
            _flush(file)
        if path.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # a full disk has room again
        raise
    _flush(path.parent)


def is_partial(path: Path) -> bool:
    """Whether `path` was left behind by an interrupted write."""
    return path.name.endswith(_PARTIAL)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON to `path`, replacing it in one step."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex digits. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file's bytes, or a directory's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
