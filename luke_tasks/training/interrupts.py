"""SIGINT (Ctrl-C) and SIGTERM (a cluster that wants its machine back): in the loop noted, elsewhere raised.

The loop looks between two steps, saves its state and ends with `Interrupted`. Whatever else runs (reading, archiving)
ends with `KeyboardInterrupt` or its kin `Terminated`, so that `finally` and `with` clean up as for any error.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from luke_tasks.training.processes import rank_named

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAUNCHER_VARIABLE = "TORCHELASTIC_RUN_ID"  # set by torchrun in the processes it starts
_last_raised = 0  # a library may have swallowed what was raised: in `__del__`, say, Python itself does


class Terminated(KeyboardInterrupt):
    """SIGTERM, where KeyboardInterrupt is SIGINT."""


def exit_status_of(error: KeyboardInterrupt) -> int:
    """As a shell gives it for a process that the signal ended: 130 or 143."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


class Interrupts:
    """Whether a signal has asked the run to stop, and which.

    Attributes:
        signum: the first signal noted; 0: none.
    """

    def __init__(self, signum: int = 0) -> None:
        self.signum = signum

    def is_set(self) -> bool:
        """Whether to stop."""
        return self.signum != 0

    def note(self, signum: int) -> None:
        """Ask for a stop, as the signal would: here, or for what another process was asked."""
        self.signum = self.signum or signum


@contextmanager
def raised_signals() -> Iterator[None]:
    """While the block runs, SIGINT raises KeyboardInterrupt and SIGTERM raises Terminated, in the main thread."""
    global _last_raised
    _last_raised = 0
    with _handled(_raise):
        yield


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """While the block runs, note the first signal; a second one is raised, which stops at once.

    Under a launcher, which passes on to its processes the Ctrl-C that the terminal has sent them already, a second one
    is not raised: the launcher itself ends what does not stop in time.
    """
    noted = Interrupts(_last_raised)
    under_launcher = _LAUNCHER_VARIABLE in os.environ

    def note(signum: int, frame: FrameType | None) -> None:
        if noted.is_set() and not under_launcher:
            _raise(signum, frame)
        if not noted.is_set():
            noted.note(signum)
            if rank_named():
                return  # rank 0 says it
            # not `print`: a handler may run in the middle of one
            os.write(2, b"\nstopping after this step and saving the state (once more: stop at once)\n")

    with _handled(note):
        yield noted


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # no other may set handlers, or gets signals
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    # A shell starts what a script puts into the background with SIGINT ignored: the Ctrl-C is meant for others.
    previous = {signum: known for signum, known in before.items() if known is not signal.SIG_IGN}
    for signum in previous:
        signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, known in previous.items():
            signal.signal(signum, known if known is not None else signal.SIG_DFL)  # None: not set from Python


def _raise(signum: int, frame: FrameType | None) -> NoReturn:
    global _last_raised
    if _last_raised:  # the first was raised, and still we run: from the next on, the system acts
        signal.signal(signum, signal.SIG_DFL)
    _last_raised = signum
    raise Terminated() if signum == signal.SIGTERM else KeyboardInterrupt()
