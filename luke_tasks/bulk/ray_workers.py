"""Ray Data's part in bulk prediction: a pool of actors, each with a model, through which the shards pass.

Ray starts an actor again when its process dies, and gives it the shard again; how often is counted by the worker, as
Ray Data itself knows no limit.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

from luke_tasks.bulk.shards import Shard
from luke_tasks.bulk.worker import SAME_PATHS, Job, Outcome, Worker
from luke_tasks.errors import LukeTasksError, PredictionError
from luke_tasks.ray_cluster import connected

logger = logging.getLogger(__name__)
_OBJECT_STORE_BYTES = 128 * 2**20  # of a Ray of our own: only the shards' names pass through it


@dataclass(frozen=True)
class RayOptions:
    """How Ray does the work.

    Args:
        address: of a running cluster, as "auto" or "ray://head:10001". Default: the environment variable RAY_ADDRESS,
            or else a Ray of its own on this machine for the length of the run.
        workers: processes with a model. Default: one a GPU, or where there is none, as many as there are CPUs for.
        cpus_per_worker: CPUs that Ray keeps for each, and threads it computes with.
    """

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: int = 1


class _Actor:
    """`Worker`, with JSON rows in place of objects."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._worker = Worker(Job(**job))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": self._worker(Outcome.from_json(row["item"]).shard).to_json()}


def outcomes(job: Job, shards: Sequence[Shard], options: RayOptions) -> Generator[Outcome]:
    """What became of the shards, as they end, in any order.

    Raises:
        LukeTasksError: Ray is not installed, or no cluster answers, or it has no room for a worker.
        PredictionError: the cluster broke down.
    """
    with _quiet(), _cluster(options) as ray:
        import ray.data
        from ray.exceptions import RayError

        workers, gpus = _size_of_pool(ray, options, job.cuda_device, len(shards))
        if not gpus:
            job = Job(**{**asdict(job), "cuda_device": -1})
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it says of a failed worker is said here
        rows = ray.data.from_items([Outcome(shard).to_json() for shard in shards], override_num_blocks=len(shards))
        results = rows.map(
            _Actor,
            fn_constructor_args=(asdict(job),),
            # One shard at a time: the next one goes to the worker that is free first.
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=options.cpus_per_worker,
            num_gpus=1 if gpus else None,
        )
        try:
            for result in results.iter_rows():
                yield Outcome.from_json(result["outcome"])
        except RayError as error:
            reason = str(error).strip().splitlines()
            raise PredictionError(f"Ray gave up: {reason[-1] if reason else type(error).__name__}; what is finished is "
                                  "kept, and the same command goes on from there") from error  # fmt: skip


def _size_of_pool(ray: Any, options: RayOptions, cuda_device: int | None, num_shards: int) -> tuple[int, bool]:
    """Number of workers, and whether each has a GPU. Raises LukeTasksError when no node can hold one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes) if cuda_device is None else 0
    places = sum(int(node.get("CPU", 0)) // options.cpus_per_worker for node in nodes)
    if not places:
        most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        raise LukeTasksError(f"{options.cpus_per_worker} CPU(s) a worker: no node of the Ray cluster has so many (the "
                             f"largest has {most})")  # fmt: skip
    room = min(gpus or places, places)
    workers = min(options.workers or room, room, num_shards)
    logger.info("Ray: %d worker(s) on %s, each with %d CPU(s)%s", workers,
                f"{len(nodes)} nodes" if len(nodes) > 1 else "this machine" if len(nodes) == 1 else "no node",
                options.cpus_per_worker, " and a GPU" if gpus else "")  # fmt: skip
    if options.workers and min(options.workers, num_shards) > room:
        logger.warning("%d workers were asked for; the Ray cluster has room for %d", options.workers, room)
    if len(nodes) > 1:
        logger.info(SAME_PATHS)
    return workers, gpus > 0


@contextmanager
def _cluster(options: RayOptions) -> Iterator[Any]:
    """The `ray` module, connected; a connection made here ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default, of which Ray warns
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # or Ray warns of how Ray Data starts its actors
    address = options.address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LukeTasksError(f"Ray is asked for, but cannot be imported ({error}): pip install 'luke-tasks[ray]'") \
            from error  # fmt: skip
    mine: dict[str, Any] = {}
    if address == "local":
        mine = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        if options.workers:
            mine["num_cpus"] = options.workers * options.cpus_per_worker
    with connected(address, **mine):
        yield ray


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop Ray's messages about workers, which it prints on standard output, and its warnings to developers."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
