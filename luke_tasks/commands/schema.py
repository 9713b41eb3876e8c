"""Write a JSON Schema of the config language, with which editors complete and check keys."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from luke_tasks.commands._arguments import check_output_files
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.files import write_json

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("--output", metavar="FILE", help="default: standard output")


def run(args: argparse.Namespace) -> int:
    """From all registered classes, those of `--include-package` among them."""
    log_to_terminal()
    check_output_files([args.output])
    from luke_tasks.json_schema import config_schema
    from luke_tasks.registry import import_plugins

    import_plugins(args.include_package)
    schema = config_schema()
    if args.output is None:
        print(json.dumps(schema, indent=2, ensure_ascii=False))
    else:
        write_json(Path(args.output), schema)
        logger.info("written: %s", args.output)
    return 0
