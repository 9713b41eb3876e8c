"""Taking up a run where its newest checkpoint left it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from luke_tasks.errors import TrainingError
from luke_tasks.heads.head import Model
from luke_tasks.training.checkpoint import (
    TrainState,
    checkpoints,
    clean_partial,
    load_checkpoint,
    restore_best,
    restore_random_states,
)
from luke_tasks.training.processes import Processes
from luke_tasks.training.run_log import cut_log

logger = logging.getLogger(__name__)


def newest_checkpoint(
    run_dir: Path, model: Model, num_windows: int, processes: Processes
) -> tuple[TrainState, dict[str, Any]] | None:
    """Put the newest checkpoint's weights into `model`, which is not shared out yet; None where there is none.

    Gives its state and the contents of `training.pt`. On rank 0, what came after the checkpoint is removed.

    Args:
        num_windows: of the training data, which must be the same as ever.
    Raises:
        TrainingError: the data have changed, or a process does not see the directory.
        CheckpointError: see `load_checkpoint`.
    """
    name = None
    if processes.is_main:
        clean_partial(run_dir)
        found = checkpoints(run_dir)
        name = found[-1].name if found else None
        if found:
            restore_best(found[-1], run_dir)
    name = processes.broadcast(name)
    if name is None:
        if processes.is_main:
            cut_log(run_dir, epoch=0, step=0)
        logger.info("no checkpoint in %s yet: starting from the beginning", run_dir)
        return None
    if not (run_dir / name).is_dir():
        raise TrainingError(f"{run_dir / name}: rank 0 has this checkpoint, but rank {processes.rank} does not see it; "
                            "give all machines the same directory, on a file system that they share")  # fmt: skip
    state, training = load_checkpoint(run_dir / name, model)
    if state.num_windows != num_windows:
        raise TrainingError(
            f"{run_dir}: the training data have changed since this run began: {state.num_windows} "
            f"windows then, {num_windows} now; restore the data, or start a new run"
        )
    if processes.is_main:
        cut_log(run_dir, state.epoch, state.step)
    logger.info("going on from %s (epoch %d, step %d)", name, state.epoch + 1, state.step)
    return state, training


def check_step_size(state: TrainState, batches_per_step: int, processes: Processes) -> None:
    """Say what it means when a run goes on with another number of processes, or of batches for a step.

    Raises:
        TrainingError: another number of batches, from as many processes: the config has changed.
    """
    before = state.batches_per_step
    if processes.world_size == state.num_processes and before != batches_per_step:
        accumulated = before // state.num_processes
        now = batches_per_step // processes.world_size
        raise TrainingError(f"trainer.num_gradient_accumulation_steps: was {accumulated} in the run to be recovered, "
                            f"is {now} now; undo this change, or start a new run with another -s")  # fmt: skip
    if not processes.is_main:
        return
    if processes.world_size != state.num_processes:
        logger.warning("the run was begun by %d processes and is now %d's: from here on it is not, bit for bit, what "
                       "it would have been", state.num_processes, processes.world_size)  # fmt: skip
    if before != batches_per_step:
        same, rest = divmod(before, processes.world_size)
        hint = f"; trainer.num_gradient_accumulation_steps: {same} keeps it" if same and not rest else ""
        logger.warning("an optimizer step took %d batches, and now takes %d%s", before, batches_per_step, hint)


def restore_randomness(states: list[dict[str, Any]], processes: Processes) -> None:
    """This process's random states; one that was not there goes on with those of its start."""
    if processes.rank < len(states):
        restore_random_states(states[processes.rank])
