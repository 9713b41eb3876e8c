"""The training loop: features in; weights, metrics and checkpoints in the run's directory out.

One step is: batch (`data/loader.py`), forward and loss (`heads/`, over `encoder/`), backward, clip, step, schedule
(`learner.py`), log.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from luke_tasks.data.loader import Sizes, collate, count_words, report_batches
from luke_tasks.errors import CheckpointError, Interrupted, TrainingError
from luke_tasks.files import write_json
from luke_tasks.heads.head import Model
from luke_tasks.training.archive import BEST_WEIGHTS_NAME
from luke_tasks.training.auto_batch_size import fitting_halvings, halved
from luke_tasks.training.callbacks.callback import Callbacks
from luke_tasks.training.callbacks.progress import ProgressLine
from luke_tasks.training.callbacks.validation import Validation
from luke_tasks.training.checkpoint import (
    TrainState,
    checkpoints,
    random_states,
    read_state,
    restoring,
    write_weights,
)
from luke_tasks.training.devices import device_name
from luke_tasks.training.epoch_scores import epoch_line, epoch_metrics, mean_loss, note_best
from luke_tasks.training.evaluation import Runner, evaluate
from luke_tasks.training.interrupts import Interrupts, interrupts
from luke_tasks.training.learner import Learner, Step
from luke_tasks.training.processes import ALONE, Processes
from luke_tasks.training.recovery import check_step_size, newest_checkpoint, restore_randomness
from luke_tasks.training.run_lock import check_still_ours
from luke_tasks.training.run_log import RunLog
from luke_tasks.training.sharding import whole_weights
from luke_tasks.training.step_faults import MOST_SKIPPED_IN_A_ROW, example_names
from luke_tasks.training.trainer import Trainer, TrainingData
from luke_tasks.training.write_faults import last_checkpoint

logger = logging.getLogger(__name__)


def train(
    trainer: Trainer,
    model: Model,
    data: TrainingData,
    *,
    run_dir: Path,
    seed: int,
    device: torch.device,
    processes: Processes = ALONE,
    is_sharded: bool = False,
    recover: bool = False,
    config: dict[str, Any] | None = None,
    plain_progress: bool = False,
) -> dict[str, Any]:
    """Train, and leave the best weights in `run_dir/best.safetensors`.

    Args:
        seed: of the order of batches.
        device: of this process.
        processes: those that train together; rank 0 writes and reports.
        is_sharded: share the weights out over the processes.
        recover: go on from the newest checkpoint in `run_dir`, if there is one.
        config: shown to callbacks.
        plain_progress: lines instead of live bars.
    Returns:
        The metrics of the run, as `metrics.json` holds them.
    Raises:
        Interrupted: a signal stopped it; the state is saved.
        TrainingError: the loss is no longer a number, or memory is not enough.
        OSError: the system refuses to write; the checkpoints that are there stay.
    """
    with RunLog(run_dir if processes.is_main else None, is_new=not recover) as log:
        run = _begun(trainer, model, data, log, run_dir, seed, device, processes, is_sharded, recover, plain_progress)
        run.log_start(config or {})
        run.report_batches()
        run.callbacks.call("on_start", run_dir, config or {})
        try:
            # What is lost is looked for while signals are noted: the launcher asks the rest to end.
            with interrupts() as interrupted, processes.losses_explained():
                while not run.state.finished:
                    run.train_epoch(interrupted)
                    run.finish_epoch(interrupted)
            run.agreed(interrupted)
        except Exception:
            run.callbacks.call("on_stop")
            raise
        metrics = run.state.last_metrics
        run.callbacks.call("on_end", metrics)
    return metrics


def _begun(
    trainer: Trainer, model: Model, data: TrainingData, log: RunLog, run_dir: Path, seed: int, device: torch.device,
    processes: Processes, is_sharded: bool, recover: bool, plain_progress: bool,
) -> _Run:  # fmt: skip
    """A run at its first step, or, with `recover`, as its newest checkpoint left it."""
    halvings = 0
    if trainer.auto_batch_size:
        before = checkpoints(run_dir) if recover else []
        halvings = (read_state(before[-1]).batch_halvings if before
                    else fitting_halvings(trainer, model, data, seed=seed, device=device))  # fmt: skip
        halvings = max(int(found) for (found,) in processes.exchange([halvings]))
        trainer, data = halved(trainer, data, halvings)
    found = newest_checkpoint(run_dir, model, len(data.features), processes) if recover else None
    state, saved = found or (TrainState(num_windows=len(data.features)), None)
    run = _Run(trainer, data, run_dir, seed, plain_progress, processes, state, log)
    run.state.batch_halvings = halvings
    run.learner = Learner(trainer, model, device, run.total_steps, processes, is_sharded)
    if saved is not None:
        run.recovered_from = checkpoints(run_dir)[-1].name
        with restoring(run_dir / run.recovered_from):
            run.learner.load_state_dict(saved)
            restore_randomness(saved["random"], processes)
    return run


class _Run:
    """One training as it goes on: everything that changes."""

    learner: Learner
    recovered_from: str | None = None  # the checkpoint's name

    def __init__(
        self, trainer: Trainer, data: TrainingData, run_dir: Path, seed: int, plain_progress: bool,
        processes: Processes, state: TrainState, log: RunLog,
    ) -> None:  # fmt: skip
        self.trainer, self.data, self.run_dir, self.seed = trainer, data, run_dir, seed
        self.plain_progress = plain_progress
        self.processes, self.state, self.log = processes, state, log
        self.step_size = trainer.num_gradient_accumulation_steps * processes.world_size  # batches
        if state.batches_per_step:
            check_step_size(state, self.step_size, processes)
        state.num_processes, state.batches_per_step = processes.world_size, self.step_size
        self.num_batches = data.loader.num_batches(data.features, seed=seed, num_epochs=trainer.num_epochs)
        self.callbacks = Callbacks(trainer.callbacks if processes.is_main else [])
        self.began = time.monotonic()
        self.epoch_words, self.training_seconds = 0, 0.0  # of this process and epoch, for speeds
        self.epoch_began = self.step_began = self.began

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run: those done, perhaps by another number of processes, and those to do."""
        state = self.state
        left = [number - (state.batches_done if epoch == state.epoch else 0)
                for epoch, number in enumerate(self.num_batches) if epoch >= state.epoch]  # fmt: skip
        return state.step + sum(math.ceil(number / self.step_size) for number in left)

    def log_start(self, config: dict[str, Any]) -> None:
        """Open the run's log with what was asked of the run, and where it stands."""
        state, data = self.state, self.data
        self.log.start(
            config, device=device_name(self.learner.device), processes=self.processes.world_size,
            recovered_from=self.recovered_from, epoch=state.epoch, step=state.step, num_epochs=self.trainer.num_epochs,
            total_steps=self.total_steps, batches_per_step=self.step_size,
            validation_metric=self.trainer.validation_metric, training_windows=len(data.features),
            validation_windows=len(data.validation_features),
        )  # fmt: skip

    def report_batches(self) -> None:
        """Log the padding of the training data in the epoch that comes, and of the validation data."""
        data, epoch = self.data, self.state.epoch
        if self.processes.is_main and not self.state.finished:
            order = data.loader.order(data.features, seed=self.seed, epoch=epoch)
            what = f"training data, epoch {epoch + 1}"
            report_batches(what, Sizes.of(data.features), order, data.loader.max_tokens)
            if data.validation_features:
                self._runner().report("validation data", data.validation_features)

    # -- one epoch --------------------------------------------------------------------------------------------------

    def train_epoch(self, interrupted: Interrupts) -> None:
        """The optimizer steps of the epoch that are still to do."""
        trainer, state, data = self.trainer, self.state, self.data
        self.learner.model.train()
        self.epoch_words, self.epoch_began = 0, time.monotonic()
        self.step_began = self.epoch_began
        title = f"epoch {state.epoch + 1}/{trainer.num_epochs}"
        best = state.best_scores.get(trainer.validation_metric[1:])
        note = f"(best {trainer.validation_metric[1:]} {best:.4f})" if best is not None else ""
        left = math.ceil((self.num_batches[state.epoch] - state.batches_done) / self.step_size)
        with self._progress(title, left, note) as advance:
            for group in self._groups():
                before = state.batches_done
                words = sum(count_words(data.features, rows) for rows in group)
                self._step(group, words)
                self.epoch_words += words
                advance(words, mean_loss(state))
                if self.agreed(interrupted, trainer.checkpointer.is_due(before, state.batches_done)):
                    self.save()
        self.training_seconds = time.monotonic() - self.epoch_began

    def _groups(self) -> Iterator[list[list[int]]]:
        """The rest of the epoch's batches, as lists of windows, grouped by optimizer step.

        They depend on seed and epoch alone: the processes share out each group.
        """
        order = self.data.loader.order(self.data.features, seed=self.seed, epoch=self.state.epoch)
        for start in range(self.state.batches_done, len(order), self.step_size):
            yield order[start : start + self.step_size]

    def _step(self, group: list[list[int]], words: int) -> None:
        """One optimizer step on batches that hold so many words, logged."""
        data, state = self.data, self.state
        batches = [
            (collate([data.features[index] for index in rows], pad_id=data.pad_id, labels=data.labels), counts)
            for rows, counts in self.processes.share(group)
        ]
        step = self.learner.step(batches, len(group))
        if step.fault is not None:
            self._note_fault(step, group)
        state.step += 1
        state.batches_done += len(group)
        loss = step.loss_sum / len(group)
        began, self.step_began = self.step_began, time.monotonic()
        speed = words / max(self.step_began - began, 1e-9)
        skipped = {"skipped": step.fault} if step.fault is not None else {}
        self.log.write("step", epoch=state.epoch, step=state.step, loss=None if skipped else loss, lr=step.lr,
                       grad_norm=step.grad_norm, words_per_second=round(speed, 1), **skipped)  # fmt: skip
        if not skipped:
            state.skipped_in_a_row = 0
            state.loss_sum += step.loss_sum
        values = {"loss": loss, "lr": step.lr, "words_per_second": speed}
        if step.grad_norm is not None:
            values["grad_norm"] = step.grad_norm
        self.callbacks.call("on_step", state.step, values)

    def _note_fault(self, step: Step, group: list[list[int]]) -> None:
        """Count a step whose loss or gradients were no numbers. Raises TrainingError when the run must stop."""
        state = self.state
        state.skipped_steps += 1
        state.skipped_batches += len(group)
        state.skipped_in_a_row += 1
        skips = self.trainer.on_nan == "skip"
        if skips and state.skipped_in_a_row < min(MOST_SKIPPED_IN_A_ROW, self._steps_of_epoch()):
            return
        again = f", the last of {state.skipped_in_a_row} such steps in a row" if skips else ""
        skip = "" if skips else ', or trainer.on_nan "skip" (with -r, too) to leave such steps out'
        raise TrainingError(
            f"epoch {state.epoch + 1}, step {state.step + 1}: {step.fault}{again}; try a lower learning rate "
            f"(now {step.lr:g}), trainer.grad_norm, precision fp32{skip}; examples of this step: "
            f"{example_names([self.data.features[index] for rows in group for index in rows])}; "
            f"{last_checkpoint(self.run_dir)}"
        )

    def _steps_of_epoch(self) -> int:
        return math.ceil(self.num_batches[self.state.epoch] / self.step_size)

    def agreed(self, interrupted: Interrupts, is_due: bool = False) -> bool:
        """Stop when any process is asked to. Gives whether a checkpoint is due, as rank 0 sees it."""
        orphaned = signal.SIGTERM if self.processes.is_orphan else 0
        said = self.processes.exchange([interrupted.signum or orphaned, is_due])
        asked = max(int(signum) for signum, _ in said)
        if asked:
            interrupted.note(asked)
            self.stop(interrupted)
        return bool(said[0][1])

    # -- between epochs ---------------------------------------------------------------------------------------------

    def finish_epoch(self, interrupted: Interrupts) -> None:
        """Validate, keep the best weights, write metrics and a checkpoint, and decide whether to go on."""
        state = self.state
        scores = self._validate(interrupted)
        check_still_ours(self.run_dir)
        is_best = note_best(state, scores, self.trainer.validation_metric)
        if is_best:
            weights = whole_weights(self.learner.weights_model)
            if self.processes.is_main:
                write_weights(weights, self.run_dir / BEST_WEIGHTS_NAME)
        metrics = epoch_metrics(state, scores, seconds=self._elapsed(), counts_skipped=self.trainer.on_nan == "skip",
                                device=self.learner.device)  # fmt: skip
        if self.processes.is_main:
            self._report(metrics, scores, is_best)
            write_json(self.run_dir / f"metrics_epoch_{state.epoch}.json", metrics)
        self.callbacks.call("on_epoch", metrics)
        patience = self.trainer.patience
        state.finished = state.epoch + 1 == self.trainer.num_epochs
        if patience is not None and state.epochs_without_gain >= patience and not state.finished:
            why = f"no better {self.trainer.validation_metric[1:]} for {patience} epochs"
            logger.info("%s: stopping", why)
            state.finished, self.log.ending = True, ("patience", why)
        stop_reason = self.processes.broadcast(self.callbacks.stop_reason)  # only the first has callbacks
        if stop_reason is not None and not state.finished:
            logger.info("stopping after epoch %d: %s", state.epoch + 1, stop_reason)
            state.finished, self.log.ending = True, ("stopped", stop_reason)
        state.last_metrics = metrics
        state.epoch, state.batches_done, state.loss_sum = state.epoch + 1, 0, 0.0
        state.skipped_steps = state.skipped_batches = 0
        self.save()

    def _validate(self, interrupted: Interrupts) -> dict[str, float]:
        data = self.data
        if not data.validation_features:
            return {}
        self.learner.weights_model.eval()

        runner = self._runner()
        total = len(runner.order(Sizes.of(data.validation_features)))
        rounds = math.ceil(total / self.processes.world_size)
        with self._progress("validation", rounds) as advance:

            def after_batch(num_windows: int) -> None:
                advance()
                self.agreed(interrupted)

            runner.after_batch = after_batch
            try:
                found = evaluate(runner, data.validation_examples, data.validation_features)
            except CheckpointError as error:  # of a trained model's scores, which here is the training's fault
                raise TrainingError(f"epoch {self.state.epoch + 1}, validation: {error}; "
                                    f"{last_checkpoint(self.run_dir)}") from error  # fmt: skip
        task = self.learner.weights_model.head.tasks[0]
        self.callbacks.call("on_validation", Validation(task, data.validation_examples, found.predictions))
        return found.scores

    def _runner(self) -> Runner:
        """Runs the model on the validation data."""
        data, learner = self.data, self.learner
        return Runner(learner.forward, learner.weights_model.head, data.validation_batch_size, data.pad_id,
                      learner.device, data.validation_max_tokens, processes=self.processes)  # fmt: skip

    def _progress(self, title: str, total: int, note: str = "") -> AbstractContextManager[Callable[..., None]]:
        """A progress line, which rank 0 alone shows."""
        if not self.processes.is_main:
            return nullcontext(lambda *values: None)
        return ProgressLine(title, total, plain=self.plain_progress, note=note)

    def _report(self, metrics: dict[str, Any], scores: dict[str, float], is_best: bool) -> None:
        """One line for the user, and the epoch's in the log."""
        state = self.state
        seconds = time.monotonic() - self.epoch_began
        speed = self.epoch_words / max(self.training_seconds, 1e-9) if self.epoch_words else None
        title = f"epoch {state.epoch + 1}/{self.trainer.num_epochs}"
        logger.info("%s: %s", title, epoch_line(metrics, scores, is_best, speed, seconds))
        if state.skipped_steps:
            logger.warning("%s: %d of %d steps skipped, for their loss or gradients were no numbers", title,
                            state.skipped_steps, self._steps_of_epoch())  # fmt: skip
        self.log.write("epoch", epoch=state.epoch, step=state.step, is_best=is_best, seconds=round(seconds, 3),
                       words_per_second=round(speed, 1) if speed is not None else None, metrics=metrics)  # fmt: skip

    # -- state ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint."""
        check_still_ours(self.run_dir)
        weights, training = whole_weights(self.learner.model), self.learner.state_dict()
        random = self.processes.gather(random_states())
        if random is not None:
            state = replace(self.state, seconds=self._elapsed())
            path = self.trainer.checkpointer.save(self.run_dir, state, weights, {**training, "random": random})
            self.log.write("checkpoint", epoch=state.epoch, step=state.step, name=path.name)

    def stop(self, interrupted: Interrupts) -> NoReturn:
        """Save the state and raise Interrupted."""
        self.save()
        self.processes.exchange([])  # the first process to end has the launcher end the others: not while one writes
        where = f"in epoch {self.state.epoch + 1} after step {self.state.step}"
        if self.state.finished:
            where = "after the last epoch; what is left is the archive"
        raise Interrupted(
            f"interrupted {where}; the state is saved in {self.run_dir}; go on with the same command and -r "
            "(in place of -f)",
            128 + interrupted.signum,
        )

    def _elapsed(self) -> float:
        return self.state.seconds + time.monotonic() - self.began
