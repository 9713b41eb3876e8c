"""Multiple choice from config to prediction, on tiny models."""

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
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.errors import DataError
from luke_tasks.heads.head import Model
from luke_tasks.heads.multiple_choice import MultipleChoiceHead
from luke_tasks.readers.multiple_choice import MultipleChoiceExample, MultipleChoiceReader
from tests.tasks.head_check import check_head
from tests.tiny import tiny_bert, tiny_luke, tiny_roberta
from tests.training.runs import train

RECORDS: list[dict[str, Any]] = [
    {"context": "Barack Obama was born", "question": "in", "choices": ["Honolulu", "two days", "an innings"],
     "label": 0},
    {"context": "London is the capital of", "choices": ["four for 38", "the United Kingdom"], "label": 1},
    {"sent1": "EU rejects", "sent2": "German", "ending0": "lives", "ending1": "in", "ending2": "call to boycott",
     "ending3": "Paris", "label": 2},
]  # fmt: skip
INPUTS = [RECORDS[0], {**RECORDS[1], "id": 3, "label": None}, RECORDS[2]]
# Words alone are read: what belongs to entities has no part in it.
UNUSED = r"entity_embeddings|e2w_query|w2e_query|e2e_query"
SWAG = (
    ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n"
    '0,a,1,"He opens it, slowly. Then he","He opens it, slowly.",Then he,gold,goes in.,melts.,"sings ""la"".",sits.,2\n'
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_lines(content: Any, name: str = "data.jsonl") -> Path:
        if not isinstance(content, str):
            content = "".join(json.dumps(record) + "\n" for record in content)
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        return tmp_path / name

    return write_lines


@pytest.fixture
def make_config(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def make(encoder: dict[str, Any]) -> Path:
        path = write(RECORDS * 4)
        content: dict[str, Any] = {
            "dataset_reader": {"type": "multiple_choice", "max_sequence_length": 40},
            "train_data_path": str(path),
            "validation_data_path": str(path),
            "model": {"encoder": encoder, "head": {"type": "multiple_choice"}},
            "data_loader": {"batch_size": 4, "shuffle": True, "bucket": True},
            "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": "+accuracy",
                        "cuda_device": -1},
        }  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / "config.json"

    return make


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


def reader(tokenizer: Tokenizer, **options: Any) -> MultipleChoiceReader:
    return MultipleChoiceReader(tokenizer=tokenizer, **options)


# -- training and prediction ----------------------------------------------------------------------------------------


def test_head(make_config: Callable[..., Path], tiny_luke_dir: Path, tmp_path: Path) -> None:
    # A bias that all choices share does not change which is likelier.
    config = make_config({"type": "luke", "pretrained": str(tiny_luke_dir)})
    check_head(config, tmp_path, INPUTS, shared_by_all=("head.classifier.bias",), unused=UNUSED)


def test_head_over_a_plain_encoder(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config({"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))})
    check_head(config, tmp_path, INPUTS, shared_by_all=("head.classifier.bias",))


def test_it_learns_and_predicts(
    make_config: Callable[..., Path], write: Callable[..., Path], tiny_luke_dir: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = make_config({"type": "luke", "pretrained": str(tiny_luke_dir), "dropout": 0.0})
    assert train(config, tmp_path / "run", overrides={"trainer.num_epochs": 25, "model.head.dropout": 0}) == 0
    assert luke_tasks.load(tmp_path / "run").evaluate(tmp_path / "data.jsonl").scores["accuracy"] == 1.0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(write(RECORDS, "in.jsonl"))]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["label"], one["answer"], len(one["choices"])) for one in found] == [
        (0, "Honolulu", 3), (1, "the United Kingdom", 2), (2, "call to boycott", 4)
    ]  # fmt: skip
    assert all(sum(choice["score"] for choice in one["choices"]) == pytest.approx(1, abs=1e-5) for one in found)

    unlabelled = write([{"context": "a", "choices": ["b", "c"]}], "test.jsonl")
    command = ["predict", str(tmp_path / "run"), str(unlabelled), "--use-dataset-reader"]
    assert main(command) == 2
    assert f'{unlabelled}:1: "label" is missing; found context, choices; dataset_reader.' in capsys.readouterr().err
    assert main([*command, "-o", '{"dataset_reader.label": null}']) == 0


def test_examples_of_a_batch_do_not_mix(tiny_luke_dir: Path, tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    """Different numbers of choices: each example's logits and loss are what it gives alone; in any order."""
    _, features = reader(tokenizer).read_encoded(write(RECORDS))
    encoder = LukeEncoder.from_pretrained(pretrained=str(tiny_luke_dir), pooler=True)
    model = Model(encoder=encoder, head=MultipleChoiceHead(hidden_size=16, labels=Labels(()))).eval()
    labels = Labels(())
    with torch.inference_mode():
        together = model(collate(features, pad_id=1, labels=labels))
        assert together.logits.shape == (3, 4)
        assert together.logits.isneginf().tolist() == [[False] * n + [True] * (4 - n) for n in (3, 2, 4)]
        losses = []
        for row, feature in enumerate(features):
            alone = model(collate([feature], pad_id=1, labels=labels))
            own = model.head.window_logits(together.logits, row, feature)
            torch.testing.assert_close(own, alone.logits[0], atol=1e-5, rtol=0)
            losses.append(alone.loss)
        torch.testing.assert_close(together.loss, torch.stack(losses).mean(), atol=1e-5, rtol=0)


# -- reading --------------------------------------------------------------------------------------------------------


def test_read(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    path = write(RECORDS)
    first, second, third = reader(tokenizer).read(path)
    assert first == MultipleChoiceExample(
        f"{path}:1", "Barack Obama was born", "in", ["Honolulu", "two days", "an innings"], 0, f"{path}:1"
    )
    assert (second.question, second.label) == ("", 1)
    assert (third.context, third.question, third.label) == ("EU rejects", "German", 2)
    assert third.choices == ["lives", "in", "call to boycott", "Paris"]
    (swag,) = reader(tokenizer).read(write(SWAG, "val.csv"))
    assert (swag.context, swag.question, swag.label) == ("He opens it, slowly.", "Then he", 2)
    assert swag.choices == ["goes in.", "melts.", 'sings "la".', "sits."]


@pytest.mark.parametrize("make", [tiny_luke, tiny_bert])
@pytest.mark.parametrize("max_length", [11, 60])
def test_pieces_are_those_of_transformers(tmp_path: Path, make: Any, max_length: int) -> None:
    """The context, then question and choice, as `run_swag.py` of `transformers` pairs them."""
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(str(make(tmp_path)))._tokenizer
    reference.enable_truncation(max_length, strategy="longest_first")
    own = reader(Tokenizer.from_pretrained(str(tmp_path)), max_sequence_length=max_length)
    (features,) = own.encode([own.parse_input(RECORDS[0], "in:1")])
    expected = [reference.encode(RECORDS[0]["context"], f"in {choice}") for choice in RECORDS[0]["choices"]]
    assert [window.word_ids.tolist() for window in features.windows] == [one.ids for one in expected]
    if make is tiny_bert:
        assert [np.asarray(w.word_type_ids).tolist() for w in features.windows] == [one.type_ids for one in expected]
    assert len(features.word_ids) == max(len(one.ids) for one in expected)
    assert bool(own.dropped) == (max_length == 11)


GOOD = RECORDS[1]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**GOOD, "label": 2}, '"label": expected which choice is right, an integer from 0 to 1, found 2'),
        ({**GOOD, "label": "b"}, '"label": expected which choice is right, an integer from 0 to 1, found "b"'),
        ({**GOOD, "label": True}, '"label": expected which choice is right, an integer from 0 to 1, found true'),
        ({**GOOD, "choices": ["a"]}, 'expected two or more choices, strings that are not blank, found ["a"]'),
        ({**GOOD, "choices": ["a", " "]}, 'expected two or more choices, strings that are not blank, found ["a", " "]'),
        ({**GOOD, "choices": "ab"}, 'expected two or more choices, strings that are not blank, found "ab"'),
        ({**GOOD, "question": 3}, "what stands before the choices must be a string, found 3"),
        ({**GOOD, "context": ""}, '"context" must be a string that is not blank, found ""'),
        ({"context": "a", "label": 0}, '"choices" is missing; found context, label'),
        ({"text": "a"},
         'expected "context" and "choices", or "sent1", "ending0", "ending1", ... as in SWAG, found text'),
        ({"sent1": "a", "ending0": "b", "ending2": "c"}, "the endings must be numbered from 0 without a gap, found "
         "ending0, ending2"),
        ({"sent1": "a", "label": 0}, "expected two or more choices, strings that are not blank, found []"),
        ({key: value for key, value in GOOD.items() if key != "label"},
         '"label" is missing; found context, choices; dataset_reader.label names the column, or is null for a file '
         "without labels"),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, write: Callable[..., Path], record: dict[str, Any], message: str) -> None:
    path = write([GOOD, record])
    with pytest.raises(DataError) as raised:
        reader(tokenizer).read_encoded(path)
    assert str(raised.value) == f"{path}:2: {message}"


def test_bad_input(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError) as raised:
        reader(tokenizer).parse_line("only text", "in:1")
    assert str(raised.value) == ('in:1: expected "context" and "choices", or "sent1", "ending0", "ending1", ... as in '
                                 "SWAG, found text")  # fmt: skip
