"""Evaluates one Jsonnet program; run by `jsonnet.py` as a process of its own, without anything else of this package.

In: a JSON object on stdin (see `jsonnet.evaluate`). Out: one on stdout, `{"output": ...}` or `{"error": ...}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Read the request, evaluate under its limits, answer."""
    request: dict[str, Any] = json.load(sys.stdin)
    sys.path.append(request["library"])  # started without the packages' paths: half the time
    import _jsonnet

    _limit(request["seconds"], request["megabytes"])
    try:
        output = _jsonnet.evaluate_snippet(
            request["name"],
            request["text"],
            ext_vars=request["variables"],
            import_callback=_importer(request["folders"]),
        )
        answer = {"output": output} if len(output) <= request["most_output"] else {"too_long": len(output)}
    except UnicodeDecodeError as error:  # Jsonnet's message was cut amid a character
        answer = {"error": error.object.decode("utf-8", "replace")}
    except (RuntimeError, ValueError) as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


def _importer(folders: list[str]) -> Callable[[str, str], tuple[str, bytes]]:
    """Opens what the program imports, inside of `folders` only; links are followed before that is looked at."""

    def open_import(folder: str, name: str) -> tuple[str, bytes]:
        path = os.path.join(folder, name)
        target = os.path.realpath(path)
        if not any(os.path.commonpath([target, allowed]) == allowed for allowed in folders):
            raise RuntimeError(f"{target} lies outside of {' and '.join(folders)}; --allow-imports DIR allows a folder")
        if not os.path.isfile(target):
            raise RuntimeError("no such file; imports are relative to the file they stand in")
        with open(target, "rb") as file:
            return path, file.read()

    return open_import


def _limit(seconds: int, megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's clock is left
        return
    for kind, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        within = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (within, hard))


if __name__ == "__main__":
    main()
