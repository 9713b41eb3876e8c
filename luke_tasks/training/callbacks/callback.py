"""What a run can be watched with. A callback that fails is switched off with a warning; the run goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luke_tasks.registry import Registrable

logger = logging.getLogger(__name__)


class Callback(Registrable):
    """Base of callbacks (`trainer.callbacks`). Each method does nothing unless overridden."""

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        """Training is about to begin, or to go on."""

    def on_step(self, step: int, values: dict[str, float]) -> None:
        """An optimizer step was made; `values` holds `loss` and `lr`."""

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        """An epoch and its validation are over."""

    def on_end(self, metrics: dict[str, Any]) -> None:
        """Training is over; `metrics` is `metrics.json`."""


class Callbacks:
    """Calls all callbacks; the failure of one never stops the run."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._active = list(callbacks)

    def call(self, method: str, *args: Any) -> None:
        """Call `method` of every callback that has not failed before."""
        for callback in list(self._active):
            try:
                getattr(callback, method)(*args)
            except Exception as error:  # whatever a callback's library raises
                logger.warning("callback %s failed in %s and is switched off: %s: %s",
                               type(callback).__name__, method, type(error).__name__, error)  # fmt: skip
                self._active.remove(callback)
