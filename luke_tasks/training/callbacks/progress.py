"""What a user sees of a running training: a live bar on a terminal, plain lines elsewhere.

The live line is made anew for the terminal's width at each moment, so it stays one line when the window is resized. In
a pipe, a file, a notebook, or a terminal that cannot move its cursor, a plain line comes every 30 seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

_LINE_EVERY_SECONDS = 30.0


class ProgressLine:
    """The progress of one pass over batches (`with` it; `advance` after every batch).

    Args:
        title: for instance `epoch 1/3`.
        total: batches.
        note: what the live bar shows behind the title, where there is room.
        plain: print a line every 30 seconds instead of a live bar; so it is, too, where output is no terminal.
    """

    def __init__(
        self, title: str, total: int, *, plain: bool, stream: TextIO | None = None, note: str = ""
    ) -> None:  # fmt: skip
        self._stream = stream or sys.stderr
        self._title, self._total = title, total
        self._plain = plain or not self._stream.isatty() or os.environ.get("TERM") in ("dumb", "unknown")
        self._done = 0
        self._words = 0
        self._begun = self._printed = time.monotonic()
        self._bar = None if self._plain else _live_bar(self._stream)
        self._task = self._bar.add_task(title, total=total, note=note, info=()) if self._bar else None

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
            self._bar.update(self._task, completed=self._done, info=tuple(parts))
        elif now - self._printed >= _LINE_EVERY_SECONDS and self._done < self._total:
            left = seconds / self._done * (self._total - self._done)
            parts.append(f"{short_time(left)} left")
            print(f"{self._title}: {self._done}/{self._total}, {', '.join(parts)}", file=self._stream, flush=True)
            self._printed = now


def _live_bar(stream: TextIO) -> Progress:
    """Imports rich, which only a training on a terminal needs."""
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task

    class Line(ProgressColumn):
        """The whole line."""

        def render(self, task: Task) -> Text:
            seconds = task.time_remaining
            left = "" if seconds is None else f"{short_time(seconds)} left"
            return _line(_width(console), console.encoding, task.description, task.fields["note"],
                         int(task.completed), int(task.total or 0), task.fields["info"], left)  # fmt: skip

    console = Console(file=stream)
    return Progress(Line(), console=console, transient=True)


def _width(console: Console) -> int:
    """Of the terminal as it is now. COLUMNS, by which rich goes, may be what it was when a shell exported it."""
    try:
        return min(console.width, os.get_terminal_size(console.file.fileno()).columns or console.width)
    except (OSError, ValueError):  # it only says that it is a terminal
        return console.width


def _line(
    width: int, encoding: str, title: str, note: str, done: int, total: int, info: Sequence[str], left: str
) -> Text:  # fmt: skip
    """As much of it as the terminal is wide, a place less: some terminals begin a new line after the last."""
    from rich.text import Text

    room = width - 1
    sign = "━" if encoding.lower().startswith("utf") else "-"
    choices = ((24, note, info), (12, note, info), (12, "", info), (0, "", info), (0, "", info[:1]), (0, "", ()))
    for bar, shown_note, shown_info in choices:  # the first that fits, or the last
        full = bar * done // max(total, 1)
        parts = [Text(f"{title} {shown_note}".strip())]
        if bar:
            parts.append(Text.assemble((sign * full, "cyan"), (sign * (bar - full), "bright_black")))
        parts += [Text(part) for part in (f"{done}/{total}", *shown_info, left) if part]
        line = Text("  ", no_wrap=True, overflow="ellipsis").join(parts)
        if line.cell_len <= room:
            break
    line.truncate(room, overflow="ellipsis")
    return line


def short_time(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3:05` (minutes) or `1:03:05` (hours)."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
