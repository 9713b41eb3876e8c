"""Weights & Biases: steps, epoch metrics, config and errors of a run, and on request its model."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from luke_tasks.registry import NonNegativeInt, PositiveInt
from luke_tasks.training.callbacks.callback import Callback
from luke_tasks.training.callbacks.validation import Validation

_MODEL_FILES = ("config.json", "meta.json", "vocabulary", "tokenizer", "encoder", "best.safetensors")
_UPLOAD_SECONDS = 3600.0


@Callback.register("wandb")
class WandbCallback(Callback):
    """Logs to `wandb`. A recovered run goes on in the same wandb run; a run of a sweep's agent is the agent's.

    Curves of steps have the optimizer step as their axis (`step/step`), those of epochs the epoch. The steps that a
    recovered run makes again are logged again, at the same place.

    Args:
        project, entity, name, group, tags: as `wandb.init`'s.
        log_every_num_steps: how often a step's loss, learning rate, gradient norm and speed are sent.
        log_errors: rows of the table `validation_errors` (gold and predicted), which is logged for each epoch that is
            the best so far; 0: none.
        log_model: send the best model as an artifact at the end: a directory that `luke_tasks.load`, `evaluate` and
            `predict` take. The run waits an hour for it at most.
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
        log_errors: NonNegativeInt = 100,
        log_model: bool = False,
    ) -> None:
        self.options: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "name": name,
            "group": group,
            "tags": tags,
        }
        self.log_every_num_steps = log_every_num_steps
        self.log_errors, self.log_model = log_errors, log_model
        self.errors: list[list[str]] = []  # of the last validation

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        import wandb

        self.run_dir = run_dir
        if os.environ.get("WANDB_SWEEP_ID"):  # a run of an agent: W&B has given it its id, project and entity
            own = {key: value for key, value in self.options.items() if key not in ("project", "entity")}
            self.run = wandb.init(dir=run_dir, config=config, **own)
        else:
            id_file = run_dir / "wandb_run_id.txt"
            if not id_file.exists():
                id_file.write_text(secrets.token_hex(4), encoding="utf-8")
            id = id_file.read_text(encoding="utf-8").strip()
            self.run = wandb.init(dir=run_dir, config=config, id=id, resume="allow", **self.options)
        # Axes of our own: W&B drops what comes for a step of its own count that has passed, as after a recovery.
        self.run.define_metric("step/*", step_metric="step/step")
        for name in ("training_*", "validation_*", "best_*", "peak_*"):
            self.run.define_metric(name, step_metric="epoch")

    def on_step(self, step: int, values: dict[str, float]) -> None:
        if step % self.log_every_num_steps == 0:
            self.run.log({"step/step": step, **{f"step/{key}": value for key, value in values.items()}})

    def on_validation(self, validation: Validation) -> None:
        self.errors = validation.errors(self.log_errors)

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        logged: dict[str, Any] = {key: value for key, value in metrics.items() if isinstance(value, (int, float))}
        if self.errors and metrics["best_epoch"] == metrics["epoch"]:
            import wandb

            from luke_tasks.mistakes.error_rows import COLUMNS

            logged["validation_errors"] = wandb.Table(columns=list(COLUMNS), data=self.errors)
        self.run.log(logged)

    def on_end(self, metrics: dict[str, Any]) -> None:
        self.run.summary.update(metrics)
        if self.log_model:
            self._send_model(metrics)
        self.run.finish()

    def on_stop(self) -> None:
        self.run.finish(exit_code=1)

    def limit_of(self, method: str) -> float:
        return _UPLOAD_SECONDS if self.log_model and method == "on_end" else super().limit_of(method)

    def _send_model(self, metrics: dict[str, Any]) -> None:
        import wandb

        artifact = wandb.Artifact(f"model-{self.run.id}", type="model", metadata=metrics)
        for path in (self.run_dir / name for name in _MODEL_FILES):
            if path.is_dir():
                artifact.add_dir(str(path), name=path.name)
            else:
                artifact.add_file(str(path), name=path.name)
        self.run.log_artifact(artifact)
