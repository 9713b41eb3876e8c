"""Write a config of studio-ousia/luke's examples (AllenNLP) in this project's form."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import fields
from pathlib import Path

from luke_tasks.commands._arguments import add_import_argument, check_output_files
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files."""
    parser.add_argument("old", help="the Jsonnet or JSON file of the original")
    parser.add_argument("new", help="the file to write")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the config")
    parser.add_argument("-f", "--force", action="store_true", help="replace NEW if it is there")
    add_import_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Read, translate, check, write; imports and environment variables are written as the values they have now."""
    log_to_terminal()
    new = Path(args.new)
    check_output_files([args.new])
    if new.exists() and not args.force:
        raise LukeTasksError(f"{new}: is there already; -f replaces it")
    from luke_tasks.config import load_config
    from luke_tasks.experiment_config import ExperimentConfig, check_config
    from luke_tasks.interop import upstream_config

    loaded = load_config(args.old, args.overrides, allow_imports=args.allow_imports)
    if not upstream_config.is_upstream(loaded.values):
        raise LukeTasksError(f"{args.old}: no config of studio-ousia/luke's examples (its model has no "
                             "feature_extractor or embedder): it needs no conversion")  # fmt: skip
    check_config(loaded.values, loaded.faults, args.include_package, for_training=False)
    translation = upstream_config.translate(loaded.values)
    assert translation.values is not None  # checked above
    values = {key.name: translation.values[key.name] for key in fields(ExperimentConfig)
              if key.name in translation.values}  # fmt: skip
    with replacing(new) as partial:
        partial.write_text(_header(args.old, new) + json.dumps(values, indent=2, ensure_ascii=False) + "\n",
                           encoding="utf-8")  # fmt: skip
    translation.log()
    logger.info("written: %s", new)
    return 0


def _header(old: str, new: Path) -> str:
    """Where it comes from, as a comment; JSON has none."""
    if new.suffix == ".json":
        return ""
    return (
        f"// {Path(old).name} of studio-ousia/luke's examples, by `luke-tasks convert-config`.\n"
        "// Environment variables and imports stand as the values they had then.\n"
    )
