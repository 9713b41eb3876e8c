"""The model as it learns: weights, optimizer and schedule, and one step of them.

Devices and mixed precision go through Hugging Face Accelerate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from luke_tasks.data.batch import Batch
from luke_tasks.heads.head import HeadOutput, Model
from luke_tasks.training.devices import make_accelerator
from luke_tasks.training.optimization import trainable
from luke_tasks.training.step_faults import explained_memory, norm_of, number_fault, scalar
from luke_tasks.training.trainer import Trainer


class Step(NamedTuple):
    """What an optimizer step tells."""

    loss_sum: float  # over its batches
    lr: float  # that it used
    fault: str | None  # the loss or the gradients are no numbers, and no weight has changed


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

    def step(self, batches: Sequence[Batch]) -> Step:
        """One optimizer step on the mean of the batches' losses; with a fault, the weights stay as they are.

        Raises:
            TrainingError: memory is not enough.
        """
        losses = []
        batch = batches[0]
        try:
            for batch in batches:
                with self.accelerator.autocast():
                    loss = self.model(batch.to(self.device)).loss
                self.accelerator.backward(loss / len(batches))
                losses.append(loss.detach())
            norm = self._clip()
            lr = self.optimizer.param_groups[0]["lr"]
            total = float(sum(losses))
            fault = number_fault(total / len(batches), norm)
            if fault is None or self.accelerator.scaler is not None:  # a scaler drops the step, and must hear of it
                self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            raise explained_memory(error, batch) from None
        if self.scheduler is not None:
            self.scheduler.step()
        self.optimizer.zero_grad()
        if self.averaged is not None and fault is None:
            self.averaged.update_parameters(self.model)
        return Step(total, lr, fault)

    def _clip(self) -> float | None:
        """Clip the gradients, unscaled. Gives their norm before; None where a scaler looks after them."""
        norm, value = self.trainer.grad_norm, self.trainer.grad_clipping
        gradients = [weight.grad for weight in trainable(self.model) if weight.grad is not None]
        has_scaler = self.accelerator.scaler is not None
        found = None if has_scaler or norm is not None else norm_of(gradients)
        if norm is None and value is None:
            return found
        self.accelerator.unscale_gradients()  # once: a second time is an error under fp16
        if norm is not None:
            clipped = torch.nn.utils.clip_grad_norm_(trainable(self.model), norm)
            found = None if has_scaler else scalar(clipped)
        if value is not None:
            torch.nn.utils.clip_grad_value_(trainable(self.model), value)
        return found

    @property
    def weights_model(self) -> Model:
        """The model whose weights are validated and kept: the moving average where there is one."""
        return self.averaged.module if self.averaged is not None else self.model  # type: ignore[return-value]

    def forward(self, batch: Batch) -> HeadOutput:
        """`weights_model` on a batch, in the precision of the training. Raises TrainingError without memory."""
        try:
            with self.accelerator.autocast():
                output: HeadOutput = self.weights_model(batch)
        except (RuntimeError, MemoryError) as error:
            raise explained_memory(error, batch) from None
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
