"""Writing files: nothing half-written, nothing lost, and devices and links left what they are."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from luke_tasks.files import new_directory, replacing


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="disk full"), replacing(path) as partial:
        partial.write_text("half", encoding="utf-8")
        raise OSError("disk full")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    with replacing(link) as partial:
        partial.write_text("new", encoding="utf-8")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    with replacing(pipe) as partial:
        partial.write_text("through", encoding="utf-8")
    reader.join()
    assert read == ["through"]
    assert pipe.is_fifo()


def test_a_complete_directory_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for content in ("first", "second"):
        with new_directory(path) as partial:
            (partial / "file").write_text(content, encoding="utf-8")
    assert (path / "file").read_text(encoding="utf-8") == "first"
    assert os.listdir(tmp_path) == ["checkpoint"]
