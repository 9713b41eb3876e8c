"""Search the external variables of a config, with the flags of the plugin allennlp-optuna; see also `sweep`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import no_garbage_collection
from luke_tasks.errors import LukeTasksError, TrainingError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plugin's flags."""
    parser.add_argument("config", help="the Jsonnet file, which reads its variables by std.extVar")
    parser.add_argument("hparam_path", nargs="?", default="hyper_params.json", help="what to search: a JSON list of "
                        "{type, attributes} (default hyper_params.json)")  # fmt: skip
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR", help="where the trials are kept")
    parser.add_argument("--optuna-param-path", metavar="FILE", help="JSON with Optuna's pruner and sampler")
    parser.add_argument("--skip-if-exists", "--load-if-exists", action="store_true",
                        help="work on the study of this name if there is one, as on several machines")  # fmt: skip
    parser.add_argument("--direction", choices=("minimize", "maximize"), default="minimize", help="default minimize")
    parser.add_argument("--n-trials", type=int, default=50, metavar="N", help="trials in DIR (default 50)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="start no more trials after so long")
    parser.add_argument("--study-name", metavar="NAME", help="default: the name of DIR")
    parser.add_argument("--storage", default="sqlite:///allennlp_optuna.db", metavar="URL",
                        help="default sqlite:///allennlp_optuna.db")  # fmt: skip
    parser.add_argument("--metrics", default="best_validation_loss", metavar="NAME", help="what is searched for, as "
                        "metrics.json names it (default best_validation_loss)")  # fmt: skip
    parser.add_argument("--file-friendly-logging", action="store_true", help="plain lines instead of a live table")


def run(args: argparse.Namespace) -> int:
    """Check, search, report."""
    log_to_terminal()
    for flag in ("n_trials", "timeout"):
        if getattr(args, flag) is not None and getattr(args, flag) <= 0:
            raise LukeTasksError(f"--{flag.replace('_', '-')}: expected a positive number, found {getattr(args, flag)}")
    with no_garbage_collection():
        from luke_tasks.sweeps import results, tune
        from luke_tasks.sweeps.records import Objective
        from luke_tasks.sweeps.study import study_names
        from luke_tasks.sweeps.sweep import SweepOptions

    directory, config = Path(args.serialization_dir), Path(args.config)
    variables = tune.read_variables(Path(args.hparam_path))
    pruner, sampler = tune.read_optuna_options(Path(args.optuna_param_path) if args.optuna_param_path else None)
    checked = tune.check_tune(config, variables, Objective(args.metrics, args.direction), args.include_package)
    options = SweepOptions(
        trials=args.n_trials, own_trials=True, timeout=args.timeout, storage=args.storage, study_name=args.study_name,
        include_packages=args.include_package, plain=args.file_friendly_logging,
    )  # fmt: skip
    search = tune.Tune(checked, directory, options, config, pruner=pruner, sampler=sampler)
    is_known = search.name in study_names(args.storage, directory)
    if is_known and not args.skip_if_exists and not (directory / "sweep.json").exists():
        raise LukeTasksError(f"--study-name {search.name}: {args.storage} has a study of this name; --skip-if-exists "
                             "works on it, another name begins a new one")  # fmt: skip
    logger.info("study %s: %s", search.name, search.describe())
    result = search.run(lambda found: print(*results.report(found), sep="\n"))
    if result.best() is None:
        raise TrainingError(f"{directory}: no trial is complete; see the errors above and trial_*.log in it")
    return 0
