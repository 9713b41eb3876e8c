"""Whole files to begin from: the forms of every registered reader, small, with the options that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interop.checkpoints import CHOICE_RECORDS, MASKED_RECORDS, PAIR_RECORDS, TYPING_RECORDS, json_lines
from tests.shipped_data import data_for

DATA = Path(__file__).parents[2] / "data"
Sample = tuple[dict[str, Any], str, bytes]  # options of the reader, ending of the file's name, its bytes
KBP37 = '1\t" <e1> She </e1> met <e2> Bob </e2> . "\nno_relation\n\n\n2\t" <e2> A </e2> left <e1> B </e1> "\nx(e1,e2)\n'
TITLED = {"version": "1.1", "data": [{"title": "Los Angeles", "paragraphs": [{
    "context": "Beyoncé lives in Los Angeles, near London.",
    "qas": [{"id": "q1", "question": "Who left London?", "answers": [{"text": "Beyoncé", "answer_start": 0}]},
            {"id": "q2", "question": "Why?", "answers": [], "is_impossible": True}],
}]}]}  # fmt: skip
CANDIDATES = {"Los Angeles": {"Beyoncé": "Beyoncé", "Los Angeles": "Los Angeles", "London": "London"}, "A": {"a": "b"}}


def _head(path: str, lines: int) -> bytes:
    return b"\n".join((DATA / path).read_bytes().split(b"\n")[:lines]) + b"\n"


def _squad() -> bytes:
    content = json.loads((DATA / "question_answering/valid.json").read_text(encoding="utf-8"))
    article = content["data"][0]
    return json.dumps({**content, "data": [{**article, "paragraphs": article["paragraphs"][:2]}]}).encode()


def _record() -> bytes:
    content = json.loads((DATA / "record/valid.json").read_text(encoding="utf-8"))
    return json.dumps({**content, "data": content["data"][:2]}).encode()


def _shipped(**reader: Any) -> bytes:
    return data_for(reader)[0].encode()


READERS: dict[str, list[Sample]] = {
    "conll_span": [
        ({}, ".txt", _head("ner/valid.txt", 30)),
        ({"iob_scheme": "iob2", "context": "shared"}, ".txt", _head("ner/valid.txt", 40)),
        ({"context": "sentence", "max_sequence_length": 12}, ".txt", _shipped(type="conll_span")),
        ({"encoding": "utf-16"}, ".txt", _shipped(type="conll_span").decode().encode("utf-16")),
        ({}, ".txt", b"John\tB-PER\nSmith\tE-PER\n\nRome\tS-LOC\n"),
    ],
    "conll_tokens": [
        ({}, ".txt", _head("ner/valid.txt", 30)),
        ({"labels": "words", "label_column": 1, "context": "document"}, ".txt", _shipped(type="conll_tokens")),
        ({"label_scheme": "bilou", "max_sequence_length": 10}, ".txt", _shipped(type="conll_tokens")),
    ],
    "entity_typing": [
        ({"label_set": "all"}, ".jsonl", _head("entity_typing/valid.jsonl", 4)),
        ({"label_set": "all", "max_sequence_length": 12}, ".json", json_lines(TYPING_RECORDS).encode()),
        ({"label_set": ["time", "person"]}, ".json", _shipped(type="entity_typing")),
    ],
    "relation_classification": [
        ({"dataset": "jsonl"}, ".jsonl", _head("relation_classification/valid.jsonl", 4)),
        ({"dataset": "tacred", "max_sequence_length": 12}, ".json", json.dumps(PAIR_RECORDS).encode()),
        ({"dataset": "kbp37"}, ".txt", KBP37.encode()),
    ],
    "record": [
        ({}, ".json", _record()),
        ({"max_sequence_length": 40, "max_query_length": 20, "stride": 5}, ".json", _shipped(type="record")),
    ],
    "transformers_squad": [
        ({}, ".json", _squad()),
        ({"max_sequence_length": 30, "max_query_length": 8, "stride": 4}, ".json", json.dumps(TITLED).encode()),
        ({"skip_impossible_questions": True}, ".json", json.dumps(TITLED).encode()),
    ],
    "sequence_classification": [
        ({"text": "sentence"}, ".tsv", _head("sequence_classification/valid.tsv", 6)),
        ({"text": "sentence", "format": "csv"}, ".csv", b'sentence,label\n"a, ""b""",good\nc,bad\n'),
        ({"problem_type": "regression"}, ".jsonl", b'{"text": "a b", "label": 1.5}\n{"text": "c", "label": 0}\n'),
        ({"problem_type": "multi_label_classification"}, ".jsonl", b'{"text": "a b", "label": ["x", "y"]}\n'),
        ({"text_pair": "second", "columns": ["text", "second", "label"]}, ".tsv", b"a b\tc\tgood\nd\te f\tbad\n"),
        ({}, ".jsonl", b'{"text": "EU is", "label": "x", "entities": [{"start": 0, "end": 2, "title": "Japan"}]}\n'),
    ],
    "multiple_choice": [
        ({}, ".jsonl", _head("multiple_choice/valid.jsonl", 4)),
        ({"max_sequence_length": 12}, ".jsonl", json_lines(CHOICE_RECORDS).encode()),
        ({}, ".csv", b"context,choice_0,choice_1,label\na b,c,d,0\ne,f,g,1\n"),
    ],
    "masked_text": [
        ({}, ".jsonl", _head("masked_lm/valid.jsonl", 4)),
        ({"max_sequence_length": 10}, ".jsonl", json_lines(MASKED_RECORDS).encode()),
        ({}, ".txt", _shipped(type="masked_text")),
    ],
}  # fmt: skip
