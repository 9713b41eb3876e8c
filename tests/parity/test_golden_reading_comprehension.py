"""Question answering against the original: studio-ousia/luke's examples on AllenNLP 2.10.1, same files and weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.heads.answer_spans import best_spans
from luke_tasks.heads.question_answering import QuestionAnsweringHead
from luke_tasks.readers.squad import SquadFeatures, SquadReader
from luke_tasks.training.evaluation import Runner, evaluate
from tests.parity import golden

TASK = golden.GOLDEN / "reading_comprehension"
SPLITS = {"train": 135, "dev": 42}
# The original guesses the characters of a word piece from its byte-level spelling, and goes wrong at "⊆", three bytes:
# it adds letters after and before. Question id → the characters of the same word pieces.
MENDED = {
    "train": {},
    "dev": {"56e1ee4de3433e1400423210": "proved. For instance P ⊆ NP ⊆ PP ⊆", "56e1ee4de3433e1400423214": "⊆ PP ⊆"},
}
pytestmark = pytest.mark.skipif(not TASK.is_dir(), reason="../shared/peer/golden is not here")


def make_reader() -> SquadReader:
    """Without the linker: that of the original asks LUKE's own vocabulary, whose names bear no language, for names with
    a language, and so never finds an entity there (see `luke_tasks.readers.entity_linker`)."""
    return SquadReader(tokenizer=golden.load_tokenizer())


@pytest.mark.parametrize("split", SPLITS)
def test_instances_logits_predictions_and_metrics_are_the_originals(split: str) -> None:
    reader = make_reader()
    model = golden.load_model("reading_comprehension", QuestionAnsweringHead, labels=Labels(()))
    path = TASK / "data" / f"{split}-v1.1.json"
    scores, windows = golden.run(model, reader, path)
    theirs = golden.instances("reading_comprehension", split)
    assert len(windows) == len(theirs) == SPLITS[split]
    for number, ((window, logits), instance) in enumerate(zip(windows, theirs, strict=True)):
        assert isinstance(window, SquadFeatures)
        fields = instance["fields"]
        first, after = window.context_span
        answer = window.targets(Labels(()))
        assert answer is not None
        ours = {"word_ids": window.word_ids.tolist(), "answer_span": answer.tolist(),
                "context_span": [first, after - 1], "entity_ids": window.entity_ids.tolist()}  # fmt: skip
        assert (fields["entity_ids"], fields["entity_attention_mask"]) == ([0], [0])  # its way to say: none
        expected = {"word_ids": fields["question_with_context"]["token_ids"], "answer_span": fields["answer_span"],
                    "context_span": fields["context_span"], "entity_ids": []}  # fmt: skip
        assert ours == expected, f"window {number + 1}"
        np.testing.assert_allclose(logits, instance["raw_logits"], rtol=0, atol=1e-4, err_msg=f"window {number + 1}")
        found = best_spans([logits], [window.context_span], num_best=20, max_length=30)
        assert [int(found.starts[0, 0]), int(found.lasts[0, 0])] == instance["best_span"]
        assert found.margins[0, 0] == pytest.approx(instance["prediction_logits"], abs=2e-4)
    published = golden.published_metrics("reading_comprehension", split)
    names = ("exact_match", "f1", "span_accuracy", "span_start_accuracy", "span_end_accuracy", "per_instance_em",
             "per_instance_f1")  # fmt: skip
    for name in names:
        assert scores[name] == pytest.approx(published[name], abs=1e-4), name


@pytest.mark.parametrize("split", SPLITS)
def test_predictions_and_losses_are_the_originals(split: str) -> None:
    reader = make_reader()
    model = golden.load_model("reading_comprehension", QuestionAnsweringHead, labels=Labels(()))
    examples, windows = reader.read_encoded(TASK / "data" / f"{split}-v1.1.json")
    pad_id = reader.tokenizer.special.pad
    runner = Runner.of(model, batch_size=16, pad_id=pad_id, device=torch.device("cpu"))
    predictions = evaluate(runner, examples, windows).predictions
    head = model.head
    assert isinstance(head, QuestionAnsweringHead)
    published = json.loads((TASK / f"predictions_{split}.json").read_text(encoding="utf-8"))
    assert head.prediction_files(predictions)["predictions.json"] == {**published, **MENDED[split]}
    with torch.inference_mode():
        for window, instance in zip(windows, golden.instances("reading_comprehension", split), strict=True):
            loss = model(collate([window], pad_id=pad_id, labels=Labels(()))).loss
            assert loss is not None
            assert loss.item() == pytest.approx(instance["loss"], abs=1e-4)
