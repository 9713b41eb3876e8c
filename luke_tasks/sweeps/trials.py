"""A trial as a process of its own: `luke_tasks train`, started, watched through its directory, and ended.

A crash, a lack of memory or a NaN in a trial cannot hurt the sweep. The process leads a process group of its own, so
Ctrl-C at the terminal reaches the sweep alone, which then ends its trials in good order.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from luke_tasks.files import write_json

_MOST_SHOWN = 300  # characters of an error
GRACE_SECONDS = 60.0  # for the state to be saved


@dataclass(frozen=True)
class Job:
    """A run to make.

    Args:
        number: of the trial, or of the seed that is retrained.
        config: the file that is trained from.
        directory: for the run.
        overrides: laid over the config.
        asks: whether it asks the sweep after every epoch, see `training/callbacks/sweep.py`.
        environment: variables besides this process's own.
        flags: further arguments of `train`.
    """

    number: int
    config: Path
    directory: Path
    overrides: dict[str, Any]
    asks: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()

    @property
    def log(self) -> Path:
        """What the run prints, over all attempts."""
        return self.directory.with_name(self.directory.name + ".log")

    def command(self, *, recover: bool) -> list[str]:
        """The command line."""
        return [
            sys.executable, "-m", "luke_tasks", "train", str(self.config), "-s", str(self.directory),
            "--file-friendly-logging", *(["-r"] if recover else []), *self.flags,
            "-o", json.dumps(self.overrides, ensure_ascii=False),
        ]  # fmt: skip


class Running(Protocol):
    """A run in progress, wherever it runs."""

    def poll(self) -> int | None:
        """Its exit status, negative the signal that ended it; None while it runs."""

    def error(self) -> str:
        """Why it failed, in one line."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def kill(self, grace_seconds: float = ...) -> None:
        """Wait so long for it to end, then end it."""


class TrialProcess:
    """A job's process.

    A directory with a checkpoint in it is gone on with; anything else there is removed (it is the sweep's own). A
    process that a killed sweep left behind in it is ended first.
    """

    def __init__(self, job: Job) -> None:
        end_orphans([job.directory])
        recover = any(job.directory.glob("checkpoint_*_step_*[0-9]"))
        if not recover and job.directory.exists():
            shutil.rmtree(job.directory)
        if not recover:
            answer_file(job.directory).unlink(missing_ok=True)
        job.directory.parent.mkdir(parents=True, exist_ok=True)
        if job.asks and not answer_file(job.directory).exists():
            answer(job.directory, -1, stop=False)
        self.job = job
        self._log = job.log.open("ab")
        self._begin = self._log.tell()
        self.process = subprocess.Popen(
            job.command(recover=recover), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env={**os.environ, "PYTHONPATH": _python_path(), **job.environment}, start_new_session=True,
        )  # fmt: skip

    def poll(self) -> int | None:
        return self.process.poll()

    def error(self) -> str:
        """The last line it printed; what it was killed by, if it was."""
        code = self.process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + ("; perhaps for lack of memory" if -code == signal.SIGKILL else "")
        with self.job.log.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {code}, without a word")
        return last if len(last) <= _MOST_SHOWN else last[: _MOST_SHOWN - 3] + "..."

    def stop(self) -> None:
        self._signal(signal.SIGTERM)  # not SIGINT: what a script starts in the background may ignore that

    def kill(self, grace_seconds: float = GRACE_SECONDS) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds)
        self._signal(signal.SIGKILL)  # also what the run itself has started
        self.process.wait()
        self._log.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def answer(directory: Path, epoch: int, *, stop: bool) -> None:
    """Tell a run, after its epoch `epoch` (from 0), whether to stop."""
    write_json(answer_file(directory), {"epoch": epoch, "stop": stop})


def answer_file(directory: Path) -> Path:
    """Beside the run's directory, which holds the run's own files only."""
    return directory.with_name(directory.name + ".answer.json")


def answered(directory: Path) -> tuple[int, bool]:
    """The epoch of the last answer (-1: none yet), and whether it was to stop."""
    try:
        content = json.loads(answer_file(directory).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return -1, False
    return int(content["epoch"]), bool(content["stop"])


def end_orphans(directories: Iterable[Path], grace_seconds: float = GRACE_SECONDS) -> int:
    """End the runs in these directories that a killed sweep left behind; how many there were.

    They are found by their command lines, so that there is no moment at which one could be lost. A relative path there
    is one of the process's own folder: other sweeps may have directories of the same name elsewhere.
    """
    import psutil  # of accelerate's dependencies

    wanted = {directory.resolve() for directory in directories}
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if process.pid != os.getpid() and "luke_tasks" in arguments and "-s" in arguments:
            place = arguments.index("-s") + 1
            with contextlib.suppress(psutil.Error):  # another user's, or gone by now
                if place < len(arguments) and Path(process.cwd(), arguments[place]).resolve() in wanted:
                    found.append(process)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return len(found)


def share_of_machine(workers: int, devices: Sequence[str]) -> list[dict[str, str]]:
    """The environment of each of `workers` runs at once: threads shared out, GPUs dealt in turn.

    Args:
        devices: the GPUs, as `CUDA_VISIBLE_DEVICES` names them; none: it is left as it is.
    """
    if workers == 1:
        return [{}]
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    total = int(threads) if threads.isdecimal() and int(threads) else available
    shares = [{"OMP_NUM_THREADS": str(max(1, total // workers))} for _ in range(workers)]
    for index, share in enumerate(shares):
        if devices:
            share["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
    return shares


def visible_devices(config: dict[str, Any]) -> list[str]:
    """The GPUs to deal out; none where the config itself says which device it wants."""
    import torch

    trainer = config.get("trainer")
    if not torch.cuda.is_available() or config.get("distributed") is not None:
        return []
    if isinstance(trainer, dict) and trainer.get("cuda_device") is not None:
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]


def now() -> str:
    """The time, as the records say it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _python_path() -> str:
    """Trials run the luke-tasks that the sweep runs."""
    import luke_tasks

    own = str(Path(luke_tasks.__file__).parents[1])
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH", "")])])
