"""Going on after a fault in a data file, so that `check` can list all of them.

A reader raises DataError at the first record that is not as it must be. Within `all_faults()` it leaves that record
out, notes the error and reads on. Readers mark what they can leave out by `with one_record:`; where a file's structure
is broken, and nothing tells where the next record begins, they still raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

from luke_tasks.errors import DataError

_found: ContextVar[list[DataError] | None] = ContextVar("faults of data", default=None)


@contextmanager
def all_faults() -> Iterator[list[DataError]]:
    """Within it readers go on after a fault where they can. Gives the list that the faults are put into."""
    found: list[DataError] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


def are_collected() -> bool:
    """Whether this is within `all_faults`."""
    return _found.get() is not None


def fault(error: DataError) -> None:
    """Raise the error; within `all_faults`, note it and return."""
    found = _found.get()
    if found is None:
        raise error
    found.append(error)


class _OneRecord:
    """`with one_record:` around the reading of a record: within `all_faults`, one that is faulty is left out."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        found = _found.get()
        if found is None or not isinstance(error, DataError):
            return False
        found.append(error)
        return True


one_record = _OneRecord()
