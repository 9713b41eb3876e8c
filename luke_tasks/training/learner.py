"""The model as it learns: weights, optimizer and schedule, and one step of them.

Devices, mixed precision and several processes (DDP) go through Hugging Face Accelerate; FSDP2 see `sharding.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.heads.head import HeadOutput, Model
from luke_tasks.training.devices import make_accelerator
from luke_tasks.training.optimization import trainable
from luke_tasks.training.processes import ALONE, Processes
from luke_tasks.training.sharding import shard, shared_optimizer_state, whole
from luke_tasks.training.step_faults import explained_memory, norm_of, number_fault, scalar
from luke_tasks.training.trainer import Trainer


class Step(NamedTuple):
    """What an optimizer step tells."""

    loss_sum: float  # over its batches, those of all processes
    lr: float  # that it used
    grad_norm: float | None  # before clipping; None where a gradient scaler looks after it
    fault: str | None  # the loss or the gradients are no numbers, and no weight has changed


class Learner:
    """All that an optimizer step changes.

    Args:
        device: of this process.
        total_steps: optimizer steps of the whole run, for the schedule.
        processes: those that train the model together.
        is_sharded: share the weights out over the processes.
    """

    def __init__(
        self, trainer: Trainer, model: Model, device: torch.device, total_steps: int,
        processes: Processes = ALONE, is_sharded: bool = False,
    ) -> None:  # fmt: skip
        self.trainer, self.processes = trainer, processes
        self.accelerator = make_accelerator(device, trainer.precision)
        self.device = device
        self.model = model
        self.is_sharded = is_sharded and processes.are_many
        if trainer.gradient_checkpointing:
            model.encoder.checkpoint_gradients()
        if self.is_sharded:
            shard(model, device, processes.world_size)  # which moves it a piece at a time
        else:
            model.to(device)
        if trainer.compile:
            model.compile()
        self.trained: nn.Module = _Loss(model)
        self.averaged = trainer.moving_average.of(model) if trainer.moving_average else None
        self.optimizer = self.accelerator.prepare(trainer.optimizer.create(model))
        if processes.are_many and not self.is_sharded:
            self.trained = self.accelerator.prepare(self.trained)
        schedule = trainer.learning_rate_scheduler
        self.scheduler = schedule.create(self.optimizer.optimizer, total_steps) if schedule else None

    def step(self, batches: Sequence[tuple[Batch, bool]], count: int) -> Step:
        """One optimizer step on the mean of the losses of `count` batches; with a fault, the weights stay as they are.

        Args:
            batches: this process's, see `Processes.share`.
            count: of all processes together.
        Raises:
            TrainingError: memory is not enough.
        """
        losses = []
        batch = batches[0][0]
        try:
            for number, (batch, counts) in enumerate(batches, 1):
                with self._gradients_exchanged(number == len(batches)):
                    with self.accelerator.autocast():
                        loss: Tensor = self.trained(batch.to(self.device))
                    # The gradients of the processes are averaged; their sum is to be the mean over all batches.
                    weighted = loss / (count / self.processes.world_size) if counts else loss * 0.0
                    self.accelerator.backward(weighted)
                losses.append(loss.detach())
            total = self._sum(torch.stack(losses).tolist(), count)
            norm = self._clip()
            lr = self.optimizer.param_groups[0]["lr"]
            fault = number_fault(total / count, norm)
            if fault is None or self.accelerator.scaler is not None:  # a scaler drops the step, and must hear of it
                self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            raise explained_memory(error, batch) from None
        if self.scheduler is not None:
            with warnings.catch_warnings():
                # When the very first step is left out, here or by a scaler, torch takes it for a mistake.
                if fault is not None or self.accelerator.scaler is not None:
                    warnings.simplefilter("ignore", UserWarning)
                self.scheduler.step()
        self.optimizer.zero_grad()
        if self.averaged is not None and fault is None:
            self.averaged.update_parameters(self.model)
        return Step(total, lr, norm, fault)

    def _sum(self, losses: Sequence[float], count: int) -> float:
        """Of the losses of all processes, added in the order of the batches."""
        of_all, world_size = self.processes.exchange(losses), self.processes.world_size
        return sum(of_all[number % world_size][number // world_size] for number in range(count))

    @contextmanager
    def _gradients_exchanged(self, now: bool) -> Iterator[None]:
        """Exchange gradients with the other processes in this backward pass, or only add them up."""
        model: Any = self.model
        if self.is_sharded:
            model.set_requires_gradient_sync(now)
        if self.is_sharded or now or not self.processes.are_many:
            yield
            return
        with self.accelerator.no_sync(self.trained):
            yield

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
        """All but the model's weights and the random states. All processes must ask at once."""
        scaler = self.accelerator.scaler
        return {
            "optimizer": whole(self.optimizer.state_dict()),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "scaler": scaler.state_dict() if scaler else None,
            "average": self.averaged.state_dict() if self.averaged is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave, in a run of as many processes or of another number."""
        self.optimizer.load_state_dict(shared_optimizer_state(state["optimizer"], self.optimizer))
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["average"])


class _Loss(nn.Module):
    """The loss alone: DDP waits for a gradient of every weight that what goes out depends on, the logits among it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        loss: Tensor = self.model(batch).loss  # ()
        return loss
