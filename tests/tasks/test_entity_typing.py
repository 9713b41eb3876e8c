"""Entity typing from config to prediction, on tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.heads.entity_typing import EntityTypingHead
from luke_tasks.heads.head import Window
from luke_tasks.readers.entity_typing import EntityTypingExample, EntityTypingReader
from tests.tasks.head_check import check_head
from tests.tiny import needs_minilm, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta
from tests.training.runs import train

INPUTS = [
    {"text": "Beyoncé lives in Los Angeles.", "entities": [[0, 7], [17, 28]]},
    {"words": ["London", "is", "old"], "entities": [[0, 1]], "id": "words"},
    {"text": "nobody here", "entities": []},
]


def record(text: str, *types: str) -> dict[str, Any]:
    """`On [late Monday] , he` → one record of the data set."""
    before, rest = text.split("[")
    mention, after = rest.split("]")
    return {"annot_id": text[:8], "left_context_token": before.split(), "mention_span": mention,
            "right_context_token": after.split(), "y_str": list(types)}  # fmt: skip


RECORDS = [
    record("[Beyoncé] lives in Los Angeles", "person", "artist"),
    record("Beyoncé lives in [Los Angeles]", "location", "place", "city"),
    record("[London] is the capital of France", "location", "place"),
    record("it was on [Friday]", "time"),
    record("[Somerset] beat them in two days", "organization", "group"),
    record("nobody saw [it]", "vegetable"),
]


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
        "dataset_reader": {"type": "entity_typing", "max_sequence_length": 40},
        "train_data_path": str(path),
        "validation_data_path": str(path),
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir), "entities": "special"},
                  "head": {"type": "entity_typing"}},
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": "+micro_fscore",
                    "cuda_device": -1},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "config.json"


def reader(folder: Path, **options: Any) -> EntityTypingReader:
    own = EntityTypingReader(tokenizer=Tokenizer.from_pretrained(str(folder)), **options)
    own.tokenizer.add_words(own.added_words)
    return own


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", ["entity", "token+entity"])
def test_head(config: Path, tmp_path: Path, features: str) -> None:
    # What words ask for in the last layer changes word vectors only, which the entity features do not read.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("query", "w2e_query")]
    unread = [f"{query}.{kind}" for query in queries for kind in ("weight", "bias")] if features == "entity" else []
    check_head(config, tmp_path, INPUTS, {"model.head.features": features}, tuple(unread))


def test_head_over_a_plain_encoder(config: Path, tmp_path: Path) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"]["encoder"] = {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))}
    content["model"]["head"] |= {"features": "token", "token_feature": "mention_pooling"}
    config.write_text(json.dumps(content), encoding="utf-8")
    check_head(config, tmp_path, INPUTS)


@pytest.mark.parametrize(
    ("kind", "make"),
    [("luke", tiny_bert), ("luke", tiny_mluke), ("transformer", tiny_roberta)],
)
def test_markers_are_added_where_a_checkpoint_has_none(config: Path, tmp_path: Path, make: Any, kind: str) -> None:
    """The archive holds the added word piece and its row; the predictor reads both."""
    pretrained = str(make(tmp_path / "checkpoint"))
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"] = {"encoder": {"type": kind, "pretrained": pretrained},
                        "head": {"type": "entity_typing", "features": "token"}}  # fmt: skip
    content["trainer"]["num_epochs"] = 1
    config.write_text(json.dumps(content), encoding="utf-8")
    assert train(config, tmp_path / "run") == 0
    tokenizer = luke_tasks.load(tmp_path / "run" / "model.tar.gz").reader.tokenizer
    before = Tokenizer.from_pretrained(pretrained)
    assert tokenizer.added_words == ({} if make is tiny_mluke else {"<ent>": before.num_words})
    predictor = luke_tasks.load(tmp_path / "run" / "model.tar.gz")
    assert predictor.trained.model.encoder.num_words == tokenizer.num_words
    assert [entity.text for entity in predictor(INPUTS[0]).entities] == ["Beyoncé", "Los Angeles"]


@needs_minilm
def test_the_embedded_model() -> None:
    tokenizer = Tokenizer.from_pretrained("embedded:minilm")
    assert tokenizer.add_words({"<ent>": "@"}) == [tokenizer.backend.token_to_id("@")]
    assert tokenizer.added_words == {"<ent>": 30522}


def test_a_tokenizer_of_another_size(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roberta, bert = tiny_roberta(tmp_path / "roberta"), tiny_bert(tmp_path / "bert")
    overrides = {"model.encoder.pretrained": str(roberta), "tokenizer": str(bert)}
    sizes = [Tokenizer.from_pretrained(str(folder)).num_words for folder in (bert, roberta)]
    assert train(config, tmp_path / "run", overrides=overrides) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        f"tokenizer: numbers the added word pieces <ent> from {sizes[0]}, but the encoder has {sizes[1]} word "
        "embeddings; name the tokenizer of the encoder's checkpoint"
    )


def test_it_learns_and_predicts(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = {"trainer.num_epochs": 40, "model.head.dropout": 0, "model.encoder.dropout": 0}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    typing = luke_tasks.load(tmp_path / "run")
    prediction = typing({"text": "Beyoncé lives in Los Angeles", "entities": [[0, 7], (17, 28)], "id": 7})
    assert prediction.id == "7"
    assert [sorted(entity.labels) for entity in prediction.entities] == [["person"], ["location", "place"]]
    assert all(0.5 < score <= 1 for entity in prediction.entities for score in entity.labels.values())
    (tmp_path / "in.jsonl").write_text(json.dumps(INPUTS[0]) + "\n\n" + json.dumps(INPUTS[1]), encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "in.jsonl")]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["id"] for one in printed] == [f"{tmp_path / 'in.jsonl'}:1", "words"]
    assert [(e["start"], e["end"], e["text"]) for one in printed for e in one["entities"]] == [
        (0, 7, "Beyoncé"), (17, 28, "Los Angeles"), (0, 6, "London")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, ["b"]), (0.2, ["b", "a"]), (1.0, []), (0.0, ["b", "a", "c"])]
)
def test_threshold(threshold: float, expected: list[str]) -> None:
    head = EntityTypingHead(hidden_size=2, labels=Labels("abc"), threshold=threshold)
    example = EntityTypingExample("", "it", [(0, 2)], None, "")
    window = Window(None, np.array([0.0, 0.1, -3.0], dtype=np.float32))  # type: ignore[arg-type]
    assert list(head.decode(example, [window]).entities[0].labels) == expected


def test_loss_is_the_mean_over_windows_and_types(config: Path, tmp_path: Path) -> None:
    assert train(config, tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    trained = luke_tasks.load(tmp_path / "run").trained
    _, features = trained.reader.read_encoded(tmp_path / "data.json")
    batch = collate(features[:5], pad_id=trained.pad_id, labels=trained.labels)
    output = trained.model(batch)
    gold = torch.tensor([[name in RECORDS[row]["y_str"] for name in trained.labels] for row in range(5)]).float()
    probability = output.logits.sigmoid()
    by_hand = -(gold * probability.log() + (1 - gold) * (1 - probability).log()).mean()
    assert output.loss is not None
    assert output.loss.item() == pytest.approx(by_hand.item(), abs=1e-6)


# -- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label_set", "expected"),
    [("coarse", [["person"], []]), ("all", [["person", "artist"], ["vegetable"]]), (["artist"], [["artist"], []])],
)
def test_label_sets(tiny_luke_dir: Path, write: Callable[..., Path], label_set: Any, expected: list[list[str]]) -> None:
    examples = reader(tiny_luke_dir, label_set=label_set).read(write(RECORDS[0], RECORDS[-1]))
    assert [example.types for example in examples] == [[types] for types in expected]


def test_types_left_out_are_counted(
    tiny_luke_dir: Path, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(*RECORDS)
    reader(tiny_luke_dir, label_set=["persn", "time", "artist"]).read_encoded(path)
    assert [one.getMessage() for one in caplog.records] == [
        f"{path}: no mention has the types persn of label_set",
        f"{path}: 9 types are not in label_set and were left out",
    ]


def test_one_type(config: Path, tmp_path: Path) -> None:
    """Which is there, or is not: something to learn."""
    overrides = {"dataset_reader.label_set": ["person"], "trainer.num_epochs": 1}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    assert list(luke_tasks.load(tmp_path / "run").trained.labels) == ["person"]


@pytest.mark.parametrize(
    ("label_set", "message"),
    [
        (["persn"], "data.json: the data hold no label: nothing can be learned from them"),
        ([], 'dataset_reader.label_set: expected "coarse", "all", or a list [...] of types, found []'),
        ("fine", 'dataset_reader.label_set: expected "coarse", "all", or a list [...] of types, found "fine"'),
    ],
)
def test_no_type(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], label_set: Any, message: str
) -> None:
    assert train(config, tmp_path / "run", overrides={"dataset_reader.label_set": label_set}) == 2
    assert capsys.readouterr().err.strip().endswith(message)


def test_thousands_of_types(config: Path, tmp_path: Path, write: Callable[..., Path], capsys: Any) -> None:
    """A message names some of them."""
    many = [record("[it]", f"type {number}") for number in range(100)]
    overrides = {"dataset_reader.label_set": "all", "validation_data_path": str(write(*many, name="many.json")),
                 "trainer.num_epochs": 1}  # fmt: skip
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    log = capsys.readouterr().err
    assert log.count("is in the validation or test data only") == 20
    assert "and so are 80 more labels" in log
    assert main(["evaluate", str(tmp_path / "run"), str(write(record("[it]", "new"), name="new.json"))]) == 2
    assert "label 'new' is not among the model's: " in (message := capsys.readouterr().err.splitlines()[-1])
    assert message.endswith("and 89 more; rename or remove it in the data, or train with it")


def test_brackets(tiny_luke_dir: Path, write: Callable[..., Path]) -> None:
    example = next(reader(tiny_luke_dir).read(write(record("a -LSB- [he -LRB- it -RCB-] -RSB- .", "person"))))
    assert example.text == "a ( he ( it ) ) ."
    assert [example.text[start:end] for start, end in example.spans] == ["he ( it )"]


def test_a_long_context_is_cut_around_the_mention(tiny_luke_dir: Path, write: Callable[..., Path]) -> None:
    own = reader(tiny_luke_dir, max_sequence_length=20)
    marker = own.tokenizer.word_id("<ent>")
    long = " ".join(["two"] * 600)
    path = write(record(f"{long} [Paris] {long}", "place"), record(f"[Paris] {long}", "place"),
                 record(f"a [{long}] b", "time"), record("[Paris]", "place"))  # fmt: skip
    _, windows = own.read_encoded(path)
    assert [len(window.word_ids) for window in windows[:3]] == [20, 20, 20]
    spans = [window.entity_spans.tolist() for window in windows]
    mention = spans[1][0][1] - 1  # [CLS] comes first
    assert spans[0] == [[1 + (18 - mention + 1) // 2, 1 + (18 - mention + 1) // 2 + mention]]
    assert spans[2] == [[1, 19]]
    for window, ((start, end),) in zip(windows, spans, strict=True):
        assert np.flatnonzero(window.word_ids == marker).tolist() == [start, end - 1]
        assert (window.word_ids[0], window.word_ids[-1]) == (own.tokenizer.special.cls, own.tokenizer.special.sep)


def test_what_is_cut_is_reported(
    tiny_luke_dir: Path, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    long = " ".join(["two"] * 60)
    path = write(record(f"[Paris] {long}", "place"), record(f"[{long}]", "time"), record("[Paris]", "place"))
    reader(tiny_luke_dir, max_sequence_length=20).read_encoded(path)
    assert [message.getMessage() for message in caplog.records] == [
        f"{path}: 1 texts are longer than the window (18 word pieces) and were cut outside their entities",
        f"{path}: 1 texts are longer than the window (18 word pieces) and were cut within their entities",
    ]


def test_a_text_may_hold_a_marker(tiny_luke_dir: Path) -> None:
    own = reader(tiny_luke_dir)
    example = own.parse_input({"text": "<ent> is Paris", "entities": [[9, 14]]}, "in:1")
    (window,) = own.encode([example])
    assert (window.word_ids == own.tokenizer.word_id("<ent>")).sum() == 2


GOOD = RECORDS[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "FILE: the file is empty"),
        ([GOOD, {key: GOOD[key] for key in GOOD if key != "mention_span"}],
         'FILE:2: "mention_span" is missing; found annot_id, left_context_token, right_context_token, y_str'),
        ([{**GOOD, "mention_span": "  "}], 'FILE:1: "mention_span" must be a string that is not blank, found "  "'),
        ([{**GOOD, "mention_span": 3}], 'FILE:1: "mention_span" must be a string that is not blank, found 3'),
        ([{**GOOD, "left_context_token": "On"}],
         'FILE:1: "left_context_token" must be a list of strings, found "On"'),
        ([{**GOOD, "right_context_token": ["a", 1]}],
         'FILE:1: "right_context_token" must be a list of strings, found ["a", 1]'),
        ([{**GOOD, "y_str": "person"}], 'FILE:1: "y_str" must be a list of type names, found "person"'),
        (["[" + json.dumps({"a": 1}) + "]"],
         "FILE:1: expected one JSON object a line, found a JSON array: '[{\"a\": 1}]'; write each record as {...} on a "
         "line of its own"),
        ([GOOD, "she said"],
         "FILE:2: expected one JSON object a line, found something else: 'she said'; write each record as {...} on a "
         "line of its own"),
        (['{"a": 1'], "FILE:1: no valid JSON object (Expecting ',' delimiter at column 8): '{\"a\": 1'; a line that "
         "begins with { must be one"),
    ],
)  # fmt: skip
def test_bad_files(tiny_luke_dir: Path, write: Callable[..., Path], lines: list[Any], message: str) -> None:
    path = write(*lines)
    with pytest.raises(DataError) as raised:
        reader(tiny_luke_dir).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"entities": []}, 'in:1: expected "text" (a string) or "words" (a list of strings), found entities'),
        ({"text": "a"}, 'in:1: "entities" is missing; found text'),
        ({"text": 5, "entities": []}, 'in:1: "text" must be a string that is not blank, found 5'),
        ({"text": "ab", "entities": [0, 1]},
         'in:1: "entities.0": expected [start, end) in characters, 0 <= start < end <= 2, found 0'),
        ({"text": "ab", "entities": [[0, 3]]},
         'in:1: "entities.0": expected [start, end) in characters, 0 <= start < end <= 2, found [0, 3]'),
        ({"text": "ab", "entities": [[1, 1]]},
         'in:1: "entities.0": expected [start, end) in characters, 0 <= start < end <= 2, found [1, 1]'),
        ({"text": "ab", "entities": [[-1, 1]]},
         'in:1: "entities.0": expected [start, end) in characters, 0 <= start < end <= 2, found [-1, 1]'),
        ({"text": "ab", "entities": [[True, 2]]},
         'in:1: "entities.0": expected [start, end) in characters, 0 <= start < end <= 2, found [true, 2]'),
        ({"text": "a  b", "entities": [[0, 1], [1, 3]]},
         'in:1: "entities.1": [1, 3] covers only spaces; give the characters of the entity'),
        ({"words": ["a", "b"], "entities": [[0, 3]]},
         'in:1: "entities.0": expected [start, end) in words, 0 <= start < end <= 2, found [0, 3]'),
        ({"text": "a", "entities": {"0": 1}}, 'in:1: "entities" must be a list of [start, end), found {"0": 1}'),
    ],
)  # fmt: skip
def test_bad_input(tiny_luke_dir: Path, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tiny_luke_dir).parse_line(json.dumps(raw), "in:1")
    assert str(raised.value) == message


@pytest.mark.parametrize("line", ["London is old", '[{"text": "London", "entities": []}]'])
def test_plain_text_needs_its_entities(tiny_luke_dir: Path, line: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tiny_luke_dir).parse_line(line, "in:1")
    assert str(raised.value) == (
        f'in:1: expected a JSON object, {{"text": "...", "entities": [[start, end], ...]}}, found {line!r}'
    )


def test_an_unknown_type_at_evaluation(
    config: Path, tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"dataset_reader.label_set": "all", "trainer.num_epochs": 1}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    path = write(RECORDS[3], record("[It] is", "mineral"), name="bad.json")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), str(path)]) == 2
    assert f"{path}:2: label 'mineral' is not among the model's: " in capsys.readouterr().err


def test_published_luke_needs_nothing_added(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(tiny_luke(tmp_path / "luke")))
    assert tokenizer.add_words({"<ent>": "@", "<ent2>": "#"}) == []
    assert tokenizer.added_words == {}
