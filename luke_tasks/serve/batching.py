"""Inputs of concurrent requests → batches → predictions: one thread a model, which alone touches the model.

Windows, not inputs, are what a batch holds. Each open input gives its next window in turn, so a long document does not
keep short ones waiting, and what nobody waits for any more is dropped between two batches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.features import Features
from luke_tasks.heads.head import Window

logger = logging.getLogger(__name__)


class Model(Protocol):
    """What the worker needs of a `Predictor`."""

    reader: Any

    def run_windows(self, features: Sequence[Features]) -> list[NDArray[np.float32]]: ...

    def decode(self, example: Any, windows: Sequence[Window]) -> Any: ...


@dataclass(frozen=True)
class Answer:
    """A prediction, and what of its input could not be read (too long for the window, ...)."""

    prediction: Any
    warnings: Sequence[str]


class QueueFull(Exception):
    """More inputs wait than may; `seconds` tells when there may be room again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the queue is full for about {seconds:.0f} s")
        self.seconds = seconds


class Job:
    """One input, and the `Answer` to come (or the error).

    Args:
        record: the input, as `Reader.parse_input` takes it.
        where: what begins messages about it.
    """

    def __init__(self, record: dict[str, Any], where: str) -> None:
        self.record = record
        self.where = where
        self.future: Future[Answer] = Future()
        self.queued_at = time.monotonic()
        self.is_abandoned = False

    def abandon(self) -> None:
        """Nobody waits for it any more. What runs already ends with its batch."""
        self.is_abandoned = True
        self.future.cancel()


@dataclass(eq=False)
class _Open:
    """A job whose windows are made: those that have run have logits."""

    job: Job
    example: Any
    features: Sequence[Features]
    warnings: Sequence[str]
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    num_given: int = 0  # windows that have been put into a batch

    @property
    def num_left(self) -> int:
        return len(self.features) - self.num_given


class Worker:
    """Runs a model in a thread of its own.

    Args:
        name: of the model, for the thread and the log.
        model: nothing else may use it while the worker lives.
        max_batch_size: windows run at once, and inputs that are open at once.
        batch_wait_seconds: how long an input waits for others to fill its batch.
        max_queue: inputs that wait at most.
        max_tokens: word pieces and entities of a batch; at this many, each input gives no more than one window, so that
            what comes meanwhile does not wait for long. None: no limit.
        on_batch: called with the windows of a batch and the seconds it took.
    """

    def __init__(
        self, name: str, model: Model, *, max_batch_size: int, batch_wait_seconds: float, max_queue: int,
        max_tokens: int | None = None,
        on_batch: Callable[[int, float], None] = lambda num_windows, seconds: None,
    ) -> None:  # fmt: skip
        self.model = model
        self.max_batch_size = max_batch_size
        self.batch_wait_seconds = batch_wait_seconds
        self.max_queue = max_queue
        self.max_tokens = max_tokens
        self._on_batch = on_batch
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._seconds_a_job = 0.1  # a running mean, for what `QueueFull` says
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    @property
    def queue_length(self) -> int:
        """Inputs that wait, none of their windows made yet."""
        return len(self._queue)

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue all of `jobs`, or none. Raises QueueFull."""
        with self._changed:
            waiting = [job for job in self._queue if not job.is_abandoned]
            if len(waiting) < len(self._queue):
                self._queue = deque(waiting)
            if len(waiting) + len(jobs) > self.max_queue:
                raise QueueFull(max(1.0, len(waiting) * self._seconds_a_job))
            self._queue.extend(jobs)
            self._changed.notify()

    def close(self, timeout: float | None = None) -> None:
        """Answer what is queued, then end the thread; wait for that, `timeout` seconds at most."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        opened: list[_Open] = []
        while True:
            self._admit(opened)
            if not opened:
                return  # closing
            began = time.monotonic()
            batch = _shared_out(opened, self.max_batch_size, self.max_tokens)
            if batch:
                self._run_batch(batch)
                self._on_batch(len(batch), time.monotonic() - began)
            done = [one for one in opened if not one.num_left or one.job.is_abandoned or one.job.future.done()]
            for one in done:
                self._finish(one)
            opened = [one for one in opened if one not in done]
            if done:
                mean = (time.monotonic() - began) / len(done)
                self._seconds_a_job += 0.1 * (mean - self._seconds_a_job)

    def _admit(self, opened: list[_Open]) -> None:
        """Open queued jobs, up to a batch of them; wait for the first one, and for more while the batch has room."""
        deadline: float | None = time.monotonic() if opened else None
        while len(opened) < self.max_batch_size:
            has_room = sum(one.num_left for one in opened) < self.max_batch_size
            job = self._next(deadline if has_room else time.monotonic())
            if job is None:
                return
            if deadline is None:  # it may have waited in the queue already
                deadline = job.queued_at + self.batch_wait_seconds
            made = self._open(job)
            if made is not None:
                opened.append(made)
            elif not opened:
                deadline = None

    def _next(self, deadline: float | None) -> Job | None:
        """The next job; None when there is none until `deadline` (None: until closing)."""
        with self._changed:
            while True:
                while self._queue:
                    job = self._queue.popleft()
                    if job.future.set_running_or_notify_cancel():
                        return job
                if self._is_closing:
                    return None
                seconds = None if deadline is None else deadline - time.monotonic()
                if seconds is not None and seconds <= 0:
                    return None
                self._changed.wait(seconds)

    def _open(self, job: Job) -> _Open | None:
        """Its windows; None where it is unfit, which its future says."""
        reader = self.model.reader
        reader.dropped.clear()
        try:
            example = reader.parse_input(job.record, job.where)
            features = list(reader.encode([example]))
        except Exception as error:
            job.future.set_exception(error)
            return None
        return _Open(job, example, features, [f"{count} {what}" for what, count in reader.dropped.items()])

    def _run_batch(self, batch: Sequence[tuple[_Open, Features]]) -> None:
        """Windows of several jobs. Where they fail together, those of each job run alone, so that one fails alone."""
        try:
            found = self.model.run_windows([features for _, features in batch])
        except Exception as error:
            jobs = list({id(one): one for one, _ in batch}.values())
            if len(jobs) == 1:
                jobs[0].job.future.set_exception(error)
                return
            logger.debug("a batch of %d inputs failed (%s); they run one by one", len(jobs), error)
            for alone in jobs:
                self._run_batch([(one, features) for one, features in batch if one is alone])
            return
        for (one, _), logits in zip(batch, found, strict=True):
            one.logits.append(logits)

    def _finish(self, one: _Open) -> None:
        """The answer, where somebody waits for it and nothing has failed."""
        if one.job.is_abandoned and not one.job.future.done():
            one.job.future.set_exception(TimeoutError("abandoned"))
        if one.job.future.done():
            return
        try:
            windows = [Window(*pair) for pair in zip(one.features, one.logits, strict=True)]
            one.job.future.set_result(Answer(self.model.decode(one.example, windows), one.warnings))
        except Exception as error:
            one.job.future.set_exception(error)


def _shared_out(opened: Sequence[_Open], most: int, max_tokens: int | None) -> list[tuple[_Open, Features]]:
    """The next windows, at most so many, one of each job in turn; only the first turn may exceed `max_tokens`."""
    batch: list[tuple[_Open, Features]] = []
    tokens = 0
    while len(batch) < most:
        giving = [one for one in opened if one.num_left and not one.job.is_abandoned][: most - len(batch)]
        turn = [(one, one.features[one.num_given]) for one in giving]
        if max_tokens is not None:
            tokens += sum(_num_tokens(features) for _, features in turn)
        if not turn or (batch and max_tokens is not None and tokens > max_tokens):
            break
        batch += turn
        for one in giving:
            one.num_given += 1
    return batch


def _num_tokens(features: Features) -> int:
    """Word pieces and entities."""
    return sum(len(window.word_ids) + len(window.entity_ids) for window in features.windows)
