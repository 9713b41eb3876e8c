"""Two processes told to write into one directory: the second is refused, and a killed one leaves no trap."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from luke_tasks.errors import LukeTasksError
from luke_tasks.training import run_lock
from luke_tasks.training.run_lock import LOCK_NAME, check_unlocked
from tests.faults.harness import Command, Moment, Run, wait_for
from tests.training.runs import train


@pytest.fixture
def running(ner_config: Path, tmp_path: Path) -> Iterator[tuple[Run, Command]]:
    """A run that goes on until it is ended here."""
    run = Run(ner_config, tmp_path / "run", {"trainer.num_epochs": 10_000})
    command = run.start()
    wait_for((run.run_dir / "metrics_epoch_0.json").exists, command)
    yield run, command
    if command.is_running:
        command.signal(9)
        command.wait()


def test_the_second_is_refused(
    running: tuple[Run, Command], ner_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, command = running
    overrides = {"trainer.num_epochs": 10_000}
    for flags in ([], ["-r"], ["-f"]):
        assert train(ner_config, run.run_dir, *flags, overrides=overrides) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line == (f"{run.run_dir}: process {command.pid} on {socket.gethostname()} is writing into this "
                        "directory; wait for it, end it, or choose another -s")  # fmt: skip
    assert command.is_running
    assert (run.run_dir / "config.json").exists()
    command.signal(9)
    command.wait()
    assert (run.run_dir / LOCK_NAME).exists()
    assert train(ner_config, run.run_dir, "-f", overrides={"trainer.num_epochs": 1}) == 0
    assert not (run.run_dir / LOCK_NAME).exists()


def test_both_start_before_there_is_a_directory(ner_config: Path, tmp_path: Path) -> None:
    """Both find nothing, and read; one is first, and done when the other would begin."""
    run = Run(ner_config, tmp_path / "run", {"trainer.num_epochs": 1})
    assert run.start(setup=_OtherRunFirst(ner_config, run.run_dir)).wait().last_line == (
        f"{run.run_dir}: the directory is not empty; -r goes on with the run in it, -f replaces it, or choose another "
        "-s"
    )
    assert (run.run_dir / "model.tar.gz").exists()


class _OtherRunFirst:
    """Has another run made between the reading and the writing of this one."""

    def __init__(self, config: Path, run_dir: Path) -> None:
        self.config, self.run_dir = config, run_dir

    def __call__(self) -> None:
        from tests.faults.harness import wrap_call

        def act(args: object) -> None:
            child = os.fork()
            if child == 0:
                os._exit(train(self.config, self.run_dir))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        wrap_call("luke_tasks.experiment:build", 1, act)


def test_force_broken_off_leaves_what_force_can_replace(ner_config: Path, tmp_path: Path) -> None:
    run = Run(ner_config, tmp_path / "run", {"trainer.num_epochs": 1})
    assert run.start().wait().status == 0
    for name in ("tokenizer", "config.json"):
        killed = run.start(
            "-f", setup=_Bound(Moment("shutil.rmtree" if name == "tokenizer" else "os.remove", name), run)
        )
        assert killed.wait().status == -9
    assert run.start("-f").wait().status == 0


class _Bound:
    def __init__(self, moment: Moment, run: Run) -> None:
        self.moment, self.run = moment, run

    def __call__(self) -> None:
        self.moment(self.run.run_dir)


def test_a_file_that_is_not_locked_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("process 1 on elsewhere\n", encoding="utf-8")
    check_unlocked(tmp_path)
    with run_lock.run_lock(tmp_path), pytest.raises(LukeTasksError, match=rf"process {os.getpid()} on "):
        check_unlocked(tmp_path)
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_lock_removed_while_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last holder has gone in between: the file opened is no longer the one that others would lock."""
    real, seen = fcntl.flock, []

    def flock(file: object, operation: int) -> None:
        if not seen:
            (tmp_path / LOCK_NAME).unlink()
        seen.append(operation)
        real(file, operation)  # type: ignore[call-overload]

    monkeypatch.setattr(fcntl, "flock", flock)
    with run_lock.run_lock(tmp_path):
        assert len(seen) == 2
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text(encoding="utf-8")


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with run_lock.run_lock(tmp_path):
        assert "this file system has no locks (No locks available)" in caplog.text
