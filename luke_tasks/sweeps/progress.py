"""What a user sees of a running sweep: a live table on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from luke_tasks.sweeps.records import Objective
from luke_tasks.sweeps.results import duration, number, short_names

_MOST_ROWS = 12


@dataclass
class Row:
    """A trial as it is shown.

    Args:
        last, best: values of the first objective after the last epoch, and the best of all its epochs.
        num_epochs: of its whole run; None where its config does not say.
    """

    number: int
    parameters: dict[str, Any]
    state: str
    began: float
    seconds: float = 0.0
    last: float | None = None
    best: float | None = None
    epochs: int = 0
    num_epochs: int | None = None
    error: str | None = None


class SweepProgress:
    """Shows rows.

    Args:
        limit: trials in all; None: it is not known.
        plain: lines instead of a live table; so it is, too, where output is no terminal.
    """

    def __init__(
        self, objective: Objective, searched: Sequence[str], limit: int | None, workers: int, *, plain: bool,
        stream: TextIO | None = None,
    ) -> None:  # fmt: skip
        self.objective, self.searched, self.limit, self.workers = objective, list(searched), limit, workers
        self.rows: dict[int, Row] = {}
        self.earlier = 0  # trials that an earlier start has ended
        self._stream = stream or sys.stderr
        self._live: Any = None
        if not plain and self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False, transient=True)

    def __enter__(self) -> SweepProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, row: Row, *, resumed: bool) -> None:
        """A trial begins, or goes on."""
        self.rows[row.number] = row
        values = ", ".join(f"{short} {number(row.parameters[name])}"
                           for short, name in zip(short_names(self.searched), self.searched, strict=True))  # fmt: skip
        self._say(f"trial {row.number}{self._of()}: {'goes on with ' if resumed else ''}{values}")

    def epoch(self, row: Row, value: float | None) -> None:
        """A trial has finished an epoch."""
        row.epochs += 1
        if value is not None:
            row.last = value
            sign = self.objective.sign
            row.best = value if row.best is None or sign * value > sign * row.best else row.best

    def end(self, row: Row) -> None:
        """A trial is over."""
        score = f", {self.objective.name} {number(row.last)}" if row.last is not None else ""
        error = f": {row.error}" if row.error else ""
        left = self.left()
        more = f"; about {duration(left)} left" if left else ""
        self._say(f"trial {row.number}{self._of()}: {row.state}{score}, {duration(row.seconds)}{error}{more}")

    def left(self) -> float | None:
        """Seconds that the trials to come will take, if they take as long as those that ended."""
        ended = [row.seconds for row in self.rows.values() if row.state != "running"]
        if not ended or self.limit is None:
            return None
        return sum(ended) / len(ended) * max(0, self.limit - self.earlier - len(ended)) / self.workers

    def refresh(self) -> None:
        """Draw the live table anew."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Any:
        from rich.table import Table

        left = self.left()
        ended = [row for row in self.rows.values() if row.state != "running"]
        title = f"{self.earlier + len(ended)}{self._of()} trials"
        table = Table(title=title + (f", about {duration(left)} left" if left else ""), title_justify="left")
        for name in ("trial", *short_names(self.searched), f"last {self.objective.name}", "best", "epoch", "state",
                     "time"):  # fmt: skip
            table.add_column(name)
        running = [row for row in self.rows.values() if row.state == "running"]
        for row in [*ended[-(_MOST_ROWS - len(running)) :], *running]:
            seconds = time.monotonic() - row.began if row.state == "running" else row.seconds
            table.add_row(
                str(row.number), *(number(row.parameters[name]) for name in self.searched),
                "" if row.last is None else number(row.last), "" if row.best is None else number(row.best),
                f"{row.epochs}/{row.num_epochs or '?'}", row.state, duration(seconds),
            )  # fmt: skip
        return table

    def _of(self) -> str:
        return f" of {self.limit}" if self.limit is not None else ""

    def _say(self, line: str) -> None:
        if self._live is None:
            print(line, file=self._stream, flush=True)
