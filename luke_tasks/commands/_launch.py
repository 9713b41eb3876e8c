"""Starting the processes of a training: what `distributed.cuda_devices` asks for, by torch's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from luke_tasks.errors import LukeTasksError, TrainingError
from luke_tasks.training.processes import Processes

if TYPE_CHECKING:
    from luke_tasks.experiment_config import ExperimentConfig
    from luke_tasks.training.distributed import Distributed

logger = logging.getLogger(__name__)
_OURS = "LUKE_TASKS_LAUNCHED"  # in the environment of the processes that `launch` starts
_SHUTDOWN_SECONDS = 45  # that processes have to save their state, or to see that another is gone


def check_launch(parts: ExperimentConfig, processes: Processes, node_rank: int) -> bool:
    """Whether `train` is to start the processes of this config; says so where a launcher has done it already.

    Raises:
        LukeTasksError: `--node-rank`, or what a launcher says in the environment, does not go with the config.
    """
    distributed = parts.distributed
    starts = distributed is not None and distributed.starts_processes and not processes.launched
    nodes = distributed.num_nodes if distributed is not None and not processes.launched else 1
    if not 0 <= node_rank < nodes and _OURS not in os.environ:
        expected = f"distributed.num_nodes is {nodes}: expected 0 to {nodes - 1}" if nodes > 1 else (
            "goes with distributed.num_nodes in the config; under torchrun, give --node-rank to torchrun"
        )  # fmt: skip
        raise LukeTasksError(f"--node-rank {node_rank}: {expected}")
    for name, what in (("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
                       ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM")):  # fmt: skip
        if os.environ.get(name, "").lower() in ("1", "true") and processes.launched:
            raise LukeTasksError(f"accelerate launch was told to use {what}; leave that out: the config says how "
                                 'processes work together (distributed.strategy "ddp" or "fsdp")')  # fmt: skip
    if distributed is not None and distributed.starts_processes and processes.launched and _OURS not in os.environ:
        logger.info("a launcher has started %d processes: distributed.cuda_devices and num_nodes start none",
                    processes.world_size)  # fmt: skip
    _check_precision(parts, processes)
    if distributed is not None and distributed.strategy == "fsdp" and not starts and not processes.are_many:
        logger.info('distributed.strategy "fsdp": there is one process, which holds the whole model')
    return starts


def _check_precision(parts: ExperimentConfig, processes: Processes) -> None:
    """Warn where `accelerate launch` was told of another precision than the config, which decides."""
    told = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")  # "no" is what it says when it was told nothing, too
    values = parts.trainer.values
    own = "fp16" if values["use_amp"] else values["precision"]
    if processes.launched and processes.is_main and told not in ("no", own):
        logger.warning("accelerate launch was told --mixed_precision %s, which does nothing: the config decides, and "
                       'trainer.precision is "%s" there', told, own)  # fmt: skip


def launch(distributed: Distributed, command_line: Sequence[str], *, node_rank: int, debug: bool = False) -> int:
    """Run `luke-tasks` with these arguments once for each device, and wait. Gives the exit status.

    Args:
        node_rank: which of `distributed.num_nodes` machines this is.
        debug: show what torch's launcher logs.
    Raises:
        DeviceError: there is no such GPU.
        TrainingError: a process was killed.
    """
    assert distributed.cuda_devices is not None
    devices = distributed.cuda_devices
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    from luke_tasks.training.devices import check_device

    for index in devices:
        check_device(index)
    if not debug:
        for name in logging.root.manager.loggerDict:
            if name.startswith("torch.distributed.elastic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
    start = elastic_launch(_launch_config(distributed, node_rank), sys.executable)
    try:
        with _environment(devices):
            start("-m", "luke_tasks", *command_line)
    except SignalException as error:  # it has been passed on: the processes have saved their state
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        return _exit_status(error.failures, len(devices) * distributed.num_nodes)
    return 0


def _launch_config(distributed: Distributed, node_rank: int) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    assert distributed.cuda_devices is not None
    address, nodes = distributed.address or "localhost", distributed.num_nodes
    if nodes == 1:
        run_id = uuid.uuid4().hex
        meeting: dict[str, Any] = {"rdzv_backend": "c10d", "local_addr": "localhost"}
    else:
        run_id = "luke-tasks"  # the same on all machines
        meeting = {"rdzv_backend": "static", "rdzv_configs": {"rank": node_rank, "timeout": 900}}
    return LaunchConfig(
        min_nodes=nodes, max_nodes=nodes, nproc_per_node=len(distributed.cuda_devices), run_id=run_id,
        rdzv_endpoint=f"{address}:{distributed.port}", max_restarts=0, logs_specs=DefaultLogsSpecs(),
        signals_to_handle="SIGTERM,SIGINT", shutdown_timeout=_SHUTDOWN_SECONDS, **meeting,
    )  # fmt: skip


@contextmanager
def _environment(devices: Sequence[int]) -> Iterator[None]:
    """What the processes inherit: each takes the GPU of its local rank, or its share of the CPU's cores."""
    before = dict(os.environ)
    os.environ[_OURS] = "1"
    if devices[0] >= 0:
        seen = [name for name in before.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(seen[index] if seen else str(index) for index in devices)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // len(devices))))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _exit_status(failures: dict[int, Any], world_size: int) -> int:
    """Of the run, from the processes that failed; what these have said themselves is not said again.

    Raises:
        TrainingError: one was killed.
    """
    killed = sorted(rank for rank, failure in failures.items() if failure.exitcode < 0)
    if killed:
        rank, failure = killed[0], failures[killed[0]]
        try:
            name = signal.Signals(-failure.exitcode).name
        except ValueError:
            name = f"signal {-failure.exitcode}"
        raise TrainingError(f"rank {rank} of {world_size} (process {failure.pid}) was killed by {name}; the others "
                            "were ended; go on from the last checkpoint with the same command and -r (in place of "
                            "-f)")  # fmt: skip
    statuses = {failure.exitcode for failure in failures.values()}
    return next((status for status in (130, 143, 2) if status in statuses), 1)
