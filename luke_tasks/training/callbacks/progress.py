"""What a user sees of a running training: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_EVERY_SECONDS = 30.0


class ProgressLine:
    """The progress of one pass over batches (`with` it; `advance` after every batch).

    Args:
        title: for instance `epoch 1/3`.
        total: batches.
        plain: print a line every 30 seconds instead of a live bar; so it is, too, where output is no terminal.
    """

    def __init__(self, title: str, total: int, *, plain: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._title, self._total = title, total
        self._plain = plain or not self._stream.isatty()
        self._done = 0
        self._words = 0
        self._begun = self._printed = time.monotonic()
        self._bar = None if self._plain else _live_bar(self._stream)
        self._task = self._bar.add_task(title, total=total, info="") if self._bar else None

    def __enter__(self) -> Callable[..., None]:
        if self._bar is not None:
            self._bar.start()
        return self.advance

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, words: int = 0, loss: float | None = None) -> None:
        """One more batch is done, holding so many words."""
        self._done += 1
        self._words += words
        now = time.monotonic()
        seconds = max(now - self._begun, 1e-9)
        parts = [f"loss {loss:.4f}"] if loss is not None else []
        if self._words:
            parts.append(f"{self._words / seconds:,.0f} words/s")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, info="  ".join(parts))
        elif now - self._printed >= _LINE_EVERY_SECONDS and self._done < self._total:
            left = seconds / self._done * (self._total - self._done)
            parts.append(f"{left:.0f} s left")
            print(f"{self._title}: {self._done}/{self._total}, {', '.join(parts)}", file=self._stream, flush=True)
            self._printed = now


def _live_bar(stream: TextIO) -> Progress:
    """Imports rich, which only a training on a terminal needs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
        TextColumn("{task.fields[info]}"), TimeRemainingColumn(compact=True),
        console=Console(file=stream), transient=True,
    )  # fmt: skip
