"""TensorBoard: steps, epoch metrics, config and errors of a run, under `tensorboard/` in its directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from luke_tasks.registry import NonNegativeInt
from luke_tasks.training.callbacks.callback import Callback
from luke_tasks.training.callbacks.validation import Validation
from luke_tasks.training.run_log import read_log


@Callback.register("tensorboard")
class TensorBoardCallback(Callback):
    """Needs the extra `luke-tasks[tensorboard]`.

    Args:
        log_errors: rows of the table of errors on the validation data, for each epoch that is the best so far; 0: none.
    """

    def __init__(self, *, log_errors: NonNegativeInt = 50) -> None:
        self.log_errors = log_errors
        self.errors: list[list[str]] = []  # of the last validation

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        start = next(event for event in reversed(read_log(run_dir)) if event["event"] == "start")
        # What a killed run wrote after the checkpoint is made again: TensorBoard is to forget the first time.
        again_from = start["step"] + 1 if start["recovered_from"] is not None else None
        self.writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=again_from)
        if again_from is None:
            indented = json.dumps(config, indent=2, ensure_ascii=False).replace("\n", "\n    ")
            self.writer.add_text("config", f"    {indented}", 0)

    def on_step(self, step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            self.writer.add_scalar(f"step/{key}", value, step)

    def on_validation(self, validation: Validation) -> None:
        self.errors = validation.errors(self.log_errors)

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        from luke_tasks.mistakes.error_rows import markdown_table

        for key, value in metrics.items():
            if isinstance(value, (int, float)):
                self.writer.add_scalar(f"epoch/{key}", value, metrics["epoch"])
        if self.errors and metrics["best_epoch"] == metrics["epoch"]:
            self.writer.add_text("validation_errors", markdown_table(self.errors), metrics["epoch"])

    def on_end(self, metrics: dict[str, Any]) -> None:
        self.writer.close()

    def on_stop(self) -> None:
        self.writer.close()  # or what it has not written yet would be lost
