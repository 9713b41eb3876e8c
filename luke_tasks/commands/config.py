"""Show the resolved config, every default filled in, and where each value comes from."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import add_change_arguments
from luke_tasks.commands._colours import Colours
from luke_tasks.commands._logging import log_to_terminal

if TYPE_CHECKING:
    from luke_tasks.config_origins import Traced


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, and the form."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    add_change_arguments(parser)
    parser.add_argument("--json", action="store_true", help="a list of {path, value, source} instead of Jsonnet")


def run(args: argparse.Namespace) -> int:
    """Check, trace, print. What is printed without --json is a config itself, the sources being comments."""
    log_to_terminal()
    from luke_tasks.config_origins import trace

    traced = trace(args.config, args.overrides, args.include_package, allow_imports=args.allow_imports)
    if args.json:
        print(json.dumps([asdict(value) for value in traced.values()], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(traced, Colours.of_stdout())))
    return 0


def _lines(traced: Traced, colours: Colours) -> list[str]:
    """Jsonnet, a value a line, each with its source; lists of plain values from one line of a file in one."""
    lines: list[str] = []

    def add(node: Any, path: str, indent: str, key: str, end: str) -> None:
        source = _one_source(node)
        if source is not None:
            text = json.dumps(_plain(node), ensure_ascii=False)
            lines.append(f"{indent}{key}{text}{end}  {colours.dim(f'// {source}')}")
            return
        opening, closing = "{}" if isinstance(node, dict) else "[]"
        section = traced.sections.get(path)
        about = f"  {colours.dim(f'// {section.owner}, {section.file}')}" if section else ""
        lines.append(f"{indent}{key}{opening}{about}")
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for name, inner in items:
            inner_key = f"{json.dumps(name, ensure_ascii=False)}: " if isinstance(node, dict) else ""
            add(inner, _joined(path, name), f"{indent}  ", inner_key, ",")
        lines.append(f"{indent}{closing}{end}")

    add(traced.root, "", "", "", "")
    return lines


def _joined(path: str, name: str | int) -> str:
    from luke_tasks.errors import join_path

    return join_path(path, name)


def _one_source(node: Any) -> str | None:
    """Of a value, or of a list of values that all come from the same place."""
    if isinstance(node, dict):
        return None
    if isinstance(node, list):
        found = {_one_source(item) for item in node}
        return found.pop() if len(found) == 1 else None
    source: str = node.source
    return source.partition(" (")[0] if source.startswith("default of ") else source  # the file stands at the section


def _plain(node: Any) -> Any:
    return [_plain(item) for item in node] if isinstance(node, list) else node.value
