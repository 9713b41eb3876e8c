"""Print the best values that `tune` has found, as NAME=VALUE."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plugin's flags."""
    add_study_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the study."""
    from luke_tasks.sweeps.study import best_values

    print(" ".join(f"{name}={value}" for name, value in best_values(args.storage, args.study_name, Path()).items()))
    return 0


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study."""
    parser.add_argument("--study-name", metavar="NAME", help="default: the only study in the storage")
    parser.add_argument("--storage", default="sqlite:///allennlp_optuna.db", metavar="URL",
                        help="default sqlite:///allennlp_optuna.db")  # fmt: skip
