"""What cached features depend on: where all of it is the same, so are they.

That is the reader's config, the content of the data file, of the tokenizer and of what other files the reader uses, and
the code that makes windows of them: of this package, of the reader's own one, and of the libraries that compute them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

import luke_tasks
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import file_sha256
from luke_tasks.readers.reader import Reader
from luke_tasks.spec import Spec

_FORMAT = 1  # of what the cache writes; another one makes all be made again
_PACKAGE = Path(luke_tasks.__file__).parent
_OWN_FOLDERS = ("readers", "data")  # of this package: the code on which features depend


def feature_key(reader: Reader, spec: Spec[Reader], path: str | Path) -> dict[str, Any]:
    """The key of a data file's features, as plain values.

    Args:
        spec: of which `reader` was built.
        path: it is part of the key, as messages and ids name it.
    Raises:
        DataError: there is no such file, or it is none whose content stays (a pipe).
        LukeTasksError: a class of the reader is of no file, as in a notebook.
    """
    config = spec.to_json()
    files = sorted({*_files_in(config), *map(str, reader.files())})
    return {
        "format": _FORMAT,
        "versions": {"luke_tasks": luke_tasks.__version__, "numpy": np.__version__,
                     "tokenizers": tokenizers.__version__},
        "reader": config,
        "path": str(path),
        "content": content_digest(path),
        "files": {name: content_digest(name) for name in files},
        "tokenizer": reader.tokenizer.digest(),
        "code": _code_digest(spec),
    }  # fmt: skip


def digest_of(key: dict[str, Any]) -> str:
    """SHA-256 of a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode("utf-8")).hexdigest()


def content_digest(path: str | Path) -> str:
    """SHA-256 of a file, or of all files of a folder. Raises DataError when it cannot be read as such."""
    path = Path(path)
    try:
        if path.is_dir():
            return _digest_of_files(path, (file for file in path.rglob("*") if file.is_file()))
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: is neither a file nor a folder, so it cannot be told whether it has changed; "
                            "remove data_loader.cache_dir to read it")  # fmt: skip
        return file_sha256(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _files_in(value: Any) -> Iterator[str]:
    """The strings of a config that name a file, whatever key they stand under."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _files_in(item)
    elif isinstance(value, str):
        try:
            is_file = Path(value).is_file()
        except (OSError, ValueError):  # too long for a name, or a zero byte in it
            is_file = False
        if is_file:
            yield value


def _code_digest(spec: Spec[Any]) -> str:
    """Of the source of this package that makes features, and of the packages of the user's own classes."""
    digests = [
        _digest_of_files(_PACKAGE, (file for folder in _OWN_FOLDERS for file in (_PACKAGE / folder).glob("*.py")))
    ]
    packages = {owner.__module__.partition(".")[0] for owner in _owners(spec)}
    for name in sorted(packages - {_PACKAGE.name}):
        module = sys.modules[name]
        for folder in map(Path, getattr(module, "__path__", ())):
            digests.append(_digest_of_files(folder, folder.rglob("*.py")))
        if not hasattr(module, "__path__"):
            if getattr(module, "__file__", None) is None:
                raise LukeTasksError(f"data_loader.cache_dir: a class of the reader is defined in a session ({name}), "
                                     "so it cannot be told whether its code has changed; define it in a file, or "
                                     "remove the key")  # fmt: skip
            digests.append(content_digest(str(module.__file__)))
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def _owners(value: Any) -> Iterator[type]:
    """The class of a spec and those of the specs in it."""
    if isinstance(value, Spec):
        yield value.owner
        value = value.values
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _owners(item)


def _digest_of_files(root: Path, files: Iterable[Path]) -> str:
    parts = [f"{file.relative_to(root).as_posix()}\0{content_digest(file)}" for file in sorted(files)]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
