"""The search itself, which is Optuna's: what to try next, what was seen, which trials to prune, and all of it on disk.

A study may be shared: several sweeps, on several machines, each with a directory of its own, that name the same
`--storage` and `--study-name` work on one search. A trial says which of them runs it.
"""

from __future__ import annotations

import json
import logging
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from luke_tasks.errors import ConfigError, Fault, LukeTasksError, describe, join_path
from luke_tasks.sweeps.distributions import Parameter
from luke_tasks.sweeps.records import Objective, State, TrialRecord
from luke_tasks.sweeps.space import EarlyTerminate, Space

try:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise LukeTasksError(f"sweeps need Optuna ({error}): pip install 'luke-tasks[sweep]'") from None

optuna.logging.set_verbosity(optuna.logging.ERROR)
logger = logging.getLogger(__name__)
_FEWEST_FOR_IMPORTANCES = 4  # of fewer, Optuna gives shares that mean nothing
_ATTRIBUTE = "luke_tasks"  # of the study: what it searches
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}


class SweepStudy:
    """An Optuna study over a space.

    Args:
        name: of the study, in its storage.
        storage: see `open_storage`.
        subject: what is searched, as plain values: a study goes on with the same one only.
        owner: the sweep whose trials are asked for and resumed here.
        is_shared: whether other sweeps may work on the same study.
        pruner, sampler: Optuna's, in place of those that the space says.
        has_others: whether trials of this sweep run at once.
        seed: of the sampler. A search that was interrupted goes on as it would have gone (with one worker).
    Raises:
        LukeTasksError: the study is another program's.
        ConfigError: it searches something else; each difference is named.
    """

    def __init__(
        self, *, name: str, storage: Any, space: Space, objectives: Sequence[Objective], subject: dict[str, Any],
        owner: str, is_shared: bool, seed: int, has_others: bool = False, pruner: Any = None, sampler: Any = None,
    ) -> None:  # fmt: skip
        self.space, self.objectives, self.owner, self.is_shared = space, list(objectives), owner, is_shared
        self.given_sampler = sampler
        self.runs_several = is_shared or has_others
        # Two machines that ask at the same moment are not to get the same draw.
        self.seed = (seed, zlib.crc32(owner.encode()) if is_shared else 0)
        with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
            self.study = optuna.create_study(
                study_name=name, storage=storage, load_if_exists=True, pruner=pruner or _pruner(space.early_terminate),
                directions=[objective.goal for objective in objectives],
            )  # fmt: skip
        known = self.study.user_attrs.get(_ATTRIBUTE)
        if known is None and self.study.get_trials(deepcopy=False):
            raise LukeTasksError(f'--study-name {name}: this storage has a study of that name, which no "sweep" made; '
                                 "choose another name")  # fmt: skip
        if known is None:
            self.study.set_user_attr(_ATTRIBUTE, subject)
        else:
            check_same(known, json.loads(json.dumps(subject)))

    # -- asking and telling -----------------------------------------------------------------------------------------

    def count(self, *, own: bool = False) -> int:
        """Trials so far, of all sweeps that share the study, or of this one only."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(not own or trial.user_attrs.get("owner") == self.owner for trial in trials)

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """A new trial's number and values (constants are not among them); None when a grid is done."""
        number = self.count()
        if self.space.method == "grid" and number >= self.space.grid_size():
            return None
        self.study.sampler = self._sampler(number)
        trial = self.study.ask()
        trial.set_user_attr("owner", self.owner)
        if self.space.method == "grid" and trial.number >= self.space.grid_size():  # another machine was faster
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        return trial.number, self._suggest(trial)

    def resumable(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The trials of this sweep that were running when it was stopped, with their values."""
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Killed before it was marked: in a study of our own it can be no one else's.
            unmarked = None if self.is_shared else self.owner
            if frozen.user_attrs.get("owner", unmarked) == self.owner:
                self.study.sampler = self._sampler(frozen.number)
                yield frozen.number, self._suggest(optuna.trial.Trial(self.study, frozen._trial_id))

    def started(self, number: int, directory: Path, at: str) -> None:
        """Note where and when a trial began (the first time)."""
        trial = self._trial(number)
        trial.set_user_attr("directory", str(directory))
        if "started" not in trial.user_attrs:
            trial.set_user_attr("started", at)

    def report(self, number: int, epochs: int, value: float) -> bool:
        """Tell the objective's value after so many epochs; whether the trial is to be pruned."""
        early = self.space.early_terminate
        trial = self._trial(number)
        if epochs not in self._frozen(number).intermediate_values:
            trial.report(value, epochs)
        if early is not None and early.max_epochs is not None and epochs >= early.max_epochs:
            return False
        return bool(trial.should_prune())

    def finish(self, number: int, state: State, values: Sequence[float], seconds: float, error: str | None) -> None:
        """Tell how a trial ended. `seconds` are those of this attempt."""
        trial = self._trial(number)
        trial.set_user_attr("seconds", trial.user_attrs.get("seconds", 0.0) + seconds)
        if error is not None:
            trial.set_user_attr("error", error)
        if state == "complete":
            self.study.tell(number, list(values))
        elif state == "pruned":
            trial.set_user_attr("values", list(values))
            self.study.tell(number, state=TrialState.PRUNED)
        else:
            self.study.tell(number, state=TrialState.FAIL)

    def records(self) -> list[TrialRecord]:
        """All trials, by number."""
        found = []
        for frozen in self.study.get_trials(deepcopy=False):
            attributes = frozen.user_attrs
            if frozen.state == TrialState.FAIL and "started" not in attributes:
                continue  # one too many for a grid, see `ask`
            values = frozen.values if frozen.state == TrialState.COMPLETE else attributes.get("values")
            directory = Path(attributes.get("directory", ""))
            found.append(TrialRecord(
                number=frozen.number, parameters=self._values(frozen.params), state=_STATES[frozen.state],
                values=list(values or ()), seconds=float(attributes.get("seconds", 0.0)),
                started=attributes.get("started", ""), error=attributes.get("error"), directory=directory,
                epochs=read_epochs(directory) if attributes.get("directory") else [],
            ))  # fmt: skip
        return found

    def importances(self) -> tuple[dict[str, dict[str, float]], str | None]:
        """Objective → parameter → share of the variation (fANOVA); or nothing, and why."""
        if len(self.space.searched) < 2:
            return {}, "there is one parameter only"
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < _FEWEST_FOR_IMPORTANCES:
            return {}, f"{len(complete)} complete trials are too few; {_FEWEST_FOR_IMPORTANCES} are needed"
        found = {}
        try:
            with warnings.catch_warnings(action="ignore"):
                for index, objective in enumerate(self.objectives):
                    shares = optuna.importance.get_param_importances(self.study, target=_value_of(index))
                    found[objective.name] = {name: float(share) for name, share in shares.items()}
        except (ValueError, RuntimeError, ImportError) as error:
            return {}, " ".join(str(error).split())
        if not all(found.values()):
            return {}, "the complete trials do not vary enough"
        return found, None

    # -- inside -----------------------------------------------------------------------------------------------------

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """The sampler for a trial, seeded by its number: a resumed search does not repeat its first draws."""
        seed = sum(part * 1_000_003**place for place, part in enumerate((number, *self.seed))) % 2**32
        if self.given_sampler is not None:
            return self.given_sampler
        if self.space.method == "grid":
            return _GridSampler(self.space)
        if self.space.method == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
            # Trials that run count as bad ones, so that two at once do not try the same place.
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=self.runs_several)

    def _suggest(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        return self._values({parameter.name: suggest(trial, parameter) for parameter in self.space.searched})

    def _values(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        return {parameter.name: parameter.value(searched[parameter.name])
                for parameter in self.space.searched if parameter.name in searched}  # fmt: skip

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _trial(self, number: int) -> optuna.trial.Trial:
        return optuna.trial.Trial(self.study, self._frozen(number)._trial_id)


class _GridSampler(optuna.samplers.BaseSampler):
    """Trial N gets combination N, so that several machines share a grid without talking to each other."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.parameters = {parameter.name: parameter for parameter in space.searched}

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Any, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self.space.combination(trial.number)[param_name]
        return self.parameters[param_name].searched_for(value)


def suggest(trial: optuna.trial.Trial, parameter: Parameter) -> Any:
    """A point of the parameter's coordinate; the one the trial has already, if it has one."""
    coordinate = parameter.coordinate
    if coordinate.kind == "choice":
        return trial.suggest_categorical(parameter.name, coordinate.choices)
    if coordinate.kind == "int":
        bounds = int(coordinate.low), int(coordinate.high)
        return trial.suggest_int(parameter.name, *bounds, step=int(coordinate.step or 1), log=coordinate.log)
    low, high = coordinate.low, coordinate.high
    return trial.suggest_float(parameter.name, low, high, step=coordinate.step, log=coordinate.log)


def _value_of(index: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: float(trial.values[index])


def _pruner(early: EarlyTerminate | None) -> optuna.pruners.BasePruner:
    """W&B's rule is one bracket of (asynchronous) successive halving: a trial goes on in the best `1/eta` at a rung."""
    if early is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=early.min_epochs, reduction_factor=early.eta)


def read_epochs(directory: Path, start: int = 0) -> list[dict[str, Any]]:
    """The content of a run's `metrics_epoch_N.json`, in their order, from number `start` on."""
    found: list[dict[str, Any]] = []
    while (path := directory / f"metrics_epoch_{start + len(found)}.json").exists():
        found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def check_same(known: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises ConfigError naming each difference between what a sweep began with and what it is given now."""
    faults = [Fault(path, f"was {describe(old)} when this sweep began, is {describe(new)} now")
              for path, old, new in _differences(known, now, "")]  # fmt: skip
    if faults:
        advice = "a sweep goes on with the same config and space only; undo these changes, or start one in another -s"
        raise ConfigError([*faults, Fault("--resume", advice)])


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), join_path(path, key))
    elif old != new:
        yield path, old, new


def open_storage(text: str | None, directory: Path) -> Any:
    """`journal:FILE` (Optuna's journal file), any URL of a data base, or None: `study.db` in the sweep's directory.

    Raises:
        LukeTasksError: it cannot be opened; with the reason.
    """
    try:
        if text is not None and text.startswith("journal:"):
            from optuna.storages import journal

            path = Path(text.removeprefix("journal:"))
            path.parent.mkdir(parents=True, exist_ok=True)
            return journal.JournalStorage(journal.JournalFileBackend(str(path)))
        if text is None or text.startswith("sqlite:"):  # SQLite locks the whole file: wait for the others
            url = text or f"sqlite:///{directory.absolute() / 'study.db'}"
            return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
        return optuna.storages.RDBStorage(text)
    except Exception as error:  # of whichever data base's driver
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LukeTasksError(f"--storage: cannot be opened: {reason[:300]}; expected journal:FILE, or a URL as "
                             "sqlite:///sweep.db or postgresql://user@host/name") from None  # fmt: skip


def has_study(storage: Any, name: str) -> bool:
    """Whether there is a study of this name in what `open_storage` gave."""
    return name in optuna.study.get_all_study_names(storage)


def study_names(storage: str, directory: Path) -> list[str]:
    """The studies in a storage. Raises LukeTasksError when it cannot be opened."""
    return list(optuna.study.get_all_study_names(open_storage(storage, directory)))


def best_values(storage: str, name: str | None, directory: Path) -> dict[str, Any]:
    """The values of a study's best trial; without a name, of the only study there is.

    Raises:
        LukeTasksError: there is no such study, or no complete trial in it, or several of equal right.
    """
    known = study_names(storage, directory)
    if name is None and len(known) != 1:
        raise LukeTasksError(f"--study-name: {storage} has {len(known)} studies; expected the name of one: {known}")
    if name is not None and name not in known:
        raise LukeTasksError(f"--study-name {name}: there is no such study in {storage} (studies: {known})")
    study = optuna.load_study(study_name=name or known[0], storage=open_storage(storage, directory))
    try:
        return dict(study.best_params)
    except (ValueError, RuntimeError) as error:
        raise LukeTasksError(f"--study-name {study.study_name}: {error}") from None
