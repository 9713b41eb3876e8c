"""Raw input of `predict`: lines of text, JSON lines with `text` or `words`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from luke_tasks.errors import DataError
from luke_tasks.readers.conll_span import NerExample
from tests.readers.letters import reader

MUST = "a line that begins with { must be one"


def parse(record: dict[str, Any]) -> NerExample:
    return reader().parse_input(record, "in.jsonl:3")


def sentences(example: NerExample) -> list[list[str]]:
    return [example.words[start:end] for start, end in example.sentences]


def test_text() -> None:
    example = parse({"text": "Beyoncé lives in Los Angeles."})
    assert sentences(example) == [["Beyoncé", "lives", "in", "Los", "Angeles", "."]]
    assert (example.id, example.entities) == ("in.jsonl:3", None)


def test_words() -> None:
    example = parse({"words": ["New York", "is", "big"], "id": "x"})
    assert sentences(example) == [["New York", "is", "big"]]
    assert (example.id, example.text) == ("x", "New York is big")
    assert [example.text[start:end] for start, end in example.word_offsets] == example.words


@pytest.mark.parametrize(("id", "shown"), [("a", "a"), (7, "7"), (None, "in.jsonl:3"), ("", "")])
def test_ids(id: Any, shown: str) -> None:
    assert parse({"text": "a", "id": id}).id == shown


def test_a_line_of_text_is_a_sentence() -> None:
    example = parse({"text": "One two.\r\n \n\nThree\u2028four\n"})
    assert sentences(example) == [["One", "two", "."], ["Three", "four"]]


@pytest.mark.parametrize("text", ["", " ", "\n", "\u2028\n\t\n", "\u00a0"])
def test_nothing(text: str) -> None:
    example = parse({"text": text})
    assert (example.words, example.sentences, example.text) == ([], [], text)
    assert reader().encode([example]) == []


def test_no_words() -> None:
    example = parse({"words": []})
    assert (example.words, example.sentences, example.text) == ([], [], "")
    assert reader().encode([example]) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("😀 Paris 👩‍👩‍👧 ok", ["😀", "Paris", "👩‍", "👩‍", "👧", "ok"]),
        ("Zoe\u0308 met Ren\u00e9e", ["Zoe\u0308", "met", "Ren\u00e9e"]),
        ("東京は日本。", ["東", "京", "は", "日", "本", "。"]),
        ("か\u3099\nｶﾞ", ["か\u3099", "ｶﾞ"]),
        ("𝔘𝔫𝔦 x", ["𝔘𝔫𝔦", "x"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ],
)
def test_offsets_are_of_characters(text: str, words: list[str]) -> None:
    example = parse({"text": text})
    assert example.words == words
    assert [example.text[start:end] for start, end in example.word_offsets] == words


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, 'expected "text" (a string) or "words" (a list of strings), found no key'),
        ({"txt": "a"}, 'expected "text" (a string) or "words" (a list of strings), found txt'),
        ({"text": None}, '"text" must be a string, found null'),
        ({"text": ["a"]}, '"text" must be a string, found ["a"]'),
        ({"text": "\ud800"}, "\"text\" holds half a character (a lone \\ud800 to \\udfff): '\\ud800'"),
        ({"words": ["\ud800"]}, "\"words\" holds half a character (a lone \\ud800 to \\udfff): '\\ud800'"),
        ({"words": "a b"}, '"words" must be a list of words (strings that are not blank), found "a b"'),
        ({"words": ["a", 1]}, '"words" must be a list of words (strings that are not blank), found ["a", 1]'),
        ({"words": ["a", " "]}, '"words" must be a list of words (strings that are not blank), found ["a", " "]'),
        ({"words": None}, '"words" must be a list of words (strings that are not blank), found null'),
        ({"words": ["a"], "text": "a"}, 'give "text" or "words", not both'),
    ],
)
def test_wrong_records(record: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError) as raised:
        parse(record)
    assert str(raised.value) == f"in.jsonl:3: {expected}"


def test_lines() -> None:
    own = reader()
    assert own.parse_line("Paris is old\r\n", "in:1").text == "Paris is old"
    assert own.parse_line('{"text": "Paris"}\n', "in:1").text == "Paris"
    assert own.parse_line('  {"words": ["a", "b"], "id": 4}', "in:1").id == "4"
    assert own.parse_line("[not JSON]", "in:1").words == ["[", "not", "JSON", "]"]
    assert own.parse_line("", "in:1").words == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": 1', f"no valid JSON object (Expecting ',' delimiter at column 11): '{{\"text\": 1'; {MUST}"),
        ('{"text": "a"} b', f'no valid JSON object (Extra data at column 15): \'{{"text": "a"}} b\'; {MUST}'),
        (
            "{,}",
            f"no valid JSON object (Expecting property name enclosed in double quotes at column 2): '{{,}}'; {MUST}",
        ),
        ('{"text": "\\ud800"}', 'holds half a character (a lone \\ud800 to \\udfff): \'{"text": "\\\\ud800"}\''),
    ],
)
def test_wrong_json(line: str, expected: str) -> None:
    with pytest.raises(DataError) as raised:
        reader().parse_line(line, "in:7")
    assert str(raised.value) == f"in:7: {expected}"


@pytest.mark.parametrize("line", ['{"a": ' + "[" * 100_000, '{"a": ' + "9" * 10_000 + "}"], ids=["brackets", "digits"])
def test_json_beyond_the_parser(line: str) -> None:
    with pytest.raises(DataError, match=r"^in:7: JSON that cannot be read \("):
        reader().parse_line(line, "in:7")


def test_long_lines_are_shown_in_part() -> None:
    with pytest.raises(DataError) as raised:
        reader().parse_line("{" + "x" * 1000, "in:7")
    assert len(str(raised.value)) < 250


def test_what_json_can_say_json_can_be_read_back() -> None:
    record = {"text": "Zoë 😀\tParis\n東京"}
    example = reader().parse_line(json.dumps(record), "in:1")
    assert example.text == record["text"]
