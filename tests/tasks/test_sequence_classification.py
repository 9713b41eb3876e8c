"""Sequence classification from config to prediction, on tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import ConfigError, DataError
from luke_tasks.experiment import read_config
from luke_tasks.readers.mentions import Mention
from luke_tasks.readers.sequence_classification import SequenceClassificationReader, longest_first
from tests.tasks.head_check import check_head
from tests.tiny import tiny_bert, tiny_luke, tiny_roberta
from tests.training.runs import train

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
LABELS: dict[str, list[Any]] = {SINGLE: ["good", "bad"], MULTI: [["x", "y"], ["y"]], REGRESSION: [1.5, -0.5]}
TEXTS = [
    ("Barack Obama was born in Honolulu", "He was born in Hawaii", [[0, 12, "Barack Obama"], [25, 33]]),
    ("London is the capital of France", "Paris is", [{"start": 0, "end": 6, "title": "London"}, [25, 31, "France"]]),
]
INPUTS = [
    {"text": "Barack Obama was born in Paris .", "text_pair": "", "entities": [[0, 12, "Barack Obama"]]},
    {"text": "EU rejects", "text_pair": "German call to boycott", "id": 7},
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_lines(content: Any, name: str = "data.jsonl") -> Path:
        if not isinstance(content, str):
            content = "".join(json.dumps(record) + "\n" for record in content)
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        return tmp_path / name

    return write_lines


@pytest.fixture
def make_config(tiny_luke_dir: Path, write: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def make(problem_type: str = SINGLE, encoder: dict[str, Any] | None = None) -> Path:
        records = [{"text": text, "other": pair, "label": label, "entities": entities}
                   for (text, pair, entities), label in zip(TEXTS, LABELS[problem_type], strict=True)]  # fmt: skip
        path = write(records * 4)
        metric = "+pearson" if problem_type == REGRESSION else "+accuracy"
        content: dict[str, Any] = {
            "dataset_reader": {"type": "sequence_classification", "problem_type": problem_type, "text_pair": "other",
                               "max_sequence_length": 60},
            "train_data_path": str(path),
            "validation_data_path": str(path),
            "model": {"encoder": encoder or {"type": "luke", "pretrained": str(tiny_luke_dir)},
                      "head": {"type": "sequence_classification", "problem_type": problem_type}},
            "data_loader": {"batch_size": 4, "shuffle": True},
            "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": metric, "cuda_device": -1},
        }  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / "config.json"

    return make


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


def reader(tokenizer: Tokenizer, **options: Any) -> SequenceClassificationReader:
    return SequenceClassificationReader(tokenizer=tokenizer, **options)


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
def test_head(make_config: Callable[..., Path], tmp_path: Path, problem_type: str) -> None:
    # What entities ask for in the last layer changes entity vectors only; the pooler reads the first word.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("e2w_query", "e2e_query")]
    unread = tuple(f"{query}.{kind}" for query in queries for kind in ("weight", "bias"))
    check_head(make_config(problem_type), tmp_path, INPUTS, without_gradient=unread)


def test_head_over_a_plain_encoder(make_config: Callable[..., Path], tmp_path: Path) -> None:
    roberta = tiny_roberta(tmp_path / "roberta")
    check_head(make_config(encoder={"type": "transformer", "pretrained": str(roberta)}), tmp_path, INPUTS)


def test_it_learns_and_predicts(
    make_config: Callable[..., Path], write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"trainer.num_epochs": 25, "model.head.dropout": 0, "model.encoder.dropout": 0}
    assert train(make_config(), tmp_path / "run", overrides=overrides) == 0
    classify = luke_tasks.load(tmp_path / "run")
    assert classify.evaluate(tmp_path / "data.jsonl").scores["accuracy"] == 1.0
    source = write(f"{TEXTS[0][0]}\t{TEXTS[0][1]}\n" + json.dumps({"other": "Paris is", "text": TEXTS[1][0]}), "in.txt")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert list(first) == ["id", "text", "text_pair", "label", "probabilities"]
    assert (first["id"], first["text"], first["text_pair"]) == (f"{source}:1", *TEXTS[0][:2])
    assert (first["label"], second["label"]) == ("good", "bad") and first["probabilities"]["good"] > 0.5
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)

    unlabelled = write([{"text": "a b", "other": "c"}], "test.jsonl")
    command = ["predict", str(tmp_path / "run"), str(unlabelled), "--use-dataset-reader"]
    assert main(command) == 2
    assert f'{unlabelled}:1: "label" is missing; found text, other; dataset_reader.label' in capsys.readouterr().err
    assert main([*command, "-o", '{"dataset_reader.label": null}']) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "a b"

    path = write([{"text": "a", "other": "b", "label": "so so"}], "bad.jsonl")
    assert main(["evaluate", str(tmp_path / "run"), str(path)]) == 2
    assert f"{path}:1: label 'so so' is not among the model's: good, bad" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem_type", "expected"),
    [(MULTI, {"labels": {"y": pytest.approx(0.88, abs=0.01)}}), (REGRESSION, {"value": 2.0})],
)
def test_other_predictions(
    make_config: Callable[..., Path], tmp_path: Path, problem_type: str, expected: dict[str, Any]
) -> None:
    assert train(make_config(problem_type), tmp_path / "run") == 0
    classify = luke_tasks.load(tmp_path / "run")
    head = classify.trained.model.head
    head.get_parameter("classifier.weight").data.zero_()
    head.get_parameter("classifier.bias").data.fill_(-2.0)
    head.get_parameter("classifier.bias").data[0] = 2.0  # "y", the most frequent class
    found = classify({"text": "a", "text_pair": "b", "id": "1"}).to_json()
    assert found == {"id": "1", "text": "a", "text_pair": "b", **expected}
    assert classify.reader.has_labels == (problem_type == MULTI)


def test_training_without_labels(
    make_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(REGRESSION)
    assert train(config, tmp_path / "run", overrides={"dataset_reader.label": None}) == 2
    message = "holds examples without a gold label: nothing can be learned from them; check the options of "
    assert f"{tmp_path}/data.jsonl: {message}dataset_reader" in capsys.readouterr().err


def test_config_faults(make_config: Callable[..., Path]) -> None:
    overrides = {"model.head.problem_type": MULTI, "dataset_reader.label_separator": "",
                 "dataset_reader.max_sequence_length": 4}  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        read_config(make_config(), json.dumps(overrides))
    assert [str(fault) for fault in raised.value.faults] == [
        'dataset_reader.label_separator: must not be empty; expected what stands between classes, such as ","',
        "dataset_reader.max_sequence_length: 4 leaves no room for a pair; give 5 or more",
        'dataset_reader.problem_type: "single_label_classification" does not go with model.head.problem_type, which is '
        '"multi_label_classification"; give both the same',
    ]


# -- reading --------------------------------------------------------------------------------------------------------


def test_tables(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    path = write('index\tsentence1\tgold_label\r\n0\tHe said "no\u2028yes".\tx\r\n\r\n1\t"a\ty\r\n', "dev.tsv")
    glue = reader(tokenizer, text="sentence1", label="gold_label")
    assert [(example.text, example.label) for example in glue.read(path)] == [
        ('He said "no\u2028yes".', "x"), ('"a', "y")
    ]  # fmt: skip
    assert [example.where for example in glue.read(path)] == [f"{path}:2", f"{path}:4"]

    path = write('label,text\n1,"a, ""b""\nc"\n\n0,d\n', "dev.csv")
    examples = list(reader(tokenizer).read(path))
    assert [(example.text, example.label, example.where) for example in examples] == [
        ('a, "b"\nc', "1", f"{path}:2"), ("d", "0", f"{path}:5")
    ]  # fmt: skip

    path = write("gj04\t1\t\tThe sailors rode.\ngj05\t0\t*\tRode the.\n", "cola.tsv")
    cola = reader(tokenizer, columns=["source", "label", "mark", "sentence"], text="sentence")
    assert [(example.text, example.label) for example in cola.read(path)] == [
        ("The sailors rode.", "1"), ("Rode the.", "0")
    ]  # fmt: skip
    path = write([{"text": "a", "label": 3}], "data.txt")
    assert next(reader(tokenizer, format="jsonl").read(path)).label == "3"


def test_labels(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    several = reader(tokenizer, problem_type=MULTI, label_separator="|")
    table = write("text\tlabel\na\tx| y|x\nb\t\n", "d.tsv")
    assert [example.label for example in several.read(table)] == [["x", "y"], []]
    assert list(several.labels_of(next(several.read(table)))) == ["x", "y"]
    assert [e.label for e in several.read(write([{"text": "a", "label": ["x", 2]}]))] == [["x", "2"]]
    number = reader(tokenizer, problem_type=REGRESSION)
    examples = list(number.read(write("text\tlabel\na\t3\nb\t-1.5e1\n", "d.tsv")))
    assert [example.label for example in examples] == [3.0, -15.0]
    assert list(number.labels_of(examples[0])) == [] and not number.has_labels


@pytest.mark.parametrize("make", [tiny_luke, tiny_bert])
@pytest.mark.parametrize("max_length", [8, 13, 14, 60])
def test_pieces_are_those_of_transformers(tmp_path: Path, make: Any, max_length: int) -> None:
    """Single texts and pairs, cut or not."""
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(str(make(tmp_path)))
    texts = [text for text, _, _ in TEXTS] + ["EU", "two days .", ""]
    tokenizer = Tokenizer.from_pretrained(str(tmp_path))
    for pair in (None, *texts):
        own = reader(tokenizer, max_sequence_length=max_length, text_pair=None if pair is None else "text_pair")
        for text in texts[:-1]:
            (window,) = own.encode([own.parse_input({"text": text, "text_pair": pair}, "in:1")])
            given = (text,) if pair is None else (text, pair)
            backend = reference._tokenizer
            backend.enable_truncation(max_length, strategy="longest_first")
            expected = backend.encode(*given)
            backend.no_truncation()
            assert window.word_ids.tolist() == expected.ids, (text, pair)
            if make is tiny_bert and pair is not None:
                assert window.word_type_ids is not None and window.word_type_ids.tolist() == expected.type_ids


@pytest.mark.parametrize(("lengths", "room", "kept"), [
    ((3, 4), 7, (3, 4)), ((3, 9), 7, (3, 4)), ((9, 3), 7, (4, 3)), ((9, 8), 7, (4, 3)), ((8, 8), 7, (3, 4)),
    ((0, 9), 4, (0, 4)), ((9, 0), 4, (4, 0)),
])  # fmt: skip
def test_longest_first(lengths: tuple[int, int], room: int, kept: tuple[int, int]) -> None:
    assert longest_first(*lengths, room) == kept


def test_entities(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    text = "Barack Obama was born in Honolulu , Hawaii"
    length = len(tokenizer.texts_to_pieces([text[:33]])[0]) + 2  # up to Honolulu
    own = reader(tokenizer, max_sequence_length=length)
    entities = [[0, 12, "Barack Obama"], {"start": 25, "end": 33, "title": "Honolulu"}, [13, 16], [36, 42, "Hawaii"]]
    example = own.parse_input({"text": text, "entities": entities}, "in:1")
    assert example.mentions[1:3] == [Mention(25, 33, "Honolulu"), Mention(13, 16, None)]
    (window,) = own.encode([example])
    vocab = tokenizer.entity_vocab
    assert window.entity_ids.tolist() == [vocab["Barack Obama"], vocab["[UNK]"], vocab["[MASK]"]]
    names = [
        tokenizer.backend.decode(window.word_ids[start:end].tolist()).strip() for start, end in window.entity_spans
    ]
    assert names == ["Barack Obama", "Honolulu", "was"]
    assert len(window.word_ids) == length
    own.report_dropped("f")
    assert [record.getMessage() for record in caplog.records] == [
        f"f: 1 texts are longer than the window ({length} word pieces) and were cut",
        "f: 1 entities lie beyond the end of the window and were left out",
        "f: 1 entities are not in the model's entity vocabulary and are read as [UNK]",
    ]
    assert own.encode([own.parse_input({"text": "a"}, "in:1")])[0].entity_spans.shape == (0, 2)
    assert np.array_equal(own.encode([own.parse_input({"text": "a"}, "in:1")])[0].entity_ids, [])


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("d.txt", "text\tlabel\n", {},
         "FILE: cannot tell the format by the ending '.txt': expected .tsv, .csv, .jsonl, .json; or set "
         "dataset_reader.format"),
        ("d.tsv", "", {}, "FILE: the file is empty"),
        ("d.tsv", "text\tlabel\n", {}, "FILE: the file holds no example"),
        ("d.tsv", "text\tlabel\na\tb\tc\n", {},
         'FILE:2: expected 2 columns as line 1 has, found 3: ["a", "b", "c"]'),
        ("d.tsv", "a\tb\n", {"columns": ["text"]},
         'FILE:1: expected 1 columns as dataset_reader.columns has, found 2: ["a", "b"]'),
        ("d.tsv", "text\ttext\n", {}, 'FILE:1: the header names the column "text" twice; rename one'),
        ("d.tsv", "sentence\tlabel\na\tb\n", {}, 'FILE:2: "text" is missing; found sentence, label; '
         "dataset_reader.text names the column"),
        ("d.csv", "text\na\n", {}, 'FILE:2: "label" is missing; found text; dataset_reader.label names the column, or '
         "is null for a file without labels"),
        ("d.tsv", "text\tlabel\n \tb\n", {}, 'FILE:2: "text" must be a string that is not blank, found " "'),
        ("d.tsv", "text\tlabel\na\t\n", {}, 'FILE:2: "label": a class must be a string that is not blank, or an '
         'integer, found ""'),
        ("d.csv", 'text,label\na,b\n"c,d\n', {}, "FILE:3: no valid CSV (unexpected end of data); a cell with a comma, "
         'quote or newline stands in double quotes, and a quote in it is written ""'),
        ("d.jsonl", [{"text": "a", "label": 1.5}], {}, 'FILE:1: "label": a class must be a string that is not blank, '
         "or an integer, found 1.5"),
        ("d.jsonl", [{"text": "a", "label": "x"}], {"text_pair": "b"}, 'FILE:1: "b" is missing; found text, label; '
         "dataset_reader.text_pair names the column"),
        ("d.jsonl", [{"text": "a", "b": 1, "label": "x"}], {"text_pair": "b"},
         'FILE:1: "b" must be a string, found 1'),
        ("d.jsonl", [{"text": "a", "label": 1}], {"problem_type": MULTI},
         "FILE:1: \"label\" must be a list of classes, or a string with ',' between them, found 1"),
        ("d.jsonl", [{"text": "a", "label": [True]}], {"problem_type": MULTI}, 'FILE:1: "label": a class must be a '
         "string that is not blank, or an integer, found true"),
        ("d.jsonl", [{"text": "a", "label": "nan"}], {"problem_type": REGRESSION}, 'FILE:1: "label" must be a number, '
         'as problem_type is "regression", found "nan"'),
        ("d.jsonl", [{"text": "a", "label": True}], {"problem_type": REGRESSION}, 'FILE:1: "label" must be a number, '
         'as problem_type is "regression", found true'),
        ("d.jsonl", [{"text": "a", "label": "x", "entities": 3}], {}, 'FILE:1: "entities" must be a list of [start, '
         "end] or [start, end, title], found 3"),
        ("d.jsonl", [{"text": "a", "label": "x", "entities": [[0, 2]]}], {}, 'FILE:1: "entities.0": expected [start, '
         "end) in characters, 0 <= start < end <= 1, found [0, 2]"),
        ("d.jsonl", [{"text": "a", "label": "x", "entities": [[0, 1, 5]]}], {}, 'FILE:1: "entities.0": the title must '
         "be a string that is not empty, found 5"),
    ],
)  # fmt: skip
def test_bad_files(
    tokenizer: Tokenizer, write: Callable[..., Path], name: str, content: Any, options: dict[str, Any], message: str
) -> None:
    path = write(content, name)
    with pytest.raises(DataError) as raised:
        reader(tokenizer, **options).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("only one text", "in:1: expected two texts with a tab between them, or a JSON object, found 1: "
         "'only one text'"),
        ("a\tb\tc", "in:1: expected two texts with a tab between them, or a JSON object, found 3: 'a\\tb\\tc'"),
        ('{"text": "a"}', 'in:1: "text_pair" is missing; found text'),
        ('{"text_pair": "a"}', 'in:1: "text" is missing; found text_pair'),
    ],
)  # fmt: skip
def test_bad_input(tokenizer: Tokenizer, line: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tokenizer, text_pair="sentence2").parse_line(line, "in:1")
    assert str(raised.value) == message


def test_a_pair_for_a_model_of_single_texts(tokenizer: Tokenizer) -> None:
    """As a checkpoint of Hugging Face is taken for, which does not say what it was trained on."""
    single = reader(tokenizer)
    with pytest.raises(DataError) as raised:
        single.parse_line('{"text": "a", "text_pair": "b"}', "in:1")
    assert str(raised.value) == (
        'in:1: "text_pair" is there, but the model reads single texts; leave it out, or, if it was trained on pairs, '
        """-o '{"dataset_reader.text_pair": "text_pair"}'"""
    )
    assert single.parse_line('{"text": "a", "text_pair": null}', "in:1").text_pair is None
