"""SQuAD's scores against an independent computation on random predictions, and on cases worked by hand."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from typing import Any

import pytest

from luke_tasks.errors import DataError
from luke_tasks.metrics.mlqa_text import LANGUAGES, check_language, normalise
from luke_tasks.metrics.squad_scores import AnswerScores, WindowScores, score

WORDS = ["the", "a", "Denver", "denver,", "Broncos", "won", "50", "an", "U.S.", "", "2016"]


def words_of(text: str) -> list[str]:
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return [word for word in re.split(r"\s+", kept) if word not in ("", "a", "an", "the")]


def official(predicted: str, golds: list[str]) -> tuple[float, float]:
    """v1.1's rules, written down once more."""
    exact = max(float(words_of(predicted) == words_of(gold)) for gold in golds)
    f1s = []
    for gold in golds:
        a, b = Counter(words_of(predicted)), Counter(words_of(gold))
        common = sum(min(a[word], b[word]) for word in a)
        f1s.append(2 * common / (sum(a.values()) + sum(b.values())) if common else 0.0)
    return exact, max(f1s)


@pytest.fixture
def rng() -> random.Random:
    return random.Random(5)


def text(rng: random.Random, least: int = 0) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(least, 5)))


def test_v1_against_an_independent_computation(rng: random.Random) -> None:
    metric, exacts, f1s = AnswerScores(), [], []
    for _ in range(500):
        golds, predicted = [text(rng, 1) for _ in range(rng.randint(1, 3))], text(rng)
        metric.update(golds=golds, predicted=predicted)
        exact, f1 = official(predicted, golds)
        exacts.append(exact)
        f1s.append(f1)
    found = metric.compute()
    assert 0 < sum(exacts) < 500
    assert found == pytest.approx({"exact_match": 100 * sum(exacts) / 500, "f1": 100 * sum(f1s) / 500})


def test_v2_against_an_independent_computation(rng: random.Random) -> None:
    """Every threshold is tried by scoring all questions anew."""
    metric, questions = AnswerScores(unanswerable=True), []
    for _ in range(300):
        golds = [rng.choice(["Denver", "the Broncos", "50"])] if rng.random() < 0.6 else []
        span, odds = rng.choice(["Denver", "Broncos won", "50", "2016"]), round(rng.gauss(0 if golds else 2, 3), 3)
        predicted = "" if odds > 0 else span
        metric.update(golds=golds, predicted=predicted, best_span=span, null_odds=odds)
        questions.append((golds, span, odds))

    def scored(threshold: float, kept: Any = lambda golds: True) -> tuple[float, float]:
        pairs = [official("" if odds > threshold else span, golds) if golds else (float(odds > threshold),) * 2
                 for golds, span, odds in questions if kept(golds)]  # fmt: skip
        return tuple(100 * sum(pair[place] for pair in pairs) / len(pairs) for place in (0, 1))  # type: ignore

    found = metric.compute()
    assert (found["exact_match"], found["f1"]) == pytest.approx(scored(0))
    assert (found["HasAns_exact"], found["HasAns_f1"]) == pytest.approx(scored(0, bool))
    assert (found["NoAns_exact"], found["NoAns_f1"]) == pytest.approx(scored(0, lambda golds: not golds))
    thresholds = [-1000.0, *(odds for _, _, odds in questions)]
    for place, name in enumerate(("exact", "f1")):
        assert found[f"best_{name}"] == pytest.approx(max(scored(one)[place] for one in thresholds))
        assert scored(found[f"best_{name}_thresh"])[place] == pytest.approx(found[f"best_{name}"])


def test_v2_worked_by_hand() -> None:
    metric = AnswerScores(unanswerable=True)
    metric.update(golds=["Denver Broncos"], predicted="Denver", best_span="Denver", null_odds=-2.0)
    metric.update(golds=[], predicted="won", best_span="won", null_odds=-1.0)
    metric.update(golds=[], predicted="", best_span="won", null_odds=3.0)
    found = metric.compute()
    assert (found["exact_match"], found["f1"]) == pytest.approx((100 / 3, 100 * (2 / 3 + 0 + 1) / 3))
    assert (found["HasAns_f1"], found["NoAns_exact"]) == pytest.approx((200 / 3, 50))
    assert (found["best_exact"], found["best_exact_thresh"]) == pytest.approx((200 / 3, 0.0))  # nothing but ""
    assert (found["best_f1"], found["best_f1_thresh"]) == pytest.approx((100 * (2 / 3 + 2) / 3, -2.0))
    metric.reset()
    assert metric.compute()["f1"] == 0.0


def test_nothing_is_right_where_there_is_no_answer() -> None:
    assert score("", []) == (1.0, 1.0)
    assert score("Denver", []) == (0.0, 0.0)
    assert score("", ["Denver"]) == (0.0, 0.0)


def test_windows() -> None:
    metric = WindowScores()
    metric.update(span=True, start=True, end=True, predicted="Denver", golds=["Denver"])
    metric.update(span=False, start=True, end=False, predicted="Denver", golds=["Denver Broncos"])
    assert metric.compute() == pytest.approx(
        {"span_accuracy": 0.5, "span_start_accuracy": 1.0, "span_end_accuracy": 0.5, "per_instance_em": 0.5,
         "per_instance_f1": (1 + 2 / 3) / 2}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("language", "raw", "expected"),
    [
        ("en", "The «Broncos», an A-list", "broncos alist"),
        ("es", "Los Ángeles, una ciudad", "ángeles ciudad"),
        ("de", "Der Turm des Königs", "turm königs"),
        ("vi", "của Hà Nội", "hà nội"),
        ("hi", "भारत।", "भारत"),
        ("ar", "الكتاب، والكتاب", "كتاب و كتاب"),
        ("zh", "北京。abc 的 12", "北 京 abc 的 12"),
    ],
)
def test_mlqa_worked_by_hand(language: str, raw: str, expected: str) -> None:
    """After the rules of MLQA's script: punctuation of every script, articles by language, Chinese by characters."""
    assert normalise(raw, language) == expected


def test_mlqa_has_seven_languages() -> None:
    assert sorted(LANGUAGES) == ["ar", "de", "en", "es", "hi", "vi", "zh"]
    with pytest.raises(DataError) as raised:
        check_language("ro", "f.json: article 1")
    assert str(raised.value) == (
        "f.json: article 1: the context's language is 'ro', and MLQA's normalisation knows en, es, hi, vi, de, ar, zh; "
        'set model.head.normalisation to "squad"'
    )
