"""What a guess about a data file says: the task it suits, the reader's options, and what must be done to it first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from luke_tasks.errors import LukeTasksError, printable
from luke_tasks.readers.faults import all_faults

_MOST_FAULTS = 20  # shown of a file


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


@contextmanager
def refused_together(source: object) -> Iterator[None]:
    """Go on after each fault of a file that is marked by `one_record`, and raise Unreadable at the end with all."""
    with all_faults() as faults:
        yield
    found = list(dict.fromkeys(printable(str(fault)) for fault in faults))
    if len(found) == 1:
        raise Unreadable(found[0])
    if found:
        rest = [f"... and {len(found) - _MOST_FAULTS:,} more"] if len(found) > _MOST_FAULTS else []
        lines = [f"  {line}" for line in [*found[:_MOST_FAULTS], *rest]]
        raise Unreadable("\n".join([f"{source}: {len(found):,} faults; mend them, nothing is written", *lines]))


def names(values: Iterable[str], most: int = 6) -> str:
    """Distinct values in order of frequency, those beyond `most` counted."""
    counts = [value for value, _ in Counter(values).most_common()]
    return ", ".join(counts[:most]) + (f" and {len(counts) - most} more" if len(counts) > most else "")
