"""What a callback may look at after a validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Validation:
    """The validation data, and what the model of an epoch made of them.

    Args:
        task: the reader's.
        examples: all of them, with their gold labels.
        predictions: one an example, as the head's `decode` made them.
    """

    task: str
    examples: Sequence[Any]
    predictions: Sequence[Any]

    def errors(self, most: int) -> list[list[str]]:
        """At most so many errors, a row each: `mistakes.error_rows.COLUMNS`. None for a task of one's own."""
        from luke_tasks.mistakes.error_rows import error_rows  # which callbacks alone need

        return error_rows(self.task, self.examples, self.predictions, most)
