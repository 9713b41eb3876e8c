"""Texts with spans, cut into words as `predict` cuts raw text."""

import pytest

from luke_tasks.own_data.span_texts import conll_of_records, labelled_text


@pytest.mark.parametrize(
    "text, span, lines",
    [
        ("AT&T paid 40,400 USD", (0, 4), ["AT&T\tB-ORG", "paid\tO", "40,400\tO", "USD\tO"]),
        ("東京に行く", (0, 2), ["東\tB-ORG", "京\tI-ORG", "に\tO", "行\tO", "く\tO"]),
        ("Lee's club", (0, 3), ["Lee\tB-ORG", "'s\tO", "club\tO"]),
    ],
)
def test_words_are_those_of_raw_text(text: str, span: tuple[int, int], lines: list[str]) -> None:
    record = {"text": text, "label": [[*span, "ORG"]]}
    assert conll_of_records([record], labelled_text, "mine.jsonl").splitlines() == lines
