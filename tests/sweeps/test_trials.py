"""Trials as processes: errors, signals, orphans; a sweep killed at any moment; and real trainings of a tiny LUKE."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from luke_tasks.__main__ import main
from luke_tasks.sweeps import search, trials
from luke_tasks.sweeps.study import SweepStudy
from luke_tasks.sweeps.sweep import sweep
from luke_tasks.sweeps.trials import Job, TrialProcess, answer, answered, end_orphans, share_of_machine
from tests.sweeps.fakes import Launcher


class ScriptJob(Job):
    """A job whose process is a few lines of Python."""

    script = ""

    def command(self, *, recover: bool) -> list[str]:
        return [sys.executable, "-c", self.script, "luke_tasks", "-s", str(self.directory), str(recover)]


def started(tmp_path: Path, script: str, **options: Any) -> TrialProcess:
    job = ScriptJob(0, tmp_path / "config.json", tmp_path / "trials" / "000", {}, **options)
    object.__setattr__(job, "script", script)
    return TrialProcess(job)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(process: TrialProcess) -> int | None:
    wait_for(lambda: process.poll() is not None)
    return process.poll()


def test_the_error_of_a_trial(tmp_path: Path) -> None:
    first = started(tmp_path, "print('epoch 1'); print('the loss is nan\\n'); raise SystemExit(1)")
    assert ended(first) == 1 and first.error() == "the loss is nan"
    second = started(tmp_path, "raise SystemExit(3)")  # what the first one said is not its own error
    assert ended(second) == 3 and second.error() == "exit status 3, without a word"
    third = started(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert ended(third) == -9 and third.error() == "killed by SIGKILL; perhaps for lack of memory"
    assert (tmp_path / "trials" / "000.log").read_text().startswith("epoch 1\n")


def test_stopping_a_trial_and_what_it_has_started(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
        "signal.signal(signal.SIGTERM, lambda *a: (print('saved', flush=True), sys.exit(143)))\n"
        "print(helper.pid, flush=True)\ntime.sleep(99)"
    )
    process = started(tmp_path, script)
    log = tmp_path / "trials" / "000.log"
    wait_for(lambda: log.read_text().endswith("\n"))
    helper = int(log.read_text())
    process.stop()
    process.kill(30)
    assert process.poll() == 143 and log.read_text().endswith("saved\n")
    wait_for(lambda: not _is_alive(helper))


def _is_alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_orphans_are_ended(tmp_path: Path) -> None:
    directory = tmp_path / "trials" / "000"
    arguments = ["-c", "import time; time.sleep(99)", "luke_tasks", "-s"]
    orphan = subprocess.Popen([sys.executable, *arguments, str(directory)])
    other = subprocess.Popen([sys.executable, *arguments, str(tmp_path / "trials" / "001")])
    (tmp_path / "elsewhere").mkdir()
    namesake = subprocess.Popen([sys.executable, *arguments, "trials/000"], cwd=tmp_path / "elsewhere")
    own = subprocess.Popen([sys.executable, *arguments, "trials/000"], cwd=tmp_path)
    try:
        while not all(psutil.Process(process.pid).cmdline() for process in (orphan, other, namesake, own)):
            time.sleep(0.01)  # for a moment after its start a process has no command line yet
        assert end_orphans([directory], 30) == 2
        assert orphan.poll() is not None and own.poll() is not None
        assert other.poll() is None and namesake.poll() is None
        assert end_orphans([directory]) == 0
    finally:
        for process in (other, namesake, orphan, own):
            process.kill()
            process.wait()


def test_a_directory_is_gone_on_with_only_from_a_checkpoint(tmp_path: Path) -> None:
    script = "import sys; print(sys.argv[-1])"
    run_dir, log = tmp_path / "trials" / "000", tmp_path / "trials" / "000.log"
    run_dir.mkdir(parents=True)
    (run_dir / "out.log").write_text("", encoding="utf-8")
    answer(run_dir, 0, stop=True)  # to a run that has begun nothing, so it is void
    ended(started(tmp_path, script, asks=True))
    assert not run_dir.exists() and answered(run_dir) == (-1, False)
    (run_dir / "checkpoint_epoch_1_step_6").mkdir(parents=True)
    answer(run_dir, 0, stop=False)
    ended(started(tmp_path, script, asks=True))
    assert run_dir.exists() and answered(run_dir) == (0, False)
    assert log.read_text() == "False\nTrue\n"


def test_shares_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert share_of_machine(1, ["0", "1"]) == [{}]
    assert share_of_machine(3, ["4", "7"]) == [
        {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "4"}, {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "7"},
        {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "4"},
    ]  # fmt: skip
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert {len(share) for share in share_of_machine(2, [])} == {1}


# -- killed at any moment -------------------------------------------------------------------------------------------


def _kill_at(moment: int) -> None:
    """In a process that is to die: SIGKILL at the moment-th step of its bookkeeping, before it is made."""
    steps = 0

    def counted(function: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return step

    for name in ("ask", "_suggest", "started", "report", "finish"):
        setattr(SweepStudy, name, counted(getattr(SweepStudy, name)))
    search.answer = counted(search.answer)  # type: ignore[attr-defined]
    search.remove_weights = counted(search.remove_weights)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("moment", [2, 3, 5, 8, 11, 14])
def test_killed_at_any_moment(moment: int, ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    space = {**lr_space, "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2}}
    options: dict[str, Any] = {"trials": 3, "seed": 5}
    pid = os.fork()
    if pid == 0:  # the process that dies; whatever happens in it, it must not go on with the tests
        try:
            _kill_at(moment)
            sweep(ner_config, space, tmp_path / "s", launch=Launcher(), **options)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    result = sweep(ner_config, space, tmp_path / "s", launch=Launcher(), **options)
    whole = sweep(ner_config, space, tmp_path / "whole", launch=Launcher(), **options)
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert [(trial.parameters, trial.state, trial.values) for trial in result.trials] == [
        (trial.parameters, trial.state, trial.values) for trial in whole.trials
    ]


# -- real trainings -------------------------------------------------------------------------------------------------


def test_a_sweep_from_the_command_line(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three learning rates one learns, one does not and is pruned, and one gives no numbers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "space.yaml").write_text(
        "method: grid\nmetric: {name: loss, goal: minimize}\n"
        "early_terminate: {type: hyperband, min_iter: 1, eta: 2}\n"
        "parameters:\n  trainer.optimizer.lr: {values: [0.01, 1.0e-12, 1.0e+30]}\n",
        encoding="utf-8",
    )
    directory = tmp_path / "s"
    status = main(["sweep", str(ner_config), str(tmp_path / "space.yaml"), "-s", str(directory),
                   "--file-friendly-logging"])  # fmt: skip
    printed = capsys.readouterr()
    assert status == 0, printed.err
    rows = json.loads((directory / "trials.json").read_text(encoding="utf-8"))["trials"]
    assert [(row["trial"], row["state"], row["epochs"]) for row in rows] == [
        (0, "complete", 2), (1, "pruned", 1), (2, "failed", 0)
    ]  # fmt: skip
    assert "loss" in rows[2]["error"] and "learning rate" in rows[2]["error"]
    assert printed.out.splitlines()[1].startswith("1     0      complete  ")
    assert printed.err.splitlines()[-1] == f"best trial: 0; as a config: {directory / 'best.jsonnet'}"
    assert (directory / "trials" / "000" / "model.tar.gz").exists()
    assert not (directory / "trials" / "001" / "model.tar.gz").exists()
    log = (directory / "trials" / "001.log").read_text(encoding="utf-8")
    assert "stopping after epoch 1: the sweep prunes this trial" in log
    assert trials.answered(directory / "trials" / "001") == (0, True)


@pytest.mark.slow
def test_a_sweep_that_is_killed_in_a_training(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """Its orphan is ended, and the trial goes on from its checkpoint."""
    values = json.loads(ner_config.read_text(encoding="utf-8"))
    values["trainer"].update({"num_epochs": 12, "checkpointer": {"save_every_num_batches": 1}})
    ner_config.write_text(json.dumps(values), encoding="utf-8")
    (tmp_path / "space.json").write_text(json.dumps(lr_space), encoding="utf-8")
    directory = tmp_path / "s"
    command = [sys.executable, "-m", "luke_tasks", "sweep", str(ner_config), str(tmp_path / "space.json"), "-s",
               str(directory), "--trials", "1"]  # fmt: skip
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list((directory / "trials" / "000").glob("checkpoint_*_step_*[0-9]")))
    first.kill()
    first.communicate()
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert "trial 0 of 1: goes on with batch_size " in second.stderr
    log = (directory / "trials" / "000.log").read_text(encoding="utf-8")
    assert "going on from checkpoint_" in log
    assert json.loads((directory / "trials.json").read_text())["trials"][0]["epochs"] == 12
