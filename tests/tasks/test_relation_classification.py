"""Relation classification from config to prediction, on tiny models."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.heads.relation_classification import RelationHead
from luke_tasks.readers.relation_classification import RelationClassificationReader, RelationExample
from tests.tasks.head_check import check_head
from tests.tiny import tiny_roberta
from tests.training.runs import train

INPUTS = [
    {"text": "Barack Obama was born in Honolulu.", "head": [0, 12], "tail": [25, 33]},
    {"text": "London is the capital of the United Kingdom", "head": [29, 43], "tail": [0, 6], "id": "tail first"},
    {"words": ["West", "Indian", "Phil", "Simmons"], "head": [0, 4], "tail": [1, 2]},
]
BORN, CAPITAL, NONE = "per:born_in(e1,e2)", "loc:capital(e2,e1)", "no_relation"


def record(text: str, head: str, tail: str, label: str = NONE, **more: Any) -> dict[str, Any]:
    spans = [[text.index(name), text.index(name) + len(name)] for name in (head, tail)]
    return {"text": text, "head": spans[0], "tail": spans[1], "label": label, **more}


RECORDS = [
    record("Barack Obama was born in Honolulu", "Barack Obama", "Honolulu", BORN),
    record("Beyoncé was born in Paris", "Beyoncé", "Paris", BORN),
    record("London is the capital of the United Kingdom", "United Kingdom", "London", CAPITAL),
    record("Paris is the capital of France", "France", "Paris", CAPITAL),
    record("Leicestershire beat Somerset on Friday", "Leicestershire", "Somerset"),
]
TACRED = {"id": "t1", "token": ["She", "founded", "-LRB-", "``", "Acme", "''", "-RRB-"], "subj_start": 0, "subj_end": 0,
          "obj_start": 4, "obj_end": 4, "relation": "org:founded_by"}  # fmt: skip
KBP37 = '7\t" The <e1> Acme Group </e1> ( <e2> AG </e2> ) is old . "\norg:alternate_names(e1,e2)\n\n\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_lines(*lines: Any, name: str = "data.json") -> Path:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (tmp_path / name).write_text("\n".join(texts), encoding="utf-8")
        return tmp_path / name

    return write_lines


@pytest.fixture
def config(tiny_luke_dir: Path, write: Callable[..., Path], tmp_path: Path) -> Path:
    path = write(*RECORDS * 3)
    content: dict[str, Any] = {
        "dataset_reader": {"type": "relation_classification", "dataset": "jsonl", "max_sequence_length": 60},
        "train_data_path": str(path),
        "validation_data_path": str(path),
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir), "entities": "special"},
                  "head": {"type": "relation_classifier"}},
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": "+micro_fscore",
                    "cuda_device": -1},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "config.json"


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


@pytest.fixture(scope="module")
def plain_backend(tiny_luke_dir: Path) -> Backend:
    """As `transformers` gives it: markers are tokens of the vocabulary, no space is put before a text."""
    from transformers import AutoTokenizer

    backend: Backend = AutoTokenizer.from_pretrained(str(tiny_luke_dir)).backend_tokenizer
    return backend


def reader(tokenizer: Tokenizer, dataset: Any = "jsonl", **options: Any) -> RelationClassificationReader:
    return RelationClassificationReader(tokenizer=tokenizer, dataset=dataset, **options)


def arguments(example: RelationExample) -> tuple[str, str]:
    (head_start, head_end), (tail_start, tail_end) = example.head, example.tail
    return example.text[head_start:head_end], example.text[tail_start:tail_end]


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", ["entity", "token+entity"])
def test_head(config: Path, tmp_path: Path, features: str) -> None:
    # What words ask for in the last layer changes word vectors only, which the entity features do not read.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("query", "w2e_query")]
    unread = [f"{query}.{kind}" for query in queries for kind in ("weight", "bias")] if features == "entity" else []
    check_head(config, tmp_path, INPUTS, {"model.head.features": features}, tuple(unread))


def test_head_over_a_plain_encoder(config: Path, tmp_path: Path) -> None:
    """Which gets both markers."""
    content = json.loads(config.read_text(encoding="utf-8"))
    roberta = tiny_roberta(tmp_path / "roberta")
    content["model"]["encoder"] = {"type": "transformer", "pretrained": str(roberta)}
    content["model"]["head"]["features"] = "token"
    config.write_text(json.dumps(content), encoding="utf-8")
    check_head(config, tmp_path, INPUTS)
    size = Tokenizer.from_pretrained(str(roberta)).num_words
    added = luke_tasks.load(tmp_path / "run").reader.tokenizer.added_words
    assert added == {"<ent>": size, "<ent2>": size + 1}


def test_it_learns_and_predicts(
    config: Path, tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"trainer.num_epochs": 30, "model.head.dropout": 0, "model.encoder.dropout": 0}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    relation = luke_tasks.load(tmp_path / "run")
    born = relation({"text": "Barack Obama was born in Honolulu", "head": [0, 12], "tail": (25, 33), "id": 7})
    assert (born.id, born.label, born.head.text, born.tail.text) == ("7", BORN, "Barack Obama", "Honolulu")
    assert 0.5 < born.score <= 1
    scores = relation.evaluate(tmp_path / "data.json").scores
    assert scores["accuracy"] == scores["micro_fscore"] == scores["macro_fscore"] == 1.0

    source = write(RECORDS[3], "", INPUTS[1], name="in.jsonl")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["id"] for one in printed] == [f"{source}:1", "tail first"]
    assert printed[0] | {"score": 1} == {
        "id": f"{source}:1", "text": "Paris is the capital of France", "label": CAPITAL, "score": 1,
        "head": {"text": "France", "start": 24, "end": 30}, "tail": {"text": "Paris", "start": 0, "end": 5},
    }  # fmt: skip

    source = write(RECORDS[3], "Paris is the capital", name="text.jsonl")
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f'{source}:2: expected a JSON object, {{"text": "...", "head": [start, end], "tail": [start, end]}}, found '
        "'Paris is the capital'"
    )
    path = write(RECORDS[0], {**RECORDS[1], "label": "per:age"}, name="bad.json")
    assert main(["evaluate", str(tmp_path / "run"), str(path)]) == 2
    assert f"{path}:2: label 'per:age' is not among the model's: " in capsys.readouterr().err


def test_ignored_labels_are_labels(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A relation without its direction too; the default need not be there."""
    overrides = {"model.head.ignored_labels": ["no_relaton", "loc:capital", "Other"]}
    assert train(config, tmp_path / "run", overrides=overrides) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == [
        'model.head.ignored_labels: "no_relaton" is no label of the data; did you mean no_relation?',
        'model.head.ignored_labels: "Other" is no label of the data',
    ]
    RelationHead(hidden_size=2, labels=Labels(["a", "b"]))


# -- reading --------------------------------------------------------------------------------------------------------


def test_tacred(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    path = write([TACRED, {**TACRED, "subj_start": 4, "subj_end": 5, "obj_start": 6, "obj_end": 6, "id": "t2"}])
    first, second = reader(tokenizer, "tacred").read(path)
    assert (first.id, first.text, first.label) == ("t1", 'She founded ( " Acme " )', "org:founded_by")
    assert arguments(first) == ("She", "Acme")
    assert arguments(second) == ('Acme "', ") ")  # the original keeps the space before a last marker
    (raw, _) = reader(tokenizer, "tacred", restore_brackets=False).read(path)
    assert raw.text == "She founded -LRB- `` Acme '' -RRB-"


def test_a_record_without_a_name(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    path = write([{**TACRED, "id": None}])
    (example,) = reader(tokenizer, "tacred").read(path)
    assert example.id == example.where == f"{path}: record 1"


def test_integers_of_numpy(tokenizer: Tokenizer) -> None:
    example = reader(tokenizer).parse_input(
        {"text": "a b", "head": np.array([0, 1]).tolist(), "tail": (np.int64(2), 3)}, "in"
    )
    assert arguments(example) == ("a", "b")
    assert {type(number) for number in (*example.head, *example.tail)} == {int}


def test_kbp37(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    last = '8\t"<e2> Acme </e2> was founded by <e1> Ada Lo </e1> . "\nComment: none\norg:founded_by(e1,e2)\n'
    first, second = reader(tokenizer, "kbp37").read(write(KBP37 + last))
    assert (first.id, first.text) == ("7", "The Acme Group ( AG ) is old.")
    assert (arguments(first), first.label) == (("Acme Group", "AG"), "org:alternate_names(e1,e2)")
    assert second.text == "Acme was founded by Ada Lo ."
    assert (arguments(second), second.label) == (("Ada Lo ", "Acme"), "org:founded_by(e1,e2)")


def test_an_entity_without_words(
    tokenizer: Tokenizer, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(KBP37.replace(" Acme Group ", " "))
    (example,), (window,) = reader(tokenizer, "kbp37").read_encoded(path)
    assert arguments(example) == ("", "AG")
    assert (window.entity_spans[:, 1] - window.entity_spans[:, 0] >= 2).all()
    assert [one.getMessage() for one in caplog.records] == [
        f"{path}: 1 sentences have no word between an entity's tags; its markers alone are read"
    ]


def originals_text(words: Sequence[str], head: tuple[int, int], tail: tuple[int, int]) -> str:
    """Markers inserted into the word list, then the space before each taken away, as the original does."""
    marked = []
    for index in range(len(words) + 1):
        marked += [mark for (_, end), mark in ((head, "<ent>"), (tail, "<ent2>")) if end == index]
        marked += [mark for (start, _), mark in ((head, "<ent>"), (tail, "<ent2>")) if start == index]
        marked += words[index : index + 1]
    return " ".join(marked).replace(" <ent> ", "<ent> ").replace(" <ent2> ", "<ent2> ")


@pytest.mark.parametrize("seed", range(30))
def test_tacred_word_pieces_are_those_of_the_marked_text(
    tokenizer: Tokenizer, plain_backend: Backend, tmp_path: Path, seed: int
) -> None:
    """The original tokenizes the whole text with its markers in it; entities apart, either first, at the edges too."""
    rng = random.Random(seed)
    words = rng.choices(["London", "is", "Beyoncé", "of", ".", "capital", "(", "United"], k=8)
    cuts = sorted(rng.sample(range(len(words) + 1), 4))
    head, tail = rng.sample([(cuts[0], cuts[1]), (cuts[2], cuts[3])], 2)
    content = {"token": words, "subj_start": head[0], "subj_end": head[1] - 1, "obj_start": tail[0],
               "obj_end": tail[1] - 1, "relation": NONE}  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps([content]), encoding="utf-8")
    _, (window,) = reader(tokenizer, "tacred").read_encoded(tmp_path / "t.json")
    expected = plain_backend.encode(originals_text(words, head, tail), add_special_tokens=False).ids
    assert window.word_ids.tolist()[1:-1] == expected
    for (start, end), marker in zip(window.entity_spans.tolist(), ("<ent>", "<ent2>"), strict=True):
        assert np.flatnonzero(window.word_ids == tokenizer.word_id(marker)).tolist() == [start, end - 1]


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        ((0, 2), (1, 2), "<ent> a<ent2> b<ent2><ent> c"),
        ((1, 2), (0, 3), "<ent2> a<ent> b<ent> c<ent2>"),
        ((0, 1), (0, 2), "<ent2><ent> a<ent> b<ent2> c"),
        ((0, 2), (1, 3), "<ent> a<ent2> b<ent> c<ent2>"),
        ((1, 2), (1, 2), "a<ent><ent2> b<ent2><ent> c"),
        ((1, 2), (0, 1), "<ent2> a<ent2><ent> b<ent> c"),
    ],
)
def test_nested_and_overlapping(
    tokenizer: Tokenizer, head: tuple[int, int], tail: tuple[int, int], expected: str
) -> None:
    own = reader(tokenizer)
    (window,) = own.encode([own.parse_input({"words": ["a", "b", "c"], "head": head, "tail": tail}, "in:1")])
    markers = {tokenizer.word_id(marker): marker for marker in ("<ent>", "<ent2>")}
    text = "".join(markers.get(id) or tokenizer.backend.id_to_token(id).replace("Ġ", " ")
                   for id in window.word_ids.tolist()[1:-1])  # fmt: skip
    assert text == expected
    for (start, end), marker in zip(window.entity_spans.tolist(), ("<ent>", "<ent2>"), strict=True):
        assert np.flatnonzero(window.word_ids == tokenizer.word_id(marker)).tolist() == [start, end - 1]


@pytest.mark.parametrize("gap", [0, 5, 300])
@pytest.mark.parametrize("around", [0, 5, 300])
def test_truncation_keeps_both_entities(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, gap: int, around: int
) -> None:
    words = [*["two"] * around, "Paris", *["two"] * gap, "London", *["two"] * around]
    head, tail = (around + gap + 1, around + gap + 2), (around, around + 1)
    own = reader(tokenizer, max_sequence_length=30)
    whole = reader(tokenizer, max_sequence_length=10_000)
    example = own.parse_input({"words": words, "head": head, "tail": tail}, "in:1")
    (window,), (uncut,) = own.encode([example]), whole.encode([example])
    assert len(window.word_ids) == min(30, len(uncut.word_ids))
    for ours, theirs in zip(window.entity_spans, uncut.entity_spans, strict=True):
        assert window.word_ids[slice(*ours)].tolist() == uncut.word_ids[slice(*theirs)].tolist()
    own.report_dropped("f")
    expected = "f: 1 texts are longer than the window (28 word pieces) and were cut outside their entities"
    assert [one.getMessage() for one in caplog.records] == [expected] * (len(uncut.word_ids) > 30)


GOOD = RECORDS[0]
SPAN = "expected [start, end) in characters, 0 <= start < end <= 33, found"


@pytest.mark.parametrize(
    ("dataset", "content", "message"),
    [
        ("jsonl", "", "FILE: the file is empty"),
        ("jsonl", [GOOD], 'FILE:1: expected one JSON object a line, found a JSON array: \'[{"text": "Barack Obama was '
         "born in Honolulu\", \"head\": [0, 1'; write each record as {...} on a line of its own"),
        ("jsonl", {**GOOD, "head": [5, 99]}, f'FILE:1: "head": {SPAN} [5, 99]'),
        ("jsonl", {**GOOD, "tail": [5, 5]}, f'FILE:1: "tail": {SPAN} [5, 5]'),
        ("jsonl", {**GOOD, "tail": "Honolulu"}, f'FILE:1: "tail": {SPAN} "Honolulu"'),
        ("jsonl", {**GOOD, "tail": [6, 7]},
         'FILE:1: "tail": [6, 7] covers only spaces; give the characters of the entity'),
        ("jsonl", {**GOOD, "text": ["a"]}, 'FILE:1: "text" must be a string that is not blank, found ["a"]'),
        ("jsonl", {**GOOD, "label": None}, 'FILE:1: "label" must be a string that is not blank, found null'),
        ("jsonl", {"text": "a b", "head": [0, 1], "label": "x"}, 'FILE:1: "tail" is missing; found text, head, label'),
        ("jsonl", '{"text": "a"', "FILE:1: no valid JSON object (Expecting ',' delimiter at column 13): "
         "'{\"text\": \"a\"'; a line that begins with { must be one"),
        ("tacred", "", "FILE: the file is empty"),
        ("tacred", TACRED, "FILE:1: expected one JSON array of records, [{...}, {...}], found '{\"id\": \"t1\", "
         "\"token\": [\"She\", \"founded\", \"-LRB-\", \"``\", \"Acm'; put the records into one array"),
        ("tacred", [TACRED, {**TACRED, "obj_end": 7, "id": "t2"}],
         'FILE: record 2 (id t2): "obj_start" 4, "obj_end" 7: expected 0 <= start <= end < 7, the number of words in '
         '"token"'),
        ("tacred", [{**TACRED, "subj_end": -1}],
         'FILE: record 1 (id t1): "subj_start" 0, "subj_end" -1: expected 0 <= start <= end < 7, the number of words '
         'in "token"'),
        ("tacred", [{**TACRED, "subj_start": "0"}],
         'FILE: record 1 (id t1): "subj_start" must be an integer, found "0"'),
        ("tacred", [{**TACRED, "token": "She founded"}], 'FILE: record 1 (id t1): "token" must be a list of words '
         '(strings that are not blank), found "She founded"'),
        ("tacred", [{"token": ["a"]}], 'FILE: record 1: "subj_start" is missing; found token'),
        ("tacred", "[1]", "FILE: record 1: expected a JSON object {...}, found 1"),
        ("tacred", "[]", "FILE: the file holds no example"),
        ("tacred", f"[{json.dumps(TACRED)}]\n[{json.dumps(TACRED)}]", "FILE:2: the JSON has ended, but more follows: "
         "'[{\"id\": \"t1\", \"token\": [\"She\", \"founded\", \"-LRB-\", \"``\", \"Ac'; write one JSON value a file"),
        ("tacred", '[{"id": 1}\n{"id": 2}]',
         'FILE: record 1 (id 1): "token" is missing; found id'),
        ("tacred", json.dumps([TACRED])[:-1] + '\n {"id": 2}]', "FILE: record 2: no valid JSON (Expecting ',' "
         "delimiter at line 2 column 2): '{\"id\": 2}]'; mend the file there"),
        ("tacred", json.dumps([TACRED])[:-1], "FILE: record 2: no valid JSON (Expecting ',' delimiter at line 1 column "
         f"{len(json.dumps([TACRED]))}): ''; mend the file there"),
        ("kbp37", "", "FILE: the file is empty"),
        ("kbp37", "The <e1> a </e1>", "FILE:1: expected id, tab and a sentence with <e1> ... </e1> and <e2> ... </e2>, "
         "found 'The <e1> a </e1>'"),
        ("kbp37", KBP37 + "8\tx", "FILE:5: expected the sentence's relation on the next line, found the end of the "
         "file"),
        ("kbp37", KBP37.replace("org:alternate_names(e1,e2)", KBP37), "FILE:1: expected the sentence's relation on the "
         "next line, found '7\\t\" The <e1> Acme Group </e1> ( <e2> AG </e2> ) is old . \"' in line 2"),
        ("kbp37", KBP37.replace("</e2>", ""), "FILE:1: expected <e1>, </e1>, <e2>, </e2> once each, found <e1>, </e1>, "
         "<e2>"),
        ("kbp37", "1\ta\nb", "FILE:1: expected <e1>, </e1>, <e2>, </e2> once each, found none of them"),
        ("kbp37", "1\t</e1> a <e1> b <e2> c </e2> d\nb", "FILE:1: a closing tag stands before its opening tag: </e1>, "
         "<e1>, <e2>, </e2>; mend the sentence"),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, write: Callable[..., Path], dataset: str, content: Any, message: str) -> None:
    path = write(content)
    with pytest.raises(DataError) as raised:
        reader(tokenizer, dataset).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"head": [0, 1]}, 'in:1: expected "text" (a string) or "words" (a list of strings), found head'),
        ({"text": "a b", "head": [0, 1]}, 'in:1: "tail" is missing; found text, head'),
        ({"words": ["a", ""], "head": [0, 1], "tail": [1, 2]},
         'in:1: "words" must be a list of words (strings that are not blank), found ["a", ""]'),
        ({"text": "a b", "words": ["a", "b"], "head": [0, 1], "tail": [1, 2]},
         'in:1: "text" and "words" are both there; leave out the one that spans do not count'),
        ({"words": ["a", "b"], "head": [0, 1], "tail": [1, 3]},
         'in:1: "tail": expected [start, end) in words, 0 <= start < end <= 2, found [1, 3]'),
    ],
)  # fmt: skip
def test_bad_input(tokenizer: Tokenizer, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tokenizer).parse_line(json.dumps(raw), "in:1")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"text": "a \ud800", "head": [0, 1], "tail": [0, 1]},
         "in:1: \"text\" holds half a character (a lone \\ud800 to \\udfff): 'a \\ud800'"),
        ({"text": "a b", "head": {1}, "tail": [0, 1]},
         'in:1: "head": expected [start, end) in characters, 0 <= start < end <= 3, found "{1}"'),
        ({"text": "a b", "head": (np.int64(0), np.int64(9)), "tail": [0, 1]},
         'in:1: "head": expected [start, end) in characters, 0 <= start < end <= 3, found ["np.int64(0)", '
         '"np.int64(9)"]'),
    ],
)  # fmt: skip
def test_bad_input_from_python(tokenizer: Tokenizer, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tokenizer).parse_input(raw, "in:1")
    assert str(raised.value) == message
