"""Test the installation: versions, and a tiny model that is trained, scored and used; no network."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from luke_tasks import __version__
from luke_tasks.errors import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: what is tested is the same everywhere."""


def run(args: argparse.Namespace) -> int:
    """A line a check, with its time; 1 when one fails, with its cause."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    logger = logging.getLogger("luke_tasks")
    level = logger.level
    logger.setLevel(logging.ERROR)  # a line a check, and nothing else
    try:
        return _run(args)
    finally:
        logger.setLevel(level)


def _run(args: argparse.Namespace) -> int:
    print(f"luke-tasks {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    checks = Checks(debug=args.debug)
    checks.run("packages", _packages)
    if checks.run("torch", _torch):
        checks.run("jsonnet", _jsonnet)
        with tempfile.TemporaryDirectory(prefix="luke-tasks-") as folder:
            _run_trial(checks, Path(folder))
    _print_extras()
    failed = ", ".join(checks.failed)
    print(f"failed: {failed}" if failed else "all works")
    return 1 if failed else 0


class Checks:
    """Runs checks and prints a line for each.

    Args:
        debug: whether the traceback of a failure is shown.
    """

    def __init__(self, *, debug: bool) -> None:
        self.debug = debug
        self.failed: list[str] = []

    def run(self, name: str, check: Callable[[], str]) -> bool:
        """Whether it passed: it gives what to say, or raises."""
        start = time.monotonic()
        try:
            told, mark = check(), "ok"
        except Exception as error:  # whatever goes wrong is what this command is to find
            if self.debug:
                logging.getLogger(__name__).critical("%s", name, exc_info=True)
            told, mark = str(error) or type(error).__name__, "FAILED"
            if not isinstance(error, VersionError):
                told = f"{type(error).__name__}: {told}"
            self.failed.append(name)
        print(f"  {mark:<6} {name:<10} {time.monotonic() - start:5.1f} s  {printable(told)}", flush=True)
        return mark == "ok"


class VersionError(Exception):
    """A package is not there, or of another version than is needed."""


def _packages() -> str:
    from luke_tasks.install_check.versions import requirements

    found = requirements()
    wrong = [str(one) for one in found if not one.fits]
    if wrong:
        names = " ".join(f"'{one.requirement.name}{one.requirement.specifier}'" for one in found if not one.fits)
        raise VersionError(f"{'; '.join(wrong)}; install what fits: pip install {names}")
    return f"{len(found)} as needed: " + ", ".join(f"{one.requirement.name} {one.version}" for one in found[:2])


def _torch() -> str:
    """Whatever the commands import, and what torch runs on."""
    import torch

    import luke_tasks.experiment
    import luke_tasks.predictor  # noqa: F401

    if torch.cuda.is_available():
        gpus = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        device = f"CUDA {torch.version.cuda}: {gpus}"
    else:
        device = "no GPU" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}, but no GPU is seen"
    return f"{torch.__version__}, {device}; {torch.get_num_threads()} threads of {os.cpu_count()} cores"


def _jsonnet() -> str:
    from luke_tasks.config import evaluate_jsonnet

    values = evaluate_jsonnet("test", "{ a: 1 } + { b: self.a + 1 }", {}, [])
    if values != {"a": 1, "b": 2}:
        raise ValueError(f"expected a 1 and b 2, found {values}")
    return "configs are evaluated"


def _run_trial(checks: Checks, folder: Path) -> None:
    """Each step needs the one before."""
    from luke_tasks.install_check.trial import Trial

    trial = Trial(folder)
    steps = {"build": trial.make, "train": trial.train, "evaluate": trial.evaluate, "predict": trial.predict}
    for name, step in steps.items():
        if not checks.run(name, step):
            return


def _print_extras() -> None:
    """Which extras are installed, and what each other would give."""
    try:
        from luke_tasks.install_check.versions import EXTRAS, requirements

        found = {extra: requirements(extra) for extra in EXTRAS}
    except (ImportError, LookupError):  # the first check has said so
        return
    print("extras:")
    for extra, what in EXTRAS.items():
        missing = [str(one) for one in found[extra] if not one.fits]
        print(f"  {'ok' if not missing else '-':<6} {extra:<12} {what}")
        if missing:
            print(f"{'':<9}{'; '.join(missing)}: pip install 'luke-tasks[{extra}]'")
