"""Questions on a terminal, each with a default; without one, a message that names all flags that are missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luke_tasks.errors import LukeTasksError, printable


@dataclass(frozen=True)
class Asker:
    """Asks on a terminal, or takes the defaults.

    Args:
        takes_defaults: `--yes`: nothing is asked.
    """

    takes_defaults: bool

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer."""
        return not self.takes_defaults and sys.stdin.isatty()

    def text(self, question: str, default: str | None, check: Callable[[str], str | None] = lambda _: None) -> str:
        """An answer, or the default.

        Args:
            check: gives what is wrong with an answer, which is then asked for again; None: nothing.
        Raises:
            LukeTasksError: nobody can be asked, and there is no default; or the input has ended.
        """
        if not self.can_ask:
            if default is None:
                raise LukeTasksError(f"{question}: must be given as a flag, as nothing is asked")
            return default
        while True:
            shown = f" [{printable(default)}]" if default else ""
            try:
                answer = input(f"{question}{shown}: ").strip() or default or ""
            except EOFError:
                raise LukeTasksError("the input has ended before all was answered; nothing is written") from None
            fault = check(answer) if answer else "an answer is needed"
            if fault is None:
                return answer
            print(f"  {fault}")

    def yes(self, question: str) -> bool:
        """Yes or no; yes by default."""
        return self.text(f"{question} (y/n)", "y", _no_answer).lower().startswith("y")


def refuse_missing(missing: Sequence[str]) -> None:
    """Raises LukeTasksError, naming the flags, when there are any."""
    if missing:
        raise LukeTasksError(f"this is no terminal, so nothing can be asked: give {'; '.join(missing)}; or give --yes, "
                             "which takes what is guessed")  # fmt: skip


def _no_answer(answer: str) -> str | None:
    return None if answer.lower() in ("y", "yes", "n", "no") else "y or n, please"
