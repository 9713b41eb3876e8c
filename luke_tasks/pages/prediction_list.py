"""A page of many predictions, written one by one: what is written is not held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, TextIO

from luke_tasks.files import replacing
from luke_tasks.pages import predictions
from luke_tasks.pages.shell import page_end, page_start

_STYLE = predictions.STYLE + """
article { border-bottom: 1px solid var(--line); padding: .5rem 0; content-visibility: auto;
  contain-intrinsic-size: auto 90px; }
article > small { color: var(--soft); overflow-wrap: anywhere; }
"""  # fmt: skip


class PredictionList:
    """The page while it is written.

    Args:
        out: what it is written to.
        task: of the predictions, as `predictions.prediction_html` takes it.
    """

    def __init__(self, out: TextIO, task: str) -> None:
        self._out, self._task = out, task
        self.count = 0  # predictions so far

    def add(self, prediction: dict[str, Any], given: dict[str, str]) -> None:
        """Write one prediction; see `predictions.prediction_html`."""
        self.count += 1
        id = escape(str(prediction.get("id", self.count)))
        self._out.write(
            f"<article><small>{id}</small>{predictions.prediction_html(self._task, prediction, given)}</article>\n"
        )


@contextmanager
def prediction_list(path: Path, title: str, task: str) -> Iterator[PredictionList]:
    """Give a page to add predictions to; when the block ends well, it is put in the place of `path`."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as out:
        out.write(page_start(title, style=_STYLE))
        page = PredictionList(out, task)
        yield page
        if not page.count:
            out.write('<p class="note">There was nothing to predict.</p>')
        out.write(page_end())
