"""Every command and snippet of README and docs runs, and prints what the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import Block, Mark, blocks_of
from tests.docs.project import PageError, Project, compare, parse_command_lines
from tests.tiny import needs_minilm

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@needs_minilm
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, programs: Path, tiny_minilm: Path, tmp_path: Path) -> None:
    if re.search(r"^curl ", page.read_text(encoding="utf-8"), re.MULTILINE) and shutil.which("curl") is None:
        pytest.skip("no curl")
    project = Project(tmp_path, programs, tiny_minilm)
    try:
        for block in blocks_of(page):
            try:
                project.run(block)
            except (PageError, ValueError) as error:
                pytest.fail(f"{page.relative_to(ROOT)}:{block.line}: {error}", pytrace=False)
    finally:
        project.close()


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Block("bash", "false\n", Mark(), 1), "exit status 1, expected 0"),
        (Block("bash", "true\n", Mark(fails=2), 1), "exit status 0, expected 2"),
        (Block("bash", "allennlp evaluate a b --bach-size 3\n", Mark(skip="no such files"), 1), "not a command line"),
        (Block("", "what is this\n", Mark(), 1), "no way to run"),
        (Block("text", "something else\n", Mark(), 1), "was not printed"),
        (Block("jsonnet", "trainer+: { epochs: 3 }", Mark(over="configs/ner/quickstart.jsonnet"), 1), "trainer.epochs"),
    ],
)  # fmt: skip
def test_a_block_that_is_wrong_fails(block: Block, said: str, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=said):
        Project(tmp_path, tmp_path, tmp_path).run(block)


def test_output_is_compared_line_by_line() -> None:
    compare("a ... c\n...\ne", "a b  c\nd\ne\n")
    with pytest.raises(PageError):
        compare("e\na ... c", "a b c\nd\ne\n")


def test_lines_of_other_programs_are_not_parsed() -> None:
    parse_command_lines("pip install 'luke-tasks[ray]'\ncd luke-tasks\nallennlp train a -s b  # a remark\n")


def test_a_comment_above_nothing_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- test: tiny -->\n\nA paragraph.\n\n```bash\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:1: this comment has no block"):
        blocks_of(page)
    page.write_text("<!-- test: tinny -->\n```bash\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match="tinny"):
        blocks_of(page)
