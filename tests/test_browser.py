"""The browser of the tests of pages sees what a page does wrong."""

import pytest

from tests.browser import browser_page


def test_a_script_that_raises_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="no such thing"), browser_page() as page:
        page.set_content("<script>setTimeout(() => { throw new Error('no such thing'); })</script>")
        page.wait_for_timeout(50)


def test_a_request_to_another_machine_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"request: https://elsewhere\.invalid"), browser_page() as page:
        page.set_content("<img src='https://elsewhere.invalid/x.png'>")
        page.wait_for_timeout(50)


def test_a_good_page_passes() -> None:
    with browser_page((390, 844)) as page:
        page.set_content('<button onclick="this.textContent = innerWidth">?</button>')
        page.click("button")
        assert page.inner_text("button") == "390"
