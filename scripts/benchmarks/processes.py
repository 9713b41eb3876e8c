"""Measuring in processes of their own: their memory, and runs of this script for one measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.options import ROOT

MEGABYTE = 1e6


def in_own_process(suite: str, job: dict[str, Any]) -> Any:
    """What the `child` function of a suite's module makes of `job` in a fresh process; both are JSON."""
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), suite, "--child", json.dumps(job)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def resident() -> float:
    """Memory of this process now, in megabytes."""
    import psutil

    return float(psutil.Process().memory_info().rss) / MEGABYTE


def peak_resident() -> float:
    """The most memory this process has held so far, in megabytes.

    Not `ru_maxrss` where it can be helped: on Linux that begins with what the parent process held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024 / MEGABYTE  # KiB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) * (1 if sys.platform == "darwin" else 1024) / MEGABYTE
