"""How a command gets going."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Around the imports of a command and the loading of its model, in a process that has not loaded torch yet.

    All of it stays, yet Python would go through it for garbage many times over: a fifth of the start. What is there at
    the end is left out of later collections, too.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
