"""Pruning: after every epoch, a trial of a sweep asks the sweep whether to go on.

The sweep reads the trial's `metrics_epoch_N.json`, and answers in a file; so it works wherever the two share a folder,
and under several processes too: only the first runs callbacks, and the loop tells the others to stop.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from luke_tasks.registry import PositiveFloat
from luke_tasks.training.callbacks.callback import Callback

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.05


@Callback.register("sweep")
class SweepCallback(Callback):
    """Put into a trial's config by the sweep.

    Args:
        answer_file: where the answers come, `{"epoch": 0, "stop": false}` at last. Where there is none when the run
            starts, there is no sweep either, and nothing is asked.
        patience_seconds: without an answer for so long, the run goes on: its sweep has been killed.
    """

    def __init__(self, *, answer_file: str, patience_seconds: PositiveFloat = 100.0) -> None:
        self.answer_file = Path(answer_file)
        self.patience_seconds = patience_seconds
        self._asks = False

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        self._asks = self.answer_file.exists()

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        deadline = time.monotonic() + self.patience_seconds
        while self._asks:
            answer = json.loads(self.answer_file.read_text(encoding="utf-8"))
            if answer["epoch"] >= metrics["epoch"]:
                if answer["stop"] and answer["epoch"] == metrics["epoch"]:
                    self.stop_reason = "the sweep prunes this trial"
                return
            if time.monotonic() > deadline:
                logger.warning("no answer from the sweep for %g s: going on without it", self.patience_seconds)
                self._asks = False
            time.sleep(_POLL_SECONDS)
