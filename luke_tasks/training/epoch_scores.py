"""What an epoch has come to: whether it is the best so far, and its metrics under AllenNLP's keys."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from luke_tasks.errors import TrainingError
from luke_tasks.training.checkpoint import TrainState
from luke_tasks.training.devices import peak_memory_mb


def note_best(state: TrainState, scores: dict[str, float], metric: str) -> bool:
    """Whether this epoch is the best so far, noted in `state`; without validation data the last one always is.

    Args:
        metric: `trainer.validation_metric`.
    Raises:
        TrainingError: the validation gave no such score.
    """
    sign = 1.0 if metric[0] == "+" else -1.0
    if scores:
        new, best = scores.get(metric[1:]), state.best_scores.get(metric[1:])
        if new is None:
            raise TrainingError(f"trainer.validation_metric: {metric[1:]!r} is not among the scores of this "
                                f"validation: {', '.join(scores)}")  # fmt: skip
        if best is not None and not math.isnan(best) and not sign * new > sign * best:
            state.epochs_without_gain += 1
            return False
    state.best_epoch, state.best_scores, state.epochs_without_gain = state.epoch, scores, 0
    return True


def epoch_metrics(
    state: TrainState, scores: dict[str, float], *, seconds: float, counts_skipped: bool
) -> dict[str, Any]:
    """The epoch's metrics.

    Args:
        seconds: since the beginning of the run.
        counts_skipped: whether steps may be skipped (`trainer.on_nan`).
    """
    return {
        "best_epoch": state.best_epoch,
        "peak_worker_0_memory_MB": peak_memory_mb(),
        "training_worker_0_memory_MB": peak_memory_mb(),
        "training_duration": str(timedelta(seconds=seconds)),
        "epoch": state.epoch,
        "training_loss": mean_loss(state),
        **({"skipped_steps": state.skipped_steps} if counts_skipped else {}),
        **{f"validation_{name}": value for name, value in scores.items()},
        **{f"best_validation_{name}": value for name, value in state.best_scores.items()},
    }


def mean_loss(state: TrainState) -> float:
    """Of the epoch's batches so far, without those of skipped steps."""
    return state.loss_sum / max(state.batches_done - state.skipped_batches, 1)
