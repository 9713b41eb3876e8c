"""Kinds of error, and tables whose numbers are those of the scores."""

from __future__ import annotations

import random
import re
from html import unescape
from typing import Any

import pytest

from luke_tasks.heads.ner import _ScoredSpan
from luke_tasks.metrics.span_f1 import SpanF1
from luke_tasks.mistakes.judging import judge
from luke_tasks.report.errors import chosen, compare, error_html
from luke_tasks.report.tables import confusion_matrix, label_scores
from tests.pages.samples import NASTY
from tests.report.samples import spans_case, wrong_cases

TEXT = "Ada Lo left Acme in Rome."


@pytest.mark.parametrize(
    ("gold", "predicted", "kinds"),
    [
        ([[0, 6, "PER"]], [(0, 6, "PER")], []),
        ([[0, 6, "PER"]], [(0, 6, "ORG")], ["type"]),
        ([[0, 6, "PER"]], [(0, 3, "PER")], ["boundary"]),
        ([[0, 6, "PER"]], [(0, 3, "ORG")], ["boundary", "type"]),
        ([[0, 6, "PER"]], [], ["missed"]),
        ([], [(0, 6, "PER")], ["spurious"]),
        ([[0, 6, "PER"]], [(12, 16, "ORG")], ["missed", "spurious"]),
        ([[0, 6, "PER"]], [(0, 3, "PER"), (4, 6, "PER")], ["boundary", "spurious"]),
        ([[0, 3, "PER"], [4, 6, "PER"]], [(0, 6, "PER")], ["boundary", "missed"]),
        ([[0, 3, "PER"], [4, 6, "ORG"]], [(4, 6, "ORG"), (0, 3, "LOC")], ["type"]),
        ([], [], []),
    ],
)
def test_kinds_of_span_errors(gold: list[list[Any]], predicted: list[tuple[int, int, str]], kinds: list[str]) -> None:
    assert judge(spans_case(TEXT, gold, predicted)).kinds == kinds


def test_table_of_spans_is_the_score() -> None:
    """Precision, recall and F1 of each label are those that `evaluate` prints, whatever overlaps what."""
    chance = random.Random(3)
    metric, judged = SpanF1(), []
    for number in range(200):
        gold, predicted = (_random_spans(chance) for _ in range(2))
        metric.update(gold=gold, predicted=predicted, num_words=12)
        case = spans_case("x" * 12, [[span.start, span.end, span.label] for span in gold],
                          [(span.start, span.end, span.label) for span in predicted], f"f:{number}")  # fmt: skip
        judged.append(judge(case))
    scores = metric.compute()
    table = label_scores(pair for one in judged for pair in one.pairs)
    assert {one.label for one in table} == {"A", "B", "C"}
    for one in table:
        found = (one.precision, one.recall, one.f1)
        assert found == pytest.approx([scores[f"{name}-{one.label}"] for name in ("precision", "recall", "f1")])


def _random_spans(chance: random.Random) -> list[_ScoredSpan]:
    """Some that do not overlap, in 12 words."""
    cuts = sorted(chance.sample(range(13), chance.choice((0, 2, 4, 6))))
    return [
        _ScoredSpan(start, end, chance.choice("ABC"), 0.0, 0.9) for start, end in zip(*[iter(cuts)] * 2, strict=True)
    ]


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ("spans", ["boundary", "type"]), ("words", ["GOLD → PER"]), ("label", ["GOLD → PER"]),
        ("text", ["GOLD → PER"]), ("labels", ["missing label", "extra label"]), ("number", ["too low"]),
        ("answers", ["wrong answer"]), ("candidates", ["wrong candidate"]), ("choice", ["1 → 2"]),
        ("fillings", ["wrong word"]),
    ],
)  # fmt: skip
def test_kinds_of_other_errors(form: str, kinds: list[str]) -> None:
    assert judge(wrong_cases(TEXT, "PER")[form]).kinds == kinds


def test_answers() -> None:
    case = wrong_cases(TEXT, "PER")["answers"]
    partly = judge(type(case)(**{**vars(case), "gold": [[0, 6]]}))
    assert partly.kinds == ["partly right"]
    assert judge(type(case)(**{**vars(case), "gold": [[0, 3], [12, 16]]})).kinds == []
    assert judge(type(case)(**{**vars(case), "gold": []})).kinds == ["answer where there is none"]
    nothing = {**case.prediction, "answer": "", "start": None, "end": None}
    assert judge(type(case)(**{**vars(case), "prediction": nothing})).kinds == ["no answer given"]
    assert judge(type(case)(**{**vars(case), "prediction": nothing, "gold": []})).kinds == []


@pytest.mark.parametrize("form", wrong_cases(TEXT, "PER"))
def test_an_error_shows_its_text_and_is_escaped(form: str) -> None:
    case = wrong_cases(NASTY, f"{NASTY}'\"|")[form]
    (error,) = compare([("data", [judge(case)])])
    html = error_html(error, ["run"])
    seen = unescape(re.sub(r"<[^>]*>", "", re.sub(r'<span class="lt-l".*?</span>(</span>)?', "", html)))
    assert "<script" not in html and NASTY[8:] in seen and html.count("<div") == html.count("</div>")
    assert ("GOLD" in html) == (form not in ("number", "answers", "candidates", "choice"))


def test_two_runs_are_laid_side_by_side() -> None:
    right, wrong = spans_case(TEXT, [[0, 6, "PER"]], [(0, 6, "PER")]), spans_case(TEXT, [[0, 6, "PER"]], [])
    both = spans_case(TEXT, [[0, 6, "PER"]], [(0, 3, "PER")], "f:2")
    errors = compare([("d", [judge(right), judge(both)]), ("d", [judge(wrong), judge(both)])])
    assert [error.wrong for error in errors] == [[1], [0, 1]] and errors[1].kinds == ["boundary"]
    html = error_html(errors[0], ["one", "two"])
    assert 'data-runs="|1|"' in html and html.index("one") < html.index(">right<") < html.index("two")
    other_data = compare([("d", [judge(wrong)]), ("e", [judge(wrong)])])
    assert [error.wrong for error in other_data] == [[0], [1]]


def test_a_choice_of_errors_has_each_kind() -> None:
    missed = [judge(spans_case(TEXT, [[0, 6, "PER"]], [], f"f:{number}")) for number in range(50)]
    spurious = [judge(spans_case(TEXT, [], [(0, 6, "PER")], f"f:{number}")) for number in range(50, 53)]
    errors = compare([("d", [*missed, *spurious])])
    kept = chosen(errors, 10)
    assert [one.kinds[0] for one in kept].count("spurious") == 3 and len(kept) == 10
    assert chosen(errors, 100) == errors and chosen(errors, 0) == []


def test_confusion_matrix_of_many_labels() -> None:
    cases = [spans_case(TEXT, [[0, 6, f"L{number % 40:02}"]], [(0, 6, f"L{number % 39:02}")]) for number in range(400)]
    html = confusion_matrix([judge(case) for case in cases])
    assert html.count('scope="row"') == 25 and "16 rarer labels" in html
    counts = [int(count.replace(",", "")) for count in re.findall(r">([\d,]+)</td>", html)]
    assert sum(counts) == 400
