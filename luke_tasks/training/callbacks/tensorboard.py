"""TensorBoard: steps and epoch metrics of a run, under `tensorboard/` in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luke_tasks.training.callbacks.callback import Callback


@Callback.register("tensorboard")
class TensorBoardCallback(Callback):
    """Needs the extra `luke-tasks[tensorboard]`."""

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run_dir / "tensorboard"))

    def on_step(self, step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            self.writer.add_scalar(f"step/{key}", value, step)

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        for key, value in metrics.items():
            if isinstance(value, (int, float)):
                self.writer.add_scalar(f"epoch/{key}", value, metrics["epoch"])

    def on_end(self, metrics: dict[str, Any]) -> None:
        self.writer.close()

    def on_stop(self) -> None:
        self.writer.close()  # or what it has not written yet would be lost
