"""Tasks for files of JSON: records by their keys, SQuAD, ReCoRD, and annotation tools' exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from luke_tasks.own_data.fit import Conversion, Fit, names
from luke_tasks.own_data.kinds import DataFile
from luke_tasks.own_data.span_texts import LabelledText, conll_of_records, labelled_text, word_labels
from luke_tasks.own_data.table_fits import Columns, text_fit
from luke_tasks.readers.entity_typing import COARSE

Record = dict[str, Any]


def record_fits(file: DataFile, columns: Columns) -> Iterator[Fit]:
    """Fits of JSON lines, of an array, and of the one object of SQuAD and ReCoRD."""
    if file.kind == "json" and isinstance(file.value, dict) and isinstance(file.value.get("data"), list):
        yield from _article_fits(file)
        return
    records = file.records
    if not records:
        return
    keys = set.intersection(*({*record} for record in records))
    shown = ", ".join(list(records[0])[:8])
    form = {"jsonl": "JSON lines", "json_array": "a JSON array", "json": "one JSON object"}[file.kind]
    found = f"found {form} with the keys {shown}"
    is_lines = file.kind == "jsonl"
    lines = None if is_lines else Conversion("one JSON object a line", ".jsonl", partial(_lines, file, _same))

    if {"token", "subj_start", "obj_start", "relation"} <= keys:
        seen = f"{found}: TACRED; relations {names(str(one['relation']) for one in records)}"
        options = {"type": "relation_classification", "dataset": "jsonl" if is_lines else "tacred"}
        made = Conversion("spans [start, end) of words", ".jsonl", partial(_lines, file, _of_tacred))
        reasons = {"dataset": f"relations {names(str(one['relation']) for one in records)}"}
        yield Fit("relation_classification", options, seen, reasons, made if is_lines else None)
    if {"head", "tail"} <= keys and keys & {"text", "words"}:
        labels = names(str(one.get("label")) for one in records)
        yield Fit("relation_classification", {"type": "relation_classification", "dataset": "jsonl"},
                  f"{found}; relations {labels}", {"dataset": f"relations {labels}"}, lines)  # fmt: skip
    if {"left_context_token", "mention_span", "right_context_token", "y_str"} <= keys:
        types = [name for one in records for name in one["y_str"] if isinstance(name, str)]
        coarse = sum(name in COARSE for name in types) / max(1, len(types))
        label_set, why = ("coarse", 'the nine types of the LUKE paper; "all" learns the others too')
        if coarse < 0.2 or set(types) <= {*COARSE}:
            label_set, why = "all", f"{len(set(types))} types"
        yield Fit("entity_typing", {"type": "entity_typing", "label_set": label_set}, f"{found}; types {names(types)}",
                  {"label_set": why}, lines)  # fmt: skip
    if "choices" in keys or {"sent1", "ending0", "ending1"} <= keys:
        yield Fit("multiple_choice", {"type": "multiple_choice", **_format(file)}, found, {}, lines)
    if {"question", "context", "answers"} <= keys:
        made = Conversion("SQuAD's JSON", ".json", partial(_squad, file))
        yield Fit("question_answering", {"type": "transformers_squad"}, found, {}, made)
    yield from _labelled_fits(file, found, lines)
    yield from _text_fits(file, keys, found, lines, columns)


def _labelled_fits(file: DataFile, found: str, lines: Conversion | None) -> Iterator[Fit]:
    """Named entities as spans of characters (spaCy, doccano, Prodigy, Label Studio) or as tags of a list of words."""
    sample = [text for one in file.records if (text := labelled_text(one)) is not None]
    if len(sample) > 0.9 * len(file.records) and any(one.spans for one in sample):
        entities = [(one.text[start:end], label) for one in sample for start, end, label in one.spans]
        named = sum(text.casefold() == label.casefold() for text, label in entities)
        made = Conversion("words cut at spaces and signs, IOB2 tags", ".conll", partial(_conll, file, labelled_text))
        fit = Fit("ner", {"type": "conll_span", "context": "sentence"},
                  f"{found}; entities are spans of characters: {names(label for _, label in entities)}",
                  {"type": f"types {names(label for _, label in entities)}", "context": "each text by itself"},
                  made)  # fmt: skip
        if named <= len(entities) / 2:
            yield fit
            return
        yield Fit("masked_lm", {"type": "masked_text"}, f"{found}; entities have names of their own", {}, lines)
        yield fit
    words = [text for one in file.records if (text := word_labels(one)) is not None]
    if words and len(words) > 0.9 * len(file.records):
        tags = [label for one in words for _, _, label in one.spans]
        labels = names(tag.split("-", 1)[-1] for tag in tags)
        made = Conversion("word and IOB2 tag with a tab between", ".conll", partial(_conll, file, word_labels))
        yield Fit("ner", {"type": "conll_span", "context": "sentence"}, f"{found}; each word has a tag: {labels}",
                  {"type": f"types {labels}", "context": "each record by itself"}, made)  # fmt: skip


def _text_fits(file: DataFile, keys: set[str], found: str, lines: Conversion | None, columns: Columns) -> Iterator[Fit]:
    """Classes of texts, and texts alone."""
    rows = [{key: one[key] for key in one if isinstance(one[key], str | int | float | list)} for one in file.records]
    fit = text_fit(rows, [key for key in file.records[0] if key in keys], found, columns)
    if fit is not None:
        options = fit.options | _format(file)
        yield Fit(fit.task, options, fit.seen, fit.reasons, lines)
    if "text" in keys:
        yield Fit("masked_lm", {"type": "masked_text", **_format(file)}, found, {}, lines)


def _article_fits(file: DataFile) -> Iterator[Fit]:
    articles = [one for one in file.value["data"] if isinstance(one, dict)]
    if articles and "paragraphs" in articles[0]:
        questions = [qa for article in articles for part in article["paragraphs"] for qa in part.get("qas", [])]
        impossible = sum(bool(qa.get("is_impossible")) for qa in questions)
        seen = f"found SQuAD's JSON: {len(articles):,} articles, {len(questions):,} questions"
        seen += f", {impossible:,} of them without an answer" if impossible else ""
        options: Record = {"type": "transformers_squad"}
        reasons = {"unanswerable": f"{impossible:,} questions"} if impossible else {}
        yield Fit("question_answering", options, seen, reasons)
    elif articles and "passage" in articles[0]:
        seen = f"found ReCoRD's JSON: {len(articles):,} passages"
        yield Fit("record", {"type": "record"}, seen)


def _format(file: DataFile) -> Record:
    """The format, where the file's name does not tell it; a converted file's does."""
    return {"format": "jsonl"} if file.kind == "jsonl" and file.path.suffix.lower() not in (".jsonl", ".json") else {}


# -- conversions ----------------------------------------------------------------------------------------------------


def all_records(file: DataFile) -> Sequence[Record]:
    """The records of the whole file, of which `DataFile.records` may be the first. Raises ValueError on bad JSON."""
    if file.kind != "jsonl":
        return file.records
    return [json.loads(line) for line in file.text.split("\n") if line.strip()]


def _lines(file: DataFile, change: Callable[[Record], Record]) -> str:
    return "".join(json.dumps(change(one), ensure_ascii=False) + "\n" for one in all_records(file))


def _same(record: Record) -> Record:
    return record


def _of_tacred(record: Record) -> Record:
    head, tail = ([record[f"{name}_start"], record[f"{name}_end"] + 1] for name in ("subj", "obj"))
    return {"id": record.get("id"), "words": record["token"], "head": head, "tail": tail, "label": record["relation"]}


def _conll(file: DataFile, read: Callable[[Record], LabelledText | None]) -> str:
    return conll_of_records(all_records(file), read, str(file.path))


def _squad(file: DataFile) -> str:
    """Questions with their context, one a record, by context. Answers as SQuAD's, or as lists (`datasets`)."""
    contexts: dict[str, list[Record]] = {}
    for number, record in enumerate(all_records(file), start=1):
        answers = record["answers"]
        if isinstance(answers, dict):
            answers = [{"text": text, "answer_start": start}
                       for text, start in zip(answers["text"], answers["answer_start"], strict=True)]  # fmt: skip
        question = {"id": str(record.get("id", number)), "question": record["question"], "answers": answers}
        if not answers:
            question["is_impossible"] = True
        contexts.setdefault(record["context"], []).append(question)
    articles = [{"title": "", "paragraphs": [{"context": context, "qas": qas}]} for context, qas in contexts.items()]
    return json.dumps({"version": "converted", "data": articles}, ensure_ascii=False) + "\n"
