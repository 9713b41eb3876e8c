"""Count the examples of a config's data files, and the windows that a model reads of them."""

from __future__ import annotations

import argparse
import json

from luke_tasks.commands._arguments import add_import_argument
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import no_garbage_collection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As AllenNLP's, and `--json`."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the config")
    add_import_argument(parser)
    parser.add_argument("--json", action="store_true", help="write the numbers as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Read and encode every file; the first fault ends it, as in `train`."""
    log_to_terminal()
    from luke_tasks.config import load_config

    loaded = load_config(args.config, args.overrides, allow_imports=args.allow_imports)
    with no_garbage_collection():
        from luke_tasks.checks.text import table
        from luke_tasks.experiment_config import check_config

    config = check_config(loaded.values, loaded.faults, args.include_package, for_training=True)
    from luke_tasks.checks.counts import count_instances

    counts = count_instances(config.parts)
    if args.json:
        print(json.dumps(counts, indent=2))
        return 0
    rows = [[name, *(f"{number:,}" for number in found.values())] for name, found in counts.items()]
    for line in table(["", *next(iter(counts.values()))], rows):
        print(line)
    return 0
