"""A server in a thread of this process, and a model that does what a test tells it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvicorn

from luke_tasks.errors import CheckpointError, DataError
from luke_tasks.serve.app import Limits, Served, make_app
from luke_tasks.serve.batching import Worker
from luke_tasks.serve.inputs import AnyInput, Form, Part
from luke_tasks.serve.metrics import Metrics
from luke_tasks.serve.server import address_of, bind


@contextmanager
def live(app: Any) -> Iterator[str]:
    """The address of `app` on a free port."""
    bound = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=lambda: server.run(sockets=[bound]))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield address_of(bound)
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Raises AssertionError when it does not come true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


@dataclass
class Said:
    """A prediction."""

    id: str
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text}


class FakeReader:
    """An input has as many windows as its text has words; one without "text" is refused."""

    task = "parrot"
    input_form = None

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()

    def parse_input(self, record: dict[str, Any], where: str) -> Said:
        if not isinstance(record.get("text"), str):
            raise DataError(f'{where}: "text" is missing')
        return Said(where, record["text"])

    def encode(self, examples: Sequence[Said]) -> list[Any]:
        if "cut" in examples[0].text:
            self.dropped["texts were cut"] += 1
        return [word for example in examples for word in example.text.split()]


class FakeModel:
    """Says what it was told, once it may run; a window "poison" breaks its batch.

    Attributes:
        may_run: set, unless a test holds the model up.
        batches: the windows of each batch that has begun.
    """

    def __init__(self) -> None:
        self.reader = FakeReader()
        self.may_run = threading.Event()
        self.may_run.set()
        self.batches: list[list[Any]] = []

    def run_windows(self, features: Sequence[Any]) -> list[Any]:
        self.batches.append(list(features))
        assert self.may_run.wait(20)
        if "poison" in features:
            raise CheckpointError("the model's scores are no numbers")
        return [np.array([len(word)], dtype=np.float32) for word in features]

    def decode(self, example: Said, windows: Sequence[Any]) -> Said:
        return Said(example.id, " ".join(f"{window.features}:{window.logits[0]:.0f}" for window in windows))


def fake_worker(model: FakeModel, **options: Any) -> Worker:
    """A worker with small limits."""
    return Worker("fake", model, **{"max_batch_size": 4, "batch_wait_seconds": 0.0, "max_queue": 8, **options})  # type: ignore[arg-type]


def fake_app(model: FakeModel, *, timeout: float = 10, max_bytes: int = 1000, **options: Any) -> tuple[Any, Worker]:
    """An application that serves it as `fake`."""
    worker = fake_worker(model, **options)
    form = Form(AnyInput, [Part("text", "Text")], {"text": "an example"})
    served = Served("fake", "parrot", "nowhere", ["a"], form, worker)
    return make_app([served], Limits(max_bytes, timeout, worker.max_queue), Metrics()), worker
