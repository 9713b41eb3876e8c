"""Weights & Biases: steps, epoch metrics and the config of a run."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from luke_tasks.registry import PositiveInt
from luke_tasks.training.callbacks.callback import Callback


@Callback.register("wandb")
class WandbCallback(Callback):
    """Logs to `wandb`. A recovered run goes on in the same wandb run; a run of a sweep's agent is the agent's.

    Args:
        project, entity, name, group, tags: as `wandb.init`'s.
        log_every_num_steps: how often a step's loss and learning rate are sent.
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        log_every_num_steps: PositiveInt = 10,
    ) -> None:
        self.options: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "name": name,
            "group": group,
            "tags": tags,
        }
        self.log_every_num_steps = log_every_num_steps

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        import wandb

        if os.environ.get("WANDB_SWEEP_ID"):  # a run of an agent: W&B has given it its id, project and entity
            own = {key: value for key, value in self.options.items() if key not in ("project", "entity")}
            self.run = wandb.init(dir=run_dir, config=config, **own)
            return
        id_file = run_dir / "wandb_run_id.txt"
        if not id_file.exists():
            id_file.write_text(secrets.token_hex(4), encoding="utf-8")
        id = id_file.read_text(encoding="utf-8").strip()
        self.run = wandb.init(dir=run_dir, config=config, id=id, resume="allow", **self.options)

    def on_step(self, step: int, values: dict[str, float]) -> None:
        if step % self.log_every_num_steps == 0:
            self.run.log({f"step/{key}": value for key, value in values.items()}, step=step)

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        self.run.log({key: value for key, value in metrics.items() if isinstance(value, (int, float))})

    def on_end(self, metrics: dict[str, Any]) -> None:
        self.run.summary.update(metrics)
        self.run.finish()

    def on_stop(self) -> None:
        self.run.finish(exit_code=1)
