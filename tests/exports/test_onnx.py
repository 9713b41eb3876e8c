"""ONNX models: the logits of PyTorch at every size, on windows of our readers, in `onnxruntime`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from luke_tasks.__main__ import main
from luke_tasks.data.batch import Batch
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.exports import onnx as onnx_export
from luke_tasks.trained import Trained, load_trained
from tests.exports.small_runs import MENTIONS, PAIRS, relation_run, typing_run
from tests.tiny import tiny_luke, tiny_roberta
from tests.training.runs import train

TEXTS: list[Any] = [
    "Beyoncé lives in Los Angeles .",
    "Leicestershire beat Somerset by an innings and 39 runs in two days",
    "London",
]


@pytest.fixture(scope="module")
def onnxruntime() -> Any:
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    return pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def luke(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One layer: tracing takes seconds for each."""
    folder = tiny_luke(tmp_path_factory.mktemp("checkpoint") / "luke", num_hidden_layers=1)
    return {"type": "luke", "pretrained": str(folder)}


def export(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """`allennlp export ... --to onnx`; what it prints."""
    capsys.readouterr()
    status = main(["export", str(source), str(out), "--to", "onnx"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert printed.err == ""
    return printed.out


def windows(trained: Trained, raw_inputs: list[Any]) -> list[Any]:
    records = [item if isinstance(item, dict) else {"text": item} for item in raw_inputs]
    return list(trained.reader.encode([trained.reader.parse_input(record, "here") for record in records]))


class Exported:
    """A folder that `export` wrote, beside the run it was made of."""

    def __init__(self, run: Path, out: Path, onnxruntime: Any) -> None:
        self.trained = load_trained(run)
        self.session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
        self.config = json.loads((out / "config.json").read_text(encoding="utf-8"))

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        arrays = {name: getattr(batch, name).numpy().astype(np.int64) for name in self.config["inputs"]}
        (found,) = self.session.run(["logits"], arrays)
        assert isinstance(found, np.ndarray)
        return found

    def check(self, features: list[Any]) -> None:
        """The logits of `features` in one batch are PyTorch's."""
        batch = collate(features, pad_id=self.trained.pad_id, labels=None)
        with torch.no_grad():
            expected = self.trained.model(batch).logits.numpy()
        found = self.logits(batch)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_ner(
    ner_config: Path, luke: dict[str, Any], onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "onnx"
    overrides = {"trainer.num_epochs": 1, "model.encoder": luke}
    assert train(ner_config, run, overrides=overrides) == 0
    printed = export(run / "model.tar.gz", out, capsys)
    start = f"{out}: model.onnx from word_ids, word_mask, entity_ids, entity_spans, entity_mask to logits, within "
    assert printed.startswith(start) and printed.endswith(" of PyTorch's\n")
    assert float(printed.removeprefix(start).split()[0]) <= 1e-4
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.onnx", "tokenizer", "vocabulary"]

    exported = Exported(run, out, onnxruntime)
    shapes = {value.name: value.shape for value in (*exported.session.get_inputs(), *exported.session.get_outputs())}
    assert shapes == {
        "word_ids": ["batch", "words"], "word_mask": ["batch", "words"], "entity_ids": ["batch", "entities"],
        "entity_spans": ["batch", "entities", 2], "entity_mask": ["batch", "entities"],
        "logits": ["batch", "entities", 4],
    }  # fmt: skip
    features = windows(exported.trained, TEXTS)
    assert len({len(feature.word_ids) for feature in features}) > 1  # so that one batch of them has padding
    assert len({len(feature.entity_ids) for feature in features}) > 1
    exported.check(features)
    for feature in features:
        exported.check([feature])
    exported.check(features * 7)

    # What padding holds is of no effect, and neither is how much there is.
    batch = collate(features, pad_id=exported.trained.pad_id, labels=None)
    shortest = min(range(len(features)), key=lambda index: len(features[index].word_ids))
    alone = exported.logits(collate([features[shortest]], pad_id=exported.trained.pad_id, labels=None))[0]
    np.testing.assert_allclose(exported.logits(batch)[shortest, : len(alone)], alone, atol=1e-5)
    assert batch.entity_ids is not None and batch.entity_mask is not None
    before = exported.logits(batch)
    batch.word_ids = torch.where(batch.word_mask, batch.word_ids, 7)
    batch.entity_ids = torch.where(batch.entity_mask, batch.entity_ids, 5)
    np.testing.assert_allclose(exported.logits(batch)[batch.entity_mask], before[batch.entity_mask], atol=1e-6)

    for feature in features:  # windows without entities
        feature.entity_ids, feature.entity_spans = feature.entity_ids[:0], feature.entity_spans[:0]
    empty = collate(features, pad_id=exported.trained.pad_id, labels=None)
    assert exported.logits(empty).shape == (len(features), 0, 4)

    # With the folder alone one finds the labels, the word pieces and how windows are made.
    assert exported.config["labels"] == list(exported.trained.labels) == list(Labels.load(out / "vocabulary"))
    assert Tokenizer.load(out / "tokenizer").words_to_pieces(["London"]) == (
        exported.trained.reader.tokenizer.words_to_pieces(["London"])
    )
    reader = exported.config["dataset_reader"]
    assert (reader["type"], reader["max_sequence_length"], reader["max_mention_length"]) == ("conll_span", 64, 8)
    assert exported.config["pad_token_id"] == 1


@pytest.mark.parametrize("span_attention", ["self", "sentence"])
def test_ner_in_shared_windows(
    span_attention: str, ner_config: Path, luke: dict[str, Any], onnxruntime: Any, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run, out = tmp_path / "run", tmp_path / "onnx"
    overrides = {"trainer.num_epochs": 1, "model.encoder": luke, "dataset_reader.context": "shared",
                 "dataset_reader.span_attention": span_attention}  # fmt: skip
    assert train(ner_config, run, overrides=overrides) == 0
    export(run / "model.tar.gz", out, capsys)
    exported = Exported(run, out, onnxruntime)
    assert ("entity_groups" in exported.config["inputs"]) == (span_attention == "sentence")
    features = windows(exported.trained, ["\n".join(TEXTS), *TEXTS])
    assert len({len(feature.entity_ids) for feature in features}) > 1
    exported.check(features)
    exported.check(features[:1])


@pytest.mark.parametrize(("make_run", "inputs", "entities"), [(relation_run, PAIRS, 2), (typing_run, MENTIONS, 1)])
def test_marked_entities(
    make_run: Callable[..., Path], inputs: list[Any], entities: int, luke: dict[str, Any], onnxruntime: Any,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = make_run(tmp_path, luke)
    export(run, tmp_path / "onnx", capsys)
    exported = Exported(run, tmp_path / "onnx", onnxruntime)
    assert exported.config["entities"] == entities
    features = windows(exported.trained, inputs)
    assert len({len(feature.word_ids) for feature in features}) > 1
    exported.check(features)
    exported.check(features[:1])
    exported.check(features * 9)


@pytest.mark.slow
def test_word_features_of_a_plain_encoder(
    onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And weights too large for one file."""
    monkeypatch.setattr(onnx_export, "_MAX_BYTES_INSIDE", 1000)
    roberta = tiny_roberta(tmp_path / "roberta", num_hidden_layers=1)
    encoder = {"type": "transformer", "pretrained": str(roberta)}
    run, out = relation_run(tmp_path, encoder, features="token", token_feature="mention_pooling"), tmp_path / "onnx"
    export(run, out, capsys)
    assert sorted(path.name for path in out.glob("model*")) == ["model.onnx", "model.onnx.data"]
    exported = Exported(run, out, onnxruntime)
    assert list(exported.config["inputs"]) == ["word_ids", "word_mask", "entity_spans"]
    features = windows(exported.trained, PAIRS)
    exported.check(features)
    exported.check(features[1:])


@pytest.mark.slow
def test_the_first_word_piece_alone(onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing then reads where the entities are."""
    encoder = {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta", num_hidden_layers=1))}
    run, out = relation_run(tmp_path, encoder, features="token", token_feature="cls_token"), tmp_path / "onnx"
    export(run, out, capsys)
    exported = Exported(run, out, onnxruntime)
    assert list(exported.config["inputs"]) == ["word_ids", "word_mask"]
    exported.check(windows(exported.trained, PAIRS))


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def relations(luke: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relation_run(tmp_path_factory.mktemp("relations"), luke)


def failure(run: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["export", str(run), str(out), "--to", "onnx"])
    message = capsys.readouterr().err.strip()
    assert "\n" not in message and not out.exists()
    return status, message


def test_packages_that_are_missing(
    relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name != "onnx" else object())
    assert failure(relations, tmp_path / "onnx", capsys) == (
        2, "--to onnx needs onnxscript, onnxruntime: pip install 'luke-tasks[onnx]'",
    )  # fmt: skip


def test_a_task_that_is_not_there(
    relations: Path, onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(onnx_export, "NUM_ENTITIES", {"ner": None, "entity_typing": 1})
    assert failure(relations, tmp_path / "onnx", capsys) == (
        2, f"{relations}: a model of relation_classification; --to onnx writes models of ner, entity_typing so far",
    )  # fmt: skip


def test_what_the_exporter_cannot_do(
    relations: Path, onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def give_up(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("\n no such operator\nand much more")

    monkeypatch.setattr(torch.onnx, "export", give_up)
    assert failure(relations, tmp_path / "onnx", capsys) == (
        1, f"model.onnx: torch {torch.__version__} cannot express this model in ONNX: no such operator",
    )  # fmt: skip


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_logits_that_differ(
    difference: float, relations: Path, onnxruntime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(onnx_export, "_write", lambda *arguments: None)
    monkeypatch.setattr(onnx_export, "_difference", lambda *arguments: difference)
    assert failure(relations, tmp_path / "onnx", capsys) == (
        1, f"{relations}: the ONNX model's logits differ from PyTorch's by {difference:.1e}; at most "
           "1e-04 was expected",
    )  # fmt: skip
