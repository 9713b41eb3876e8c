"""What every page has around its content: one file of HTML that asks the network for nothing.

A page is kept, mailed and read offline; it follows the reader's light or dark screen, a phone's width, and paper. Every
text that comes from data or users must be escaped by whoever puts it in (`html.escape`); `table` does so itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from html import escape
from typing import Any

STYLE = """
:root { --ink: #1c1c1c; --soft: #5c5c5c; --paper: #ffffff; --line: #dcdcdc; --band: #f5f5f5; --accent: #2f6db3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a8a8a8; --paper: #16181b; --line: #3a3d42; --band: #1f2226; --accent: #7fb2ec; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
.note { color: var(--soft); margin: .25rem 0; }
.scroll { overflow-x: auto; max-width: 100%; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 12px; }
.plot { width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92em; }
th, td { text-align: left; padding: 4px 12px 4px 6px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
th.n, td.n { text-align: right; }
td { max-width: 36em; overflow-wrap: break-word; }
tbody tr:nth-child(even) { background: var(--band); }
pre { overflow-x: auto; background: var(--band); padding: 12px; }
summary { cursor: pointer; margin-top: .5rem; }
@media print {
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --band: #f5f5f5; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { break-inside: auto; } figure, article, tr { break-inside: avoid; }
  .scroll, pre { overflow: visible; white-space: pre-wrap; }
}
"""


def page_start(title: str, *, style: str = "", may_eval: bool = False) -> str:
    """A page up to its first heading, for pages that are written piece by piece; `page_end` closes it.

    Args:
        title: of window and page, unescaped.
        style: CSS of this page beside `STYLE`.
        may_eval: its scripts make code with `new Function` (plotly does).
    """
    scripts = "script-src 'unsafe-inline' 'unsafe-eval'" if may_eval else "script-src 'unsafe-inline'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {scripts}; img-src data: blob:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n"
    )


def page_end(scripts: Sequence[str] = (), data: dict[str, Any] | None = None) -> str:
    """The rest of a page.

    Args:
        scripts: JavaScript, put in as it is, each in an element of its own.
        data: id → a value that scripts read as JSON from the element of this id.
    """
    given = "".join(f'<script type="application/json" id="{escape(name)}">{script_json(value)}</script>\n'
                    for name, value in (data or {}).items())  # fmt: skip
    code = "".join(f"<script>{script}</script>\n" for script in scripts)
    return f"\n</main>\n{given}{code}</body>\n</html>\n"


def whole_page(
    title: str, content: str, *, style: str = "", scripts: Sequence[str] = (), data: dict[str, Any] | None = None,
    may_eval: bool = False,
) -> str:  # fmt: skip
    """A page of `content`, which is HTML. The other arguments: see `page_start` and `page_end`."""
    return page_start(title, style=style, may_eval=may_eval) + content + page_end(scripts, data)


def section(title: str, content: str, *, name: str = "") -> str:
    """A part of a page under a heading; `name` is its id."""
    id = f' id="{escape(name)}"' if name else ""
    return f"<section{id}>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()) -> str:
    """A table of plain texts, which scrolls by itself where it is wider than the screen.

    Args:
        numbers: columns that are aligned on the right.
    """
    kinds = [' class="n"' if column in numbers else "" for column in range(len(header))]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(header, kinds, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no text in it can end the element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=repr).replace("<", "\\u003c")
