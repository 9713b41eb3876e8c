"""What the scripts that make sample data share: writing the files, or comparing them with those on disk."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path


def write_or_check(files: Mapping[Path, str], *, check: bool) -> int:
    """Write each path's content, or with `check` say which differ. Returns the exit status."""
    differ = []
    for path, content in files.items():
        if check and (not path.exists() or path.read_bytes() != content.encode("utf-8")):
            differ.append(str(path))
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode("utf-8"))
    print("\n".join(f"{path}: not what would be written" for path in differ) or "the files are up to date")
    return 1 if differ else 0


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of such a script."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--check", action="store_true", help="compare with the files on disk, write nothing")
    return made
