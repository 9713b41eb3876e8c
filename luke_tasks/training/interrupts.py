"""Ctrl-C during training: noted at once, acted on between two steps."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event the loop looks at between steps; a second one stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(signum: int, frame: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, previous)
        print("\nstopping after this step and saving the state (Ctrl-C again: stop at once)", file=sys.stderr)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
