"""A reader whose process dies at some lines: `DIE`, and `DIE-ONCE FILE`, which finds `FILE` there the second time."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.reader import Reader


@Reader.register("test_fragile")
class FragileReader(ConllSpanReader):
    """`conll_span`, but for those lines; it counts them in `FILE` or in `tries-of-DIE`, beside the run."""

    def parse_line(self, line: str, where: str) -> Any:
        word, _, name = line.strip().partition(" ")
        if word in ("DIE", "DIE-ONCE"):
            note = Path(name or "tries-of-DIE")
            known = note.exists()
            with note.open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")
            if word == "DIE" or not known:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().parse_line(line, where)
