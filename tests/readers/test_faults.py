"""Within `all_faults` a reader leaves out what is faulty, says so, and reads on; else it stops at the first fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.errors import DataError
from luke_tasks.readers import reader as reader_module
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.conll_tokens import ConllTokensReader
from luke_tasks.readers.entity_typing import EntityTypingReader
from luke_tasks.readers.faults import all_faults
from luke_tasks.readers.masked_text import MaskedTextReader
from luke_tasks.readers.multiple_choice import MultipleChoiceReader
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.record import RecordReader
from luke_tasks.readers.relation_classification import RelationClassificationReader
from luke_tasks.readers.sequence_classification import SequenceClassificationReader
from luke_tasks.readers.squad import SquadReader
from luke_tasks.readers.tagging import detect_scheme, parse_tags
from tests.readers.letters import letters


def read(path: Path, kind: type[Reader], **options: Any) -> tuple[list[Any], list[str]]:
    """The examples, and what is wrong with the others, the file's name left out. Alone, the first fault is raised."""
    reader = kind(tokenizer=letters(), **options)
    with all_faults() as faults:
        examples = list(reader.read(path))
    with pytest.raises(DataError) as raised:
        list(reader.read(path))
    assert str(raised.value).startswith(str(path))
    return examples, [str(fault).removeprefix(str(path)) for fault in faults]


def write_lines(path: Path, *records: Any) -> Path:
    path.write_text("".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records),
                    encoding="utf-8")  # fmt: skip
    return path


def starts(faults: list[str]) -> list[str]:
    """The place that each begins with."""
    return [fault.partition(": ")[0] for fault in faults]


MENTION = {"left_context_token": ["On"], "mention_span": "it", "right_context_token": [], "y_str": ["time"]}
RELATION = {"text": "a met b", "head": [0, 1], "tail": [6, 7], "label": "met"}
CHOICE = {"context": "a", "choices": ["b", "c"], "label": 1}


@pytest.mark.parametrize(
    ("kind", "options", "good", "bad"),
    [
        pytest.param(EntityTypingReader, {}, MENTION, {**MENTION, "y_str": "time"}, id="typing"),
        pytest.param(RelationClassificationReader, {"dataset": "jsonl"}, RELATION, {**RELATION, "head": [0, 9]},
                     id="span out of range"),
        pytest.param(MultipleChoiceReader, {}, CHOICE, {**CHOICE, "label": 2}, id="choice"),
        pytest.param(SequenceClassificationReader, {}, {"text": "a", "label": "x"}, {"text": "a"}, id="no label"),
        pytest.param(MaskedTextReader, {}, {"text": "a b"}, {"text": "a b", "entities": [[0, 9]]}, id="masked text"),
    ],
)  # fmt: skip
def test_json_lines(
    kind: type[Reader], options: dict[str, Any], good: dict[str, Any], bad: dict[str, Any], tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "f.jsonl", good, bad, good, "{no json", "none", bad, good)
    examples, faults = read(path, kind, **options)
    assert len(examples) == 3
    assert starts(faults) == [":2", ":4", ":5", ":6"]


def test_table(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "f.tsv", "text\tlabel", "a\tx", "b", "c\t", "d\ty")
    examples, faults = read(path, SequenceClassificationReader)
    assert [example.text for example in examples] == ["a", "d"]
    assert starts(faults) == [":3", ":4"]


def test_columns_keep_the_lines_of_what_follows(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "f.txt", "a", "a O", "b B_X", "c", "d B-X", "e B-Y", "", "f I-Y", "g B-X")
    examples, faults = read(path, ConllSpanReader)
    assert sorted(starts(faults)) == [":1", ":3", ":4", ":8"]
    assert "'I-Y' follows the start of the sentence, but in IOB2" in faults[-1]
    (example,) = examples
    assert example.words == ["a", "b", "?", "d", "e", "f", "g"]
    assert [(example.where(entity.start), entity.label) for entity in example.entities] == [
        (f"{path}:{line}", label) for line, label in ((5, "X"), (6, "Y"), (8, "Y"), (9, "X"))
    ]


def test_every_bad_tag_of_a_sentence_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "f.txt", "a PER", "b O", "c PER", "", "d PER")
    assert starts(read(path, ConllSpanReader)[1]) == [":1", ":3", ":5"]


def test_words_without_label(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "f.txt", "a\tX\t1", "b\t\t1", "c\t\t1")
    assert starts(read(path, ConllTokensReader, label_column=2, labels="words")[1]) == [":2", ":3"]


@pytest.mark.parametrize(
    ("tags", "scheme", "num_faults"),
    [
        ("B-X I-X O B-Y E-Y", "iob2", 0),  # one E- makes no BIOES
        ("S-X O B-X E-X O I-X", "bioes", 0),
        ("B-X O B-Y O I-X", "iob2", 0),  # its I- is a fault of spans_of
        ("I-X O I-Y O B-X", "iob1", 1),
        ("I-X B-X I-X", "iob1", 0),
        ("I-X O I-Y", "io", 0),
    ],
)
def test_scheme_of_most_tags(tags: str, scheme: str, num_faults: int) -> None:
    with all_faults() as faults:
        assert detect_scheme([parse_tags(tags.split(), "f", 1, {})]) == scheme
    assert len(faults) == num_faults


def test_arrays(tmp_path: Path) -> None:
    good = {"id": "1", "token": ["a", "b"], "subj_start": 0, "subj_end": 0, "obj_start": 1, "obj_end": 1,
            "relation": "r"}  # fmt: skip
    path = tmp_path / "f.json"
    path.write_text(json.dumps([good, 1, {**good, "obj_end": 2}, good]), encoding="utf-8")
    examples, faults = read(path, RelationClassificationReader, dataset="tacred")
    assert len(examples) == 2
    assert starts(faults) == ["", ""]
    assert "record 2: expected a JSON object" in faults[0]
    assert '"obj_end" 2: expected' in faults[1]


def test_reading_ends_where_json_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text("[1, 2", encoding="utf-8")
    reader = RelationClassificationReader(tokenizer=letters(), dataset="tacred")
    with all_faults() as faults, pytest.raises(DataError, match="no valid JSON"):
        list(reader.read(path))
    assert len(faults) == 2  # those before


def test_kbp37_goes_on_with_the_next_sentence(tmp_path: Path) -> None:
    def sentence(number: int) -> str:
        return f'{number}\t" <e1> a </e1> met <e2> b </e2> "'

    bad = '4\t" <e1> a met <e2> b </e2> "'
    path = write_lines(tmp_path / "f.txt", sentence(1), "r", "", sentence(2), sentence(3), "r", "", bad, "r", "",
                       sentence(5), "r", "", "stray", sentence(6), "r", sentence(7))  # fmt: skip
    examples, faults = read(path, RelationClassificationReader, dataset="kbp37")
    assert [example.id for example in examples] == ["1", "3", "5", "6"]
    assert starts(faults) == [":4", ":8", ":14", ":17"]


def test_questions(tmp_path: Path) -> None:
    def question(id: str, start: int) -> dict[str, Any]:
        return {"id": id, "question": "Who ?", "answers": [{"text": "b", "answer_start": start}]}

    paragraphs = [
        {"context": "a b", "qas": [question("1", 2), question("2", 0), 3, question("1", 2), question("4", 2)]},
        {"context": "", "qas": [question("5", 2)]},
        {"context": "a b", "qas": [question("6", 2)]},
    ]
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"data": [{"title": 1}, {"title": "T", "paragraphs": paragraphs}]}), encoding="utf-8")
    examples, faults = read(path, SquadReader)
    assert [example.id for example in examples] == ["1", "4", "6"]
    texts = ['"title" must', "'b' is not at", "expected a JSON object", "stands twice", '"context" must']
    assert all(text in fault for text, fault in zip(texts, faults, strict=True))


def test_queries(tmp_path: Path) -> None:
    passage = {"text": "Ada left", "entities": [{"start": 0, "end": 2}]}
    queries = [
        {"id": str(number), "query": query} for number, query in enumerate(["@placeholder", "who", "@placeholder x"])
    ]
    path = tmp_path / "f.json"
    wrong = {"text": "Ada", "entities": [{"start": 0, "end": 3}]}
    path.write_text(json.dumps({"data": [{"passage": passage, "qas": queries}, {"passage": wrong, "qas": queries},
                                         {"passage": passage, "qas": queries[:1]}]}), encoding="utf-8")  # fmt: skip
    examples, faults = read(path, RecordReader)
    assert [example.id for example in examples] == ["0", "2", "0"]
    assert ["query 2" in faults[0], "entity 1" in faults[1], len(faults)] == [True, True, 2]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "shift_jis"])
def test_lines_in_another_encoding(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_BYTES_AT_ONCE", 7)
    path = tmp_path / "f.txt"
    path.write_bytes(b"good\nnone\n\xff\xfcber \xff all\nfine\nM\xffller\nend")
    examples, faults = read(path, MaskedTextReader, encoding=encoding)
    assert len(examples) == 6
    assert [examples[index].text for index in (0, 1, 3, 5)] == ["good", "none", "fine", "end"]
    assert sorted(set(starts(faults))) == [":3", ":5"]
    assert all(f"holds bytes that are not {encoding}; give" in fault for fault in faults)
