"""Pages of the documentation that are made as it is built (a hook of mkdocs, named in mkdocs.yml).

The references are read off the program: config keys from the registry, commands from their argparse parsers. Other
pages are files of the repository's root, whose links are turned to where the pages are.
"""

from __future__ import annotations

import argparse
import html
import json
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
_OF_ALL = {"-h", "--debug", "--include-package"}  # flags of every command
_SHIM = "https://unpkg.com/iframe-worker/shim"
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


def on_post_page(output: str, page: Any, config: Any) -> str:
    """mkdocs' event: the one script that the theme would fetch from elsewhere is ours."""
    from mkdocs.utils import get_relative_url

    return output.replace(_SHIM, get_relative_url("assets/search_from_disk.js", page.url))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """mkdocs' event: the same in the page of a server for what is not there."""
    return output_content.replace(_SHIM, "/assets/search_from_disk.js")


def _is_written(page: Any) -> bool:
    return (ROOT / "docs" / page.file.src_uri).is_file()


def _copied(source: str) -> str:
    return turned_links((ROOT / source).read_text(encoding="utf-8"), source)


def turned_links(text: str, source: str) -> str:
    """`text`, the content of a file of the repository, with links as they must be on the site.

    A link to a file that is a page leads to it. One to another file becomes its name, as code: the site has none.
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

    actions = make_parser()._actions
    parsers = next(action for action in actions if isinstance(action, argparse._SubParsersAction)).choices
    lines = ["# Commands", "", "`luke-tasks` and `allennlp` are the same program. Exit status: 0 done, 1 the work "
             "failed, 2 the request was wrong, 130 interrupted by Ctrl-C, 143 by SIGTERM.", "",
             "Every command takes `--debug` (show the traceback of an error) and `--include-package NAME` (import this "
             "package of yours, whose classes register themselves; repeatable).", "", "| command | |",
             "|---|---|"]  # fmt: skip
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
        own = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS and not _OF_ALL & set(action.option_strings)
        ]
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
    sys.path.insert(0, str(ROOT))
    from luke_tasks.config_reference import reference

    sections = list(reference())
    places = {section.kind: section.path for section in reversed(sections)}  # where each kind comes first
    lines = [
        "# Config keys",
        "",
        "Made from the classes that a config builds, so it is complete. **Bold** keys must be given. Where there is a "
        "choice, `type` names what is built, and the keys below the name are its own. The "
        "[config language](../config-language.md) says how a config is written.",
        "",
    ]
    path = None
    for section in sections:
        if section.path != path:
            path = section.path
            title = f"`{path}`" if path else "Top level"
            lines += ["", f"## {title} {{ #{_anchor(path)} }}", ""]
            names = [_type_link(other) for other in sections if other.path == path and other.names]
            if names:
                lines += ["`type`: " + ", ".join(names) + ".", ""]
        if section.names:
            lines += [f"### {section.names[0]} {{ #{_anchor(path, section.names[0])} }}", ""]
        lines += [_indented_code(section.description), "", *_key_table(section.keys, places), ""]
    return "\n".join(lines) + "\n"


def _anchor(path: str, name: str = "") -> str:
    """The anchor of a section; there is no better name for the top level than this."""
    return re.sub(r"[^a-z0-9]+", "-", f"{path or 'top'}-{name}".lower()).strip("-")


def _type_link(section: Any) -> str:
    aliases = f" (also {', '.join(f'`{name}`' for name in section.names[1:])})" if section.names[1:] else ""
    default = ", the default" if section.is_default else ""
    return f"[`{section.names[0]}`](#{_anchor(section.path, section.names[0])}){aliases}{default}"


def _key_table(keys: Any, places: dict[str, str]) -> Iterator[str]:
    if not keys:
        yield "It has no keys."
        return
    yield from ("| key | value | default | |", "|---|---|---|---|")
    for key in keys:
        name = f"**`{key.name}`**" if key.is_required else f"`{key.name}`"
        default = "" if key.is_required else f"`{json.dumps(key.default, ensure_ascii=False)}`".replace("|", "\\|")
        kinds = [part.__name__ for part in key.parts if part.__name__ in places]
        holds = [f"[{kind}](#{_anchor(places[kind])})" for kind in kinds]
        links = f" See {', '.join(holds)}." if holds else ""
        yield f"| {name} | {_cell(key.type_text)} | {default} | {_cell_of_markdown(key.description)}{links} |"


def _cell_of_markdown(text: str) -> str:
    """Markdown in a cell: letters that would be tags are kept as letters outside of code."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [html.escape(part, quote=False) for part in parts[::2]]
    return "`".join(parts).replace("|", "\\|")


def _indented_code(text: str) -> str:
    """A docstring as Markdown: a block of code that is indented gets a blank line before it."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("    ") and lines and lines[-1] and not lines[-1].startswith("    "):
            lines.append("")
        lines.append(line if line.startswith("    ") else _cell_of_markdown(line).replace("\\|", "|"))
    return "\n".join(lines)
