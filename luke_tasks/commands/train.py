"""Train a model as a config file describes it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from luke_tasks.commands._arguments import add_import_argument
from luke_tasks.commands._logging import log_to_file, log_to_file_only, log_to_terminal
from luke_tasks.commands._start import no_garbage_collection
from luke_tasks.errors import ConfigError, Fault, LukeTasksError, describe, join_path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR", help="where the run is kept")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("-f", "--force", action="store_true", help="replace the run that is in DIR")
    existing.add_argument("-r", "--recover", action="store_true", help="go on with the run that is in DIR")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON",
                        help='changes to the config, e.g. \'{"trainer.num_epochs": 1}\'')  # fmt: skip
    add_import_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="check the config, read the data, build the model, stop")
    parser.add_argument("--file-friendly-logging", action="store_true", help="plain lines instead of live bars")
    parser.add_argument("--node-rank", type=int, default=0, help="of a run over several machines (only 0 so far)")


def run(args: argparse.Namespace) -> int:
    """Check, train, archive."""
    log_to_terminal()
    if args.node_rank != 0:
        raise LukeTasksError(f"--node-rank {args.node_rank}: training runs in one process so far; leave it out")
    from luke_tasks.config import load_config

    loaded = load_config(
        args.config, args.overrides, allow_imports=args.allow_imports
    )  # a file that is no config is refused before torch is loaded
    with no_garbage_collection():
        from luke_tasks import experiment

    config = experiment.check_config(loaded.values, loaded.faults, args.include_package, for_training=True)
    run_dir = Path(args.serialization_dir)
    if not args.dry_run:
        check_run_dir(run_dir, config.resolved, force=args.force, recover=args.recover)
    built = experiment.build(config)
    if args.dry_run:
        logger.info("dry run: everything is read and built; nothing is trained or written")
        return 0
    make_run_dir(run_dir, force=args.force)  # from here on: what was wrong with the request has been said
    log_to_file(run_dir)
    try:
        metrics = built.train(run_dir, recover=args.recover, plain_progress=args.file_friendly_logging)
    except BaseException as error:
        log_to_file_only(f"{type(error).__name__}: {error}")
        raise
    print(json.dumps(metrics, indent=2, ensure_ascii=False))
    logger.info("archive: %s", run_dir / "model.tar.gz")
    return 0


def check_run_dir(run_dir: Path, resolved: dict[str, object], *, force: bool, recover: bool) -> None:
    """See that a run may use this directory.

    Raises:
        LukeTasksError: there is something in it and neither `force` nor `recover` was given, or it is no run.
        ConfigError: recovering with another config than the run's.
    """
    if run_dir.exists() and not run_dir.is_dir():
        raise LukeTasksError(f"{run_dir}: is a file; expected a directory for -s")
    parent = next(folder for folder in run_dir.absolute().parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        why = "is not a directory" if not parent.is_dir() else "may not be written to"
        raise LukeTasksError(f"{run_dir}: cannot be made, for {parent} {why}")
    occupied = run_dir.is_dir() and any(run_dir.iterdir())
    if occupied and not _is_run(run_dir):
        advice = "-f would delete it; remove it yourself, or choose another -s" if force else "choose another -s"
        raise LukeTasksError(f"{run_dir}: does not look like a run (no config.json with out.log in it); {advice}")
    if occupied and not (force or recover):
        raise LukeTasksError(f"{run_dir}: the directory is not empty; -r goes on with the run in it, "
                             "-f replaces it, or choose another -s")  # fmt: skip
    if recover and not occupied:
        raise LukeTasksError(f"{run_dir}: there is no run to go on with; leave -r out to start one")
    if recover and (run_dir / "config.json").exists():
        from luke_tasks.training.archive import read_config

        _check_same_config(read_config(run_dir / "config.json"), resolved)


def make_run_dir(run_dir: Path, *, force: bool) -> None:
    """Make the directory, removing the run in it when `force` says so. Raises LukeTasksError when it cannot."""
    try:
        if force and run_dir.exists():
            shutil.rmtree(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LukeTasksError(f"{run_dir}: cannot be made: {error.strerror}") from None


def _is_run(directory: Path) -> bool:
    """Whether a training made this directory: it begins with the log, then writes the config."""
    names = {path.name for path in directory.iterdir()}
    return names == {"out.log"} or ("config.json" in names and not names.isdisjoint({"out.log", "meta.json"}))


def _check_same_config(old: dict[str, object], new: dict[str, object]) -> None:
    faults = list(_differences(old, new, ""))
    if faults:
        advice = "goes on with the same config only; undo these changes, or start a new run with another -s"
        raise ConfigError([*faults, Fault("--recover", advice)])


def _differences(old: object, new: object, path: str) -> Iterator[Fault]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), join_path(path, key))
    elif old != new:
        yield Fault(path, f"was {describe(old)} in the run to be recovered, is {describe(new)} now")
