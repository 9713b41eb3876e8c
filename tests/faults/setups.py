"""What a test does to the process of a run, before it begins (see `harness.Command`)."""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from luke_tasks.training.run_lock import LOCK_NAME
from tests.faults.harness import wrap_call

STEP = "luke_tasks.training.learner:Learner.step"
SAVE = "luke_tasks.training.checkpoint:Checkpointer.save"


def small_files(largest_bytes: int) -> None:
    """From the third checkpoint on, no file may grow beyond this: as on a full disk, the system refuses."""
    limits = (largest_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    wrap_call(SAVE, 3, lambda args: resource.setrlimit(resource.RLIMIT_FSIZE, limits))


def drop_rights(run_dir: Path, user: int | None) -> None:
    """Take the right to write into the run's directory away, before the third checkpoint; from root by being `user`."""

    def act(args: tuple[Any, ...]) -> None:
        run_dir.chmod(0o555)
        if user is not None:
            os.seteuid(user)

    wrap_call(SAVE, 3, act)


def remove_directory(run_dir: Path) -> None:
    """Remove the run's directory, before the third checkpoint."""
    wrap_call(SAVE, 3, lambda args: shutil.rmtree(run_dir))


def replace_directory(run_dir: Path) -> None:
    """Remove the run's directory in the second epoch, and make it anew as another process's, which has locked it."""

    def act(args: tuple[Any, ...]) -> None:
        shutil.rmtree(run_dir)
        run_dir.mkdir()
        (run_dir / LOCK_NAME).write_text("process 1 on elsewhere\n", encoding="utf-8")

    wrap_call(STEP, 6, act)


def clock_moved_back() -> None:
    """The system's clock falls back by a day at the third step, and by a second at each look at it after."""
    real, looks = time.time, [0.0]

    def act(args: tuple[Any, ...]) -> None:
        def fallen() -> float:
            looks[0] += 1
            return real() - 86400 - looks[0]

        time.time = fallen

    wrap_call(STEP, 3, act)


def no_numbers(steps: tuple[int, ...], what: str) -> None:
    """The loss of these steps (`loss`), or only its gradient (`gradient`), is no number."""
    from luke_tasks.training import learner

    original, seen = learner._Loss.forward, 0

    def forward(self: Any, batch: Any) -> Any:
        nonlocal seen
        loss = original(self, batch)
        seen += 1
        if seen not in steps:
            return loss
        if what == "loss":
            return loss * float("inf")
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss * 1.0

    learner._Loss.forward = forward  # type: ignore[method-assign]


def hungry(megabytes_a_window: int, room_megabytes: int) -> None:
    """A head that takes so much memory for each window, and a limit of so much above what the process has now."""
    from luke_tasks.heads.head import Model

    original = Model.forward

    def forward(self: Any, batch: Any) -> Any:
        taken = torch.empty(batch.word_ids.shape[0] * megabytes_a_window * 2**20, dtype=torch.uint8)
        output = original(self, batch)
        del taken
        return output

    Model.forward = forward  # type: ignore[method-assign]
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGESIZE") + room_megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
