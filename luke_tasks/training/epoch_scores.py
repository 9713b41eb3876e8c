"""What an epoch has come to: whether it is the best so far, and its metrics under AllenNLP's keys."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import torch

from luke_tasks.errors import TrainingError
from luke_tasks.training.callbacks.progress import short_time
from luke_tasks.training.checkpoint import TrainState
from luke_tasks.training.devices import peak_cuda_memory_mb, peak_memory_mb


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
    state: TrainState, scores: dict[str, float], *, seconds: float, counts_skipped: bool, device: torch.device
) -> dict[str, Any]:
    """The epoch's metrics.

    Args:
        seconds: since the beginning of the run.
        counts_skipped: whether steps may be skipped (`trainer.on_nan`).
        device: of this process, whose memory is told.
    """
    on_gpu = peak_cuda_memory_mb(device)
    return {
        "best_epoch": state.best_epoch,
        "peak_worker_0_memory_MB": peak_memory_mb(),
        "training_worker_0_memory_MB": peak_memory_mb(),
        **({"peak_gpu_0_memory_MB": on_gpu} if on_gpu is not None else {}),
        "training_duration": str(timedelta(seconds=seconds)),
        "epoch": state.epoch,
        "training_loss": mean_loss(state),
        **({"skipped_steps": state.skipped_steps} if counts_skipped else {}),
        **{f"validation_{name}": value for name, value in scores.items()},
        **{f"best_validation_{name}": value for name, value in state.best_scores.items()},
    }


def epoch_line(
    metrics: dict[str, Any], scores: dict[str, float], is_best: bool, words_per_second: float | None, seconds: float
) -> str:
    """What a user reads of an epoch: losses, scores without those of each type, speed, peak memory, time.

    Args:
        metrics: what `epoch_metrics` gave.
        scores: of the validation.
        words_per_second: of the training; None: it was done before the run was recovered.
        seconds: of training and validation.
    """
    parts = [f"training loss {metrics['training_loss']:.4f}"]
    if scores:
        parts.append("validation " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()
                                               if "-" not in name))  # fmt: skip
    if is_best and scores:
        parts.append("best so far")
    speed = f"{words_per_second:,.0f} words/s" if words_per_second is not None else "recovered"
    memory = f"{metrics['peak_worker_0_memory_MB']:,.0f} MB"
    if "peak_gpu_0_memory_MB" in metrics:
        memory += f" and {metrics['peak_gpu_0_memory_MB']:,.0f} MB on the GPU"
    return "; ".join([*parts, f"{speed}, {memory}, {short_time(seconds)}"])


def mean_loss(state: TrainState) -> float:
    """Of the epoch's batches so far, without those of skipped steps."""
    return state.loss_sum / max(state.batches_done - state.skipped_batches, 1)
