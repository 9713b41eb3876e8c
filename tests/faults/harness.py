"""Commands in processes of their own that break off where a test says, and what they leave.

The processes are forked from one that has imported everything (`forkserver`): a run takes tenths of a second. Where a
process is to be killed is said by a `Moment`, which it sets up in itself before the command begins.
"""

from __future__ import annotations

import fnmatch
import importlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load

from luke_tasks.files import is_partial
from luke_tasks.training.checkpoint import checkpoints
from tests.training import runs

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.preloaded"])
_NO_EPOCH = "a run with no finished epoch yet"
_FILE_EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "shutil.rmtree")


@dataclass
class Ended:
    """How a command ended."""

    status: int  # -9: killed
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        """What it said last on standard error."""
        return (self.errors.strip().splitlines() or [""])[-1]


class Command:
    """A command of luke-tasks, running in another process.

    Args:
        setup: called there first, with its own arguments bound (it must be picklable).
        folder: where its output is kept.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, setup: Callable[[], None] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / "stdout.txt", folder / "stderr.txt"
        for path in (self._out, self._err):
            path.touch()  # it may be killed before it opens them
        self._process = _CONTEXT.Process(target=_command, args=(list(arguments), self._out, self._err, setup))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.exitcode is None

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signum)

    def wait(self, seconds: float = 120.0) -> Ended:
        """Until it ends. Raises AssertionError when it does not."""
        self._process.join(seconds)
        status = self._process.exitcode
        if status is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"still running after {seconds:g} s: {self._err.read_text(encoding='utf-8')}")
        return Ended(status, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8"))


def _command(arguments: list[str], out: Path, err: Path, setup: Callable[[], None] | None) -> None:
    for number, path in ((1, out), (2, err)):
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner in the background ignores it
    from luke_tasks.__main__ import main

    if setup is not None:
        setup()
    status = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(status)


@dataclass(frozen=True)
class Run:
    """A training as tests begin it, break it off and go on with it."""

    config: Path
    run_dir: Path
    overrides: dict[str, Any] = field(default_factory=dict)

    def start(self, *flags: str, setup: Callable[[], None] | None = None) -> Command:
        """Begin it, or with `-r` go on with it."""
        overrides = ["-o", json.dumps(self.overrides)] if self.overrides else []
        arguments = ["train", str(self.config), "-s", str(self.run_dir), "--file-friendly-logging", *overrides, *flags]
        return Command(arguments, self.run_dir.with_name(self.run_dir.name + "_output"), setup)

    def recover(self) -> Ended:
        """Go on with it, as a user would: with `-r` if there is anything to go on with."""
        begun = self.run_dir.is_dir() and any(self.run_dir.iterdir())
        return self.start(*(["-r"] if begun else [])).wait()

    def evaluate(self, data: str) -> Ended:
        """Score what it has learned so far."""
        return Command(["evaluate", str(self.run_dir), data], self.run_dir.with_name("evaluate_output")).wait()


@dataclass(frozen=True)
class Moment:
    """Kills its process at a moment of a run: just before the `number`-th of some events, or in some call.

    Args:
        event: an audit event of Python on a file of the run, or `call`.
        pattern: the file (`*` as in a shell; within the run's directory), or the call's `module:Class.method`.
        number: which of them, from 1 on.
        after: of a call: when it has returned, not before; and of one that writes a file, when half of it is there.
    """

    event: str
    pattern: str
    number: int = 1
    after: bool = False

    def __call__(self, run_dir: Path) -> None:
        if self.event == "call":
            self._in_call()
            return
        seen = 0

        def hook(event: str, path: str) -> None:
            nonlocal seen
            if self.event in (event, "*") and fnmatch.fnmatchcase(path, self.pattern):
                seen += 1
                if seen == self.number:
                    os.kill(os.getpid(), signal.SIGKILL)

        watch_files(run_dir, hook)

    def _in_call(self) -> None:
        def act(args: tuple[Any, ...]) -> None:
            for file in args:
                if isinstance(file, Path) or hasattr(file, "truncate"):
                    _cut(file)
            os.kill(os.getpid(), signal.SIGKILL)

        wrap_call(self.pattern, self.number, act, after=self.after)


@dataclass(frozen=True)
class Signal:
    """Sends its own process a signal just before the `number`-th call of `module:Class.method`, so many times."""

    call: str
    number: int
    signum: int
    times: int = 1

    def __call__(self) -> None:
        def act(args: tuple[Any, ...]) -> None:
            for _ in range(self.times):
                os.kill(os.getpid(), self.signum)

        wrap_call(self.call, self.number, act)


def wrap_call(target: str, number: int, act: Callable[[tuple[Any, ...]], None], *, after: bool = False) -> None:
    """Have `act` called, with the arguments, at the `number`-th call of `module:Class.method`, before it or after."""
    module_name, _, path = target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original, seen = getattr(owner, name), 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal seen
        seen += 1
        is_now = seen == number
        if is_now and not after:
            act(args)
        result = original(*args, **kwargs)
        if is_now and after:
            act(args)
        return result

    setattr(owner, name, call)


def _cut(file: Any) -> None:
    """Leave half of a file."""
    if not isinstance(file, Path):
        file.flush()
        file = Path(file.name)
    if file.is_file():
        os.truncate(file, file.stat().st_size // 2)


def watch_files(run_dir: Path, hook: Callable[[str, str], None]) -> None:
    """Have `hook` called with each event on a file of the run, just before it happens, and the file's path in it."""
    prefix = str(run_dir.absolute())

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS and args and isinstance(args[0], (str, Path)):
            path = os.path.abspath(str(args[0]))
            if path == prefix or path.startswith(prefix + os.sep):
                hook(event, os.path.relpath(path, prefix))

    sys.addaudithook(audit)


def note_events(run_dir: Path, list_file: Path) -> None:
    """Write down every event on a file of the run, as a run goes on."""
    descriptor = os.open(list_file, os.O_CREAT | os.O_WRONLY)

    def note(event: str, path: str) -> None:
        os.write(descriptor, f"{event} {path}\n".encode())

    watch_files(run_dir, note)


PHASES = {"step": "luke_tasks.training.learner:Learner.step", "validation": "luke_tasks.training.loop:evaluate",
          "checkpoint": "luke_tasks.training.checkpoint:Checkpointer.save",
          "archive": "luke_tasks.training.archive:write_archive"}  # fmt: skip


def note_phases(phase_file: Path) -> None:
    """Keep in a file what a run is at, in ten letters."""
    descriptor = os.open(phase_file, os.O_WRONLY)

    def note(phase: str) -> None:
        os.pwrite(descriptor, f"{phase:10}".encode(), 0)

    for phase, target in PHASES.items():
        module_name, _, path = target.partition(":")
        owner: Any = importlib.import_module(module_name)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, _noting(getattr(owner, name), note, phase))


def _noting(original: Callable[..., Any], note: Callable[[str], None], phase: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        note(phase)
        result = original(*args, **kwargs)
        note("between")
        return result

    return call


def assert_same_run(recovered: Path, whole: Path) -> None:
    """Bit for bit: every step, every metric, the last and the best weights, those of the archive too."""
    runs.assert_same_run(recovered, whole)
    for path in whole.glob("metrics_epoch_*.json"):
        assert _plain(recovered / path.name) == _plain(path)
    assert checkpoints(recovered)[-1].name == checkpoints(whole)[-1].name
    first, second = archived_weights(recovered), archived_weights(whole)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    left = [path.name for path in recovered.iterdir() if is_partial(path) or path.name.startswith(".")]
    assert left == []


def archived_weights(run_dir: Path) -> dict[str, Any]:
    """The weights in a run's archive."""
    with tarfile.open(run_dir / "model.tar.gz") as tar:
        member = tar.extractfile("weights.safetensors")
        assert member is not None
        return load(member.read())


def _plain(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if not key.endswith(("duration", "memory_MB"))}


def evaluation_fault(ended: Ended) -> str | None:
    """What is wrong with the outcome of `evaluate` on a run that was broken off; None: a result, or the clear line."""
    if ended.status == 0:
        return None if "loss" in json.loads(ended.output) else f"no loss in {ended.output}"
    lines = [line for line in ended.errors.splitlines() if not re.match(r"(warning|\S+: .*windows in)", line)]
    return None if ended.status == 2 and _NO_EPOCH in ended.last_line else f"status {ended.status}: {lines}"


def wait_for(condition: Callable[[], bool], command: Command, seconds: float = 60.0) -> None:
    """Until something is so, or the command has ended. Raises AssertionError after too long."""
    end = time.monotonic() + seconds
    while not condition() and command.is_running:
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.002)


def assert_no_process_left(session: int, within_seconds: float = 20) -> None:
    """Every process of a session (`start_new_session` of `Popen`: its id is the program's) ends within that time."""
    import psutil

    children = [one for one in psutil.process_iter() if _session(one.pid) == session]
    _, alive = psutil.wait_procs(children, timeout=within_seconds)
    assert alive == []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
