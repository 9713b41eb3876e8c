"""Entity typing against the original: studio-ousia/luke's examples on AllenNLP 2.10.1, same files, same weights."""

from __future__ import annotations

import numpy as np
import pytest

from luke_tasks.data.labels import Labels
from luke_tasks.heads.entity_typing import EntityTypingHead
from luke_tasks.readers.entity_typing import EntityTypingReader
from tests.parity import golden

TASK = golden.GOLDEN / "entity_typing"
pytestmark = pytest.mark.skipif(not TASK.is_dir(), reason="../shared/peer/golden is not here")


@pytest.mark.parametrize("split", golden.SPLITS)
def test_instances_logits_and_metrics_are_the_originals(split: str) -> None:
    labels = Labels.load(TASK / "serialization" / "vocabulary")
    reader = EntityTypingReader(tokenizer=golden.load_tokenizer())
    model = golden.load_model("entity_typing", EntityTypingHead, labels=labels)
    scores, windows = golden.run(model, reader, TASK / "data" / f"{split}.json")
    theirs = golden.instances("entity_typing", split)
    assert len(windows) == len(theirs) == golden.SPLITS[split]
    for number, ((window, logits), instance) in enumerate(zip(windows, theirs, strict=True)):
        fields = instance["fields"]
        targets = window.targets(labels)
        assert targets is not None
        start, end = window.entity_spans[0].tolist()
        ours = {"word_ids": window.word_ids.tolist(), "entity_span": [start, end - 1],
                "entity_ids": window.entity_ids.tolist(), "labels": targets.tolist()}  # fmt: skip
        expected = {name: fields[name] for name in ours} | {"word_ids": fields["word_ids"]["token_ids"]}
        assert ours == expected, f"record {number + 1}"
        np.testing.assert_allclose(logits, instance["raw_logits"], rtol=0, atol=1e-4, err_msg=f"record {number + 1}")
    published = golden.published_metrics("entity_typing", split)
    for name in ("micro_precision", "micro_recall", "micro_fscore"):
        assert scores[name] == pytest.approx(published[name], abs=1e-4), name
