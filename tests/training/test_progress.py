"""What a run shows while it goes on."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios

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


SLOW_RUN = """
import logging, signal, time
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.training.callbacks.progress import ProgressLine
log_to_terminal()
resized = []
signal.signal(signal.SIGWINCH, lambda *_: resized.append(True))
with ProgressLine("epoch 2/3", 500, plain=False, note="(best f1 0.8123)") as advance:
    for step in range(500):
        advance(100, 0.25)
        time.sleep(0.02)
        if step == 10:
            logging.getLogger("luke_tasks").warning("a word of warning")
        if step > 10 and resized:
            resized += [True]
            if len(resized) > 40:
                break
logging.getLogger("luke_tasks").info("epoch 2/3: done")
"""


def test_a_terminal_that_is_resized() -> None:
    """Each picture of the live line fits the terminal, whatever a shell has put into COLUMNS; what is logged meanwhile
    stands on a line of its own.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}
        os.execve(sys.executable, [sys.executable, "-c", SLOW_RUN], environment)
    resize(terminal, 100)
    seen, narrow_from = b"", None
    with contextlib.suppress(OSError):  # EIO: the other end has gone
        while chunk := os.read(terminal, 4096):
            seen += chunk
            if narrow_from is None and any(int(done) >= 30 for done in re.findall(rb"(\d+)/500", seen)):
                resize(terminal, 38)
                narrow_from = len(seen)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert narrow_from is not None
    wide, narrow = lines(seen[:narrow_from]), lines(seen[narrow_from:])[3:]  # one or two were under way
    assert max(map(len, wide)) < 100
    assert any("epoch 2/3 (best f1 0.8123)  ━" in line and "loss 0.2500" in line and "words/s" in line for line in wide)
    assert "warning: a word of warning" in wide
    assert any(line.startswith("epoch 2/3") and "/500" in line for line in narrow)
    assert max(map(len, narrow)) < 38
    assert narrow[-1] == "epoch 2/3: done"


def resize(terminal: int, columns: int) -> None:
    """As a window of the terminal does; its program gets SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def lines(output: bytes) -> list[str]:
    """What a terminal is sent, without colours and movements of the cursor, which begin lines anew."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode("utf-8", "replace"))
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize(("width", "expected"), [
    (100, "epoch 2/3 (best f1 0.8)  ━━━━━━━━━━━━━━━━━━━━━━━━  3/12  loss 0.2500  1,200 words/s  1:05 left"),
    (86, "epoch 2/3 (best f1 0.8)  ━━━━━━━━━━━━  3/12  loss 0.2500  1,200 words/s  1:05 left"),
    (60, "epoch 2/3  3/12  loss 0.2500  1,200 words/s  1:05 left"),
    (40, "epoch 2/3  3/12  loss 0.2500  1:05 left"),
    (30, "epoch 2/3  3/12  1:05 left"),
    (12, "epoch 2/3 …"),
])  # fmt: skip
def test_the_live_line_fits(width: int, expected: str) -> None:
    info = ("loss 0.2500", "1,200 words/s")
    assert progress._line(width, "utf-8", "epoch 2/3", "(best f1 0.8)", 3, 12, info, "1:05 left").plain == expected


def test_a_terminal_that_cannot_move_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with ProgressLine("epoch 1/2", 2, plain=False, stream=stream) as advance:
        advance(10, 0.5)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("seconds", "shown"), [(0.44, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1:00"),
                                                (185, "3:05"), (3785.2, "1:03:05")])  # fmt: skip
def test_short_times(seconds: float, shown: str) -> None:
    assert progress.short_time(seconds) == shown
