"""Jsonnet programs, evaluated in a process of their own: one that never ends, or eats memory, takes nothing along.

The evaluator is C++: a program can make it overflow its stack or run out of memory, and neither Python nor Ctrl-C could
stop it here. What a program imports must lie in folders that are its own.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SECONDS = 60  # of one evaluation
MEGABYTES = 2048  # of address space
MOST_OUTPUT = 1 << 26  # characters of the values, as JSON
_CHILD = Path(__file__).with_name("jsonnet_child.py")
_PROJECT_MARKS = (".git", "pyproject.toml")


class JsonnetError(Exception):
    """What the evaluator says of a program, with its trace; or that it did not live to say anything."""


def import_folders(config: Path, allowed: Iterable[str | Path] = ()) -> list[Path]:
    """Where a config may import from: its own folder, the `configs` folder and the project it lies in, and `allowed`.

    A project is the nearest folder above that holds `.git` or `pyproject.toml`; the home directory and the root of the
    file system are none, whatever they hold.
    """
    folder = config.absolute().parent.resolve()
    home = Path.home().resolve()
    above = [parent for parent in (folder, *folder.parents) if parent not in (home, Path(parent.anchor))]
    configs = [parent for parent in above if parent.name == "configs"]
    projects = [parent for parent in above if any((parent / mark).exists() for mark in _PROJECT_MARKS)]
    found = [folder, *configs[:1], *projects[:1], *(Path(own).expanduser().resolve() for own in allowed)]
    return [one for one in dict.fromkeys(found)
            if not any(other != one and one.is_relative_to(other) for other in found)]  # fmt: skip


def evaluate(name: str, text: str, variables: Mapping[str, str], folders: Iterable[Path]) -> str:
    """The JSON that a program comes to.

    Args:
        name: its file, which imports are relative to.
        variables: external variables.
        folders: what it imports must lie in one of them.
    Raises:
        JsonnetError: it is no valid Jsonnet, fails, imports from elsewhere, or goes beyond the limits above.
    """
    library = importlib.util.find_spec("_jsonnet")
    assert library is not None and library.origin is not None  # a dependency
    request: dict[str, Any] = {
        "library": str(Path(library.origin).parent), "name": name, "text": text, "variables": dict(variables),
        "folders": [str(folder) for folder in folders], "seconds": SECONDS, "megabytes": MEGABYTES,
        "most_output": MOST_OUTPUT,
    }  # fmt: skip
    command = [sys.executable, "-I", "-S", str(_CHILD)]
    try:
        done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise JsonnetError(f"RUNTIME ERROR: not evaluated within {SECONDS} s; perhaps it never ends") from None
    if done.returncode:
        raise JsonnetError(f"RUNTIME ERROR: {_cause_of_death(done.returncode, done.stderr.decode('utf-8', 'replace'))}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "too_long" in answer:
        raise JsonnetError(f"RUNTIME ERROR: comes to {answer['too_long']:,} characters of JSON; a config has at most "
                           f"{MOST_OUTPUT:,}")  # fmt: skip
    if "error" in answer:
        raise JsonnetError(answer["error"])
    output: str = answer["output"]
    return output


def _cause_of_death(status: int, said: str) -> str:
    if "memory" in said or "MemoryError" in said or "bad_alloc" in said:
        return f"takes more than {MEGABYTES:,} MB of memory"
    if -status in (9, 24):  # SIGKILL after SIGXCPU
        return f"not evaluated within {SECONDS} s; perhaps it never ends"
    if status < 0:
        return "nested too deeply: the evaluator ran out of stack (a chain of thousands of operators, for one)"
    return f"the evaluator could not be run: {said.strip().rpartition(chr(10))[2] or f'exit status {status}'}"
