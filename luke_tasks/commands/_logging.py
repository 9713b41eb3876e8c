"""Where the log of a command goes: to the terminal in plain words, and into a run's `out.log` with times."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from logging.handlers import MemoryHandler
from pathlib import Path

from luke_tasks.training.run_log import note_early_warnings

_KEPT_RECORDS = 10_000


def log_to_terminal(rank: int = 0) -> None:
    """Messages of luke-tasks, as they are, on standard error; other libraries' only from warnings on.

    They are also kept, so that `log_to_file` can write those that came before there was a file.

    Args:
        rank: of several processes. Other ranks than 0 name themselves and are quiet up to `log_warnings`: they read and
            build what rank 0 does, and say the same.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    handler = _Terminal()
    handler.setFormatter(_Plain(rank))
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    close_log_files()
    root = logging.getLogger()
    root.handlers = [handler, MemoryHandler(_KEPT_RECORDS, flushLevel=logging.CRITICAL + 1)]
    root.setLevel(logging.WARNING)
    logging.getLogger("luke_tasks").setLevel(logging.INFO)
    if rank:
        for logger in (root, logging.getLogger("luke_tasks")):
            logger.setLevel(logging.ERROR)


def log_warnings() -> None:
    """On another rank than 0: from here on its warnings are its own."""
    for logger in (logging.getLogger(), logging.getLogger("luke_tasks")):
        logger.setLevel(logging.WARNING)


def log_to_file(run_dir: Path) -> None:
    """Also into `run_dir/out.log`, appended to: what was kept so far, and what comes.

    The run's `log.jsonl` gets the warnings of it.
    """
    handler = _LogFile(run_dir / "out.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for keeper in [keeper for keeper in root.handlers if isinstance(keeper, MemoryHandler)]:
        root.removeHandler(keeper)
        note_early_warnings(keeper.buffer)
        keeper.setTarget(handler)
        keeper.close()
    root.addHandler(handler)


def log_to_file_only(message: str) -> None:
    """Into `out.log`, but not on the terminal, where it stands already."""
    logging.getLogger("luke_tasks").error(message, extra={"file_only": True})


def close_log_files() -> None:
    """Stop logging into files."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        with contextlib.suppress(OSError):  # what could not be written has been warned of
            handler.close()


class _Terminal(logging.StreamHandler):
    """Standard error as it is at each moment: a live bar puts something in its place, to print above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # setStream would flush what was there, which may be closed by now
        super().emit(record)


class _LogFile(logging.FileHandler):
    """Given up, with one warning, when the system refuses to write: the run goes on, and meets the same itself."""

    def handleError(self, record: logging.LogRecord) -> None:
        logging.getLogger().removeHandler(self)
        logging.getLogger("luke_tasks").warning("%s: nothing more is logged there: %s", self.baseFilename,
                                                sys.exc_info()[1])  # fmt: skip


class _Plain(logging.Formatter):
    def __init__(self, rank: int) -> None:
        super().__init__(f"rank {rank}: %(message)s" if rank else None)

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"
