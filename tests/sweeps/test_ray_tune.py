"""Trials on a local Ray, two at once; what a trial is told and tells; what is missing or cannot be reached."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.errors import LukeTasksError
from luke_tasks.sweeps.trials import Job, TrialProcess
from tests.training.runs import steps

pytest.importorskip("ray.tune")
pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def ended(trial: Any, seconds: float = 240.0) -> Any:
    deadline = time.monotonic() + seconds
    while trial.poll() is None:
        assert time.monotonic() < deadline, "the trial does not end"
        time.sleep(0.05)
    return trial


def test_sweep_on_a_cluster(cluster: None, ner_config: Path, tmp_path: Path) -> None:
    """One trial trains, the other fails; both are recorded as without Ray."""
    space = tmp_path / "space.json"
    searched = {"trainer.optimizer.lr": {"values": [1e-3, 1e38]}, "trainer.num_epochs": {"value": 1}}
    space.write_text(json.dumps({"method": "grid", "metric": "+f1", "parameters": searched}), encoding="utf-8")
    directory = tmp_path / "sweep"
    status = main(["sweep", str(ner_config), str(space), "-s", str(directory), "--ray", "--workers", "2",
                   "--file-friendly-logging"])  # fmt: skip
    assert status == 0
    found = json.loads((directory / "trials.json").read_text(encoding="utf-8"))["trials"]
    assert [(trial["trial"], trial["state"]) for trial in found] == [(0, "complete"), (1, "failed")]
    assert "the loss is" in found[1]["error"]
    assert (directory / "trials" / "000" / "model.tar.gz").exists() and (directory / "sweep.html").exists()
    assert not (directory / "ray").exists()


@pytest.mark.slow
def test_stopped_trial_saves_its_state(cluster: None, ner_config: Path, tmp_path: Path) -> None:
    from luke_tasks.sweeps.ray_tune import ray_trials

    job = Job(0, ner_config, tmp_path / "trials" / "000", {"trainer.num_epochs": 500})
    with ray_trials(tmp_path, workers=2) as launch:
        trial = launch(job)
        deadline = time.monotonic() + 240
        while not steps(job.directory) and trial.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        trial.stop()
        trial.kill()
    assert trial.poll() == 143 and "interrupted in epoch" in trial.error()
    assert list(job.directory.glob("checkpoint_*"))
    assert not list(job.directory.parent.glob("*.word"))


# -- without a cluster ----------------------------------------------------------------------------------------------


def test_jobs_are_tunes_suggestions(tmp_path: Path) -> None:
    from luke_tasks.sweeps.ray_tune import Searcher, TuneTrial, _Jobs

    jobs = _Jobs()
    assert jobs.suggest("a") is None  # nothing to do yet
    trials = [TuneTrial(Job(number, tmp_path / "c", tmp_path / str(number), {})) for number in range(3)]
    for trial in trials:
        jobs.waiting.put(trial)
    assert [jobs.suggest(name)["job"].number for name in "abc"] == [0, 1, 2]
    jobs.on_trial_complete("a", {"code": 0, "error": ""})
    jobs.on_trial_complete("b", {"code": 2, "error": "trainer: missing"})
    jobs.on_trial_complete("c", None, error=True)
    assert [trial.poll() for trial in trials] == [0, 2, 1]
    assert trials[1].error() == "trainer: missing" and trials[2].error().startswith("Ray lost it: ")
    jobs.is_closed = True
    assert jobs.suggest("d") == Searcher.FINISHED


class FakeProcess:
    """Runs until it is told to stop."""

    def __init__(self, job: Job) -> None:
        self.job, self.code, self.told = job, None, list[str]()

    def poll(self) -> int | None:
        return self.code

    def error(self) -> str:
        return "told to stop"

    def stop(self) -> None:
        self.told.append("stop")

    def kill(self, grace_seconds: float = 60.0) -> None:
        self.told.append("kill")
        self.code = -signal.SIGKILL


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An actor without Ray, its job's process a fake."""
    from luke_tasks.sweeps import ray_tune

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_tune, "TrialProcess", FakeProcess)
    monkeypatch.setattr(ray_tune, "_LOOK_SECONDS", 0.3)
    return ray_tune.TrialActor.__new__(ray_tune.TrialActor)


def test_words_to_a_trial(actor: Any, tmp_path: Path) -> None:
    from luke_tasks.sweeps.ray_tune import TuneTrial

    job = Job(0, tmp_path / "c", tmp_path / "000", {}, environment={"OMP_NUM_THREADS": "7"})
    trial = TuneTrial(job)
    actor.setup({"job": job, "folder": str(tmp_path)})
    assert actor.running.job.environment == {}  # Ray shares the machine out, not the sweep
    trial.stop()
    assert actor.step() == {"done": False} and actor.running.told == ["stop"]  # told once
    trial._say("kill")
    assert actor.step() == {"done": True, "code": -signal.SIGKILL, "error": "told to stop"}


def test_trial_that_may_not_begin(actor: Any, tmp_path: Path) -> None:
    from luke_tasks.sweeps.ray_tune import TuneTrial

    job = Job(0, tmp_path / "c", tmp_path / "000", {})
    actor.setup({"job": job, "folder": str(tmp_path / "elsewhere")})
    result = actor.step()
    assert result["done"] and result["code"] == 1
    assert "elsewhere: No such file or directory; all machines must share the folder" in result["error"]
    TuneTrial(job).stop()
    actor.setup({"job": job, "folder": str(tmp_path)})
    assert actor.step() == {"done": True, "code": 1, "error": "stopped before it began"}


def test_no_cluster_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from luke_tasks import ray_cluster
    from luke_tasks.sweeps import ray_tune

    def refuse(**options: Any) -> None:
        raise ConnectionError("Failed to connect\nto it")

    monkeypatch.setattr(ray_tune.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_cluster, "_check_reachable", lambda address: None)
    monkeypatch.setattr(ray_tune.ray, "init", refuse)
    with (
        pytest.raises(LukeTasksError, match=r"^head:6379: no Ray cluster answers there: Failed to connect to it"),
        ray_tune.ray_trials(tmp_path, workers=1, address="head:6379"),
    ):
        pass


def test_without_ray(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "luke_tasks.sweeps.ray_tune", raising=False)
    space = tmp_path / "space.json"
    space.write_text('{"method": "grid", "parameters": {"data_loader.batch_size": {"values": [8]}}}', encoding="utf-8")
    command = ["sweep", str(ner_config), str(space), "-s", str(tmp_path / "sweep"), "--ray"]
    assert main(command) == 2
    assert "pip install 'luke-tasks[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()
    assert main([*command, "--wandb"]) == 2


def test_fake_is_like_the_process() -> None:
    assert {"poll", "error", "stop", "kill"} <= vars(TrialProcess).keys() & vars(FakeProcess).keys()
