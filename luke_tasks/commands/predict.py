"""Predict on raw text, JSON lines, or files of the dataset's format; one JSON object a line."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import (
    add_archive_arguments,
    add_batch_arguments,
    check_batch_arguments,
    check_output_files,
)
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import load_model
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing

if TYPE_CHECKING:
    from luke_tasks.readers.reader import Reader

logger = logging.getLogger(__name__)
_OF_A_FILE = 512  # inputs of a file that are read before the first of them is answered
_BULK_FLAGS = ("shard_size", "retries", "ray", "ray_address", "workers", "cpus_per_worker")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags, and those of bulk prediction."""
    add_archive_arguments(parser)
    parser.add_argument("input_file", nargs="+",
                        help='lines of text or of JSON, e.g. {"text": "..."}; - is standard input; several files, '
                             "folders and patterns may be given")  # fmt: skip
    parser.add_argument("--use-dataset-reader", action="store_true", help="the input is in the dataset's own format")
    parser.add_argument("--output-file", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--html", metavar="FILE", help="also write a page that shows each prediction in its text")
    add_batch_arguments(parser, "windows run at once (default 32); 1 answers each line as it comes")
    parser.add_argument("--silent", action="store_true", help="print nothing on standard output")
    bulk = parser.add_argument_group(
        "bulk prediction", "One output a shard (a file, or a part of a long one); run again, it goes on where it ended."
    )
    bulk.add_argument("--output-dir", metavar="DIR", help="write DIR/NAME.jsonl for each input file")
    bulk.add_argument("--shard-size", type=int, metavar="N", help="lines of a shard (default 10000)")
    bulk.add_argument("--retries", type=int, metavar="N",
                      help="how often a shard is tried again when its worker died (default 2)")  # fmt: skip
    bulk.add_argument("--ray", action="store_true", default=None,
                      help="share the work out with Ray (pip install 'luke-tasks[ray]')")  # fmt: skip
    bulk.add_argument("--ray-address", metavar="ADDRESS",
                      help="the Ray cluster, as auto or ray://HEAD:10001; ARCHIVE, inputs and DIR must have the same "
                           "paths on all its nodes (default: RAY_ADDRESS, or else this machine alone)")  # fmt: skip
    bulk.add_argument("--workers", type=int, metavar="N",
                      help="processes with a model (default: one a GPU, or one a CPU where there is none)")  # fmt: skip
    bulk.add_argument("--cpus-per-worker", type=int, metavar="N", help="CPUs, and threads, of each (default 1)")


def run(args: argparse.Namespace) -> int:
    """Load, predict, print line by line; or into a folder, shard by shard."""
    log_to_terminal()
    check_batch_arguments(args)
    if args.output_dir is not None:
        return _run_bulk(args)
    for flag in _BULK_FLAGS:
        if getattr(args, flag) is not None:
            raise LukeTasksError(
                f"--{flag.replace('_', '-')} goes with --output-dir, where the predictions are written"
            )
    if args.html and args.output_file and Path(args.html).resolve() == Path(args.output_file).resolve():
        raise LukeTasksError(f"--html and --output-file: both are {args.html}; give each a name of its own")
    files = _input_files(args.input_file)
    check_output_files([args.output_file, args.html], read=[args.archive, *files])
    if "-" in files and args.use_dataset_reader:
        raise LukeTasksError("--use-dataset-reader reads a file, not standard input")
    trained = load_model(args)
    from luke_tasks.heads.shown import given_of
    from luke_tasks.pages.prediction_list import prediction_list
    from luke_tasks.predictor import Predictor

    predictor = Predictor(
        trained, batch_size=args.batch_size, max_tokens=args.max_tokens, cuda_device=args.cuda_device,
        precision=args.precision,
    )  # fmt: skip
    reader = predictor.reader
    with ExitStack() as stack:
        out = None
        if args.output_file:
            out = stack.enter_context(
                stack.enter_context(replacing(Path(args.output_file))).open("w", encoding="utf-8")
            )
        page = None
        if args.html:
            title = f"Predictions of {args.archive}"
            page = stack.enter_context(prediction_list(Path(args.html), title, reader.task))
        for name in files:
            examples = reader.read(name) if args.use_dataset_reader else _parse_file(reader, name)
            # A file is there as a whole: the more of it is sorted by length, the less is padding. A stream's lines are
            # answered as soon as they make a batch.
            is_whole = args.batch_size != 1 and Path(name).is_file()
            at_once = max(_OF_A_FILE, args.batch_size or 0) if is_whole else None
            for example, prediction in predictor.predict_examples(examples, at_once=at_once):
                values = prediction.to_json()
                line = json.dumps(values, ensure_ascii=False)
                if page is not None:
                    page.add(values, given_of(example))
                if out is not None:
                    out.write(line + "\n")
                elif not args.silent:
                    print(line, flush=True)
            reader.report_dropped(name)
    if page is not None:
        size = Path(args.html).stat().st_size / 1e3
        logger.info("predictions shown in %s: %d (%.0f kB)", args.html, page.count, size)
    return 0


def _input_files(names: list[str]) -> list[str]:
    from luke_tasks.bulk.shards import find_files

    expected = "a file of lines, or - for standard input"
    return [file for name in names for file in
            ([name] if name == "-" else [found.name for found in find_files([name], expected)])]  # fmt: skip


def _parse_file(reader: Reader, name: str) -> Iterator[Any]:
    """An example for each line that is not blank."""
    from luke_tasks.readers.raw_lines import parse_lines

    with ExitStack() as stack:
        lines = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
        yield from parse_lines(reader, lines, "standard input" if name == "-" else name)


def _run_bulk(args: argparse.Namespace) -> int:
    """Exit status 1 when a shard failed."""
    if "-" in args.input_file:
        raise LukeTasksError("standard input cannot be cut into shards; --output-dir goes with files")
    if args.output_file is not None:
        raise LukeTasksError("--output-file and --output-dir: give one of them")
    if args.html is not None:
        raise LukeTasksError("--html and --output-dir: give one of them; a page is made of one run's predictions")
    with_ray = args.ray or args.ray_address is not None
    for flag in ("workers", "cpus_per_worker"):
        value = getattr(args, flag)
        if value is not None and not with_ray:
            raise LukeTasksError(f"--{flag.replace('_', '-')} goes with --ray")
    from luke_tasks.bulk import RayOptions, predict_files

    optional = {"lines_per_shard": args.shard_size, "retries": args.retries}
    summary = predict_files(
        args.archive, args.input_file, args.output_dir, overrides=args.overrides,
        include_packages=args.include_package, weights_file=args.weights_file, batch_size=args.batch_size,
        max_tokens=args.max_tokens, cuda_device=args.cuda_device, precision=args.precision,
        use_dataset_reader=args.use_dataset_reader,
        ray=RayOptions(args.ray_address, args.workers, args.cpus_per_worker or 1) if with_ray else None,
        **{name: value for name, value in optional.items() if value is not None},
    )  # fmt: skip
    logger.info("%s", summary)
    for shard, error in summary.failed.items():
        logger.error("%s: failed: %s", shard, error)
    return 1 if summary.failed else 0
