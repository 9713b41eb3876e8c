"""One process at a time writes into a run's directory.

The lock is the kernel's (`flock` on `.lock` in the directory), so it is gone with its holder, however that ended; the
file by itself locks nothing. On NFS, Linux makes of it a lock that other machines see, too (mount option `local_lock`
or `nolock`: only this machine's processes). Where a file system has no such locks, a warning says so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from luke_tasks.errors import LukeTasksError, TrainingError

LOCK_NAME = ".lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_held: dict[Path, TextIO] = {}  # the locks of this process, by directory
logger = logging.getLogger(__name__)


@contextmanager
def run_lock(run_dir: Path, option: str = "-s") -> Iterator[None]:
    """Hold the lock of a directory, which must be there, while the block runs.

    Args:
        option: of the command line, by which another directory is chosen.
    Raises:
        LukeTasksError: another process holds it; the message names that process and its machine.
    """
    path = run_dir / LOCK_NAME
    with _locked_file(path, run_dir, option) as file:
        with contextlib.suppress(OSError):  # no room on the disk: it is locked all the same
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        _held[run_dir.absolute()] = file
        try:
            yield
        finally:  # while it is still locked; who waits to open it sees that it is another file, see `_locked_file`
            del _held[run_dir.absolute()]
            with contextlib.suppress(OSError):  # the directory has gone, or may no longer be written to
                if _is_at(file, path):
                    path.unlink()


def check_still_ours(run_dir: Path) -> None:
    """See that no other process has made the directory anew, after it was removed while this one had it locked.

    Raises:
        TrainingError: one has, and holds its own lock there.
    """
    file, path = _held.get(run_dir.absolute()), run_dir / LOCK_NAME
    if file is not None and path.exists() and not _is_at(file, path):
        holder = path.read_text(encoding="utf-8").strip() or "another process"
        raise TrainingError(f"{run_dir}: this run's directory was removed, and {holder} has made another in its place; "
                            "nothing is written into that one; start this run again with another -s")  # fmt: skip


def check_unlocked(run_dir: Path) -> None:
    """Raises LukeTasksError when another process holds the lock of this directory, which need not be there."""
    try:
        file = (run_dir / LOCK_NAME).open("r+", encoding="utf-8")
    except OSError:  # no lock; or none that we may look at, which writing into the directory will show
        return
    with file:
        _lock(file, run_dir)


def _locked_file(path: Path, run_dir: Path, option: str) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            _lock(file, run_dir, option)
            # Between opening and locking, its last holder may have removed it: then it locks nothing.
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: TextIO, run_dir: Path, option: str = "-s") -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise LukeTasksError(f"{run_dir}: {holder} is writing into this directory; wait for it, end it, or choose "
                             f"another {option}") from None  # fmt: skip
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logger.warning("%s: this file system has no locks (%s): nothing keeps a second process from writing into it",
                       run_dir, error.strerror)  # fmt: skip
