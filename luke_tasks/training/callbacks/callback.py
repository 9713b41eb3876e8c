"""What a run can be watched with. A callback that fails, or hangs, is switched off with a warning; the run goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from luke_tasks.registry import Registrable
from luke_tasks.spec import Spec
from luke_tasks.training.callbacks.validation import Validation

logger = logging.getLogger(__name__)

_LAST = ("on_end", "on_stop")
_given_up: list[str] = []  # names of callbacks of which a call still hangs in its thread


class Callback(Registrable):
    """Base of callbacks (`trainer.callbacks`). Each method does nothing unless overridden.

    All calls of one callback, its constructor's included, run in one thread of its own, one after another, while the
    training waits for `time_limit_seconds` at most.
    """

    time_limit_seconds: ClassVar[float] = 120.0  # of a call; wandb's own patience with its server is 90

    # Looked at after `on_epoch`: why training is to end with this epoch, in a few words; None: it goes on. The run ends
    # as after its last epoch then, with metrics and archive.
    stop_reason: str | None = None

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        """Training is about to begin, or to go on."""

    def on_step(self, step: int, values: dict[str, float]) -> None:
        """An optimizer step was made; `values` holds `loss`, `lr`, `words_per_second`; without fp16, `grad_norm`."""

    def on_validation(self, validation: Validation) -> None:
        """The validation of an epoch is over; `on_epoch` comes next. Where there are no such data, it is not called."""

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        """An epoch and its validation are over."""

    def on_end(self, metrics: dict[str, Any]) -> None:
        """Training is over; `metrics` is `metrics.json`, without scores of test data, which come later."""

    def on_stop(self) -> None:
        """Training is broken off, by a signal or an error; it may be recovered later."""

    def limit_of(self, method: str) -> float:
        """Seconds that the training waits for a call of this method."""
        return self.time_limit_seconds


class Callbacks:
    """Calls all callbacks; the failure of one never stops the run.

    Args:
        callbacks: as the config describes them, or made already.
    """

    def __init__(self, callbacks: Sequence[Spec[Callback] | Callback]) -> None:
        self._active: list[_Watched] = []
        for described in callbacks:
            watched = _Watched(described)
            if watched.run("its constructor", watched.make):
                self._active.append(watched)

    @property
    def stop_reason(self) -> str | None:
        """The first reason that a callback has to end training with this epoch."""
        return next(filter(None, (one.stop_reason for one in self._active)), None)

    def call(self, method: str, *args: Any) -> None:
        """Call `method` of every callback that has not failed before."""
        self._active = [one for one in self._active if one.run(method, one.bound(method, *args))]
        if method in _LAST:
            for one in self._active:
                one.close()
            self._active = []


def callbacks_hang() -> bool:
    """Whether a call of some callback has not come back in its time, so that an ordinary exit could wait for it."""
    return bool(_given_up)


class _Watched:
    """One callback and its thread."""

    def __init__(self, described: Spec[Callback] | Callback) -> None:
        self._described = described
        self._type: type[Callback] = described.owner if isinstance(described, Spec) else type(described)
        self._callback: Callback | None = None
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()  # None: no more
        self._answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=self._type.__name__, daemon=True).start()

    @property
    def stop_reason(self) -> str | None:
        """The callback's own."""
        return self._callback.stop_reason if self._callback is not None else None

    def make(self) -> None:
        """Call the constructor."""
        self._callback = self._described.build() if isinstance(self._described, Spec) else self._described

    def bound(self, method: str, *args: Any) -> Callable[[], None]:
        """A call of a method."""
        return lambda: getattr(self._callback, method)(*args)

    def run(self, what: str, call: Callable[[], None]) -> bool:
        """Whether the call came back without an error; if not, warn."""
        seconds = self._callback.limit_of(what) if self._callback is not None else self._type.time_limit_seconds
        self._calls.put(call)
        try:
            error = self._answers.get(timeout=seconds)
        except queue.Empty:
            _given_up.append(self._type.__name__)
            error = TimeoutError(f"no answer within {seconds:g} seconds")
        if error is not None:
            logger.warning("callback %s failed in %s and is switched off: %s: %s",
                           self._type.__name__, what, type(error).__name__, error)  # fmt: skip
            self.close()
        return error is None

    def close(self) -> None:
        """End the thread."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:  # whatever a callback's library raises, SystemExit included
                self._answers.put(error)
            else:
                self._answers.put(None)
