"""Connecting to a Ray cluster, or starting one on this machine: for bulk prediction and for sweeps."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from luke_tasks.errors import LukeTasksError

_CONNECT_SECONDS = 10


@contextmanager
def connected(address: str | None, **of_its_own: Any) -> Iterator[Any]:
    """The `ray` module, connected while the block lasts. A connection that was there already is used, and stays.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, `auto`, or `local` for a new one on this machine; None: Ray's choice,
            which is `RAY_ADDRESS`, else a cluster that runs on this machine, else a new one on it.
        of_its_own: further arguments of `ray.init`.
    Raises:
        LukeTasksError: there is no such cluster, or none can be started.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    _check_reachable(address or os.environ.get("RAY_ADDRESS", ""))
    try:
        with _no_stderr():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **of_its_own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        where = address or os.environ.get("RAY_ADDRESS")
        is_here = where in (None, "local")
        what = "a Ray on this machine did not start" if is_here else f"{where}: no Ray cluster answers there"
        raise LukeTasksError(f"{what}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises LukeTasksError when nothing listens at `HOST:PORT` or `ray://HOST:PORT`: Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise LukeTasksError(f"{address}: no Ray cluster answers there: {error}") from error


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what native code writes to standard error: Ray's says that it found its log level."""
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
