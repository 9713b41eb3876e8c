"""A whole sweep: check, search, rank, write the results, retrain. The command `sweep` and `luke_tasks.sweep` are this.

What it leaves in its directory:

| file | what |
|---|---|
| `study.db` | the search (Optuna's, SQLite), unless `storage` says where else |
| `config.json` | the config that trials are trained from, so that later changes of its sources do not matter |
| `sweep.json` | which sweep this is |
| `trials/NNN/`, `trials/NNN.log` | the run of each trial, and what it printed |
| `trials.csv`, `trials.json`, `sweep.html` | the ranked table, and a page with plots |
| `best.jsonnet` | the best setting as a complete config |
| `retrain/NNN/K/`, `model.tar.gz` | the setting of trial NNN, the best, over seeds; the median run's archive |
"""

from __future__ import annotations

import importlib.util
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luke_tasks.config import LoadedConfig, apply_overrides, load_config, merge_overrides
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import write_json
from luke_tasks.sweeps import results
from luke_tasks.sweeps.check import CheckedSpace, check_space
from luke_tasks.sweeps.distributions import tied_paths
from luke_tasks.sweeps.page import check_plotly, write_page
from luke_tasks.sweeps.progress import SweepProgress
from luke_tasks.sweeps.records import Retrained, SweepResult
from luke_tasks.sweeps.retrain import retrain, seed_overrides
from luke_tasks.sweeps.search import Launch, Limits, Search
from luke_tasks.sweeps.space import read_space
from luke_tasks.sweeps.trials import Job, TrialProcess, answer_file, share_of_machine, visible_devices
from luke_tasks.training.run_lock import run_lock

logger = logging.getLogger(__name__)
DEFAULT_TRIALS = 20
PAGE = "sweep.html"


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep is run; none of it changes what is searched.

    Args:
        trials: in all, those of earlier starts included; None: the space's `run_cap`, all of a grid, or 20 (no limit
            where there is a `timeout`).
        own_trials: whether trials of other sweeps that share the study do not count among `trials`.
        timeout: seconds after which no more trials are started; None: no limit.
        workers: trials at once on this machine.
        storage: see `study.open_storage`.
        study_name: None: the space's `name`, or the directory's.
        seed: of the search; None: the config's `random_seed`.
        retrain_seeds: train the best setting over so many seeds at the end; 0: not.
        keep: best trials of which weights and archive stay.
        resume: refuse to start anew.
        include_packages: packages of the user's own.
        plain: lines instead of a live table.
    """

    trials: int | None = None
    own_trials: bool = False
    timeout: float | None = None
    workers: int = 1
    storage: str | None = None
    study_name: str | None = None
    seed: int | None = None
    retrain_seeds: int = 0
    keep: int = 1
    resume: bool = False
    include_packages: Sequence[str] = ()
    plain: bool = False


def sweep(
    config: str | Path | dict[str, Any], space: str | Path | dict[str, Any], directory: str | Path, *,
    overrides: str = "", launch: Launch = TrialProcess, **options: Any,
) -> SweepResult:  # fmt: skip
    """Search `space` over `config`, in `directory`; a sweep that is there already goes on.

    Args:
        config, space: files, or their content.
        overrides: laid over the config first, as `-o` of `train`.
        launch: starts a trial; a process of `luke-tasks train` by default.
        options: those of `SweepOptions`.
    Returns:
        All trials, ranked, as written into `directory`.
    Raises:
        ConfigError: config or space have faults, or are not those that the sweep began with.
        LukeTasksError: the directory or the storage cannot be used.
        TrainingError: too many trials failed in a row; the results so far are written.
        Interrupted: by a signal; the same call goes on.
    """
    chosen = SweepOptions(**options)
    checked = check(config, space, overrides, chosen.include_packages)
    return Sweep(checked, Path(directory), chosen, launch).run()


def check(
    config: str | Path | dict[str, Any], space: str | Path | dict[str, Any], overrides: str = "",
    include_packages: Sequence[str] = (),
) -> CheckedSpace:  # fmt: skip
    """Read both and see that they go together. Raises as `sweep`, before anything is written."""
    parsed = read_space(space)
    if isinstance(config, dict):
        loaded = LoadedConfig(apply_overrides(config, overrides) if overrides else config)
    else:
        loaded = load_config(config, overrides)
    return check_space(parsed, loaded, include_packages)


class Sweep:
    """A checked sweep, ready to run in a directory."""

    pruner: Any = None  # Optuna's, in place of what the space says
    sampler: Any = None

    def __init__(self, checked: CheckedSpace, directory: Path, options: SweepOptions, launch: Launch) -> None:
        self.checked, self.directory, self.options, self.launch = checked, directory, options, launch
        known = self._known().get("study")  # also where the directory has got another name since
        self.name = options.study_name or known or checked.space.name or directory.absolute().name
        self.shares = share_of_machine(options.workers, visible_devices(checked.values))

    def describe(self) -> str:
        """What is searched, in a line."""
        space = self.checked.space
        goals = " and ".join(f"{objective.goal} {objective.name}" for objective in self.checked.objectives)
        how = f"of a grid of {space.grid_size()}" if space.method == "grid" else f"by {space.method} search"
        limit = self.limit()
        trials = f"{limit} trials" if limit is not None else f"trials for {self.options.timeout:g} s"
        names = ", ".join(parameter.name.replace(",", " = ") for parameter in space.searched)
        return f"{trials} {how}, {self.options.workers} at once, to {goals}; searched: {names}"

    def run(self, report: Callable[[SweepResult], None] = lambda result: None) -> SweepResult:
        """See `sweep`. `report` is given what there is at the end, also at a bad one."""
        _check_directory(self.directory, self.options)
        from luke_tasks.sweeps.study import SweepStudy, open_storage  # Optuna is an extra

        check_plotly(self.directory / PAGE)  # rather than after hours of trials
        self.directory.mkdir(parents=True, exist_ok=True)
        with run_lock(self.directory):
            owner = self._identity()
            storage = open_storage(self.options.storage, self.directory)
            self._check_study(storage)
            study = SweepStudy(
                name=self.name, storage=storage, space=self.checked.space,
                objectives=self.checked.objectives, owner=owner, is_shared=self.options.storage is not None,
                subject={"config": self.checked.values, "space": self.checked.space.values},
                seed=self._seed(), has_others=self.options.workers > 1, pruner=self.pruner, sampler=self.sampler,
            )  # fmt: skip
            write_json(self.directory / "config.json", self.checked.values)
            write_json(self.directory / "sweep.json", {"id": owner, "study": self.name})
            limits = Limits(self.limit(), self.options.timeout, self.options.workers, self.options.own_trials)
            names = [parameter.name for parameter in self.checked.space.searched]
            progress = SweepProgress(self.checked.objectives[0], names, limits.trials, limits.workers,
                                     plain=self.options.plain)  # fmt: skip
            search = Search(
                self.checked, study, limits, make_job=self.trial_job, num_epochs=self.num_epochs, launch=self.launch,
                progress=progress, keep=self.options.keep,
            )  # fmt: skip
            try:
                search.run()
            finally:
                result = self.result(study)
                self.write(result)
                report(result)
            if self.options.retrain_seeds:
                result.retrained = self._retrain(result)
                self.write(result)
                report(result)
            return result

    def limit(self) -> int | None:
        """Trials in all."""
        space, options = self.checked.space, self.options
        given = options.trials or space.run_cap
        if space.method == "grid":
            return min(given or space.grid_size(), space.grid_size())
        return given or (None if options.timeout is not None else DEFAULT_TRIALS)

    def trial_job(self, number: int, parameters: dict[str, Any], worker: int) -> Job:
        """What `train` is to do for a trial."""
        directory = self.directory / "trials" / f"{number:03d}"
        overrides = {**self.data_overrides(), **parameters}
        asks = self.checked.space.early_terminate is not None
        if asks:
            overrides.update(self.asking(directory, parameters))
        return self._job(number, directory, overrides, worker, asks=asks)

    def values_of(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The config of a trial, without what the sweep adds to it."""
        return merge_overrides(self.checked.values, parameters)

    def asking(self, directory: Path, parameters: dict[str, Any]) -> dict[str, Any]:
        """The override that lets a trial ask after each epoch whether it is to go on."""
        trainer = self.values_of(parameters).get("trainer") or {}
        own = {"type": "sweep", "answer_file": str(answer_file(directory.absolute()))}
        return {"trainer.callbacks": [*(trainer.get("callbacks") or []), own]}

    def flags(self) -> list[str]:
        """Of `train`, the same for every trial."""
        return [flag for name in self.options.include_packages for flag in ("--include-package", name)]

    def num_epochs(self, parameters: dict[str, Any]) -> int | None:
        """Of a trial."""
        trainer = self.values_of(parameters).get("trainer")
        number = trainer.get("num_epochs") if isinstance(trainer, dict) else None
        if number is None:
            number = self.checked.config.resolved["trainer"].get("num_epochs")  # the default
        return int(number) if isinstance(number, (int, float)) else None

    def result(self, study: Any) -> SweepResult:
        """The sweep as far as it has gone."""
        importances, note = study.importances()
        return SweepResult(
            name=self.name, objectives=self.checked.objectives,
            parameters=[parameter.searched_range() for parameter in self.checked.space.searched],
            trials=study.records(), importances=importances, importance_note=note,
            space=self.checked.space.values, directory=self.directory,
        )  # fmt: skip

    def write(self, result: SweepResult) -> None:
        """Tables, the best config, the page."""
        results.write_tables(result)
        results.write_best_config(result, self.checked.values, self.options.include_packages)
        write_page(result, self.directory / PAGE)

    def _retrain(self, result: SweepResult) -> Retrained:
        best = result.best()
        if best is None:
            raise LukeTasksError("--retrain: there is no complete trial to retrain")
        values = merge_overrides(self.checked.values, best.parameters)
        runs = self.directory / "retrain" / f"{best.number:03d}"  # after more trials, another may be the best
        jobs = [
            self._job(added, runs / str(added),
                      {**self.data_overrides(), **best.parameters, **seed_overrides(values, added)}, 0)
            for added in range(self.options.retrain_seeds)
        ]  # fmt: skip
        return retrain(jobs, result.objectives, self.directory, shares=self.shares, launch=self.launch)

    def _job(self, number: int, directory: Path, overrides: dict[str, Any], worker: int, *, asks: bool = False) -> Job:
        # Each path by itself: `train` reads overrides as Jsonnet, which sorts keys, so that tied seeds would come last.
        overrides = {path: value for name, value in overrides.items() for path in tied_paths(name)}
        return Job(number, self.directory / "config.json", directory, overrides, asks, self.shares[worker],
                   self.flags())  # fmt: skip

    def data_overrides(self) -> dict[str, Any]:
        """Trials share one cache of the data that were read, where the config names none and `datasets` is there."""
        loader = self.checked.values.get("data_loader")
        if importlib.util.find_spec("datasets") is None or not isinstance(loader, dict):
            return {}
        values = self.checked.values
        keys = [key for key in ("data_loader", "validation_data_loader")
                if isinstance(part := values.get(key), dict) and part.get("cache_dir") is None]  # fmt: skip
        return {f"{key}.cache_dir": str(self.directory.absolute() / "cache") for key in keys}

    def _identity(self) -> str:
        return str(self._known().get("id") or secrets.token_hex(8))

    def _known(self) -> dict[str, Any]:
        """What an earlier start wrote into `sweep.json`; empty where there was none."""
        path = self.directory / "sweep.json"
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return known

    def _check_study(self, storage: Any) -> None:
        """Raises LukeTasksError where another study would begin here, whose trials would take the place of those known.

        `sweep.json` is written after the study is made, so that one that it names was there.
        """
        from luke_tasks.sweeps.study import has_study

        known = self._known().get("study")
        if known is not None and known != self.name:
            raise LukeTasksError(f"--study-name {self.name}: the sweep in {self.directory} is the study {known}; leave "
                                 "--study-name out, or choose another -s")  # fmt: skip
        if known is not None and not has_study(storage, known):
            where = self.options.storage or self.directory / "study.db"
            raise LukeTasksError(f"{self.directory}: its study {known} is not in {where}; give the --storage that this "
                                 "sweep began with, or choose another -s")  # fmt: skip

    def _seed(self) -> int:
        if self.options.seed is not None:
            return self.options.seed
        return int(self.checked.config.resolved["random_seed"])


def _check_directory(directory: Path, options: SweepOptions) -> None:
    """Raises LukeTasksError when a sweep may not use this directory."""
    if directory.exists() and not directory.is_dir():
        raise LukeTasksError(f"{directory}: is a file; expected a directory for -s")
    names = {path.name for path in directory.iterdir()} - {".lock"} if directory.is_dir() else set()
    is_sweep = "sweep.json" in names or names <= {"study.db", "study.db-journal", "config.json"}
    if names and not is_sweep:
        raise LukeTasksError(f"{directory}: there is something in it, but no sweep (no sweep.json); choose another -s")
    if options.resume and "sweep.json" not in names:
        raise LukeTasksError(f"{directory}: there is no sweep to go on with; leave --resume out to start one")
