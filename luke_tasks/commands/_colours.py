"""Colours on a terminal that has them; plain text in a pipe, and where `NO_COLOR` is set."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Colours:
    """Puts the signs of a terminal around texts, or nothing."""

    are_on: bool

    @classmethod
    def of_stdout(cls) -> Colours:
        """On where standard output is a terminal (https://no-color.org)."""
        return cls(sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")

    def dim(self, text: str) -> str:
        """Less bright."""
        return self._in("2", text)

    def red(self, text: str) -> str:
        """What is gone, or failed."""
        return self._in("31", text)

    def green(self, text: str) -> str:
        """What is new."""
        return self._in("32", text)

    def bold(self, text: str) -> str:
        """A heading."""
        return self._in("1", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.are_on else text
