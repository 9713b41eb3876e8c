"""Pages of the documentation that are made as it is built (a hook of mkdocs, named in mkdocs.yml).

The references are read off the program: config keys from the registry, commands from their argparse parsers. Other
pages are files of the repository's root, whose links are turned to where the pages are.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Files of the repository → pages. Their links to each other, and into docs/, are turned.
COPIED = {
    "MIGRATING.md": "migrating-keys.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "data/README.md": "data.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """mkdocs' event: the files of the site, to which the made ones are added."""
    from mkdocs.structure.files import File

    pages = {page: _copied(source) for source, page in COPIED.items()}
    pages |= {"reference/commands.md": commands_page(), "reference/config.md": config_page()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """mkdocs' event: links of the pages in docs/ to files outside of it."""
    return turned_links(markdown, f"docs/{page.file.src_uri}") if _is_written(page) else markdown


def _is_written(page: Any) -> bool:
    return (ROOT / "docs" / page.file.src_uri).is_file()


def _copied(source: str) -> str:
    return turned_links((ROOT / source).read_text(encoding="utf-8"), source)


def turned_links(text: str, source: str) -> str:
    """`text`, the content of a file of the repository, with links as they must be on the site.

    A link to a file that is a page leads to it. One to another file becomes its name, as code: the site has no such file.
    """
    folder = (ROOT / source).parent
    page = COPIED.get(source) or source.removeprefix("docs/")
    up = "../" * page.count("/")

    def turned(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        path = (folder / target).resolve()
        if path == ROOT / "README.md":
            return f"[{label}]({up}index.md)"
        for candidate in (path, path.with_suffix(".md")):
            if candidate.is_file() and candidate.is_relative_to(ROOT):
                name = candidate.relative_to(ROOT).as_posix()
                if name in COPIED:
                    return f"[{label}]({up}{COPIED[name]}{anchor})"
                if name.startswith("docs/"):
                    return f"[{label}]({up}{name.removeprefix('docs/')}{anchor})"
        if path.exists():
            return f"{label} (`{path.relative_to(ROOT).as_posix()}`)"
        return match[0]  # a made page, or a fault that mkdocs finds

    return _LINK.sub(turned, text)


# -- commands ---------------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its arguments, as its parser has them."""
    sys.path.insert(0, str(ROOT))
    from luke_tasks.__main__ import command_modules, make_parser

    parsers = next(action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
    lines = ["# Commands", "", "`luke-tasks` and `allennlp` are the same program. Exit status: 0 done, 1 the work "
             "failed, 2 the request was wrong, 130 interrupted by Ctrl-C, 143 by SIGTERM.", "",
             "Every command takes `--debug` (show the traceback of an error) and `--include-package NAME` (import this "
             "package of yours, whose classes register themselves; repeatable).", "", "| command | |", "|---|---|"]  # fmt: skip
    lines += [f"| [`{name}`](#{name}) | {_cell(parser.description)} |" for name, parser in parsers.items()]
    for name, module in command_modules().items():
        lines += ["", f"## {name}", "", *_paragraphs(module.__doc__ or ""), "", *_command_lines(parsers[name])]
    return "\n".join(lines) + "\n"


def _command_lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = argparse.HelpFormatter(prog=parser.prog.replace("allennlp", "luke-tasks"), width=100)
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    formatter.add_usage(None, shown, [])
    yield from ("```", *formatter.format_help().rstrip().splitlines(), "```")
    for group in parser._action_groups:
        own = [action for action in group._group_actions
               if action.help != argparse.SUPPRESS and not {"-h", "--debug", "--include-package"} & set(action.option_strings)]  # fmt: skip
        if not own:
            continue
        if group.title not in ("positional arguments", "options"):
            yield from ("", f"**{(group.title or '').capitalize()}.** {group.description or ''}")
        yield from ("", "| | |", "|---|---|")
        for action in own:
            yield f"| {_names(action)} | {_cell(_help(action, parser))} |"


def _names(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    return ", ".join(f"`{name} {value}`".replace(" `", "`").replace("|", "\\|") for name in action.option_strings)


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values = {**vars(action), "prog": parser.prog}
    return (action.help or "") % {key: value for key, value in values.items() if value is not argparse.SUPPRESS}


def _cell(text: str | None) -> str:
    """A text in a cell of a table: angle brackets and bars are letters."""
    return html.escape(" ".join((text or "").split()), quote=False).replace("|", "\\|")


def _paragraphs(docstring: str) -> list[str]:
    return [html.escape(line.strip(), quote=False) for line in docstring.strip().splitlines()]


# -- config keys ------------------------------------------------------------------------------------------------------


def config_page() -> str:
    """Every key of a config with its type, default and meaning."""
    return "# Config keys\n\nTo come.\n"
