"""The folder an export is written to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luke_tasks.errors import LukeTasksError
from luke_tasks.files import new_directory

_MARKS = ("tokenizer_config.json", "model.onnx")  # an export has one of them; a run of this project has neither


def check_apart(archive: str, out: Path) -> None:
    """Raises LukeTasksError when `out` holds the archive itself: a form that holds less would replace it."""
    source = Path(archive).expanduser()
    if source.exists() and out.resolve() in (source.resolve(), *source.resolve().parents):
        raise LukeTasksError(f"{out}: holds {archive} itself, which is not replaced by less; choose another folder")


def check_free(out: Path, *, force: bool) -> None:
    """Raises LukeTasksError when `out` holds anything that `force` does not allow to replace."""
    if out.exists() and not out.is_dir():
        raise LukeTasksError(f"{out}: is a file; expected a folder to write to")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not force:
        raise LukeTasksError(f"{out}: the directory is not empty; -f replaces the export in it, or choose another")
    if not any((out / name).exists() for name in _MARKS):
        raise LukeTasksError(f"{out}: does not look like an export (neither {' nor '.join(_MARKS)} is in it), and is "
                             "not replaced; choose another")  # fmt: skip


@contextmanager
def written_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well, it takes the place of `out`, whose check came before."""
    target = out.resolve()
    with new_directory(target) as partial:
        yield partial
        if target.exists():  # empty, or to be replaced
            shutil.rmtree(target)
