"""Count the examples of a config's data files, and the windows that a model reads of them."""

from __future__ import annotations

import argparse
import json

from luke_tasks.commands._arguments import add_change_arguments
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import checked_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As AllenNLP's, and `--json`."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    add_change_arguments(parser)
    parser.add_argument("--json", action="store_true", help="write the numbers as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Read and encode every file; the first fault ends it, as in `train`."""
    log_to_terminal()
    config = checked_config(args)
    from luke_tasks.checks.counts import count_instances
    from luke_tasks.checks.text import table

    counts = count_instances(config.parts)
    if args.json:
        print(json.dumps(counts, indent=2))
        return 0
    rows = [[name, *(f"{number:,}" for number in found.values())] for name, found in counts.items()]
    for line in table(["", *next(iter(counts.values()))], rows):
        print(line)
    return 0
