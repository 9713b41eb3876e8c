"""`distributed` in a config: training in several processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from luke_tasks.registry import Check, PositiveInt

_DEFAULT_PORT = 29500  # torch's own
Device = Annotated[int, Check(lambda index: index >= -1, "-1 (the CPU) or the index of a GPU", schema={"minimum": -1})]
Port = Annotated[
    int, Check(lambda port: 0 < port < 2**16, "a port, 1 to 65535", schema={"minimum": 1, "maximum": 65535})
]


@dataclass(kw_only=True)
class Distributed:
    """How a model is trained by several processes.

    With `cuda_devices`, `train` starts the processes itself. Without, they are those that `torchrun` or `accelerate
    launch` has started, and what stands here says how they work together.

    Args:
        cuda_devices: a process for each, on every machine: indices of GPUs, or -1 as often as the CPU is to be used.
        num_nodes: machines, on each of which the same command is given with its own `--node-rank`.
        primary_address: of the machine with `--node-rank 0`.
        primary_port: a free one there; by default 29500, and on one machine any that is free.
        master_address, master_port: AllenNLP's older names of these two.
        strategy: `ddp`: each process holds the whole model. `fsdp`: each holds a share of every weight, of its
            gradient and of the optimizer's state (FSDP2), for models that do not fit.
        timeout_seconds: after so long without an answer from another process, a run ends. It must outlast what rank 0
            does alone: decoding and scoring the validation data, and writing a checkpoint.
    """

    cuda_devices: list[Device] | None = None
    num_nodes: PositiveInt = 1
    primary_address: str | None = None
    primary_port: Port | None = None
    master_address: str | None = None
    master_port: Port | None = None
    strategy: Literal["ddp", "fsdp"] = "ddp"
    timeout_seconds: PositiveInt = 1800

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Devices that cannot go together, and machines that would not find one another."""
        devices = values["cuda_devices"]
        if devices is not None:
            gpus = [index for index in devices if index >= 0]
            if not devices:
                yield "cuda_devices", "is empty; give an index of a GPU, or -1, for each process"
            elif gpus and len(gpus) < len(devices):
                yield "cuda_devices", "names the CPU (-1) beside GPUs; the processes of a run use one kind of device"
            elif len(set(gpus)) < len(gpus):
                yield "cuda_devices", "names a GPU twice; give each process its own"
        for key in ("address", "port"):
            if values[f"primary_{key}"] is not None and values[f"master_{key}"] is not None:
                yield f"master_{key}", f"is the older name of primary_{key}, which is given, too; remove this key"
        if values["num_nodes"] > 1:
            if devices is None:
                yield "num_nodes", "goes with cuda_devices; under torchrun, it is torchrun that is told of the machines"
            elif values["primary_address"] is None and values["master_address"] is None:
                yield "primary_address", "missing; of several machines, the address of the one with --node-rank 0"

    @property
    def address(self) -> str | None:
        """Of the first machine."""
        return self.primary_address or self.master_address

    @property
    def port(self) -> int:
        """Of the first machine; 0: any."""
        return self.primary_port or self.master_port or (_DEFAULT_PORT if self.num_nodes > 1 else 0)

    @property
    def starts_processes(self) -> bool:
        """Whether `train` is to start processes of its own."""
        return self.cuda_devices is not None and (len(self.cuda_devices) > 1 or self.num_nodes > 1)
