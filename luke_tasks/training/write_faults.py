"""A disk that is full, a permission that is lost, a directory that has gone: one clear error; what was saved stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luke_tasks.errors import TrainingError
from luke_tasks.training.checkpoint import checkpoints


@contextmanager
def explained_writes(run_dir: Path) -> Iterator[None]:
    """While a run goes on: what the system refuses becomes an error that says what is kept and how to go on.

    Raises:
        TrainingError: for any OSError.
    """
    try:
        yield
    except OSError as error:
        if not run_dir.is_dir():
            raise TrainingError(f"{run_dir}: the run's directory has gone, with all it held; start the run again, and "
                                "let nothing remove it meanwhile") from None  # fmt: skip
        what = f"{error.filename or run_dir}: {error.strerror or error}"
        raise TrainingError(f"{what}{_room(run_dir)}; {last_checkpoint(run_dir)}; put this right, and go on with the "
                            "same command and -r (in place of -f)") from None  # fmt: skip


def last_checkpoint(run_dir: Path) -> str:
    """What a message says of the newest checkpoint."""
    saved = checkpoints(run_dir)
    return f"the last checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"


def _room(run_dir: Path) -> str:
    try:
        free = shutil.disk_usage(run_dir).free
    except OSError:
        return ""
    return f" ({free / 2**20:,.0f} MiB free)" if free < 2**30 else ""
