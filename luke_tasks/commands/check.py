"""Check a config and all of its data before a run: every fault, sizes, memory and time; loads no weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from luke_tasks.commands._arguments import add_change_arguments
from luke_tasks.commands._start import checked_config
from luke_tasks.errors import LukeTasksError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `train` that say what the config is, and `--json`."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    add_change_arguments(parser, '{"train_data_path": "my.txt"}')
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
    config = checked_config(args)
    from luke_tasks.checks.check import check_data

    return check_data(config)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))
