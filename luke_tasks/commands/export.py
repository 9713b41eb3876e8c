"""Write a trained model in another form: lite, or ONNX."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import new_directory

# Format → the module whose `export(archive, out, ...)` fills a folder and says in a line what it wrote.
FORMATS = {"lite": "luke_tasks.interop.lite", "onnx": "luke_tasks.interop.onnx"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to export, where to, and as what."""
    parser.add_argument("archive", help="a model.tar.gz, or the directory of a run; for lite also a LUKE checkpoint")
    parser.add_argument("out", help="the folder to write")
    parser.add_argument(
        "--to",
        required=True,
        choices=FORMATS,
        help="lite: entity embeddings cut to the special entities; onnx: a graph",
    )
    parser.add_argument("--weights-file", metavar="FILE", help="weights to use instead of the archive's")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the archive's config")


def run(args: argparse.Namespace) -> int:
    """Load, write, print what was written."""
    log_to_terminal()
    out = Path(args.out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise LukeTasksError(f"{out}: exists already; name a new folder to write, or remove it")
    module = importlib.import_module(FORMATS[args.to])
    with new_directory(out) as partial:
        report = module.export(
            args.archive, partial, overrides=args.overrides, include_packages=args.include_package,
            weights_file=args.weights_file,
        )  # fmt: skip
        if out.exists():
            out.rmdir()
    print(f"{out}: {report}")
    return 0
