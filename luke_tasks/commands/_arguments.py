"""What several commands ask for and check in the same way."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from luke_tasks.errors import DataError, LukeTasksError


def add_archive_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the commands that load a trained model."""
    parser.add_argument("archive", help="a model.tar.gz, the directory of a run, or a fine-tuned LUKE of "
                        "Hugging Face (its folder or hub name)")  # fmt: skip
    parser.add_argument("--weights-file", metavar="FILE", help="weights to use instead of the archive's")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the archive's config")
    parser.add_argument(
        "--cuda-device", type=int, metavar="N", help="a GPU's index, -1: the CPU (default: a GPU if any)"
    )


def add_change_arguments(parser: argparse.ArgumentParser, example: str = "") -> None:
    """Of the commands that read one config file and may change it; see `_start.checked_config`.

    Args:
        example: of a change, as JSON.
    """
    shown = f", e.g. '{example}'" if example else ""
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help=f"changes to the config{shown}")
    add_import_argument(parser)


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """Of the commands that read a config file."""
    parser.add_argument("--allow-imports", action="append", default=[], metavar="DIR",
                        help="a folder that the config may import from, besides its own, the `configs` folder and the "
                             "project it lies in (repeatable)")  # fmt: skip


def add_batch_arguments(parser: argparse.ArgumentParser, batch_size_help: str) -> None:
    """Of the commands that run a model: the size of its batches, and the precision."""
    parser.add_argument("--batch-size", type=int, metavar="N", help=batch_size_help)
    parser.add_argument("--max-tokens", type=int, metavar="N",
                        help="word pieces and entities run at once, padding included: long windows in small batches, "
                             "short ones in large; with --batch-size both limits hold")  # fmt: skip
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                        help="numbers the model computes with (default fp32); bf16 is faster where the processor has "
                             "it, and rounds: the third digit of a score may change")  # fmt: skip


def check_batch_arguments(args: argparse.Namespace) -> None:
    """Raises LukeTasksError when one is not positive."""
    for flag, value in (("--batch-size", args.batch_size), ("--max-tokens", args.max_tokens)):
        if value is not None and value < 1:
            raise LukeTasksError(f"{flag}: expected a positive number, found {value}")


def check_input_file(name: str, expected: str) -> None:
    """Raises DataError when there is no file of this name (a pipe will do)."""
    if Path(name).is_dir():
        raise DataError(f"{name}: is a directory; expected {expected}")
    if not Path(name).exists():
        raise DataError(f"{name}: no such file; expected {expected}")


def check_output_files(names: Iterable[str | None], *, read: Iterable[str] = ()) -> None:
    """Raises LukeTasksError when one of them could not be written, before any work is done for it.

    Args:
        read: files that the command reads, which none of its own may replace.
    """
    inputs = {Path(name).resolve() for name in read}
    for name in names:
        if name and Path(name).resolve() in inputs:
            raise LukeTasksError(f"{name}: is read by this command and would be replaced; choose another name to write")
        if name and Path(name).is_dir():
            raise LukeTasksError(f"{name}: is a directory; expected the name of a file to write")
        if name and not Path(name).parent.is_dir():
            raise LukeTasksError(f"{name}: cannot be written, for there is no directory {Path(name).parent}")
