"""Data files as long as a suite wants them, in the formats the readers know, made of the project's samples."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

_SENTENCES_A_DOCUMENT = 12  # where a file does not say where documents end; CoNLL-2003 has 15, of 14 words
_CONTEXT_WORDS = 320  # with a question, about a window of 384 word pieces


@dataclass(frozen=True)
class Sample:
    """A reader, and a file of its format that can be made as long as one likes."""

    reader: dict[str, Any]
    file: str
    repeat: Callable[[str, int], Iterator[str]]  # the sample's text and a number of records → pieces of the long file


def lines_repeated(text: str, records: int) -> Iterator[str]:
    """JSON lines, one record a line."""
    return islice(cycle(text.splitlines(keepends=True)), records)


def sentences_repeated(text: str, records: int) -> Iterator[str]:
    """CoNLL, one sentence a record."""
    return islice(cycle([block + "\n\n" for block in text.strip().split("\n\n")]), records)


def tacred_repeated(text: str, records: int) -> Iterator[str]:
    """One JSON array of TACRED's records, made of plain ones; with as much else in each as TACRED has."""
    arrays = []
    for line in text.splitlines():
        record = json.loads(line)
        words = record["text"].split(" ")
        place = dict.fromkeys(("subj_start", "subj_end", "obj_start", "obj_end"), 0)
        others = {f"stanford_{name}": words for name in ("pos", "ner", "head", "deprel")}
        arrays.append(json.dumps({"id": record["id"], "relation": record["label"], "token": words, **place, **others}))
    for index in range(records):
        yield ("[", ", ")[index > 0] + arrays[index % len(arrays)]
    yield "]"


def articles_repeated(text: str, records: int) -> Iterator[str]:
    """SQuAD's and ReCoRD's form, one question a record, with ids of their own. The last article may add a few."""
    articles = json.loads(text)["data"]
    number = 0
    yield '{"version": "1.1", "data": [\n'
    while number < records:
        separator = ", " if number else ""
        article = json.loads(json.dumps(articles[number % len(articles)]))
        for holder in article.get("paragraphs", [article]):
            for question in holder["qas"]:
                question["id"] = str(number)
                number += 1
        yield separator + json.dumps(article) + "\n"
    yield "]}"


TACRED = "relation_classification (tacred)"
SAMPLES = {
    "conll_span": Sample({"max_sequence_length": 256}, "data/ner/train.txt", sentences_repeated),
    "entity_typing": Sample({}, "data/entity_typing/train.jsonl", lines_repeated),
    "relation_classification": Sample({"dataset": "jsonl"}, "data/relation_classification/train.jsonl", lines_repeated),
    TACRED: Sample({"dataset": "tacred"}, "data/relation_classification/train.jsonl", tacred_repeated),
    "record": Sample({}, "data/record/train.json", articles_repeated),
    "transformers_squad": Sample({}, "data/question_answering/train.json", articles_repeated),
}


def conll_documents(text: str, count: int) -> str:
    """A CoNLL file of `count` documents of another one, which is gone through again where it has fewer.

    A file that does not mark its documents is cut into some of 12 sentences.
    """
    blocks = [block for block in re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n").strip()) if block.strip()]
    documents: list[list[str]] = []
    marked = any(block.startswith("-DOCSTART") for block in blocks)
    for number, block in enumerate(blocks):
        starts = block.startswith("-DOCSTART") if marked else number % _SENTENCES_A_DOCUMENT == 0
        if starts or not documents:
            documents.append([])
        if not block.startswith("-DOCSTART"):
            documents[-1].append(block)
    documents = [document for document in documents if document]
    chosen = islice(cycle(documents), count)
    return "".join("-DOCSTART-\n\n" + "".join(block + "\n\n" for block in document) for document in chosen)


def long_contexts(text: str) -> str:
    """A SQuAD file whose contexts are about as long as a window of 384 pieces: neighbouring paragraphs are joined."""
    joined: list[dict[str, Any]] = []
    for article in json.loads(text)["data"]:
        for paragraph in article["paragraphs"]:
            if not joined or len(joined[-1]["context"].split()) + len(paragraph["context"].split()) > _CONTEXT_WORDS:
                joined.append({"context": "", "qas": []})
            last = joined[-1]
            shift = len(last["context"]) + bool(last["context"])
            last["context"] += (" " if shift else "") + paragraph["context"]
            for question in paragraph["qas"]:
                answers = [{**answer, "answer_start": answer["answer_start"] + shift} for answer in question["answers"]]
                last["qas"].append({**question, "answers": answers})
    return json.dumps({"version": "1.1", "data": [{"title": "joined", "paragraphs": joined}]})


def cut_file(source: Path, target: Path, change: Callable[[str], str]) -> Path:
    """Write a changed copy of a data file. Gives `target`."""
    target.write_text(change(source.read_text(encoding="utf-8")), encoding="utf-8")
    return target
