"""Predict on raw text, JSON lines, or a file of the dataset's format; one JSON object a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import (
    add_archive_arguments,
    add_batch_arguments,
    check_batch_arguments,
    check_input_file,
    check_output_files,
)
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import load_model
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import replacing

if TYPE_CHECKING:
    from luke_tasks.readers.reader import Reader


_OF_A_FILE = 512  # inputs of a file that are read before the first of them is answered


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags."""
    add_archive_arguments(parser)
    parser.add_argument("input_file", help='lines of text or of JSON, e.g. {"text": "..."}; - is standard input')
    parser.add_argument("--use-dataset-reader", action="store_true", help="the input is in the dataset's own format")
    parser.add_argument("--output-file", metavar="FILE", help="write here instead of standard output")
    add_batch_arguments(parser, "windows run at once (default 32); 1 answers each line as it comes")
    parser.add_argument("--silent", action="store_true", help="print nothing on standard output")


def run(args: argparse.Namespace) -> int:
    """Load, predict, print line by line."""
    log_to_terminal()
    check_batch_arguments(args)
    check_output_files([args.output_file])
    if args.input_file != "-":
        check_input_file(args.input_file, "a file of lines, or - for standard input")
    if args.input_file == "-" and args.use_dataset_reader:
        raise LukeTasksError("--use-dataset-reader reads a file, not standard input")
    trained = load_model(args)
    from luke_tasks.predictor import Predictor

    predictor = Predictor(
        trained, batch_size=args.batch_size, max_tokens=args.max_tokens, cuda_device=args.cuda_device,
        precision=args.precision,
    )  # fmt: skip
    reader = predictor.reader
    examples = reader.read(args.input_file) if args.use_dataset_reader else _parse_lines(reader, args.input_file)
    with ExitStack() as stack:
        out = None
        if args.output_file:
            out = stack.enter_context(
                stack.enter_context(replacing(Path(args.output_file))).open("w", encoding="utf-8")
            )
        # A file is there as a whole: the more of it is sorted by length, the less is padding. A stream's lines are
        # answered as soon as they make a batch.
        is_whole = args.batch_size != 1 and Path(args.input_file).is_file()
        at_once = max(_OF_A_FILE, args.batch_size or 0) if is_whole else None
        for _, prediction in predictor.predict_examples(examples, at_once=at_once):
            line = json.dumps(prediction.to_json(), ensure_ascii=False)
            if out is not None:
                out.write(line + "\n")
            elif not args.silent:
                print(line, flush=True)
    reader.report_dropped(args.input_file)
    return 0


def _parse_lines(reader: Reader, input_file: str) -> Iterator[Any]:
    """An example for each line that is not blank. Lines are UTF-8 whatever the terminal's own encoding is."""
    name = "standard input" if input_file == "-" else input_file
    with ExitStack() as stack:
        lines = sys.stdin.buffer if input_file == "-" else stack.enter_context(open(input_file, "rb"))
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
            except UnicodeDecodeError as error:
                shown = f"byte 0x{line[error.start]:02x}"
                raise DataError(f"{name}:{number}: {shown} is not UTF-8; save the text as UTF-8") from None
            if text.strip():
                yield reader.parse_line(text, f"{name}:{number}")
