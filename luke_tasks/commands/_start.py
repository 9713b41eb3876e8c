"""How a command gets going."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luke_tasks.experiment_config import CheckedConfig
    from luke_tasks.trained import Trained


def load_model(args: argparse.Namespace) -> Trained:
    """The model that `add_archive_arguments` asks for. Raises as `luke_tasks.trained.load_trained`."""
    with no_garbage_collection():
        import luke_tasks.predictor  # noqa: F401  what the command imports next
        from luke_tasks.trained import load_trained

        return load_trained(
            args.archive, overrides=args.overrides, include_packages=args.include_package,
            weights_file=args.weights_file,
        )  # fmt: skip


def checked_config(args: argparse.Namespace) -> CheckedConfig:
    """The config to train by that the arguments name. Raises as `luke_tasks.experiment.check_config`."""
    from luke_tasks.config import load_config

    # A file that is no config is refused before torch is loaded.
    loaded = load_config(args.config, args.overrides, allow_imports=args.allow_imports)
    with no_garbage_collection():
        from luke_tasks import experiment
    return experiment.check_config(loaded.values, loaded.faults, args.include_package, for_training=True)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Around the imports of a command and the loading of its model, in a process that has not loaded torch yet.

    All of it stays, yet Python would go through it for garbage many times over: a fifth of the start. What is there at
    the end is left out of later collections, too.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
