"""Named entity recognition from config to prediction, on tiny models."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.errors import DataError
from tests.conftest import conll
from tests.tasks.head_check import assert_alike, check_head
from tests.tiny import tiny_bert, tiny_mluke, tiny_roberta
from tests.training.runs import train

INPUTS = [
    "Beyoncé lives in Los Angeles.",
    {"text": "Somerset beat Leicestershire .\nBarack Obama was born in Honolulu", "id": "two lines"},
    {"words": ["London", "is", "the", "capital"]},
    "",
]


@pytest.mark.parametrize("features", ["entity", "token+entity"])
def test_head(ner_config: Path, tmp_path: Path, features: str) -> None:
    # What words ask for in the last layer changes word vectors only, which the entity features do not read.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("query", "w2e_query")]
    unread = [f"{query}.{kind}" for query in queries for kind in ("weight", "bias")] if features == "entity" else []
    overrides = {"model.head.features": features, "trainer.num_epochs": 3, "model.encoder.entities": "special"}
    check_head(ner_config, tmp_path, INPUTS, overrides, tuple(unread))


@pytest.mark.parametrize("span_attention", ["self", "sentence"])
def test_head_in_shared_windows(ner_config: Path, tmp_path: Path, span_attention: str) -> None:
    """Words do not attend to entities there, so nothing asks `w2e_query`."""
    overrides = {"dataset_reader.context": "shared", "dataset_reader.span_attention": span_attention,
                 "data_loader.batch_size": 2, "trainer.num_epochs": 3, "model.encoder.entities": "special"}  # fmt: skip
    check_head(ner_config, tmp_path, INPUTS, overrides, unused=r"\.w2e_query\.")


def test_head_in_shared_windows_over_a_plain_encoder(ner_config: Path, tmp_path: Path) -> None:
    content = json.loads(ner_config.read_text(encoding="utf-8"))
    content["model"]["encoder"] = {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))}
    ner_config.write_text(json.dumps(content), encoding="utf-8")
    check_head(ner_config, tmp_path, INPUTS, {"model.head.features": "token", "dataset_reader.context": "shared"})


def test_head_over_a_plain_encoder(ner_config: Path, tmp_path: Path) -> None:
    content = json.loads(ner_config.read_text(encoding="utf-8"))
    content["model"]["encoder"] = {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))}
    ner_config.write_text(json.dumps(content), encoding="utf-8")
    check_head(ner_config, tmp_path, INPUTS, {"model.head.features": "token"})


@pytest.mark.parametrize("make", [tiny_bert, tiny_roberta, tiny_mluke])
def test_other_checkpoints(ner_config: Path, tmp_path: Path, make: Any) -> None:
    """A BERT or RoBERTa becomes a LUKE; an mLUKE is one."""
    overrides = {"model.encoder.pretrained": str(make(tmp_path / "checkpoint")), "trainer.num_epochs": 1,
                 "dataset_reader.max_sequence_length": 60, "model.encoder.entities": "special"}  # fmt: skip
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    assert luke_tasks.load(tmp_path / "run")("London is the capital").text == "London is the capital"


def test_shared_windows_learn(trained: Path, tmp_path: Path) -> None:
    """The same data as the windows of one sentence do; what they find in a text of many windows stands there, once."""
    overrides = {"dataset_reader.context": "shared", "data_loader.batch_size": 1, "trainer.num_epochs": 40}
    assert train(trained.parent / "config.json", tmp_path / "run", overrides=overrides) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["best_validation_f1"] > 0.95
    text = "he was in Paris\n" * 40
    starts = [index for index in range(len(text)) if text.startswith("Paris", index)]
    found = [(entity.text, entity.start) for entity in luke_tasks.load(tmp_path / "run")(text).entities]
    assert set(found) <= {("Paris", start) for start in starts}
    assert len(set(found)) == len(found) > 30  # of 40, at places that the short texts of the training do not have


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_luke_dir: Path) -> Path:
    """A run whose model tags `Paris` and `London` as LOC and `Obama` as PER."""
    folder = tmp_path_factory.mktemp("trained")
    sentences = ["Paris/LOC is old", "London/LOC is big", "Obama/PER was here", "he was in Paris/LOC", "the capital"]
    (folder / "train.txt").write_text(conll(sentences * 4), encoding="utf-8")
    config = {
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 40, "context": "sentence"},
        "train_data_path": str(folder / "train.txt"),
        "validation_data_path": str(folder / "train.txt"),
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir), "dropout": 0.0},
                  "head": {"type": "ner", "dropout": 0.0}},
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {"num_epochs": 25, "optimizer": {"type": "adamw", "lr": 5e-3}, "cuda_device": -1,
                    "validation_metric": "+f1"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert train(folder / "config.json", folder / "run") == 0
    return folder / "run"


def test_it_learns(trained: Path) -> None:
    assert json.loads((trained / "metrics.json").read_text(encoding="utf-8"))["best_validation_f1"] > 0.95


def test_python_call(trained: Path) -> None:
    ner = luke_tasks.load(trained / "model.tar.gz")
    entity = ner("Obama was here").entities[0]
    assert (entity.text, entity.label, entity.start, entity.end, entity.word_start, entity.word_end) == (
        "Obama", "PER", 0, 5, 0, 1
    )  # fmt: skip
    assert 0.5 < entity.score <= 1.0
    assert [len(prediction.entities) for prediction in ner(["Obama was here", ""])] == [1, 0]
    with pytest.raises(DataError, match=r'input 1: expected "text" \(a string\) or "words"'):
        ner(["fine", {"sentence": "x"}])


def test_bfloat16(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same entities, with scores that are rounded on the way; and the same F1."""
    exact, rounded = luke_tasks.load(trained), luke_tasks.load(trained, precision="bf16")
    assert {parameter.dtype for parameter in rounded.trained.model.parameters()} == {torch.bfloat16}
    texts = ["Obama was here", "he was in Paris and London"]
    for ours, theirs in zip(rounded(texts), exact(texts), strict=True):
        assert [(e.text, e.label) for e in ours.entities] == [(e.text, e.label) for e in theirs.entities] != []
        assert [e.score for e in ours.entities] == pytest.approx([e.score for e in theirs.entities], abs=0.02)
    source = tmp_path / "in.txt"
    source.write_text("Obama was here\n", encoding="utf-8")
    assert main(["predict", str(trained), str(source), "--precision", "bf16"]) == 0
    (entity,) = json.loads(capsys.readouterr().out)["entities"]
    assert entity["score"] == rounded(texts)[0].entities[0].score
    data = str(trained.parent / "train.txt")
    assert main(["evaluate", str(trained), data, "--precision", "bf16", "--output-file", str(tmp_path / "m.json")]) == 0
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["f1"] == exact.evaluate(data).scores["f1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "precision: expected fp32 or bf16, found 'fp16'"),
        ({"batch_size": 0}, "batch_size: expected a positive number, found 0"),
        ({"max_tokens": -1}, "max_tokens: expected a positive number, found -1"),
    ],
)
def test_options_that_cannot_be(trained: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        luke_tasks.load(trained, **options)


def test_batches_of_any_size_give_the_same_answers_in_order(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["Paris", "he was in Paris and London was old", "Obama", "", "the capital is big " * 5, "London is big"] * 3
    source = tmp_path / "in.txt"
    lines = [json.dumps({"text": text, "id": str(number)}) for number, text in enumerate(texts)]
    source.write_text("\n".join(lines), encoding="utf-8")
    answers = []
    for flags in (["--batch-size", "1"], [], ["--max-tokens", "60"], ["--max-tokens", "60", "--batch-size", "2"]):
        capsys.readouterr()
        assert main(["predict", str(trained), str(source), *flags]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [answer["id"] for answer in answers[0]] == [str(number) for number in range(len(texts))]
    assert any(answer["entities"] for answer in answers[0])
    for other in answers[1:]:
        assert_alike(other, answers[0])


def test_evaluate_by_max_tokens(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data.txt"
    sentences = ["Paris/LOC is old", "he was in Paris/LOC and London/LOC", "Obama/PER", "the capital is big"] * 4
    data.write_text(conll(sentences), encoding="utf-8")
    scores, predictions = [], []
    for flags in (["--batch-size", "3"], ["--max-tokens", "40"], ["-o", '{"data_loader": {"max_tokens": 40}}']):
        capsys.readouterr()
        out = tmp_path / "out.jsonl"
        assert main(["evaluate", str(trained), str(data), "--predictions-output-file", str(out), *flags]) == 0
        printed = capsys.readouterr()
        scores.append({name: value for name, value in json.loads(printed.out).items() if name != "loss"})
        predictions.append([json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()])
        batches = int(re.search(r"data.txt: 16 windows in (\d+) batches; \d+ % of the word and", printed.err)[1])
        assert (batches == 6) == (flags[0] == "--batch-size")
    assert scores[0] == scores[1] == scores[2]
    for other in predictions[1:]:
        assert_alike(other, predictions[0])


def test_predict_prints_a_line_for_each_input(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "he was in  Paris",
        "",
        json.dumps({"text": "London is big", "id": "b"}),
        '{"words": ["Obama", "was", "here"]}',
    ]
    source = tmp_path / "in.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(trained / "model.tar.gz"), str(source)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["id"] for record in printed] == [f"{source}:1", "b", f"{source}:4"]
    assert [(e["start"], e["end"], e["text"], e["label"]) for record in printed for e in record["entities"]] == [
        (11, 16, "Paris", "LOC"), (0, 6, "London", "LOC"), (0, 5, "Obama", "PER")
    ]  # fmt: skip


def test_predict_on_the_datasets_format(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(conll(["Paris/LOC is old", "he was here"], documents_of=2), encoding="utf-8")
    capsys.readouterr()
    arguments = ["predict", str(trained), str(source), "--use-dataset-reader", "--output-file", str(out), "--silent"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == ""
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["text"] == "Paris is old he was here"
    assert [entity["text"] for entity in record["entities"]] == ["Paris"]


def test_a_document_longer_than_the_window(trained: Path) -> None:
    """Forty sentences, and one sentence of two hundred words: windows hold 38 word pieces."""
    ner = luke_tasks.load(trained)
    text = "he was in Paris\n" * 40
    starts = [index for index in range(len(text)) if text.startswith("Paris", index)]
    assert [(entity.text, entity.start) for entity in ner(text).entities] == [("Paris", start) for start in starts]
    text = "he was in Paris . " * 40
    assert all(text[entity.start : entity.end] == entity.text for entity in ner(text).entities)


def test_evaluate_writes_what_it_is_told_to(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, sentence in (("a", "Paris/LOC is old"), ("b", "Obama/LOC was here")):
        (tmp_path / f"{name}.txt").write_text(conll([sentence]), encoding="utf-8")
    files = f"{tmp_path / 'a.txt'},{tmp_path / 'b.txt'}"
    capsys.readouterr()
    assert main(["evaluate", str(trained / "model.tar.gz"), files, "--auto-names", "ALL"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["a_f1"] == 1.0
    assert printed["b_recall"] == 0.0
    assert json.loads((tmp_path / "a.outputs").read_text(encoding="utf-8"))["precision-LOC"] == 1.0
    prediction = json.loads((tmp_path / "b.preds").read_text(encoding="utf-8"))
    assert prediction["entities"][0]["label"] == "PER"


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("Paris/CITY is old", "{path}:3: label 'CITY' is not among the model's: O, LOC, PER"),
        ("Paris/", "{path}:3: unknown tag"),
    ],
)
def test_evaluate_on_bad_data(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sentence: str, message: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(conll([sentence]).replace("Paris -X- -X- O", "Paris -X- -X- X-LOC"), encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(trained / "model.tar.gz"), str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.strip().splitlines()[-1].startswith(message.format(path=path))
    assert "Traceback" not in captured.err


def test_standard_input_is_utf8_whatever_the_locale(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(data: bytes) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
        capsys.readouterr()
        status = main(["predict", str(trained), "-"])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    status, out, _ = answer('\ufeff{"text": "Beyoncé was here"}\n'.encode())
    assert (status, json.loads(out)["text"]) == (0, "Beyoncé was here")
    status, out, errors = answer(b"Paris is old\n\nBeyonc\xe9\n")
    assert (status, errors) == (2, "standard input:3: byte 0xe9 is not UTF-8; save the text as UTF-8\n")
    assert json.loads(out)["text"] == "Paris is old"  # what came before the fault is answered
