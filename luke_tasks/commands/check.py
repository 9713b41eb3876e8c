"""Check a config and all of its data before a run: every fault, sizes, memory and time; loads no weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from luke_tasks.commands._arguments import add_import_argument
from luke_tasks.commands._start import no_garbage_collection
from luke_tasks.errors import LukeTasksError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `train` that say what the config is, and `--json`."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON",
                        help='changes to the config, e.g. \'{"train_data_path": "my.txt"}\'')  # fmt: skip
    add_import_argument(parser)
    parser.add_argument("--json", action="store_true", help="write everything as one JSON object")


def run(args: argparse.Namespace) -> int:
    """0: no fault (there may be warnings). 1: faults in the data. 2: faults in the config."""
    try:
        report = _report(args)
    except LukeTasksError as error:
        if not args.json or args.debug:
            raise
        from luke_tasks.checks.check import config_faults

        _print_json({"config": args.config, "config_faults": config_faults(error)})
        return error.exit_status
    if args.json:
        _print_json({"config": args.config, "config_faults": [], **report})
    else:
        from luke_tasks.checks.text import report_lines

        for line in report_lines(report):
            print(line)
    return 1 if any(found["faults"] for found in report["sets"].values()) else 0


def _report(args: argparse.Namespace) -> dict[str, Any]:
    from luke_tasks.config import load_config

    loaded = load_config(args.config, args.overrides, allow_imports=args.allow_imports)
    with no_garbage_collection():
        from luke_tasks.checks.check import check_data
        from luke_tasks.experiment_config import check_config

    return check_data(check_config(loaded.values, loaded.faults, args.include_package, for_training=True))


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))
