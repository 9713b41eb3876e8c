"""The documentation as a site: built without a warning, whole, and usable without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from luke_tasks.__main__ import command_modules
from luke_tasks.config_reference import reference
from tests.browser import browser_page, open_file
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mkdocs build --strict`, which fails on a warning: a dead link, a page that is nowhere in the navigation."""
    pytest.importorskip("material", reason="mkdocs-material is not installed (extra docs)")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


class _Sources(HTMLParser):
    """What a page loads: scripts, styles, pictures, frames; not what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = given.get("src") or (given.get("href") if tag == "link" and given.get("rel") != "canonical" else None)
        if loads:
            self.found.append(loads)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        sources = _Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert sources.found and not [source for source in sources.found if re.match(r"(https?:)?//", source)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_references_are_whole(site: Path) -> None:
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    for name in command_modules():
        assert f'id="{name}"' in commands
    keys = (site / "reference/config.html").read_text(encoding="utf-8")
    # Other tests register classes of their own.
    sections = [section for section in reference() if section.cls.__module__.startswith("luke_tasks.")]
    assert len(sections) > 30
    for section in sections:
        for name in section.names[:1]:
            assert re.search(rf'<h3 id="[\w-]+"><code>{name}</code>|<h3 id="[\w-]+">{name}', keys), (section.path, name)
        for key in section.keys:
            assert f"<code>{key.name}</code>" in keys, (section.path, key.name)


def test_a_page_opened_from_a_disk_can_be_searched(site: Path) -> None:
    with browser_page() as page:
        open_file(page, site / "index.html")
        page.locator("[data-md-component=search-query]").click()
        page.locator("[data-md-component=search-query]").press_sequentially("cloze")
        found = page.locator(".md-search-result__link").first
        found.wait_for(timeout=20_000)
        found.click()
        page.wait_for_url(re.compile(r"record\.html"))


def test_extras_that_are_named_exist() -> None:
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for names in re.findall(r"luke-tasks\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            named |= set(names.split(","))
    assert named and named <= known.keys()
