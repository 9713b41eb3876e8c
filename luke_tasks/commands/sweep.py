"""Search hyperparameters, and train the best setting."""

from __future__ import annotations

import argparse
import contextlib
import logging
from pathlib import Path

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import no_garbage_collection
from luke_tasks.errors import LukeTasksError, TrainingError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A config, a space, and how to run."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("space", help="what to search: Jsonnet, JSON or YAML in the form of Weights & Biases' sweeps, "
                        "its keys being dotted paths into the config")  # fmt: skip
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR", help="where the sweep is kept; one "
                        "that is there already goes on")  # fmt: skip
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the config")
    parser.add_argument("--trials", type=int, metavar="N", help="trials in all (default: the space's run_cap, all of a "
                        "grid, or 20)")  # fmt: skip
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="start no more trials after so long")
    parser.add_argument("--workers", type=int, default=1, metavar="K", help="trials at once on this machine (default "
                        "1); they share out its threads and GPUs")  # fmt: skip
    parser.add_argument("--storage", metavar="URL", help="of the search: sqlite:///FILE, postgresql://..., or "
                        "journal:FILE, for several machines (default: study.db in DIR)")  # fmt: skip
    parser.add_argument("--study-name", metavar="NAME", help="in the storage (default: the space's name, or DIR's)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the search (default: the config's random_seed)")
    parser.add_argument("--retrain", action="store_true", help="train the best setting over seeds at the end")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="with --retrain: how many (default 5)")
    parser.add_argument("--keep", type=int, default=1, metavar="N", help="best trials of which weights and archive "
                        "stay (default 1; a failed one keeps what it has); metrics and logs of all do")  # fmt: skip
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help="run the trials on a Ray cluster, "
                        "--workers at once: host:port, or nothing for this machine's, started if need be")  # fmt: skip
    parser.add_argument("--wandb", action="store_true", help="search nothing here: write DIR/wandb_sweep.yaml, the "
                        "same search for `wandb sweep`")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="only go on with the sweep in DIR, do not start one")
    parser.add_argument("--dry-run", action="store_true", help="check config and space, say what would be searched")
    parser.add_argument("--file-friendly-logging", action="store_true", help="plain lines instead of a live table")


def run(args: argparse.Namespace) -> int:
    """Check, search, report."""
    log_to_terminal()
    for flag in ("trials", "timeout", "workers", "seeds", "keep"):
        value = getattr(args, flag)
        if value is not None and value < (0 if flag == "keep" else 1):
            least = 0 if flag == "keep" else 1
            raise LukeTasksError(f"--{flag}: expected a number of at least {least}, found {value:g}")
    if args.ray is not None and args.wandb:
        raise LukeTasksError("--wandb: only writes a file, so --ray has nothing to run; leave one of them out")
    with no_garbage_collection():
        from luke_tasks.config import evaluate_jsonnet
        from luke_tasks.sweeps import results
        from luke_tasks.sweeps.sweep import Sweep, SweepOptions, check
        from luke_tasks.sweeps.trials import TrialProcess
    options = SweepOptions(
        trials=args.trials, timeout=args.timeout, workers=args.workers, storage=args.storage,
        study_name=args.study_name, seed=args.seed, retrain_seeds=args.seeds if args.retrain else 0, keep=args.keep,
        resume=args.resume, include_packages=args.include_package, plain=args.file_friendly_logging,
    )  # fmt: skip
    checked = check(args.config, args.space, args.overrides, args.include_package)
    sweep = Sweep(checked, Path(args.serialization_dir), options, TrialProcess)
    logger.info("%s", sweep.describe())
    if args.dry_run:
        logger.info("dry run: config and space go together; nothing is trained or written")
        return 0
    if args.wandb:
        from luke_tasks.sweeps.wandb_sweep import next_commands, write_wandb_sweep

        changes = evaluate_jsonnet("--overrides", args.overrides.strip() or "{}", {}, [Path.cwd().resolve()])
        print(next_commands(write_wandb_sweep(
            args.config, checked, sweep.directory, overrides=changes, include_packages=args.include_package
        )))  # fmt: skip
        return 0
    with contextlib.ExitStack() as stack:
        if args.ray is not None:
            from luke_tasks.sweeps.ray_tune import ray_trials

            cluster = ray_trials(sweep.directory, workers=args.workers, address=args.ray or None)
            sweep.launch = stack.enter_context(cluster)
        result = sweep.run(lambda found: print(*results.report(found), sep="\n"))
    best = result.best()
    if best is None:
        raise TrainingError(f"{sweep.directory}: no trial is complete; see the errors above and trials/*.log in it")
    logger.info("best trial: %d; as a config: %s", best.number, sweep.directory / "best.jsonnet")
    return 0
