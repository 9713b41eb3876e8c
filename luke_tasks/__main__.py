"""The command line: `luke-tasks COMMAND ...`, also installed as `allennlp`. Each file of `commands/` is a command.

A command module is light to import; what it needs (torch, ...) is imported when it runs.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import logging
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from luke_tasks import __version__, commands
from luke_tasks.errors import LukeTasksError
from luke_tasks.training.interrupts import exit_status_of, raised_signals
from luke_tasks.training.processes import launched_with_others, rank_named


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted.

    143 is for SIGTERM, as 130 is for SIGINT. Both are errors like others: no half of a file is left.
    """
    status = _run(arguments)
    if arguments is None:  # as a program, not as a function
        _end_if_callbacks_hang(status)
        _end_if_one_of_many(status)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    args = make_parser().parse_args(arguments)
    args.command_line = list(sys.argv[1:] if arguments is None else arguments)
    if not hasattr(args, "run"):
        make_parser().print_help()
        return 0
    try:
        with raised_signals():
            status: int = args.run(args)
            return status
    except (LukeTasksError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone (`... | head`)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if args.debug:
            traceback.print_exc()
        else:
            print(_lines(error), file=sys.stderr)
        return getattr(error, "exit_status", 1)
    except KeyboardInterrupt as error:
        if not rank_named():
            print("interrupted", file=sys.stderr)
        return exit_status_of(error)


def _end_if_callbacks_hang(status: int) -> None:
    """What a callback's library does at exit could wait for the same thing as the call that hangs: end without it."""
    callback = sys.modules.get("luke_tasks.training.callbacks.callback")
    if callback is None or not callback.callbacks_hang():
        return
    import psutil

    for child in psutil.Process().children(recursive=True):  # its helpers, such as wandb's
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_if_one_of_many(status: int) -> None:
    """End a process of several without taking the interpreter down.

    Threads of torch.distributed may outlive the group of processes that they served: a tensor or a module that refers
    to it keeps it. One of them that then wants a Python that is gone aborts the process (before Python 3.14).
    """
    if "torch" not in sys.modules or not launched_with_others():
        return
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _lines(error: Exception) -> str:
    """An error as a user sees it. One of the system (no room on the disk, no permission) names the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    rank = rank_named()
    return "\n".join(f"rank {rank}: {line}" for line in str(error).splitlines()) if rank else str(error)


def make_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="allennlp",
        description="Train, evaluate and use LUKE models from one Jsonnet file (luke-tasks; `allennlp` and "
        "`luke-tasks` are the same program).",
    )
    parser.add_argument("--version", action="version", version=f"luke-tasks {__version__}")
    commands_parser = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module in command_modules().items():
        summary = (module.__doc__ or "").strip().partition("\n")[0]
        command = commands_parser.add_parser(name, help=summary, description=summary)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add_argument(
            "--include-package",
            action="append",
            default=[],
            metavar="NAME",
            help="import this package of yours, whose classes register themselves (repeatable)",
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def command_modules() -> dict[str, ModuleType]:
    """Command name → module, found in the folder `commands/`."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__) if not module.name.startswith("_"))
    return {name.replace("_", "-"): importlib.import_module(f"luke_tasks.commands.{name}") for name in found}


if __name__ == "__main__":
    sys.exit(main())
