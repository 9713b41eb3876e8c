"""Where a model runs: the CPU or a GPU, and in which precision (through Hugging Face Accelerate)."""

from __future__ import annotations

import resource
import sys
from typing import Any

import torch

from luke_tasks.errors import DeviceError


def make_accelerator(cuda_device: int | None, precision: str) -> Any:
    """An Accelerator for one process on the chosen device.

    Raises:
        DeviceError: a GPU is asked for that is not there.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # Or a second run of this process could have neither another device nor another precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    device = choose_device(cuda_device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return Accelerator(cpu=device.type == "cpu", mixed_precision={"fp32": "no"}.get(precision, precision))


def check_device(cuda_device: int) -> None:
    """Raises DeviceError when there is no such GPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cuda_device >= count:
        raise DeviceError(f"cuda_device: GPU {cuda_device} was asked for, but torch sees {count} here, counted from 0; "
                            "-1 is the CPU")  # fmt: skip


def check_precision(device: torch.device, precision: str) -> None:
    """Raises DeviceError where a precision would do nothing."""
    if device.type == "cpu" and precision == "fp16":
        raise DeviceError('trainer.precision: "fp16" (and use_amp) needs a GPU, and this run is on the CPU; use "bf16" '
                          'or "fp32"')  # fmt: skip


def choose_device(cuda_device: int | None) -> torch.device:
    """-1 is the CPU, None the first GPU if there is one. Raises DeviceError when there is no such GPU."""
    if cuda_device is None:
        cuda_device = 0 if torch.cuda.is_available() else -1
    if cuda_device < -1:
        raise DeviceError(f"cuda_device: expected -1 (the CPU) or the index of a GPU, found {cuda_device}")
    if cuda_device == -1:
        return torch.device("cpu")
    check_device(cuda_device)
    return torch.device("cuda", cuda_device)


def peak_memory_mb() -> float:
    """The most memory this process has used so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere
