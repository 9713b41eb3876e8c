"""Where the log of a command goes: to the terminal in plain words, and into a run's `out.log` with times."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path


def log_to_terminal() -> None:
    """Messages of luke-tasks, as they are, on standard error; other libraries' only from warnings on."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    close_log_files()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("luke_tasks").setLevel(logging.INFO)


def log_to_file(run_dir: Path) -> None:
    """Also into `run_dir/out.log`, appended to."""
    handler = logging.FileHandler(run_dir / "out.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


def close_log_files() -> None:
    """Stop logging into files."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"
