"""Where a model runs: the CPU or a GPU, and in which precision (through Hugging Face Accelerate)."""

from __future__ import annotations

import resource
import sys
from typing import Any

import torch

from luke_tasks.errors import DeviceError
from luke_tasks.training.distributed import Distributed
from luke_tasks.training.processes import Processes


def make_accelerator(device: torch.device, precision: str) -> Any:
    """An Accelerator on this device, for this process and those it has joined."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    # Or a second run of this process could have neither another device nor another precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # A batch without entities leaves their weights without gradients, while another process's batch has some.
    options = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(cpu=device.type == "cpu", mixed_precision={"fp32": "no"}.get(precision, precision),
                       kwargs_handlers=[options])  # fmt: skip


def training_device(cuda_device: int | None, distributed: Distributed | None, processes: Processes) -> torch.device:
    """The device of this process in a training.

    Args:
        cuda_device: `trainer.cuda_device`.
    Raises:
        DeviceError: there is no such GPU, or it is one for several processes.
    """
    listed = distributed.cuda_devices if distributed is not None else None
    if listed is not None and (listed[0] == -1 or (len(listed) == 1 and not processes.launched)):
        return choose_device(listed[0])
    if not processes.are_many or cuda_device == -1:
        return choose_device(cuda_device)
    if cuda_device is not None:
        raise DeviceError(f"trainer.cuda_device: {cuda_device} is one GPU, but the launcher has started "
                          f"{processes.world_size} processes; remove this key, and each gets its own")  # fmt: skip
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if processes.local_rank >= torch.cuda.device_count():
        raise DeviceError(f"{processes.local_world_size} processes were started on this machine, but torch sees "
                          f"{torch.cuda.device_count()} GPUs; start as many, or set trainer.cuda_device to -1 (the "
                          "CPU)")  # fmt: skip
    return torch.device("cuda", processes.local_rank)


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


def peak_cuda_memory_mb(device: torch.device) -> float | None:
    """The most of a GPU's memory that this process's tensors have used so far, in MiB; None: the device is no GPU."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


def device_name(device: torch.device) -> str:
    """What a device calls itself, such as `NVIDIA H200`; `cpu` for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
