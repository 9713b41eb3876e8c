"""Processes started at the command line: one that is killed, a launcher that is told to stop, and what is left then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.training.checkpoint import checkpoints
from tests.training.runs import steps, train

OVERRIDES = {"trainer.num_epochs": 40, "data_loader.batch_size": 4, "trainer.checkpointer.save_every_num_batches": 4}
OF_ITS_OWN = {**OVERRIDES, "distributed": {"cuda_devices": [-1, -1]}}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WITHIN_SECONDS = 60.0


def start(
    launcher: list[str], config: Path, run_dir: Path, overrides: dict[str, Any], *flags: str
) -> subprocess.Popen[str]:
    """`allennlp train` under this launcher; none: its own."""
    command = [*(launcher or [sys.executable]), "-m", "luke_tasks", "train", str(config), "-s", str(run_dir), *flags]
    return subprocess.Popen([*command, "-o", json.dumps(overrides)], env={**os.environ, "OMP_NUM_THREADS": "1"},
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def wait_for_step(process: subprocess.Popen[str], run_dir: Path, number: int) -> None:
    """Until so many steps are logged."""
    deadline = time.monotonic() + 180
    while len(steps(run_dir)) < number:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.02)


def process_of_rank(launcher: subprocess.Popen[str], rank: int) -> int:
    """The id of the process that a launcher has started as this rank."""
    for children in Path(f"/proc/{launcher.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                return int(child)
    raise AssertionError(f"no process of rank {rank}")


def has_ended(pid: int) -> bool:
    """Whether a process is gone; its launcher may not have looked after it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes as Linux shows them")
def test_a_worker_of_two_is_killed(ner_config: Path, tmp_path: Path) -> None:
    """Under each launcher, one after the other in the same run; then one process ends it."""
    run_dir = tmp_path / "run"
    for launcher, overrides, flags, killed in (([], OF_ITS_OWN, (), 1), (TORCHRUN, OVERRIDES, ("-r",), 0)):
        done = len(steps(run_dir))
        process = start(launcher, ner_config, run_dir, overrides, *flags)
        wait_for_step(process, run_dir, done + 6)
        pids = [process_of_rank(process, rank) for rank in (0, 1)]
        os.kill(pids[killed], signal.SIGKILL)
        began = time.monotonic()
        _, errors = process.communicate(timeout=2 * WITHIN_SECONDS)
        assert time.monotonic() - began < WITHIN_SECONDS
        assert process.returncode == 1
        assert all(map(has_ended, pids))
        lost = f"rank {killed} of 2 ended or cannot be reached any more; go on from the last checkpoint with the same"
        unreachable = "rank 1 of 2: rank 0 or the launcher cannot be reached any more; go on from the last checkpoint"
        assert lost in errors or (killed == 0 and unreachable in errors), errors
        if launcher:
            assert f"rank      : {killed} (local_rank: {killed})" in errors  # torchrun's own words
        else:
            last = errors.strip().splitlines()[-1]
            assert last == (
                f"rank 1 of 2 (process {pids[1]}) was killed by SIGKILL; the others were ended; go on from the last "
                "checkpoint with the same command and -r (in place of -f)"
            )
            assert "Traceback" not in errors
        assert checkpoints(run_dir)
    saved = {**OVERRIDES, "trainer.num_gradient_accumulation_steps": 2}  # a step keeps its batches
    before = len(steps(run_dir))
    assert train(ner_config, run_dir, "-r", overrides=saved) == 0
    assert before <= len(steps(run_dir)) == 40 * 4


def test_a_launcher_is_told_to_stop(ner_config: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    process = start([], ner_config, run_dir, OF_ITS_OWN)
    wait_for_step(process, run_dir, 3)
    process.terminate()
    _, errors = process.communicate(timeout=WITHIN_SECONDS)
    assert process.returncode == 143, errors
    done = len(steps(run_dir))
    assert checkpoints(run_dir)[-1].name.endswith(f"_step_{done}")
    last = errors.strip().splitlines()[-1]
    assert last.endswith(f"the state is saved in {run_dir}; go on with the same command and -r (in place of -f)")
    assert errors.count("interrupted in epoch ") == 1
    assert "Traceback" not in errors
