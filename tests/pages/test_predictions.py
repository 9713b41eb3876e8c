"""Predictions as HTML: each task's, with text of strangers in it; spans that overlap; a page of many."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from luke_tasks.heads.ner import Entity, NerPrediction
from luke_tasks.heads.question_answering import AnswerPrediction
from luke_tasks.heads.shown import ShownList
from luke_tasks.pages.marks import Mark, hue, marked_text
from luke_tasks.pages.prediction_list import prediction_list
from luke_tasks.pages.predictions import prediction_html
from luke_tasks.readers.squad_format import Languages, SquadExample
from tests.browser import DESKTOP, PHONE, browser_page, open_file
from tests.pages.samples import NASTY, predictions

TASKS = tuple(predictions("Some text", "label"))


def words(html: str) -> str:
    """What a reader sees."""
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("task", TASKS)
def test_each_task_shows_text_and_label_escaped(task: str) -> None:
    prediction, given = predictions(NASTY, f"{NASTY}\"'")[task]
    shown = prediction_html(task, prediction, given)
    assert "<script" not in shown and "lt-json" not in shown
    without_labels = words(re.sub(r'<span class="lt-l".*?</span>(</span>)?', "", shown))
    assert NASTY[4:] in without_labels and f"{NASTY}\"'" in words(shown)


def test_an_unknown_task_or_form_is_shown_as_json() -> None:
    assert words(prediction_html("my_task", {"answer": "<b>"})) == '{\n  "answer": "<b>"\n}'
    assert '"entities": 3' in words(prediction_html("ner", {"text": "a", "entities": 3}))


def test_a_span_has_its_label_and_probability_behind_it() -> None:
    prediction, _ = predictions("Ada Lo left.", "PER")["ner"]
    assert words(prediction_html("ner", prediction)) == "Ada PER0.90Lo left."
    assert f"--h:{hue('PER')}" in prediction_html("ner", prediction)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([Mark(0, 6, "A"), Mark(2, 4, "B")], "[ab[cd]B ef]A gh"),
        ([Mark(2, 4, "B"), Mark(0, 4, "A")], "[ab[cd]B ]A efgh"),
        ([Mark(0, 4, "A"), Mark(2, 6, "B")], "[ab[cd]]A [ef]B gh"),  # crossing: B in two parts
        ([Mark(0, 2, "A"), Mark(0, 2, "B"), Mark(2, 3, "C")], "[[ab]B ]A [c]C defgh"),
        ([Mark(0, 5, "A"), Mark(1, 7, "B"), Mark(3, 8, "C")], "[a[bc[de]]]A [[fg]B h]C "),
        ([Mark(-3, 2, "A"), Mark(6, 99, "B"), Mark(3, 3, "C")], "[ab]A cdef[gh]B "),
    ],
)
def test_overlapping_marks(marks: list[Mark], expected: str) -> None:
    html = marked_text("abcdefgh", marks)
    drawn = re.sub(r'<span class="lt-l">(.)</span>', r"\1|", html)
    drawn = re.sub(r"<mark[^>]*>", "[", drawn)
    drawn = re.sub(r"(.)\|</mark>", r"]\1 ", drawn).replace("</mark>", "]")
    assert drawn == expected
    assert re.sub(r"<span.*?</span>|<[^>]*>", "", html) == "abcdefgh"


def test_a_long_text_is_cut_around_its_marks() -> None:
    text = "x" * 5000 + "Ada" + "y" * 5000
    shown = words(marked_text(text, [Mark(5000, 5003, "PER")], most=101))
    assert len(shown) == 101 + len("……PER") and shown.startswith("…x") and "Ada" in shown
    assert words(marked_text(text, [], most=10)) == "xxxxxxxxxx…"


def test_marks_far_from_one_another_are_all_shown() -> None:
    text = "Ada " + "x" * 5000 + " Bo " + "y" * 5000 + " Eve"
    marks = [Mark(len(text) - 3, len(text), "C"), Mark(0, 3, "A"), Mark(5005, 5007, "B"), Mark(5005, 5009, "D")]
    shown = words(marked_text(text, marks, most=80))
    assert shown.startswith("AdaA xxx") and shown.endswith("yyy EveC") and " BoB yyyyD"[:4] in shown
    assert shown.count("…") == 2 and len(shown) < 90
    long = words(marked_text("a" * 3000 + "b" * 10 + "c" * 3000, [Mark(0, 3000, "A"), Mark(3010, 6010, "C")], most=100))
    assert long == "a" * 50 + "A…" + "c" * 50 + "C…"


def test_a_prediction_shows_itself_and_is_what_it_was() -> None:
    entity = Entity("Ada", "PER", 0, 3, 0.9, 0, 1)
    one, other = NerPrediction("1", "Ada left", [entity]), NerPrediction("1", "Ada left", [entity])
    assert "<style>" in one._repr_html_() and "PER" in words(one._repr_html_())
    assert one == other and "given" not in repr(one) and set(one.to_json()) == {"id", "text", "entities"}
    many = ShownList([one] * 60)
    shown = many._repr_html_()
    assert shown is not None and shown.count('class="lt"') == 50 and "and 10 more" in shown
    assert json.dumps([item.to_json() for item in many]) and many == [other] * 60


def test_an_answer_remembers_its_question() -> None:
    answer = AnswerPrediction("1", "Ada", 0, 3, 0.9, -2.0, "Ada")
    assert words(answer.fragment()) == "Ada 0.90"
    before = answer.to_json()
    answer.remember(SquadExample("1", "", "Who left?", "Ada left.", None, Languages(), ""))
    assert words(answer.fragment()) == "Who left?Adaanswer0.90 left." and answer.to_json() == before


@pytest.fixture(scope="module")
def all_tasks_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    long = f"{NASTY} and a text of some length " + "word " * 60 + "an-unbroken-" * 30
    with prediction_list(path, f"All {NASTY}", "") as page:
        for task in TASKS:
            page._task = task
            page.add(*predictions(long, f"label_{NASTY}")[task])
    return path


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_page_in_a_browser(all_tasks_page: Path, size: tuple[int, int]) -> None:
    with browser_page(size) as page:
        open_file(page, all_tasks_page)
        assert page.locator("article").count() == len(TASKS)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.inner_text("h1") == f"All {NASTY}"


def test_nothing_to_predict_says_so(tmp_path: Path) -> None:
    with prediction_list(tmp_path / "page.html", "None", "ner"):
        pass
    assert "nothing to predict" in (tmp_path / "page.html").read_text(encoding="utf-8")
