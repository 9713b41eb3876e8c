"""From archives to a running server: names, models, the socket, and an orderly end."""

from __future__ import annotations

import ipaddress
import logging
import re
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.server import HANDLED_SIGNALS

from luke_tasks.errors import LukeTasksError, listed
from luke_tasks.predictor import Predictor
from luke_tasks.serve.app import Limits, Served
from luke_tasks.serve.batching import Job, Worker
from luke_tasks.serve.inputs import form_of
from luke_tasks.serve.metrics import Metrics

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def named_archives(archives: Sequence[str], named: Sequence[str]) -> dict[str, str]:
    """Name → archive. One without a name has that of its run's directory.

    Args:
        named: `NAME=ARCHIVE`.
    Raises:
        LukeTasksError: there is none, a name cannot stand in an address, or two are equal.
    """
    pairs = [(_own_name(archive), archive) for archive in archives]
    for given in named:
        name, equals, archive = given.partition("=")
        if not equals or not archive or not _NAME.fullmatch(name):
            raise LukeTasksError(f"--name {given}: expected NAME=ARCHIVE, the name of letters, digits, dots, - and _")
        pairs.append((name, archive))
    if not pairs:
        raise LukeTasksError("no archive to serve: give a model.tar.gz or the directory of a run")
    found = dict(pairs)
    for name in found:
        same = [archive for other, archive in pairs if other == name]
        if len(same) > 1:
            raise LukeTasksError(f"{listed(same, 4)} would all be called {name!r}; name them: --name NAME=ARCHIVE")
    return found


def _own_name(archive: str) -> str:
    path = Path(archive)
    is_file = path.name.endswith((".gz", ".tar", ".tgz", ".zip"))
    name = path.absolute().parent.name if is_file or path.name in ("", ".") else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-_")[:64] or "model"


def serve_model(
    name: str, archive: str, predictor: Predictor, metrics: Metrics, limits: Limits, *, max_batch_size: int,
    batch_wait_seconds: float,
) -> Served:  # fmt: skip
    """Start the worker of a model, and run its example. Raises CheckpointError where its weights are damaged."""
    worker = Worker(
        name, predictor, max_batch_size=max_batch_size, batch_wait_seconds=batch_wait_seconds,
        max_queue=limits.max_queue,
        on_batch=lambda num_windows, seconds: metrics.count_batch(name, num_windows, seconds),
    )  # fmt: skip
    reader = predictor.reader
    form = form_of(reader)
    if form.example:  # the first run is slow, and shows whether the model runs at all
        example = Job(form.example, name)
        worker.submit([example])
        example.future.result()
    return Served(name, reader.task, archive, list(predictor.trained.labels), form, worker)


def bind(host: str, port: int) -> socket.socket:
    """A socket that does not listen yet. Raises LukeTasksError when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise LukeTasksError(f"--host {host}: no such address; give this machine's own, such as 127.0.0.1") from None
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise LukeTasksError(f"{host}:{port}: {(error.strerror or str(error)).lower()}; give another address with "
                             "--host and --port (--port 0: any free one)") from None  # fmt: skip
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(bound.getsockname()[0]).is_loopback


def address_of(bound: socket.socket) -> str:
    """As a browser on this machine takes it."""
    host, port = bound.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(app: FastAPI, bound: socket.socket, timeout_seconds: float) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again when the requests in flight have their answers."""
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False,
                            timeout_graceful_shutdown=max(1, round(timeout_seconds)))  # fmt: skip
    server = _Server(config)
    server.run(sockets=[bound])


class _Server(uvicorn.Server):
    """Says what a signal does, and leaves one ignored that was: a script's Ctrl-C is not meant for its background."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ignored = [signum for signum in HANDLED_SIGNALS if signal.getsignal(signum) is signal.SIG_IGN]

    def handle_exit(self, sig: int, frame: object) -> None:
        if sig in self._ignored:
            return
        if not self.should_exit:
            logger.info("stopping: no new requests, those in flight get their answers")
        super().handle_exit(sig, frame)  # type: ignore[arg-type]
