"""A few examples in the form that a shipped config's reader wants."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import SENTENCES, conll

TEXTS = ["Beyoncé lives in Los Angeles .", "EU rejects German call .", "London is old .", "Phil Simmons took four ."]


def data_for(reader: dict[str, Any]) -> tuple[str, str]:
    """The content of a data file and its ending.

    Args:
        reader: `dataset_reader` of a resolved config.
    """
    match reader["type"]:
        case "conll_span" | "conll_tokens":
            return conll(SENTENCES), ".txt"
        case "entity_typing":
            contexts: dict[str, Any] = {"left_context_token": [], "right_context_token": ["left", "."]}
            return lines(
                [{**contexts, "mention_span": "He", "y_str": [label]} for label in ("person", "time")]
            ), ".json"
        case "relation_classification":
            return relations(reader["dataset"])
        case "record":
            entities = [{"start": 0, "end": 4}, {"start": 11, "end": 16}]
            question = {"id": "1", "query": "@placeholder won", "answers": [{"start": 0, "end": 4, "text": "Paris"}]}
            passage = {"text": "Paris beat London .", "entities": entities}
            return json.dumps({"data": [{"passage": passage, "qas": [question]}]}), ".json"
        case "transformers_squad":
            paragraphs = [
                {"context": text, "qas": [{"id": str(index), "question": "Who ?",
                                           "answers": [{"text": text[:3], "answer_start": 0}]}]}
                for index, text in enumerate(TEXTS)
            ]  # fmt: skip
            return json.dumps({"data": [{"title": "A", "paragraphs": paragraphs}]}), ".json"
        case "sequence_classification":
            return table(reader)
        case "multiple_choice":
            record = {"context": "He opens the door .", "choices": ["in .", "out ."], "label": 0}
            return lines([record, record]), ".jsonl"
        case "masked_text":
            return "\n".join(TEXTS), ".txt"
    raise AssertionError(f"no data for {reader['type']}")


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def relations(dataset: str) -> tuple[str, str]:
    """Two sentences with two relations."""
    labels = ("per:spouse", "no_relation")
    if dataset == "tacred":
        spans = {"subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2}
        records = [{"id": "1", "token": ["She", "met", "Bob"], **spans, "relation": label} for label in labels]
        return json.dumps(records), ".json"
    if dataset == "kbp37":
        sentence = '1\t" <e1> She </e1> met <e2> Bob </e2> . "'
        return "".join(f"{sentence}\n{label}\n\n\n" for label in labels), ".txt"
    return lines(
        [{"text": "She met Bob", "head": [0, 3], "tail": [8, 11], "label": label} for label in labels]
    ), ".jsonl"


def table(reader: dict[str, Any]) -> tuple[str, str]:
    """A TSV with the columns that the reader names."""
    columns = reader["columns"] or [name for name in (reader["text"], reader["text_pair"], reader["label"]) if name]
    values = ("1.5", "0.5") if reader["problem_type"] == "regression" else ("good", "bad")
    rows = [[value if name == reader["label"] else f"{name} {value}" for name in columns] for value in values]
    header = [] if reader["columns"] else [columns]
    return "".join("\t".join(row) + "\n" for row in [*header, *rows]), ".tsv"
