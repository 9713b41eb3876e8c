"""One run of a Weights & Biases agent: `python -m luke_tasks.sweeps.wandb_run CONFIG -s DIR PARAMETERS`.

It is `luke-tasks train` with the agent's parameters laid over the config and the `wandb` callback switched on, in a
directory of its own that bears W&B's id of the run. (The agent fills in `${envvar:WANDB_RUN_ID}` before it sets that
variable, so the sweep's command line cannot name the directory.) A run that W&B resumes goes on in its directory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luke_tasks.__main__ import main as run_command
from luke_tasks.config import load_config
from luke_tasks.errors import LukeTasksError
from luke_tasks.sweeps.wandb_sweep import override_paths

RUNS = "wandb_runs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the agent says. Returns the exit status of `train`."""
    parser = argparse.ArgumentParser(prog="python -m luke_tasks.sweeps.wandb_run", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR")
    parser.add_argument("-o", "--overrides", default="{}", metavar="JSON")
    parser.add_argument("--include-package", action="append", default=[], metavar="NAME")
    parser.add_argument("parameters", help="the agent's ${args_json}")
    args = parser.parse_args(arguments)
    try:
        changes = {**json.loads(args.overrides), **override_paths(json.loads(args.parameters))}
        command = train_command(args.config, Path(args.serialization_dir), changes, args.include_package)
    except (LukeTasksError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return run_command(command)


def train_command(config: str, directory: Path, changes: dict[str, Any], include_packages: Sequence[str]) -> list[str]:
    """The arguments of `luke-tasks` for one run.

    Args:
        changes: laid over the config.
    Raises:
        LukeTasksError: this is no run of an agent; ConfigError where the config cannot be read.
    """
    run_id = os.environ.get("WANDB_RUN_ID")
    if not run_id:
        raise LukeTasksError("WANDB_RUN_ID is not set: this is run by `wandb agent`; to train, use `luke-tasks train`")
    callbacks = load_config(config, json.dumps(changes)).values.get("trainer", {}).get("callbacks") or []
    if not any(_type(callback) == "wandb" for callback in callbacks):
        changes = {**changes, "trainer.callbacks": [*callbacks, {"type": "wandb"}]}
    run_dir = directory / RUNS / run_id
    packages = [argument for name in include_packages for argument in ("--include-package", name)]
    recover = ["-r"] if run_dir.is_dir() and any(run_dir.iterdir()) else []
    return ["train", config, "-s", str(run_dir), "-o", json.dumps(changes), *packages, *recover]


def _type(callback: object) -> object:
    return callback.get("type") if isinstance(callback, dict) else callback


if __name__ == "__main__":
    sys.exit(main())
