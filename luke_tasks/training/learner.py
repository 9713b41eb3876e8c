"""The model as it learns: weights, optimizer and schedule, and one step of them.

Devices and mixed precision go through Hugging Face Accelerate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from luke_tasks.data.batch import Batch
from luke_tasks.heads.head import HeadOutput, Model
from luke_tasks.training.devices import make_accelerator
from luke_tasks.training.optimization import trainable
from luke_tasks.training.trainer import Trainer


class Learner:
    """All that an optimizer step changes.

    Args:
        total_steps: optimizer steps of the whole run, for the schedule.
    """

    def __init__(self, trainer: Trainer, model: Model, total_steps: int) -> None:
        self.trainer = trainer
        self.accelerator = make_accelerator(trainer.cuda_device, trainer.precision)
        self.device = self.accelerator.device
        self.model = model.to(self.device)
        if trainer.compile:
            self.model.compile()
        self.averaged = trainer.moving_average.of(self.model) if trainer.moving_average else None
        self.optimizer = self.accelerator.prepare(trainer.optimizer.create(self.model))
        schedule = trainer.learning_rate_scheduler
        self.scheduler = schedule.create(self.optimizer.optimizer, total_steps) if schedule else None

    def step(self, batches: Sequence[Batch]) -> tuple[float, float]:
        """One optimizer step on the mean of the batches' losses. Gives their sum, and the learning rate it used."""
        losses = []
        for batch in batches:
            with self.accelerator.autocast():
                loss = self.model(batch.to(self.device)).loss
            self.accelerator.backward(loss / len(batches))
            losses.append(loss.detach())
        self._clip()
        lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        self.optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return float(sum(losses)), lr

    def _clip(self) -> None:
        """Clip the gradients, unscaled."""
        norm, value = self.trainer.grad_norm, self.trainer.grad_clipping
        if norm is None and value is None:
            return
        self.accelerator.unscale_gradients()  # once: a second time is an error under fp16
        if norm is not None:
            torch.nn.utils.clip_grad_norm_(trainable(self.model), norm)
        if value is not None:
            torch.nn.utils.clip_grad_value_(trainable(self.model), value)

    @property
    def weights_model(self) -> Model:
        """The model whose weights are validated and kept: the moving average where there is one."""
        return self.averaged.module if self.averaged is not None else self.model  # type: ignore[return-value]

    def forward(self, batch: Batch) -> HeadOutput:
        """`weights_model` on a batch, in the precision of the training."""
        with self.accelerator.autocast():
            output: HeadOutput = self.weights_model(batch)
        return output

    def state_dict(self) -> dict[str, Any]:
        """All but the model's weights and the random states."""
        scaler = self.accelerator.scaler
        return {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "scaler": scaler.state_dict() if scaler else None,
            "average": self.averaged.state_dict() if self.averaged is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["average"])
