"""Chromium for tests of pages: a page in a headless browser that reaches nothing but this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DESKTOP, PHONE = (1280, 900), (390, 844)  # width and height in CSS pixels
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


def find_chromium() -> str:
    """The browser's program; skips the test where there is none."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    pytest.skip("no Chromium: install it, or name it in CHROMIUM")


@contextmanager
def browser_page(size: tuple[int, int] = DESKTOP) -> Iterator[Any]:
    """A new page (Playwright's) of `size` in a browser of its own.

    At the end the test fails if a script of the page raised, or the page asked for anything of another machine.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    program = find_chromium()
    faults: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.on("pageerror", lambda error: faults.append(f"script: {error}"))
            page.on("request", lambda request: faults.extend(_foreign(request.url)))
            yield page
        finally:
            browser.close()
    assert not faults, faults


def open_file(page: Any, path: Path) -> None:
    """Show a file."""
    page.goto(path.resolve().as_uri())


def _foreign(url: str) -> list[str]:
    own = ("file:", "data:", "blob:", "about:", "http://127.0.0.1", "http://localhost")
    return [] if url.startswith(own) else [f"request: {url}"]
