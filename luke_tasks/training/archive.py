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

import platform
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luke_tasks.errors import ArchiveError
from luke_tasks.files import replacing
from luke_tasks.training.run_lock import LOCK_NAME
from luke_tasks.training.unpacking import unpack
from luke_tasks.untrusted import parse_json

ARCHIVE_NAME = "model.tar.gz"
WEIGHTS_NAME = "weights.safetensors"
BEST_WEIGHTS_NAME = "best.safetensors"
_PARTS = ("config.json", "meta.json", "vocabulary", "tokenizer", "encoder")


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
        unpack(path, Path(temporary), ARCHIVE_NAME)
        yield Path(temporary)


def weights_of(path: str | Path, directory: Path) -> Path:
    """The weights file among an archive's parts; `path` is what the user named. Raises ArchiveError when one lacks."""
    weights = directory / (BEST_WEIGHTS_NAME if directory == Path(path) else WEIGHTS_NAME)
    _check_parts(Path(path), directory, weights.name)
    return weights


def read_config(path: Path) -> dict[str, Any]:
    """The resolved config of an archive, as plain JSON: no Jsonnet, no environment. Raises ArchiveError."""
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
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


def _check_parts(path: Path, directory: Path, weights: str) -> None:
    missing = [part for part in (*_PARTS, weights) if not (directory / part).exists()]
    has_begun = any((directory / name).exists() for name in ("out.log", LOCK_NAME))
    if missing and weights == BEST_WEIGHTS_NAME and has_begun:
        raise ArchiveError(f"{path}: a run with no finished epoch yet (it has no {', '.join(missing)}); "
                           "finish it with `allennlp train ... --recover`")  # fmt: skip
    if missing:
        raise ArchiveError(f"{path}: not an archive of luke-tasks: it has no {', '.join(missing)}")
