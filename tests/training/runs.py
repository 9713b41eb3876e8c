"""Helpers: run a training, in this process or another, and look at what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from luke_tasks.__main__ import main
from luke_tasks.training.run_log import LOG_NAME, read_log


def train(config: Path, run_dir: Path, *flags: str, overrides: dict[str, Any] | None = None) -> int:
    """`allennlp train` in this process; the exit status."""
    extra = ["-o", json.dumps(overrides)] if overrides else []
    return main(["train", str(config), "-s", str(run_dir), "--file-friendly-logging", *extra, *flags])


def spawn(config: Path, run_dir: Path, *flags: str, overrides: dict[str, Any] | None = None) -> subprocess.Popen[str]:
    """The same in a process of its own, on one thread."""
    extra = ["-o", json.dumps(overrides)] if overrides else []
    command = [sys.executable, "-m", "luke_tasks", "train", str(config), "-s", str(run_dir), *flags, *extra]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)  # fmt: skip


def steps(run_dir: Path) -> list[dict[str, Any]]:
    """The logged steps, without what a clock decides."""
    if not (run_dir / LOG_NAME).exists():
        return []
    clocked = ("event", "time", "words_per_second")
    return [{key: value for key, value in event.items() if key not in clocked}
            for event in read_log(run_dir) if event["event"] == "step"]  # fmt: skip


def metrics(run_dir: Path) -> dict[str, Any]:
    """`metrics.json` without what a clock or the machine decides."""
    content: dict[str, Any] = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if not key.endswith(("duration", "memory_MB"))}


def assert_same_weights(a: Path, b: Path) -> None:
    """Bit for bit."""
    first, second = load_file(a), load_file(b)
    assert first.keys() == second.keys()
    different = [name for name in first if not first[name].equal(second[name])]
    assert not different
