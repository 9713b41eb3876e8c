"""NER against the original system: studio-ousia/luke's examples on AllenNLP 2.10.1, same files, same weights.

Reads `../shared/peer/golden` (see its README), which is beside the repository and not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from luke_tasks.data.labels import Labels
from luke_tasks.heads.head import Model, Window
from luke_tasks.heads.ner import NerHead, NerPrediction
from luke_tasks.readers.conll_span import ConllSpanReader, NerExample, NerFeatures
from luke_tasks.training.evaluation import Runner, evaluate
from tests.parity.golden import GOLDEN, instances, load_model, load_tokenizer

NER = GOLDEN / "ner_wnut"
WINDOWS = {"train": 529, "valid": 197}

pytestmark = pytest.mark.skipif(not NER.is_dir(), reason="../shared/peer/golden is not here")


class RecordingHead(NerHead):
    """Keeps the logits of each window by the identity of its features."""

    def decode(self, example: NerExample, windows: Sequence[Window]) -> NerPrediction:
        self.recorded = {**getattr(self, "recorded", {}), **{id(window.features): window.logits for window in windows}}
        return super().decode(example, windows)


@pytest.fixture(scope="module")
def reader() -> ConllSpanReader:
    return ConllSpanReader(tokenizer=load_tokenizer(), iob_scheme="iob2")


@pytest.fixture(scope="module")
def labels() -> Labels:
    return Labels.load(NER / "serialization" / "vocabulary")


@pytest.fixture(scope="module")
def model(labels: Labels) -> Model:
    return load_model("ner_wnut", RecordingHead, labels=labels)


def read(reader: ConllSpanReader, split: str) -> tuple[list[NerExample], list[NerFeatures]]:
    return reader.read_encoded(NER / "data" / f"{split}.txt")  # type: ignore[return-value]


def fields_of(features: NerFeatures, labels: Labels) -> dict[str, Any]:
    """Our window in the original's field names."""
    starts, ends = features.entity_spans.T.tolist()
    targets = features.targets(labels)
    assert targets is not None
    return {
        "word_ids": features.word_ids.tolist(),
        "entity_start_positions": starts,
        "entity_end_positions": [end - 1 for end in ends],
        "entity_position_ids": [list(range(start, end)) for start, end in zip(starts, ends, strict=True)],
        "original_entity_spans": features.word_spans.tolist(),
        "entity_ids": features.entity_ids.tolist(),
        "entity_attention_mask": [1] * len(starts),
        "labels": targets.tolist(),
        "doc_id": features.example.id,
    }


@pytest.mark.parametrize("split", WINDOWS)
def test_every_window_is_the_originals(split: str, reader: ConllSpanReader, labels: Labels) -> None:
    _, windows = read(reader, split)
    golden = instances("ner_wnut", split)
    assert len(windows) == len(golden) == WINDOWS[split]
    for number, (window, instance) in enumerate(zip(windows, golden, strict=True)):
        theirs = instance["fields"]
        theirs["word_ids"] = theirs["word_ids"]["token_ids"]
        theirs["entity_position_ids"] = [[p for p in row if p != -1] for row in theirs["entity_position_ids"]]
        assert fields_of(window, labels) == theirs, f"window {number}"


@pytest.mark.parametrize("split", WINDOWS)
def test_logits_and_metrics_are_the_originals(split: str, reader: ConllSpanReader, model: Model) -> None:
    examples, windows = read(reader, split)
    runner = Runner.of(model, batch_size=2, pad_id=reader.tokenizer.special.pad, device=torch.device("cpu"))
    scores = evaluate(runner, examples, windows).scores
    assert isinstance(model.head, RecordingHead)
    for number, (window, instance) in enumerate(zip(windows, instances("ner_wnut", split), strict=True)):
        ours = model.head.recorded[id(window)]  # (E, C)
        np.testing.assert_allclose(ours, instance["raw_logits"], rtol=0, atol=1e-4, err_msg=f"window {number}")
    theirs = json.loads((NER / f"metrics_{split}.json").read_text(encoding="utf-8"))
    for name in ("f1", "precision", "recall", "span_accuracy"):
        assert scores[name] == pytest.approx(theirs[name], abs=1e-4), name
