"""The pages of the server. One file of HTML each: style and script stand in it, nothing is fetched but the API."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

from luke_tasks.pages import predictions, shell

_FOLDER = Path(__file__).parent
_SCRIPT = (_FOLDER / "page.js").read_text(encoding="utf-8")
_STYLE = shell.STYLE + predictions.STYLE + (_FOLDER / "page.css").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode("utf-8")).digest()).decode("ascii")
# Our script alone may run, whatever an answer holds.
CONTENT_POLICY = (f"default-src 'none'; script-src 'sha256-{_HASH}'; style-src 'unsafe-inline'; connect-src 'self'; "
                  "img-src data:; base-uri 'none'; form-action 'none'")  # fmt: skip


def main_page() -> str:
    """Where one types an input and sees the answer."""
    content = (_FOLDER / "page.html").read_text(encoding="utf-8")
    return _page("luke-tasks", f"{content}<script>{_SCRIPT}</script>")


def plain_page(title: str, content: str) -> str:
    """A page without a script. `content` is HTML."""
    return _page(title, f"<main>\n<h1>{escape(title)}</h1>\n{content}\n</main>")


def _page(title: str, content: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{content}\n</body>\n</html>\n"
    )
