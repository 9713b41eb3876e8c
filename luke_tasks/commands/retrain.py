"""Train a config with the best values that `tune` has found."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from luke_tasks.commands import best_params, train
from luke_tasks.commands._logging import log_to_terminal

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `train`, and which study."""
    train.add_arguments(parser)
    best_params.add_study_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Set the variables, then as `train`."""
    log_to_terminal()
    from luke_tasks.sweeps.study import best_values
    from luke_tasks.sweeps.tune import as_variables

    found = as_variables(best_values(args.storage, args.study_name, Path()))
    logger.info("with %s", " ".join(f"{name}={value}" for name, value in found.items()))
    os.environ.update(found)
    return train.run(args)
