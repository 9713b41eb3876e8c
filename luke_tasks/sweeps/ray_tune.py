"""A sweep's trials on a cluster, by Ray Tune.

The search stays where it is: the sweep asks its study, starts trials, reads their metrics, prunes and records. Ray Tune
places each trial on a machine with the CPUs and GPUs it needs, and starts it again elsewhere when a machine is lost (it
then goes on from its last checkpoint). A trial is the same process of `luke-tasks train` as without a cluster.

What all machines must share, under the same paths: the folder that the sweep is started in, its directory, the data and
checkpoints that the config names, and an environment with this package.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luke_tasks.errors import LukeTasksError
from luke_tasks.ray_cluster import connected
from luke_tasks.sweeps.trials import Job, TrialProcess

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the runs write their own metrics
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the sweep shows its own table
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
try:
    import ray
    from ray import tune
    from ray.tune.search import Searcher
except ImportError as error:
    raise LukeTasksError(f"--ray needs Ray Tune ({error}): pip install 'luke-tasks[ray]'") from None

logger = logging.getLogger(__name__)
_MOST_RESTARTS = 2  # of a trial whose machine was lost
_LOOK_SECONDS = 0.2


@dataclass
class TuneTrial:
    """A job that Ray Tune runs, as the sweep sees it (`trials.Running`).

    The sweep and the trial's machine share a folder, so a word to the trial is a file beside its run.
    """

    job: Job
    code: int | None = None
    reason: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def poll(self) -> int | None:
        return self.code

    def error(self) -> str:
        return self.reason

    def stop(self) -> None:
        self._say("stop")

    def kill(self, grace_seconds: float = 60.0) -> None:
        if not self.ended.wait(grace_seconds):
            self._say("kill")
            self.ended.wait(grace_seconds + 60.0)

    def _say(self, word: str) -> None:
        if not self.ended.is_set():
            _word_file(self.job).write_text(word, encoding="utf-8")

    def end(self, code: int, reason: str) -> None:
        """Note how it ended."""
        if not self.ended.is_set():
            self.code, self.reason = code, reason
            _word_file(self.job).unlink(missing_ok=True)
            self.ended.set()


class TrialActor(tune.Trainable):
    """Runs one job in a process of its own, on whichever machine Ray chose."""

    def setup(self, config: dict[str, Any]) -> None:
        self.job: Job = config["job"]
        self.running: TrialProcess | None = None
        self.refusal = ""
        try:
            os.chdir(config["folder"])  # the paths of config and job are relative to where the sweep was started
        except OSError as error:
            self.refusal = (f"{platform.node()}: {config['folder']}: {error.strerror}; all machines must share the "
                            "folder that the sweep is started in")  # fmt: skip
            return
        if not _word(self.job):
            # Ray has set this actor's threads and GPUs; those the job would have had are shares of one machine.
            self.running = TrialProcess(replace(self.job, environment={}))

    def step(self) -> dict[str, Any]:
        """Wait for the end of the run, for a second at most."""
        if self.running is None:
            return {"done": True, "code": 1, "error": self.refusal or "stopped before it began"}
        until = time.monotonic() + 1.0
        while (code := self.running.poll()) is None and time.monotonic() < until:
            word = _word(self.job)
            if word == "stop":
                self.running.stop()
                _word_file(self.job).write_text("stopping", encoding="utf-8")
            elif word == "kill":
                self.running.kill(0)
            time.sleep(_LOOK_SECONDS)
        if code is None:
            return {"done": False}
        error = self.running.error() if code != 0 else ""
        return {"done": True, "code": code, "error": error}

    def cleanup(self) -> None:
        """Also called when Tune itself ends a trial."""
        if self.running is not None:
            if self.running.poll() is None:
                self.running.stop()
            self.running.kill()


class _Jobs(Searcher):
    """To Tune, a search whose suggestions are the jobs the sweep has started."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: queue.SimpleQueue[TuneTrial] = queue.SimpleQueue()
        self.open: dict[str, TuneTrial] = {}
        self.is_closed = False

    def suggest(self, trial_id: str) -> Any:
        if self.is_closed:
            return Searcher.FINISHED
        try:
            trial = self.waiting.get_nowait()
        except queue.Empty:
            return None
        self.open[trial_id] = trial
        return {"job": trial.job, "folder": os.getcwd()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing to learn from: the sweep reads the run's own metrics."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self.open.pop(trial_id)
        if error or result is None or "code" not in result:
            trial.end(1, "Ray lost it: its machine or worker ended, more often than it is started again")
        else:
            trial.end(result["code"], result["error"])

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a pickled copy of its search, to go on with; here the study is what goes on."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """The study, not Tune, knows how to go on."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: see `save`."""


class TuneLauncher:
    """Starts jobs as trials of Ray Tune; `launch` of a sweep.

    Args:
        directory: of the sweep, on storage that all machines share.
        cpus, gpus: of one trial.
    """

    def __init__(self, directory: Path, *, cpus: int, gpus: float) -> None:
        self.storage = directory.absolute() / "ray"
        self.resources = {"cpu": float(cpus), "gpu": gpus}
        self.jobs = _Jobs()
        self.failure = ""  # why Tune itself has ended, if it has
        self.thread: threading.Thread | None = None  # Tune's loop: the sweep's own loop is the main one

    def __call__(self, job: Job) -> TuneTrial:
        trial = TuneTrial(job)
        job.directory.parent.mkdir(parents=True, exist_ok=True)
        _word_file(job).unlink(missing_ok=True)
        self.jobs.waiting.put(trial)
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name="ray-tune", daemon=True)
            self.thread.start()
        if self.failure:
            self._end_all()
        return trial

    def close(self) -> None:
        """No more jobs; wait for Tune to end."""
        self.jobs.is_closed = True
        if self.thread is not None:
            self.thread.join(timeout=120.0)
            shutil.rmtree(self.storage, ignore_errors=True)  # Tune's own books: the study goes on without them

    def _tuner(self) -> tune.Tuner:
        return tune.Tuner(
            tune.with_resources(TrialActor, self.resources),
            tune_config=tune.TuneConfig(
                search_alg=self.jobs, num_samples=-1, reuse_actors=False,
                trial_name_creator=_name, trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name=f"trials-{os.getpid()}", storage_path=str(self.storage), verbose=0,
                failure_config=tune.FailureConfig(max_failures=_MOST_RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs keep their own
            ),
        )  # fmt: skip

    def _run(self) -> None:
        try:
            self._tuner().fit()
            self.failure = "Ray Tune has ended"
        except Exception as error:  # whatever Ray raises when a cluster goes away
            self.failure = f"Ray Tune stopped: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finally:
            self._end_all()

    def _end_all(self) -> None:
        with contextlib.suppress(queue.Empty):  # the sweep's thread and Tune's may both be at it
            while True:
                self.jobs.waiting.get_nowait().end(1, self.failure)
        for trial in list(self.jobs.open.values()):
            trial.end(1, self.failure)


@contextlib.contextmanager
def ray_trials(
    directory: Path, *, workers: int, address: str | None = None, cpus: int | None = None, gpus: float | None = None
) -> Iterator[TuneLauncher]:
    """Connect to a cluster, and start a sweep's trials there while the block lasts.

    Args:
        address: `host:port` or `auto`; None: `RAY_ADDRESS`, else a cluster on this machine, else a new one on it.
        workers: trials at once.
        cpus, gpus: of one trial; None: its share of the CPUs, and one GPU where the cluster has any.
    Raises:
        LukeTasksError: there is no such cluster.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)  # Ray and Tune report on themselves at length
    with connected(address, include_dashboard=False):
        total = ray.cluster_resources()
        cpus = cpus or max(1, int(total.get("CPU", 1)) // workers)
        gpus = gpus if gpus is not None else float(total.get("GPU", 0) >= 1)
        launcher = TuneLauncher(directory, cpus=_at_most_a_machine(cpus), gpus=gpus)
        logger.info("Ray: machines: %d, CPUs: %g, GPUs: %g; of which a trial takes %g and %g", len(ray.nodes()),
                    total.get("CPU", 0), total.get("GPU", 0), *launcher.resources.values())  # fmt: skip
        try:
            yield launcher
        finally:
            launcher.close()


def _at_most_a_machine(cpus: int) -> int:
    """A trial cannot be spread over machines."""
    largest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return max(1, min(cpus, largest))


def _name(trial: Any) -> str:
    return f"{trial.config['job'].directory.name}-{trial.trial_id}"


def _word_file(job: Job) -> Path:
    """Where the sweep tells the trial's machine to stop it."""
    return job.directory.with_name(job.directory.name + ".word")


def _word(job: Job) -> str:
    try:
        return _word_file(job).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
