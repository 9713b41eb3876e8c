"""What a guess about a data file says: the task it suits, the reader's options, and what must be done to it first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.errors import LukeTasksError


class Unreadable(LukeTasksError):
    """A data file that no reader takes as it stands, with what would help."""

    many_lines = True


@dataclass(frozen=True)
class Conversion:
    """A way to write a data file in a form that a reader takes.

    Args:
        what: what is changed, as "tab-separated columns, word first, IOB2 tags".
        ending: of the new file's name.
        text: makes the content of the new file. Raises DataError, `file:line: ...`, where it cannot.
    """

    what: str
    ending: str
    text: Callable[[], str]


@dataclass(frozen=True)
class Fit:
    """A task that a file suits.

    Args:
        options: of the reader, `type` first.
        seen: what was seen, in a line.
        reasons: option → why it has its value, for the config's comments.
        conversion: what must be done to the file first; None: nothing.
    """

    task: str
    options: dict[str, Any]
    seen: str
    reasons: dict[str, str] = field(default_factory=dict)
    conversion: Conversion | None = None


def names(values: Iterable[str], most: int = 6) -> str:
    """Distinct values in order of frequency, those beyond `most` counted."""
    counts = [value for value, _ in Counter(values).most_common()]
    return ", ".join(counts[:most]) + (f" and {len(counts) - most} more" if len(counts) > most else "")
