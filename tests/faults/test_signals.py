"""SIGINT and SIGTERM: the state is saved within a step, the status is a shell's, and the run goes on exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.training import interrupts
from luke_tasks.training.checkpoint import checkpoints
from tests.faults.harness import Run, Signal, assert_no_process_left, assert_same_run, evaluation_fault
from tests.training.runs import steps

OVERRIDES: dict[str, Any] = {"trainer.num_epochs": 3, "trainer.num_gradient_accumulation_steps": 2}


@pytest.mark.parametrize(
    ("signum", "status", "call", "number", "where"),
    [
        (signal.SIGTERM, 143, "luke_tasks.training.learner:Learner.step", 3, "in epoch 2 after step 3"),
        (signal.SIGINT, 130, "luke_tasks.training.learner:Learner.forward", 1, "in epoch 1 after step 2"),
        (signal.SIGTERM, 143, "luke_tasks.training.checkpoint:Checkpointer.save", 3, "after the last epoch; what is "
         "left is the archive"),
    ],
)  # fmt: skip
def test_in_the_loop(signum: int, status: int, call: str, number: int, where: str, whole: Run, tmp_path: Path) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    ended = run.start(setup=Signal(call, number, signum)).wait()
    assert ended.status == status, ended.errors
    assert ended.last_line == (f"interrupted {where}; the state is saved in {run.run_dir}; go on with the same command "
                               "and -r (in place of -f)")  # fmt: skip
    assert len(steps(run.run_dir)) == (6 if "last" in where else int(where.split()[-1]))
    assert "Traceback" not in ended.errors
    assert run.recover().status == 0
    assert_same_run(run.run_dir, whole.run_dir)


@pytest.mark.parametrize(
    ("call", "number", "message"),
    [
        ("luke_tasks.experiment:read_set", 1, "interrupted"),
        ("tarfile:TarFile.add", 2, "interrupted; the last checkpoint is {last}; go on with the same command and -r (in "
         "place of -f)"),
    ],
)  # fmt: skip
def test_elsewhere(call: str, number: int, message: str, whole: Run, tmp_path: Path, ner_files: dict[str, str]) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    ended = run.start(setup=Signal(call, number, signal.SIGTERM)).wait()
    assert ended.status == 143, ended.errors
    has_begun = run.run_dir.exists()
    assert has_begun == ("last" in message)
    assert ended.last_line == message.format(last=checkpoints(run.run_dir)[-1] if has_begun else "")
    if has_begun:
        assert not list(run.run_dir.glob("*.partial"))
        assert evaluation_fault(run.evaluate(ner_files["valid"])) is None
    assert run.recover().status == 0
    assert_same_run(run.run_dir, whole.run_dir)


def test_a_second_signal_stops_at_once(whole: Run, tmp_path: Path) -> None:
    """Here, in the very step that the first one came in: nothing is saved."""
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    twice = Signal("luke_tasks.training.learner:Learner.step", 2, signal.SIGINT, times=2)
    ended = run.start(setup=twice).wait()
    assert ended.status == 130
    assert "stopping after this step and saving the state (once more: stop at once)" in ended.errors
    assert ended.last_line == ("interrupted; there is no checkpoint yet; go on with the same command and -r (in place "
                               "of -f)")  # fmt: skip
    assert len(steps(run.run_dir)) == 1


def test_under_a_launcher_a_second_signal_is_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's and the launcher's."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with interrupts.interrupts() as noted:
        os.kill(os.getpid(), signal.SIGINT)
        while noted.signum is None:  # another thread may have got it, so that it comes a moment later
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
    assert noted.signum == signal.SIGINT


def test_what_a_library_swallowed_is_not_lost() -> None:
    """Python itself drops what is raised within `__del__`."""
    before = signal.getsignal(signal.SIGTERM)
    with interrupts.raised_signals():
        with pytest.raises(interrupts.Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
        with interrupts.interrupts() as noted:
            assert noted.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.raised_signals(), interrupts.interrupts() as noted:
            os.kill(os.getpid(), signal.SIGINT)
        assert not noted.is_set()
    finally:
        signal.signal(signal.SIGINT, before)


def test_its_children_end_with_it(whole: Run, tmp_path: Path) -> None:
    """wandb's helper, which is a process of its own; by a program of its own, whose exit is the real one."""
    pytest.importorskip("psutil")
    code = "import sys; from tests.faults.harness import Signal; " \
           "Signal('luke_tasks.training.learner:Learner.step', 3, 15)(); " \
           "from luke_tasks.__main__ import main; sys.exit(main())"  # fmt: skip
    overrides = '{"trainer.callbacks": [{"type": "wandb"}]}'
    command = [sys.executable, "-c", code, "train", str(whole.config), "-s", str(tmp_path / "run"), "-o", overrides]
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        command, env=environment, start_new_session=True, text=True, stderr=subprocess.PIPE
    ) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 143, errors
    assert "switched off" not in errors
    assert list((tmp_path / "run").glob("wandb/offline-run-*"))
    assert_no_process_left(process.pid)
