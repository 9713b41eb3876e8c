"""Train a model as a config file describes it."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import add_change_arguments
from luke_tasks.commands._launch import check_launch, launch
from luke_tasks.commands._logging import (
    close_log_files,
    log_to_file,
    log_to_file_only,
    log_to_terminal,
    log_warnings,
)
from luke_tasks.commands._run_dir import check_run_dir, made_run_dir
from luke_tasks.commands._start import checked_config
from luke_tasks.errors import Interrupted, LukeTasksError
from luke_tasks.training.interrupts import exit_status_of
from luke_tasks.training.processes import Processes
from luke_tasks.training.run_lock import check_unlocked

if TYPE_CHECKING:
    from luke_tasks.experiment import Experiment

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR", help="where the run is kept")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("-f", "--force", action="store_true", help="replace the run that is in DIR")
    existing.add_argument("-r", "--recover", action="store_true", help="go on with the run that is in DIR")
    add_change_arguments(parser, '{"trainer.num_epochs": 1}')
    parser.add_argument("--dry-run", action="store_true", help="check the config, read the data, build the model, stop")
    parser.add_argument("--file-friendly-logging", action="store_true", help="plain lines instead of live bars")
    parser.add_argument("--node-rank", type=int, default=0, metavar="N",
                        help="which machine this is, from 0 on, of distributed.num_nodes")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Check, start processes or be one of them, train, archive."""
    processes = Processes.from_environment()
    if processes.are_many:  # torch's C++ warns, in each process, that weights which may lack gradients lacked none
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    log_to_terminal(processes.rank)
    try:
        return _run(args, processes)
    except (LukeTasksError, OSError) as error:
        if processes.is_reported(error):
            return getattr(error, "exit_status", 1)
        raise
    finally:
        processes.leave()


def _run(args: argparse.Namespace, processes: Processes) -> int:
    config = checked_config(args)
    from luke_tasks import experiment

    run_dir = Path(args.serialization_dir)
    is_launcher = check_launch(config.parts, processes, args.node_rank)
    if processes.is_main and args.node_rank == 0 and not args.dry_run:
        check_unlocked(run_dir)
        check_run_dir(run_dir, config.resolved, force=args.force, recover=args.recover)
    if is_launcher and not args.dry_run:
        assert config.parts.distributed is not None
        return launch(config.parts.distributed, args.command_line, node_rank=args.node_rank, debug=args.debug)
    built = experiment.build(config, Processes() if is_launcher else processes)
    if args.dry_run:
        loaders = (config.parts.data_loader, config.parts.validation_data_loader)
        but = " but the cache of features" if any(one is not None and one.cache_dir for one in loaders) else ""
        logger.info("dry run: everything is read and built; nothing is trained or written%s", but)
        return 0
    if not processes.is_main:
        log_warnings()
        _train(built, run_dir, recover=args.recover, plain_progress=True)
        return 0
    with made_run_dir(run_dir, config.resolved, force=args.force, recover=args.recover):
        # from here on: what was wrong with the request has been said
        log_to_file(run_dir)
        try:
            metrics = _train(built, run_dir, recover=args.recover, plain_progress=args.file_friendly_logging)
            print(json.dumps(metrics, indent=2, ensure_ascii=False))
            logger.info("archive: %s", run_dir / "model.tar.gz")
        except BaseException as error:
            log_to_file_only(f"{type(error).__name__}: {error}")
            raise
        finally:
            close_log_files()
    return 0


def _train(built: Experiment, run_dir: Path, *, recover: bool, plain_progress: bool) -> dict[str, Any]:
    """Raises TrainingError and Interrupted besides what `Experiment.train` raises: they say how to go on."""
    from luke_tasks.training.write_faults import explained_writes, last_checkpoint

    with explained_writes(run_dir), built.processes.losses_explained():
        try:
            metrics = built.train(run_dir, recover=recover, plain_progress=plain_progress)
            built.processes.exchange([])  # none ends while rank 0 writes: a launcher would end it with the others
            return metrics
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted; {last_checkpoint(run_dir)}; go on with the same command and -r (in place of -f)",
                exit_status_of(error),
            ) from None
