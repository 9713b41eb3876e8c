"""A server of this process with a tiny archive for every task, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

import luke_tasks
from luke_tasks.serve.app import Limits, make_app
from luke_tasks.serve.metrics import Metrics
from luke_tasks.serve.server import serve_model
from tests.serve.archives import TASKS, make_archive
from tests.serve.live import live


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory, tiny_luke_dir: Path) -> dict[str, Path]:
    """Task → the directory of a run."""
    folder = tmp_path_factory.mktemp("archives")
    return {task: make_archive(task, folder, tiny_luke_dir) for task in TASKS}


@pytest.fixture(scope="session")
def server(archives: dict[str, Path]) -> Iterator[str]:
    """The address of a server of them all, each under the name of its task."""
    limits, metrics = Limits(max_request_bytes=100_000, timeout_seconds=60, max_queue=64), Metrics()
    served = [
        serve_model(task, str(path), luke_tasks.load(path, cuda_device=-1), metrics, limits, max_batch_size=8,
                    batch_wait_seconds=0.02)
        for task, path in archives.items()
    ]  # fmt: skip
    with live(make_app(served, limits, metrics)) as address:
        yield address
