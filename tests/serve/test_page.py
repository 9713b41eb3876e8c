"""The page in a real browser, for every task: typed and marked as a person does, the answer drawn in place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser import DESKTOP, PHONE, browser_page
from tests.serve.archives import TASKS
from tests.serve.live import FakeModel, fake_app, live
from tests.tasks.head_check import assert_alike

BORN = "😀 Barack Obama was born in Honolulu"  # the emoji: a textarea counts two there, Python one
PEOPLE = {"text": BORN, "head": [2, 14], "tail": [27, 35]}
# task → what is typed, by label; what is marked: (text, button); the input that this is
STEPS: dict[str, tuple[dict[str, str], list[tuple[str, str]], dict[str, Any]]] = {
    "ner": ({"Text": f"{BORN}\nLondon"}, [], {"text": f"{BORN}\nLondon"}),
    "token_classification": ({"Text": "London is"}, [], {"text": "London is"}),
    "relation_classification": ({"Text": BORN}, [("Barack Obama", "head"), ("Honolulu", "tail")], PEOPLE),
    "entity_typing": ({"Text": BORN}, [("Honolulu", "entity"), ("Barack", "entity")],
                      {"text": BORN, "entities": [[2, 8], [27, 35]]}),
    "record": ({"Query": "In @placeholder it is warm", "Passage": BORN},
               [("Barack Obama", "candidate"), ("Honolulu", "candidate")],
               {"query": "In @placeholder it is warm", "passage": BORN, "candidates": [[2, 14], [27, 35]]}),
    "question_answering": ({"Question": "Where?", "Context": BORN}, [], {"question": "Where?", "context": BORN}),
    "multiple_choice": ({"Context": BORN, "Beginning of each choice": "", "Choices": "There.\nThen."}, [],
                        {"context": BORN, "choices": ["There.", "Then."]}),
    "sequence_classification": ({"Text": BORN}, [], {"text": BORN}),
    "masked_text": ({"Text": f"{BORN} <mask>"}, [("Honolulu", "entity")],
                    {"text": f"{BORN} <mask>", "entities": [[27, 35]]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def page(server: str) -> Iterator[Any]:
    """One page for all tests; at the end no script has failed, and nothing was asked of another machine."""
    with browser_page() as opened:
        opened.set_default_timeout(20_000)
        opened.goto(server)
        yield opened


def choose(page: Any, task: str) -> None:
    page.locator("#models").select_option(task)
    page.wait_for_function("name => model.name === name", arg=task)
    page.click("#clear")


def select(page: Any, text: str) -> None:
    """With the mouse, from its first letter to its last; where they are, the layer behind the text knows."""
    places = page.evaluate(
        """text => {
          const box = [...document.querySelectorAll(".behind")].find((one) => one.textContent.includes(text));
          const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
          for (let node; (node = walker.nextNode());) {
            const at = node.data.indexOf(text);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(node, at); range.setEnd(node, at + text.length);
            const { left, right, top, height } = range.getBoundingClientRect();
            return [left, right, top + height / 2];
          }
        }""",
        text,
    )
    left, right, y = places
    page.mouse.move(left + 1, y)
    page.mouse.down()
    page.mouse.move(right - 1, y, steps=3)
    page.mouse.up()


def answered(page: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request and the answer, as the page shows their JSON."""
    page.wait_for_selector("#answer > .lt")
    return tuple(json.loads(page.inner_text(f"#{name}").partition("\n\n")[2] if name == "request" else
                            page.inner_text(f"#{name}")) for name in ("request", "response"))  # type: ignore[return-value]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_person_uses_it(page: Any, server: str, task: str) -> None:
    """Types, marks with the mouse, presses Predict; the input is the one that was meant, its answer the API's."""
    typed, marked, meant = STEPS[task]
    choose(page, task)
    for label, text in typed.items():
        page.get_by_label(label, exact=True).fill(text)
    for text, kind in marked:
        select(page, text)
        page.get_by_role("button", name=f"Mark {kind}", exact=True).click()
        page.get_by_role("button", name=f"{kind}: {text}", exact=True).wait_for()
    page.click("#predict")
    page.wait_for_selector("#answer > .lt")
    page.evaluate("document.getElementById('json').open = true")
    request, response = answered(page)
    assert request == meant
    expected = httpx.post(f"{server}/api/{task}/predict?html=true", json=meant, timeout=60).json()
    drawn = page.evaluate(
        "html => { const box = document.createElement('div'); box.innerHTML = html; return box.textContent; }",
        expected.pop("html"),
    )
    assert_alike(response, expected)
    assert page.text_content("#answer > .lt") == drawn
    assert BORN.split()[-1] in page.inner_text("#answer") or task == "token_classification"
    assert page.is_hidden("#error")


@pytest.mark.parametrize("task", TASKS)
def test_the_example_is_answered_at_phone_width(page: Any, task: str) -> None:
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    choose(page, task)
    page.click("#example")
    page.click("#predict")
    page.wait_for_selector("#answer > .lt")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


def test_by_keyboard_alone(page: Any) -> None:
    choose(page, "relation_classification")  # the first text has the focus
    page.keyboard.type("Paris is in France")
    page.keyboard.press("Control+Shift+ArrowLeft")
    page.keyboard.press("Alt+KeyT")
    page.keyboard.press("Home")
    page.keyboard.press("Control+Shift+ArrowRight")
    page.keyboard.press("Tab")  # to the button; the selection stays
    assert page.evaluate("document.activeElement.textContent") == "Mark head"
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+Enter")
    request, _ = answered(page)
    assert request == {"text": "Paris is in France", "head": [0, 5], "tail": [12, 18]}


def test_by_touch(page: Any, server: str) -> None:
    """A tap on the button leaves the selection that the phone has made."""
    context = page.context.browser.new_context(has_touch=True, viewport={"width": PHONE[0], "height": PHONE[1]})
    try:
        phone = context.new_page()
        phone.goto(f"{server}/#entity_typing")
        phone.wait_for_selector("textarea")
        phone.get_by_label("Text", exact=True).fill(BORN)
        phone.evaluate("document.querySelector('textarea').setSelectionRange(28, 37)")
        phone.get_by_role("button", name="Mark entity").tap()
        phone.get_by_role("button", name="entity: Honolulu", exact=True).wait_for()
        phone.locator("#predict").tap()
        phone.wait_for_selector("#answer > .lt")
    finally:
        context.close()


def test_marks_move_with_their_text(page: Any) -> None:
    choose(page, "relation_classification")
    page.click("#example")  # head: Eric Fenby, tail: Victoria
    area = page.get_by_label("Text", exact=True)
    area.press("Control+Home")
    area.type("😀 So: ")
    page.evaluate("parts[0].area.setSelectionRange(parts[0].text.indexOf('Fenby'), parts[0].text.indexOf('Fenby') + 5)")
    page.keyboard.type("Smith")
    page.get_by_role("button", name="head: Eric Smith", exact=True).wait_for()
    page.get_by_role("button", name="remove tail Victoria").click()
    page.click("#predict")
    assert page.inner_text("#error") == "No tail is marked: select it in the text, then press “Mark tail”."
    select(page, "managing")
    page.get_by_role("button", name="Mark tail").click()
    page.click("#predict")
    request, _ = answered(page)
    text = request["text"]
    assert [text[slice(*request[key])] for key in ("head", "tail")] == ["Eric Smith", "managing"]
    area.fill("Something else altogether.")
    assert page.locator(".chip").count() == 0


def test_errors_are_in_plain_words(page: Any) -> None:
    choose(page, "record")
    page.click("#predict")
    assert page.inner_text("[role=alert]") == "“Query” is empty."
    page.get_by_label("Query", exact=True).fill("no gap")
    page.get_by_label("Passage", exact=True).fill("London <b>is</b>")
    page.get_by_role("button", name="Mark candidate").click()
    assert page.inner_text("#error").startswith("Nothing is selected: select the candidate in the text")
    select(page, "London")
    page.get_by_role("button", name="Mark candidate").click()
    page.click("#predict")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error").startswith('input 0: "query" must hold "@placeholder" once')
    assert page.locator("#answer > *").count() == 0


def test_a_server_that_is_gone(page: Any) -> None:
    """One model alone needs no choice; a task of one's own is a text."""
    app, _ = fake_app(FakeModel())
    context = page.context.browser.new_context()
    own = context.new_page()
    try:
        with live(app) as address:
            own.goto(address)
            own.get_by_label("Text", exact=True).fill("<i>two</i> words")
            own.click("#predict")
            own.wait_for_selector("#answer > .lt")
            assert "<i>two</i>:10" in own.inner_text("#answer")
            assert own.is_hidden("#choose")
        own.click("#predict")
        own.wait_for_selector("#error:not([hidden])")
        assert own.inner_text("#error") == "The server does not answer. Is it still running?"
    finally:
        context.close()
