"""What a run shows while it goes on."""

from __future__ import annotations

import io

import pytest

from luke_tasks.training.callbacks import progress
from luke_tasks.training.callbacks.progress import ProgressLine


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 10.0, 40.0, 41.0, 80.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    stream = io.StringIO()
    with ProgressLine("epoch 1/2", 4, plain=False, stream=stream) as advance:
        for _ in range(4):
            advance(50, 0.25)
    # at 10 s nothing is due, at 40 s 2 of 4 are done, 1 s later nothing is due, and the end speaks for itself
    assert stream.getvalue() == "epoch 1/2: 2/4, loss 0.2500, 2 words/s, 40 s left\n"


def test_a_live_bar_on_a_terminal() -> None:
    stream = Terminal()
    with ProgressLine("epoch 1/2", 2, plain=False, stream=stream) as advance:
        advance(10, 0.5)
        advance(10, 0.5)
    assert "epoch 1/2" in stream.getvalue()
