"""Show a run, or several side by side, as one HTML page: curves, tables, the errors in their text."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from luke_tasks.commands._arguments import add_batch_arguments, check_batch_arguments, check_output_files
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError

if TYPE_CHECKING:
    from luke_tasks.report.run import Run

logger = logging.getLogger(__name__)
_MOST_ERRORS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, where to, and how much."""
    parser.add_argument("directories", nargs="+", metavar="DIR", help="the directory of a run (-s of train)")
    parser.add_argument("--output", metavar="FILE", help="the page (default: DIR/report.html; of several: here)")
    parser.add_argument("--data", metavar="FILE",
                        help="labelled data to show the errors of (default: the config's validation data)")  # fmt: skip
    parser.add_argument("--no-predictions", action="store_true",
                        help="run no model: no tables of labels, no errors")  # fmt: skip
    parser.add_argument("--errors", type=int, default=_MOST_ERRORS, metavar="N",
                        help=f"errors that the page shows at most (default {_MOST_ERRORS})")  # fmt: skip
    parser.add_argument("--cuda-device", type=int, metavar="N",
                        help="a GPU's index, -1: the CPU (default: a GPU if any)")  # fmt: skip
    add_batch_arguments(parser, "windows run at once (default: the config's, where --max-tokens is not given either)")


def run(args: argparse.Namespace) -> int:
    """Read the runs, run their models where their answers are not stored yet, write the page."""
    log_to_terminal()
    check_batch_arguments(args)
    if args.errors < 0:
        raise LukeTasksError(f"--errors: expected 0 or more, found {args.errors}")
    if args.data is not None and args.no_predictions:
        raise LukeTasksError("--data and --no-predictions: give one of them")
    directories = list({Path(name).resolve(): Path(name) for name in args.directories}.values())  # each once
    output = Path(args.output or (directories[0] / "report.html" if len(directories) == 1 else "report.html"))
    from luke_tasks.report.run import names_of, read_run

    runs = [read_run(path, name) for path, name in zip(directories, names_of(directories), strict=True)]
    check_output_files([str(output)], read=_read_files(runs, args.data))
    if not args.no_predictions:
        from luke_tasks.report.predicting import WEIGHTS_NAME, answers_of, validation_file

        files = [validation_file(one.directory, one.config, args.data) for one in runs]
        for one, data in zip(runs, files, strict=True):
            if data is None:
                logger.warning("%s: its config names no validation data; --data FILE shows the errors of a file",
                               one.directory)  # fmt: skip
            elif not (one.directory / WEIGHTS_NAME).exists():
                logger.warning("%s: has no weights yet (%s); the page shows no errors of it", one.directory,
                               WEIGHTS_NAME)  # fmt: skip
            else:
                one.answers = answers_of(one.directory, data, args)
    from luke_tasks.report.page import write_report

    write_report(runs, output, most_errors=args.errors)
    logger.info("%s (%.0f kB)", output, output.stat().st_size / 1e3)
    return 0


def _read_files(runs: Iterable[Run], data: str | None) -> list[str]:
    """What the page must not replace: the runs' own files and the data."""
    own = [str(path) for one in runs for path in one.directory.iterdir() if path.suffix != ".html"]
    return own + [name for name in (data, *(one.config.get("validation_data_path") for one in runs)) if name]
