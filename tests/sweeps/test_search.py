"""The loop of a sweep, with trials that take no time: what is asked, told, kept, pruned, resumed and refused."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

import luke_tasks
from luke_tasks.config import apply_overrides
from luke_tasks.errors import ConfigError, Interrupted, LukeTasksError, TrainingError
from luke_tasks.sweeps.progress import SweepProgress
from luke_tasks.sweeps.records import Objective, TrialRecord
from luke_tasks.sweeps.retrain import retrain
from luke_tasks.sweeps.search import Search
from luke_tasks.sweeps.study import open_storage
from luke_tasks.sweeps.sweep import sweep
from luke_tasks.sweeps.trials import Job
from luke_tasks.training.run_lock import run_lock
from tests.sweeps.fakes import FakeRun, Launcher, lr_score

pytestmark = pytest.mark.usefixtures("quick")


def test_the_function_of_the_package() -> None:
    assert luke_tasks.sweep is sweep


def without_cache(overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides but for the cache of the data, which there is where `datasets` is installed."""
    return {path: value for path, value in overrides.items() if path != "data_loader.cache_dir"}


def test_a_sweep(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launcher()
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=6, launch=launcher)
    assert [trial.number for trial in result.trials] == list(range(6))
    assert {trial.state for trial in result.trials} == {"complete"}
    for trial, job in zip(result.trials, launcher.jobs, strict=True):
        assert trial.values == [lr_score(trial.parameters, 2)]
        assert without_cache(job.overrides) == trial.parameters  # nothing else is laid over without pruning
        assert job.overrides.get("data_loader.cache_dir") in (str(tmp_path / "s" / "cache"), None)  # one for all
        assert [metrics["epoch"] for metrics in trial.epochs] == [0, 1]
    best = result.best()
    assert best is not None and best.values[0] == max(trial.values[0] for trial in result.trials)
    with (tmp_path / "s" / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in result.ranking()]
    assert float(rows[0]["f1"]) == best.values[0]
    assert json.loads((tmp_path / "s" / "trials.json").read_text())["trials"][0]["trial"] == best.number
    # of all but the best, weights and archives are gone
    kept = {path.parent.name for path in (tmp_path / "s" / "trials").glob("*/model.tar.gz")}
    assert kept == {f"{best.number:03d}"}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("trial 0 of 6: lr ") and ", batch_size " in lines[0]
    assert lines[-1].startswith(f"trial 5 of 6: complete, f1 {result.trials[5].values[0]:.4f}, 0:00")


def test_the_best_config_trains_the_best_trial(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    from luke_tasks.experiment_config import read_config

    result = sweep(ner_config, lr_space, tmp_path / "s", trials=3, launch=Launcher())
    best, path = result.best(), tmp_path / "s" / "best.jsonnet"
    assert best is not None
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f'// Trial {best.number} of the sweep "s": f1 {best.values[0]:.4f}.\n//\n')
    assert "import" not in text.replace("important", "")
    resolved = read_config(path).resolved
    assert resolved == read_config(ner_config, json.dumps(best.parameters)).resolved


def test_a_grid_is_gone_through_once(ner_config: Path, tmp_path: Path) -> None:
    space = {"method": "grid", "metric": "+f1", "parameters": {
        "trainer.optimizer.lr": {"values": [1e-3, 1e-2, 1e-1]},
        "random_seed,numpy_seed,pytorch_seed": {"values": [1, 2]},
    }}  # fmt: skip
    launcher = Launcher()
    first = sweep(ner_config, space, tmp_path / "s", trials=4, launch=launcher)
    assert len(first.trials) == 4
    result = sweep(ner_config, space, tmp_path / "s", launch=launcher)
    assert [trial.parameters["trainer.optimizer.lr"] for trial in result.trials] == [1e-3] * 2 + [1e-2] * 2 + [1e-1] * 2
    assert len(launcher.jobs) == 6 and len(result.trials) == 6
    sweep(ner_config, space, tmp_path / "s", launch=launcher)
    assert len(launcher.jobs) == 6


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_seed_decides_the_search_and_interruptions_do_not(
    method: str, ner_config: Path, lr_space: dict[str, Any], tmp_path: Path
) -> None:
    def searched(name: str, trials: int, seed: int = 1) -> list[Any]:
        found = sweep(ner_config, {**lr_space, "method": method}, tmp_path / name, trials=trials, launch=Launcher(),
                      seed=seed)  # fmt: skip
        return [trial.parameters for trial in found.trials]

    number = 12 if method == "bayes" else 3  # the first ten are drawn at random
    whole = searched("a", number)
    assert len({json.dumps(parameters) for parameters in whole}) == number
    assert searched("b", number - 1) == whole[:-1]
    assert searched("b", number) == whole
    assert searched("c", 1, seed=2) != whole[:1]


def test_bayes_finds_more_than_chance(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    found = sweep(ner_config, {**lr_space, "method": "bayes"}, tmp_path / "s", trials=20, launch=Launcher())
    late = [trial.values[0] for trial in found.trials[12:]]
    early = [trial.values[0] for trial in found.trials[:10]]  # drawn at random
    assert sum(late) / len(late) > sum(early) / len(early) + 0.02


def test_pruning(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """By W&B's rule with eta 2: after an epoch, the better half goes on. A trial at its last epoch is complete."""
    space = {**lr_space, "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2}}
    rates = {0: 1e-3, 1: 1e-1, 2: 3e-3, 3: 9e-4}  # scores 0.9, 0.7, 0.852.., 0.895..

    def score(overrides: dict[str, Any], epochs: int) -> float:
        number = launcher.jobs[-1].number
        return lr_score({"trainer.optimizer.lr": rates[number]}, epochs)

    launcher = Launcher(score, num_epochs=2)
    result = sweep(ner_config, space, tmp_path / "s", trials=4, launch=launcher)
    assert [trial.state for trial in result.trials] == ["complete", "pruned", "pruned", "complete"]
    assert [len(trial.epochs) for trial in result.trials] == [2, 1, 1, 2]
    assert result.trials[1].values == [lr_score({"trainer.optimizer.lr": 1e-1}, 1)]
    assert [trial.number for trial in result.ranking()] == [0, 3, 2, 1]
    answer_file = str(tmp_path / "s" / "trials" / "000.answer.json")
    assert launcher.jobs[0].overrides["trainer.callbacks"] == [{"type": "sweep", "answer_file": answer_file}]


def test_failures_are_recorded_and_the_sweep_goes_on(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launcher(fails={0: "killed by SIGKILL; perhaps for lack of memory", 2: "the loss is nan"})
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=4, launch=launcher)
    assert [trial.state for trial in result.trials] == ["failed", "complete", "failed", "complete"]
    assert [trial.error for trial in result.trials] == [launcher.fails.get(number) for number in range(4)]
    assert "trial 2 of 4: failed, 0:00: the loss is nan" in capsys.readouterr().err


def test_a_failed_trial_keeps_no_weights(tmp_path: Path) -> None:
    """Its log and its metrics say what went wrong; it is not gone on with."""
    trials = []
    for number, state in enumerate(("complete", "failed")):
        trials.append(TrialRecord(number, {}, state, [0.5], 1.0, "", None, tmp_path / str(number), []))  # type: ignore[arg-type]
        (tmp_path / str(number) / "checkpoint_epoch_0_step_1").mkdir(parents=True)
        for name in ("best.safetensors", "metrics_epoch_0.json"):
            (tmp_path / str(number) / name).touch()
    search = Search.__new__(Search)
    search.study = SimpleNamespace(records=lambda: trials)  # type: ignore[assignment]
    search.checked = SimpleNamespace(objectives=[Objective("best_validation_f1", "maximize")])  # type: ignore[assignment]
    search.slots, search.keep = [], 1
    search._tidy()
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == ["best.safetensors", "metrics_epoch_0.json"]
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["metrics_epoch_0.json"]


@pytest.mark.parametrize(("workers", "lies"), [(1, False), (2, True)])
def test_trials_at_once_do_not_try_the_same(
    workers: int, lies: bool, ner_config: Path, lr_space: dict[str, Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made: list[bool] = []
    sampler = optuna.samplers.TPESampler

    def noted(**options: Any) -> Any:
        made.extend(options[name] for name in options if name == "constant_liar")
        return sampler(**options)

    monkeypatch.setattr(optuna.samplers, "TPESampler", noted)
    space = {**lr_space, "method": "bayes"}
    sweep(ner_config, space, tmp_path / "s", trials=2, workers=workers, launch=Launcher())
    assert set(made) == {lies}


def test_five_failures_in_a_row_stop_it(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    launcher = Launcher(fails=dict.fromkeys(range(1, 9), "no memory"))
    with pytest.raises(TrainingError, match="5 trials in a row failed, so the sweep stops; the last one: trial 5: no"):
        sweep(ner_config, lr_space, tmp_path / "s", trials=20, launch=launcher)
    rows = json.loads((tmp_path / "s" / "trials.json").read_text())["trials"]
    assert [row["state"] for row in rows] == ["complete"] + ["failed"] * 5
    assert (tmp_path / "s" / "best.jsonnet").exists()


def test_a_trial_without_its_metric_has_failed(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=1,
                   launch=Launcher(score=lambda overrides, epochs: float("nan")))  # fmt: skip
    assert result.trials[0].error == "best_validation_f1 is nan in metrics.json"


def test_several_objectives(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    class Uneven(Launcher):
        def __call__(self, job: Any) -> FakeRun:
            self.num_epochs = 1 + job.number % 3
            return super().__call__(job)

    space = {**lr_space, "method": "bayes", "metric": "+f1,-duration"}
    result = sweep(ner_config, space, tmp_path / "s", trials=6, launch=Uneven())
    assert [trial.values[1] for trial in result.trials] == [2.0, 4.0, 6.0] * 2
    front = result.front()
    assert result.best() is front[0]
    assert front == sorted(front, key=lambda trial: -trial.values[0])
    assert [trial.values[1] for trial in front] == sorted((trial.values[1] for trial in front), reverse=True)
    kept = {int(path.parent.name) for path in (tmp_path / "s" / "trials").glob("*/model.tar.gz")}
    assert kept == {trial.number for trial in front}


def test_the_target_ends_the_search(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    space = {**lr_space, "metric": {"name": "f1", "goal": "maximize", "target": 0.0}}
    assert len(sweep(ner_config, space, tmp_path / "s", trials=9, launch=Launcher()).trials) == 1
    assert len(sweep(ner_config, space, tmp_path / "s", trials=9, launch=Launcher()).trials) == 1  # and stays ended


def test_a_trial_that_ends_after_the_target_is_reached_does_not_take_that_back(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path
) -> None:
    def score(overrides: dict[str, Any], epochs: int) -> float:
        return scores.setdefault(overrides["trainer.optimizer.lr"], 0.9 if not scores else 0.1)

    class Uneven(Launcher):
        def __call__(self, job: Any) -> FakeRun:
            self.num_epochs = 1 + 2 * job.number
            return super().__call__(job)

    scores: dict[float, float] = {}
    space = {**lr_space, "metric": {"name": "f1", "goal": "maximize", "target": 0.8}}
    result = sweep(ner_config, space, tmp_path / "s", trials=9, workers=2, launch=Uneven(score))
    assert [trial.values for trial in result.trials] == [[0.9], [0.1]]


def test_workers(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    at_once = []

    class Counting(Launcher):
        def __call__(self, job: Any) -> FakeRun:
            run = super().__call__(job)
            runs.append(run)
            at_once.append(sum(one.code is None for one in runs))
            return run

    runs: list[FakeRun] = []
    launcher = Counting()
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=5, workers=2, launch=launcher)
    assert max(at_once) == 2 and len(result.complete) == 5
    assert {job.environment["OMP_NUM_THREADS"] for job in launcher.jobs} == {"2"}


def test_retraining(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    def score(overrides: dict[str, Any], epochs: int) -> float:
        seeds = {0: 0.5, 1: 0.9, 2: 0.6}
        return seeds.get(overrides.get("random_seed", 0) - 13370, lr_score(overrides, epochs))

    launcher = Launcher(score)
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=2, retrain_seeds=3, launch=launcher)
    retrained, best = result.retrained, result.best()
    assert retrained is not None and best is not None
    assert retrained.values == [[0.5], [0.9], [0.6]]
    mean, deviation = retrained.summary()["best_validation_f1"]
    assert (mean, deviation) == (pytest.approx(2 / 3), pytest.approx(0.2081665999))
    assert retrained.median == 2
    chosen = json.loads(retrained.archive.read_text())  # a fake archive holds the run's overrides
    assert without_cache(chosen) == {**best.parameters, "random_seed": 13372, "numpy_seed": 1339, "pytorch_seed": 135}
    again = sweep(ner_config, lr_space, tmp_path / "s", trials=2, retrain_seeds=3, launch=launcher)
    assert again.retrained == retrained and len(launcher.jobs) == 5  # what is done is not done again


def test_retraining_over_seeds_that_were_searched(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """As in the spaces of all tasks: the best trial's seed is where the retrained ones begin."""
    tied = "random_seed,numpy_seed,pytorch_seed"
    space = {**lr_space, "parameters": {**lr_space["parameters"], tied: {"values": [3, 4]}}}
    launcher = Launcher()
    best = sweep(ner_config, space, tmp_path / "s", trials=1, retrain_seeds=3, launch=launcher).trials[0]
    seeds = []
    for job in launcher.jobs[1:]:  # as the command line of `train` is read
        values = apply_overrides({}, job.command(recover=False)[-1])
        seeds.append([values["random_seed"], values["numpy_seed"], values["pytorch_seed"]])
    assert seeds == [[best.parameters[tied] + added] * 3 for added in range(3)]


def test_another_best_trial_is_retrained_anew(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(overrides: dict[str, Any], epochs: int) -> float:
        return launcher.jobs[-1].number / 10

    launcher = Launcher(score)
    sweep(ner_config, lr_space, tmp_path / "s", trials=1, retrain_seeds=2, launch=launcher)
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=2, retrain_seeds=2, launch=launcher)
    best, retrained = result.best(), result.retrained
    assert best is not None and retrained is not None and best.number == 1
    chosen = json.loads(retrained.archive.read_text())
    assert {name: chosen[name] for name in best.parameters} == best.parameters


def test_retrained_runs_share_the_machine(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """A run begins on the share of one that has ended, not beside one that goes on."""
    running: dict[int, FakeRun] = {}

    class Uneven(Launcher):
        def __call__(self, job: Job) -> FakeRun:
            others = {one.job.environment["GPU"] for one in running.values() if one.code is None}
            assert job.environment["GPU"] not in others
            self.num_epochs = 9 if job.number == 0 else 1
            running[job.number] = super().__call__(job)
            return running[job.number]

    jobs = [Job(number, tmp_path / "config.json", tmp_path / str(number), {"trainer.optimizer.lr": 1e-3})
            for number in range(4)]  # fmt: skip
    retrain(jobs, [Objective("f1", "maximize")], tmp_path, shares=[{"GPU": "0"}, {"GPU": "1"}], launch=Uneven())
    assert len(running) == 4


# -- stopping and going on ------------------------------------------------------------------------------------------


class _Killed(BaseException):
    """Stands for the death of the sweep's process."""


def test_a_killed_sweep_goes_on_with_the_same_trials(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path
) -> None:
    whole = sweep(ner_config, lr_space, tmp_path / "whole", trials=4, launch=Launcher())

    class Dying(Launcher):
        def __call__(self, job: Any) -> FakeRun:
            super().__call__(job)
            if job.number == 2:
                raise _Killed
            return FakeRun(job, self.score, self.num_epochs, None)

    with pytest.raises(_Killed):
        sweep(ner_config, lr_space, tmp_path / "s", trials=4, launch=Dying())
    launcher = Launcher()
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=4, resume=True, launch=launcher)
    assert [job.number for job in launcher.jobs] == [2, 3]
    assert [trial.parameters for trial in result.trials] == [trial.parameters for trial in whole.trials]
    assert [trial.state for trial in result.trials] == ["complete"] * 4


def test_a_signal_stops_the_trials(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    import os
    import signal

    runs: list[FakeRun] = []

    class Signalling(Launcher):
        def __call__(self, job: Any) -> FakeRun:
            runs.append(super().__call__(job))
            if job.number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return runs[-1]

    with pytest.raises(Interrupted, match="interrupted; 1 running trial stopped; the same command goes on") as caught:
        sweep(ner_config, lr_space, tmp_path / "s", trials=4, launch=Signalling(num_epochs=9))
    assert caught.value.exit_status == 143
    assert runs[1].stopped
    result = sweep(ner_config, lr_space, tmp_path / "s", trials=4, launch=Launcher())
    assert [trial.state for trial in result.trials] == ["complete"] * 4


def test_an_answer_is_not_taken_back(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    """A trial that was told to stop, and whose sweep died before it noted so, is pruned, not complete."""
    space = {**lr_space, "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2}}
    by_rate: dict[float, float] = {}

    def score(overrides: dict[str, Any], epochs: int) -> float:
        return by_rate.setdefault(overrides["trainer.optimizer.lr"], 0.9 - 0.8 * len(by_rate))  # the second is worse

    class DyingRun(FakeRun):
        def poll(self) -> int | None:
            code = super().poll()
            if code is not None and self.job.number == 1:
                raise _Killed
            return code

    def launch(job: Any) -> FakeRun:
        return DyingRun(job, score, 2, None)

    with pytest.raises(_Killed):
        sweep(ner_config, space, tmp_path / "s", trials=2, launch=launch)
    result = sweep(ner_config, space, tmp_path / "s", trials=2, launch=Launcher(score))
    assert [trial.state for trial in result.trials] == ["complete", "pruned"]


def test_another_config_or_space_is_refused(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    sweep(ner_config, lr_space, tmp_path / "s", trials=1, launch=Launcher())
    changed = json.loads(json.dumps(lr_space))
    changed["parameters"]["trainer.optimizer.lr"]["max"] = 0.01
    with pytest.raises(ConfigError) as caught:
        sweep(ner_config, changed, tmp_path / "s", trials=2, overrides='{"trainer.grad_norm": 2}', launch=Launcher())
    assert str(caught.value).splitlines() == [
        "config.trainer.grad_norm: was 1 when this sweep began, is 2 now",
        'space.parameters."trainer.optimizer.lr".max: was 0.1 when this sweep began, is 0.01 now',
        "--resume: a sweep goes on with the same config and space only; undo these changes, or start one in another -s",
    ]


def test_no_other_study_takes_the_place_of_the_one_in_a_directory(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path
) -> None:
    def again(folder: Path, **options: Any) -> int:
        return len(sweep(ner_config, lr_space, folder, trials=2, launch=Launcher(), **options).trials)

    sweep(ner_config, lr_space, tmp_path / "s", trials=1, launch=Launcher())
    with pytest.raises(LukeTasksError, match=r"--study-name other: .*/s is the study s; leave --study-name out"):
        again(tmp_path / "s", study_name="other")
    with pytest.raises(LukeTasksError, match=r"its study s is not in journal:.*; give the --storage that this sweep"):
        again(tmp_path / "s", storage=f"journal:{tmp_path}/search.log")
    (tmp_path / "s").rename(tmp_path / "moved")
    assert again(tmp_path / "moved") == 2  # the first trial is known


def test_the_time_left_counts_the_trials_of_earlier_starts(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sweep(ner_config, lr_space, tmp_path / "s", trials=3, launch=Launcher())
    left = []
    end = SweepProgress.end
    monkeypatch.setattr(SweepProgress, "end", lambda self, row: (left.append(self.left()), end(self, row)))
    sweep(ner_config, lr_space, tmp_path / "s", trials=4, launch=Launcher())
    assert left == [0.0]


def test_what_the_page_needs_is_asked_for_first(
    ner_config: Path, lr_space: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    launcher = Launcher()
    with pytest.raises(LukeTasksError, match=r"need plotly; pip install 'luke-tasks\[sweep\]'"):
        sweep(ner_config, lr_space, tmp_path / "s", trials=1, launch=launcher)
    assert not launcher.jobs and not (tmp_path / "s").exists()


def test_directories_that_cannot_be_used(ner_config: Path, lr_space: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with pytest.raises(LukeTasksError, match="there is no sweep to go on with; leave --resume out"):
        sweep(ner_config, lr_space, folder, resume=True, launch=Launcher())
    assert not folder.exists()
    folder.mkdir()
    (folder / "thesis.tex").write_text("", encoding="utf-8")
    with pytest.raises(LukeTasksError, match="there is something in it, but no sweep"):
        sweep(ner_config, lr_space, folder, launch=Launcher())
    (folder / "thesis.tex").unlink()
    with run_lock(folder), pytest.raises(LukeTasksError, match="is writing into this directory"):
        sweep(ner_config, lr_space, folder, launch=Launcher())


# -- storages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["journal:{}/search.log", "sqlite:///{}/search.db"])
def test_two_directories_work_on_one_search(
    storage: str, ner_config: Path, lr_space: dict[str, Any], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"storage": storage.format(tmp_path), "study_name": "shared"}
    first, second = Launcher(), Launcher()
    sweep(ner_config, lr_space, tmp_path / "a", trials=2, launch=first, **options)
    result = sweep(ner_config, lr_space, tmp_path / "b", trials=5, launch=second, **options)
    assert [job.number for job in first.jobs] == [0, 1] and [job.number for job in second.jobs] == [2, 3, 4]
    assert [trial.directory.parent.parent.name for trial in result.trials] == ["a", "a", "b", "b", "b"]
    assert len({trial.parameters["trainer.optimizer.lr"] for trial in result.trials}) == 5
    with pytest.raises(ConfigError, match=r"space\.method: was"):
        sweep(ner_config, {**lr_space, "method": "bayes"}, tmp_path / "c", trials=6, launch=Launcher(), **options)


def test_a_storage_that_cannot_be_opened(tmp_path: Path) -> None:
    for text in ("nonsense", "postgresql://nobody@127.0.0.1:9/none", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(LukeTasksError, match=r"--storage: cannot be opened: .*; expected journal:FILE, or a URL"):
            open_storage(text, tmp_path)
