"""The training loop: features in; weights, metrics and checkpoints in the run's directory out.

One step is: batch (`data/loader.py`), forward and loss (`heads/`, over `encoder/`), backward, clip, step, schedule
(`learner.py`), log.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from luke_tasks.data.batch import Batch
from luke_tasks.data.loader import Sizes, collate, report_batches
from luke_tasks.errors import Interrupted, TrainingError
from luke_tasks.files import replacing, write_json
from luke_tasks.heads.head import Model
from luke_tasks.training.callbacks.callback import Callbacks
from luke_tasks.training.callbacks.progress import ProgressLine
from luke_tasks.training.checkpoint import (
    TrainState,
    checkpoints,
    clean_partial,
    load_checkpoint,
    restore_random_states,
    save_weights,
)
from luke_tasks.training.devices import peak_memory_mb
from luke_tasks.training.evaluation import Runner, evaluate
from luke_tasks.training.interrupts import interrupts
from luke_tasks.training.learner import Learner
from luke_tasks.training.trainer import Trainer, TrainingData

logger = logging.getLogger(__name__)


def train(
    trainer: Trainer,
    model: Model,
    data: TrainingData,
    *,
    run_dir: Path,
    seed: int,
    recover: bool = False,
    config: dict[str, Any] | None = None,
    plain_progress: bool = False,
) -> dict[str, Any]:
    """Train, and leave the best weights in `run_dir/best.safetensors`.

    Args:
        seed: of the order of batches.
        recover: go on from the newest checkpoint in `run_dir`, if there is one.
        config: shown to callbacks.
        plain_progress: lines instead of live bars.
    Returns:
        The metrics of the run, as `metrics.json` holds them.
    Raises:
        Interrupted: the user stopped it; the state is saved.
        TrainingError: the loss is no longer a number.
    """
    run = _Run(trainer, model, data, run_dir, seed, plain_progress)
    if recover:
        run.recover()
    run.report_batches()
    run.callbacks.call("on_start", run_dir, config or {})
    with interrupts() as interrupted:
        while not run.state.finished:
            run.train_epoch(interrupted)
            run.finish_epoch(interrupted)
    metrics = run.state.last_metrics
    run.callbacks.call("on_end", metrics)
    return metrics


class _Run:
    """One training as it goes on: everything that changes."""

    def __init__(
        self, trainer: Trainer, model: Model, data: TrainingData, run_dir: Path, seed: int, plain_progress: bool
    ) -> None:
        self.trainer, self.data, self.run_dir, self.seed = trainer, data, run_dir, seed
        self.plain_progress = plain_progress
        self.state = TrainState(num_windows=len(data.features))
        num_batches = data.loader.num_batches(data.features, seed=seed, num_epochs=trainer.num_epochs)
        self.steps_of_epochs = [math.ceil(number / trainer.num_gradient_accumulation_steps) for number in num_batches]
        self.learner = Learner(trainer, model, sum(self.steps_of_epochs))
        self.callbacks = Callbacks(trainer.callbacks)
        self.step_log = run_dir / "steps.jsonl"
        self.began = time.monotonic()
        self.epoch_words, self.epoch_seconds = 0, 0.0  # of this process, for speeds

    def report_batches(self) -> None:
        """Log the padding of the training data in the epoch that comes, and of the validation data."""
        data, epoch = self.data, self.state.epoch
        if not self.state.finished:
            order = data.loader.order(data.features, seed=self.seed, epoch=epoch)
            what = f"training data, epoch {epoch + 1}"
            report_batches(what, Sizes.of(data.features), order, data.loader.max_tokens)
            if data.validation_features:
                self._runner().report("validation data", data.validation_features)

    # -- one epoch --------------------------------------------------------------------------------------------------

    def train_epoch(self, interrupted: threading.Event) -> None:
        """The optimizer steps of the epoch that are still to do."""
        trainer, state = self.trainer, self.state
        self.learner.model.train()
        self.epoch_words, began = 0, time.monotonic()
        title = f"epoch {state.epoch + 1}/{trainer.num_epochs}"
        best = state.best_scores.get(trainer.validation_metric[1:])
        if best is not None:
            title += f" (best {trainer.validation_metric[1:]} {best:.4f})"
        steps_done = math.ceil(state.batches_done / trainer.num_gradient_accumulation_steps)  # of this epoch
        left = self.steps_of_epochs[state.epoch] - steps_done
        with (
            self.step_log.open("a", buffering=1, encoding="utf-8") as log,  # line by line
            ProgressLine(title, left, plain=self.plain_progress) as advance,
        ):
            for batches in self._batch_groups():
                before = state.batches_done
                self._log_step(log, *self._step(batches))
                words = sum(feature.num_words for batch in batches for feature in batch.features)
                self.epoch_words += words
                advance(words, state.loss_sum / state.batches_done)
                if interrupted.is_set():
                    self._stop()
                if trainer.checkpointer.is_due(before, state.batches_done):
                    self.save()
        self.epoch_seconds = time.monotonic() - began

    def _batch_groups(self) -> Iterator[list[Batch]]:
        """The rest of the epoch's batches, grouped by optimizer step. The order depends on seed and epoch alone."""
        order = self.data.loader.order(self.data.features, seed=self.seed, epoch=self.state.epoch)
        size = self.trainer.num_gradient_accumulation_steps
        for start in range(self.state.batches_done, len(order), size):
            yield [
                collate([self.data.features[i] for i in rows], pad_id=self.data.pad_id, labels=self.data.labels)
                for rows in order[start : start + size]
            ]

    def _step(self, batches: list[Batch]) -> tuple[float, float]:
        """One optimizer step. Gives the mean of the batches' losses, and the learning rate it used."""
        total, lr = self.learner.step(batches)
        self.state.step += 1
        self.state.batches_done += len(batches)
        self.state.loss_sum += total
        return total / len(batches), lr

    def _log_step(self, log: TextIO, loss: float, lr: float) -> None:
        values = {"loss": loss, "lr": lr}
        log.write(json.dumps({"epoch": self.state.epoch, "step": self.state.step, **values}) + "\n")
        self.callbacks.call("on_step", self.state.step, values)
        if not math.isfinite(loss):
            saved = checkpoints(self.run_dir)
            last = f"the last checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"
            raise TrainingError(
                f"epoch {self.state.epoch + 1}, step {self.state.step}: the loss is {loss}; try a lower learning rate "
                f"(now {lr:g}), trainer.grad_norm, or precision fp32; {last}"
            )

    # -- between epochs ---------------------------------------------------------------------------------------------

    def finish_epoch(self, interrupted: threading.Event) -> None:
        """Validate, keep the best weights, write metrics and a checkpoint, and decide whether to go on."""
        state = self.state
        scores = self._validate(interrupted)
        is_best = self._note_best(scores)
        if is_best:
            save_weights(self.learner.weights_model, self.run_dir / "best.safetensors")
        metrics = self._epoch_metrics(scores)
        self._report(metrics, scores, is_best)
        write_json(self.run_dir / f"metrics_epoch_{state.epoch}.json", metrics)
        self.callbacks.call("on_epoch", metrics)
        patience = self.trainer.patience
        state.finished = state.epoch + 1 == self.trainer.num_epochs
        if patience is not None and state.epochs_without_gain >= patience and not state.finished:
            logger.info("no better %s for %d epochs: stopping", self.trainer.validation_metric[1:], patience)
            state.finished = True
        stop_reason = None if state.finished else self.callbacks.stop_reason
        if stop_reason is not None:
            logger.info("stopping after epoch %d: %s", state.epoch + 1, stop_reason)
            state.finished = True
        state.last_metrics = metrics
        state.epoch, state.batches_done, state.loss_sum = state.epoch + 1, 0, 0.0
        self.save()

    def _validate(self, interrupted: threading.Event) -> dict[str, float]:
        data = self.data
        if not data.validation_features:
            return {}
        self.learner.weights_model.eval()

        runner = self._runner()
        total = len(runner.order(Sizes.of(data.validation_features)))
        with ProgressLine("validation", total, plain=self.plain_progress) as advance:

            def after_batch(num_windows: int) -> None:
                advance()
                if interrupted.is_set():
                    self._stop()

            runner.after_batch = after_batch
            return evaluate(runner, data.validation_examples, data.validation_features).scores

    def _runner(self) -> Runner:
        """Runs the model on the validation data."""
        data, learner = self.data, self.learner
        return Runner(learner.forward, learner.weights_model.head, data.validation_batch_size, data.pad_id,
                      learner.device, data.validation_max_tokens)  # fmt: skip

    def _note_best(self, scores: dict[str, float]) -> bool:
        """Whether this epoch is the best so far; without validation data the last one always is."""
        state, metric = self.state, self.trainer.validation_metric
        sign = 1.0 if metric[0] == "+" else -1.0
        if scores:
            new, best = scores.get(metric[1:]), state.best_scores.get(metric[1:])
            if new is None:
                raise TrainingError(f"trainer.validation_metric: {metric[1:]!r} is not among the scores of this "
                                    f"validation: {', '.join(scores)}")  # fmt: skip
            if best is not None and not sign * new > sign * best:
                state.epochs_without_gain += 1
                return False
        state.best_epoch, state.best_scores, state.epochs_without_gain = state.epoch, scores, 0
        return True

    def _epoch_metrics(self, scores: dict[str, float]) -> dict[str, Any]:
        """The epoch's metrics under AllenNLP's keys."""
        state = self.state
        return {
            "best_epoch": state.best_epoch,
            "peak_worker_0_memory_MB": peak_memory_mb(),
            "training_worker_0_memory_MB": peak_memory_mb(),
            "training_duration": str(timedelta(seconds=self._elapsed())),
            "epoch": state.epoch,
            "training_loss": state.loss_sum / max(state.batches_done, 1),
            **{f"validation_{name}": value for name, value in scores.items()},
            **{f"best_validation_{name}": value for name, value in state.best_scores.items()},
        }

    def _report(self, metrics: dict[str, Any], scores: dict[str, float], is_best: bool) -> None:
        parts = [f"training loss {metrics['training_loss']:.4f}"]
        parts += [f"{name} {value:.4f}" for name, value in scores.items() if "-" not in name]  # not those of each type
        mark = " (best)" if is_best and scores else ""
        speed = f"{self.epoch_words / max(self.epoch_seconds, 1e-9):,.0f} words/s" if self.epoch_words else "recovered"
        title = f"epoch {self.state.epoch + 1}/{self.trainer.num_epochs}"
        logger.info("%s: %s%s; %s", title, ", ".join(parts), mark, speed)

    # -- state ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint."""
        state = replace(self.state, seconds=self._elapsed())
        self.trainer.checkpointer.save(self.run_dir, state, self.learner.model, self.learner.state_dict())

    def recover(self) -> None:
        """Take up the newest checkpoint, if there is one."""
        clean_partial(self.run_dir)
        found = checkpoints(self.run_dir)
        if not found:
            self._cut_step_log()
            logger.info("no checkpoint in %s yet: starting from the beginning", self.run_dir)
            return
        self.state, training = load_checkpoint(found[-1], self.learner.model)
        if self.state.num_windows != len(self.data.features):
            raise TrainingError(
                f"{self.run_dir}: the training data have changed since this run began: {self.state.num_windows} "
                f"windows then, {len(self.data.features)} now; restore the data, or start a new run"
            )
        self.learner.load_state_dict(training)
        restore_random_states(training["random"])
        self._cut_step_log()
        logger.info("going on from %s (epoch %d, step %d)", found[-1].name, self.state.epoch + 1, self.state.step)

    def _cut_step_log(self) -> None:
        """Drop the logged steps that came after the checkpoint: they will be made again."""
        if not self.step_log.exists():
            return
        lines = self.step_log.read_text(encoding="utf-8").splitlines(keepends=True)
        with replacing(self.step_log) as partial:
            partial.write_text("".join(lines[: self.state.step]), encoding="utf-8")

    def _stop(self) -> None:
        self.save()
        raise Interrupted(
            f"interrupted in epoch {self.state.epoch + 1} after step {self.state.step}; the state is saved in "
            f"{self.run_dir}; go on with the same command and -r (in place of -f)"
        )

    def _elapsed(self) -> float:
        return self.state.seconds + time.monotonic() - self.began
