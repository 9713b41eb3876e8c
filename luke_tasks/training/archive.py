"""Archives: one file (`model.tar.gz`), or a run's directory, with all it takes to run a trained model offline.

| member | what |
|---|---|
| `config.json` | the resolved config of the run |
| `weights.safetensors` | the best epoch's weights (`best.safetensors` in a run's directory) |
| `vocabulary/` | label names |
| `tokenizer/` | the word-piece tokenizer and the entity vocabulary |
| `encoder/` | the encoder's architecture |
| `meta.json` | versions of what made it |
"""

from __future__ import annotations

import gzip
import json
import platform
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luke_tasks.errors import ArchiveError
from luke_tasks.files import replacing
from luke_tasks.training.run_lock import LOCK_NAME

ARCHIVE_NAME = "model.tar.gz"
WEIGHTS_NAME = "weights.safetensors"
BEST_WEIGHTS_NAME = "best.safetensors"
_PARTS = ("config.json", "meta.json", "vocabulary", "tokenizer", "encoder")
_MAX_UNPACKED_BYTES = 64 * 2**30
_CHUNK_BYTES = 2**20


def write_archive(run_dir: Path) -> Path:
    """Pack a run's directory into `run_dir/model.tar.gz`, which is replaced in one step."""
    archive = run_dir / ARCHIVE_NAME
    # Level 0, stored as it is: float weights shrink by 8 % at most, and to undo that takes most of a `predict`'s start.
    with replacing(archive) as partial, tarfile.open(partial, "w:gz", compresslevel=0) as tar:
        for part in _PARTS:
            tar.add(run_dir / part, arcname=part)
        tar.add(run_dir / BEST_WEIGHTS_NAME, arcname=WEIGHTS_NAME)
    return archive


@contextmanager
def unpacked(path: str | Path) -> Iterator[Path]:
    """Give the directory of an archive's parts for as long as the block lasts; `weights_of` checks that they are whole.

    Args:
        path: a `model.tar.gz`, or the directory of a run.
    Raises:
        ArchiveError: there is no such archive, it is damaged, or a member would leave the directory.
    """
    path = Path(path)
    if path.is_dir():
        yield path
        return
    if not path.exists():
        raise ArchiveError(f"{path}: no such archive; expected a {ARCHIVE_NAME} or the directory of a run")
    with tempfile.TemporaryDirectory(prefix="luke-tasks-") as temporary:
        _unpack(path, Path(temporary))
        yield Path(temporary)


def weights_of(path: str | Path, directory: Path) -> Path:
    """The weights file among an archive's parts; `path` is what the user named. Raises ArchiveError when one lacks."""
    weights = directory / (BEST_WEIGHTS_NAME if directory == Path(path) else WEIGHTS_NAME)
    _check_parts(Path(path), directory, weights.name)
    return weights


def read_config(path: Path) -> dict[str, Any]:
    """The resolved config of an archive, as plain JSON: no Jsonnet, no environment. Raises ArchiveError."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path}: no valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ArchiveError(f"{path}: expected a JSON object")
    return config


def meta() -> dict[str, str]:
    """Versions of what makes an archive."""
    from importlib import metadata

    import torch

    from luke_tasks import __version__

    transformers = metadata.version("transformers")  # its import takes a second
    return {"version": __version__, "torch": torch.__version__, "transformers": transformers,
            "python": platform.python_version()}  # fmt: skip


def _unpack(path: Path, directory: Path) -> None:
    """Extract regular files and directories that stay inside `directory`."""
    try:
        with gzip.open(path) as stream:
            chunks: Any = {"bufsize": _CHUNK_BYTES, "copybufsize": _CHUNK_BYTES}
            with tarfile.open(fileobj=stream, mode="r|", **chunks) as tar:
                tar.extractall(directory, members=_with_room(tar, path, directory), filter="data")
            while stream.read(_CHUNK_BYTES):  # to the checksum, which stands at the end
                pass
    except PermissionError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror}") from None
    except tarfile.FilterError as error:
        raise ArchiveError(f"{path}: refused: a member would leave the folder, or is no file: {error}") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArchiveError(f"{path}: not a readable {ARCHIVE_NAME}, perhaps cut short or damaged ({error})") from None


def _with_room(members: Iterable[tarfile.TarInfo], path: Path, directory: Path) -> Iterator[tarfile.TarInfo]:
    """The members, each before it is written, as long as there is room for them."""
    size = 0
    for member in members:
        size += member.size
        if size > _MAX_UNPACKED_BYTES:
            raise ArchiveError(f"{path}: would unpack to more than {_MAX_UNPACKED_BYTES // 2**30} GiB")
        if member.size > shutil.disk_usage(directory).free:
            raise ArchiveError(f"{path}: {member.name} unpacks to {member.size:,} bytes, and {directory} has not so "
                               "much room; set TMPDIR to a folder that has")  # fmt: skip
        yield member


def _check_parts(path: Path, directory: Path, weights: str) -> None:
    missing = [part for part in (*_PARTS, weights) if not (directory / part).exists()]
    has_begun = any((directory / name).exists() for name in ("out.log", LOCK_NAME))
    if missing and weights == BEST_WEIGHTS_NAME and has_begun:
        raise ArchiveError(f"{path}: a run with no finished epoch yet (it has no {', '.join(missing)}); "
                           "finish it with `allennlp train ... --recover`")  # fmt: skip
    if missing:
        raise ArchiveError(f"{path}: not an archive of luke-tasks: it has no {', '.join(missing)}")
