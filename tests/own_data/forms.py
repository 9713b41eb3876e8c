"""The same sentences in the forms in which people have them."""

from __future__ import annotations

import json
from collections.abc import Callable

Sentence = list[tuple[str, str]]  # word, IOB2 tag

SENTENCES: list[Sentence] = [
    [("Ada", "B-PER"), ("Lovelace", "I-PER"), ("left", "O"), ("London", "B-LOC"), (".", "O")],
    [("Oslo", "B-LOC"), ("Paris", "B-LOC"), ("and", "O"), ("Rome", "B-LOC"), ("are", "O"), ("towns", "O"), (".", "O")],
    [("It", "O"), ("rained", "O"), ("in", "O"), ("New", "B-LOC"), ("York", "I-LOC"), ("City", "I-LOC"), (".", "O")],
    [("Bo", "B-PER"), ("met", "O"), ("Cy", "B-PER"), ("there", "O"), ("on", "O"), ("a", "O"), ("Monday", "O")],
]


def columns(line: Callable[[str, str], str]) -> str:
    """A line for each word, a blank one after each sentence."""
    return "".join("".join(f"{line(*word)}\n" for word in sentence) + "\n" for sentence in SENTENCES)


def bilou(sentence: Sentence) -> list[str]:
    """The tags of a sentence as B, I, L, O, U."""
    tags = [tag for _, tag in sentence]
    ends = [not after.startswith("I-") for after in [*tags[1:], "O"]]
    new = {("B", True): "U", ("B", False): "B", ("I", True): "L", ("I", False): "I"}
    return [tag if tag == "O" else new[tag[0], end] + tag[1:] for tag, end in zip(tags, ends, strict=True)]


def spans(sentence: Sentence) -> tuple[str, list[list[object]]]:
    """The text and `[start, end, label]` in characters."""
    text, found = "", list[list[object]]()
    for word, tag in sentence:
        text += " " if text else ""
        if tag.startswith("B-"):
            found.append([len(text), len(text) + len(word), tag[2:]])
        elif tag.startswith("I-"):
            found[-1][1] = len(text) + len(word)
        text += word
    return text, found


def _lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _kaggle() -> str:
    rows = ["Sentence #,Word,POS,Tag"]
    for number, sentence in enumerate(SENTENCES):
        rows += [f"{f'Sentence: {number}' if index == 0 else ''},{word},X,{tag}"
                 for index, (word, tag) in enumerate(sentence)]  # fmt: skip
    return "\n".join(rows) + "\n"


_SPANS = [spans(sentence) for sentence in SENTENCES]
_KEYS = ("start", "end", "label")
# file name → content; all of them mark the entities of SENTENCES
FORMS = {
    "tag_first.txt": columns(lambda word, tag: f"{tag} {word}"),
    "suffixes.txt": columns(lambda word, tag: f"{word}\t{tag if tag == 'O' else f'{tag[2:]}-{tag[0]}'}"),
    "underscores.txt": columns(lambda word, tag: f"{word} {tag.replace('-', '_')}"),
    "commas.csv": columns(lambda word, tag: f"{word},{tag}"),
    "commented.conllu": "".join(
        f"# text = {number}\n"
        + "".join(f"{i + 1}\t{word}\t_\t{tag}\n" for i, (word, tag) in enumerate(sentence))
        + "\n"
        for number, sentence in enumerate(SENTENCES)
    ),
    "kaggle.csv": _kaggle(),
    "doccano.jsonl": _lines([{"id": 1, "text": text, "label": found} for text, found in _SPANS]),
    "spacy.json": json.dumps([{"text": text, "entities": found} for text, found in _SPANS]),
    "prodigy.jsonl": _lines(
        [{"text": text, "spans": [dict(zip(_KEYS, span, strict=True)) for span in found]} for text, found in _SPANS]
    ),
    "label_studio.json": json.dumps(
        [
            {
                "data": {"text": text},
                "annotations": [
                    {
                        "result": [
                            {"value": {"start": start, "end": end, "labels": [label]}} for start, end, label in found
                        ]
                    }
                ],
            }
            for text, found in _SPANS
        ]
    ),
    "lower_case.txt": columns(lambda word, tag: f"{word} {tag[0].lower()}{tag[1:]}"),
    "words.jsonl": _lines(
        [{"tokens": [word for word, _ in one], "ner_tags": [tag for _, tag in one]} for one in SENTENCES]
    ),
    "words_bilou.jsonl": _lines([{"tokens": [word for word, _ in one], "ner_tags": bilou(one)} for one in SENTENCES]),
}
