"""Guards for what strangers may have written: text, JSON, and the errors of libraries that read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LONGEST_REASON = 300  # characters


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: no half characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError also where brackets are nested deeper than Python reads."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def reason_of(error: BaseException) -> str:
    """The kind of a library's error and what it says, on one line, shortened."""
    said = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    said = said if len(said) <= _LONGEST_REASON else said[: _LONGEST_REASON - 3] + "..."
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@contextmanager
def reported(wrap: Callable[[str], Exception]) -> Iterator[None]:
    """Whatever a library raises in this block becomes `wrap(reason)`; errors of `luke_tasks` pass.

    A panic of a Rust library is no `Exception` in Python, and is one here.
    """
    from luke_tasks.errors import LukeTasksError

    try:
        yield
    except LukeTasksError:
        raise
    except Exception as error:
        raise wrap(reason_of(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise wrap(reason_of(error)) from error
