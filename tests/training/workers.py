"""Helpers: trainings in several processes on the CPU, as a launcher starts them, but forked from one that has torch.

To import torch and the rest takes most of the time of a small run; a fork server does it once for all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # as `train` sets it before torch is there
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["luke_tasks.experiment", "accelerate", "transformers", "torch.distributed.fsdp"])


def train_in(
    num_processes: int, config: Path, run_dir: Path, *flags: str, overrides: dict[str, Any] | None = None
) -> list[int]:
    """`allennlp train` in so many processes at once; their exit statuses, by rank.

    What a rank prints goes to `RUN_DIR.rank_N.txt`, and what it trained on to `RUN_DIR.rank_N.jsonl`: an object for
    each optimizer step, with the word pieces of each window that counts.
    """
    arguments = ["train", str(config), "-s", str(run_dir), "-o", json.dumps(overrides or {}), *flags]
    started = []
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    for rank in range(num_processes):
        environment = {"RANK": rank, "WORLD_SIZE": num_processes, "LOCAL_RANK": rank, "MASTER_ADDR": "localhost",
                       "MASTER_PORT": port, "OMP_NUM_THREADS": 1, "HF_HUB_OFFLINE": 1}  # fmt: skip
        output = run_dir.with_name(f"{run_dir.name}.rank_{rank}")
        started.append(_FORKS.Process(target=_run, args=(arguments, environment, output)))
        started[-1].start()
    for process in started:
        process.join(timeout=120)
        if process.is_alive():
            process.kill()
            process.join()
            pytest.fail(f"a process hangs: {said(run_dir, started.index(process))}")
    return [process.exitcode or 0 for process in started]


def said(run_dir: Path, rank: int) -> str:
    """What a rank of the last run printed."""
    return run_dir.with_name(f"{run_dir.name}.rank_{rank}.txt").read_text(encoding="utf-8")


def used(run_dir: Path, rank: int) -> list[list[list[int]]]:
    """The word pieces of the windows that counted in each optimizer step of a rank."""
    lines = run_dir.with_name(f"{run_dir.name}.rank_{rank}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _run(arguments: list[str], environment: dict[str, Any], output: Path) -> None:
    """In the forked process."""
    os.environ.update({name: str(value) for name, value in environment.items()})
    with output.with_name(output.name + ".txt").open("w", encoding="utf-8") as text:
        os.dup2(text.fileno(), 1)
        os.dup2(text.fileno(), 2)
    from luke_tasks.__main__ import main
    from luke_tasks.training.learner import Learner

    step = Learner.step
    log = output.with_name(output.name + ".jsonl").open("w", encoding="utf-8")

    def noted_step(self: Learner, batches: Any, count: int) -> Any:
        counted = [feature.word_ids.tolist() for batch, counts in batches if counts for feature in batch.features]
        log.write(json.dumps(counted) + "\n")
        return step(self, batches, count)

    Learner.step = noted_step  # type: ignore[method-assign]
    status = main(arguments)
    log.close()
    sys.stdout.flush()
    os._exit(status)
