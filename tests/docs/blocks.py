"""The fenced blocks of a Markdown page, each with the comment above it that says how a test runs it.

    <!-- test: tiny --trials 2 -->
    ```bash
    allennlp sweep ...
    ```

Without a comment a block runs as it stands: `bash` in a shell, `python` in an interpreter, `jsonnet` is evaluated (and
checked, where it is a whole config), `json`, `yaml` and `toml` are parsed, `text` must be what the block before it
printed (lines in order; `...` stands for anything, also for left out lines). The comment may hold

    skip REASON         it cannot run here (GPU, network, account); its command lines are parsed nevertheless
    tiny                trainings take a tiny encoder, a few records and one epoch
    fails N             it ends with this exit status
    file NAME           the block is the content of this file of the page's folder, written when its turn comes
    broken              a jsonnet block that has faults, for a command after it to report
    printed             a block of another language that is what the block before it printed, as `text` is
    over CONFIG         a jsonnet block that is laid over this config before it is checked
    serve               a server: it runs while the rest of the page does
    -o JSON, --flag X   added to the command lines of luke-tasks; `-o` is laid over their own overrides

`<!-- test: setup ... -->` stands alone: the lines in it are a bash block that readers do not see.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"<!--\s*test:\s*(.*?)\s*-->", re.DOTALL)
_STEP = re.compile(
    r"(?P<comment><!--\s*test:.*?-->)"
    r"|^[ \t]*```[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^[ \t]*```[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_WITH_VALUE = {"fails", "file", "over"}
_ALONE = {"tiny", "broken", "printed", "serve"}


@dataclass
class Mark:
    """What a comment says. `flags` are added to the command lines of luke-tasks."""

    skip: str | None = None
    tiny: bool = False
    broken: bool = False
    printed: bool = False
    serve: bool = False
    fails: int = 0
    file: str | None = None
    over: str | None = None
    flags: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Raises ValueError where a word of the comment has no meaning."""
        if text.startswith("skip"):
            reason = text.removeprefix("skip").strip()
            if not reason:
                raise ValueError("skip needs a reason")
            return cls(skip=reason)
        mark, words = cls(), shlex.split(text)
        while words:
            word = words.pop(0)
            if word in _ALONE:
                setattr(mark, word, True)
            elif word in _WITH_VALUE and words:
                value = words.pop(0)
                setattr(mark, word, int(value) if word == "fails" else value)
            elif word.startswith("-"):
                mark.flags = [word, *words]
                break
            else:
                raise ValueError(f"{word!r}: not known in a comment for tests")
        return mark


@dataclass
class Block:
    """A fenced block, or a `setup` comment (a `bash` block)."""

    language: str
    text: str
    mark: Mark
    line: int  # of the page, counted from 1


def blocks_of(page: Path) -> list[Block]:
    """The blocks in order.

    Raises:
        ValueError: with file:line, a comment cannot be read or has no block below it.
    """
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    waiting: tuple[str, int, int] | None = None  # a comment, its line and where it ends
    for match in _STEP.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if waiting and (match["comment"] or text[waiting[2] : match.start()].strip()):
            raise ValueError(f"{page}:{waiting[1]}: this comment has no block right below it")
        if match["comment"]:
            said = _COMMENT.fullmatch(match["comment"])
            assert said
            if said[1].startswith("setup"):
                first, _, script = said[1].partition("\n")
                blocks.append(Block("bash", script, _mark(page, line, first.removeprefix("setup").strip()), line))
            else:
                waiting = said[1], line, match.end()
            continue
        mark = _mark(page, waiting[1], waiting[0]) if waiting else Mark()
        waiting = None
        blocks.append(Block(match["language"], textwrap.dedent(match["text"]), mark, line))
    if waiting:
        raise ValueError(f"{page}:{waiting[1]}: this comment has no block right below it")
    return blocks


def _mark(page: Path, line: int, text: str) -> Mark:
    try:
        return Mark.parse(text)
    except ValueError as error:
        raise ValueError(f"{page}:{line}: {error}") from None
