"""Relations against the original: studio-ousia/luke's examples on AllenNLP 2.10.1, same files, same weights."""

from __future__ import annotations

import numpy as np
import pytest

from luke_tasks.data.labels import Labels
from luke_tasks.heads.relation_classification import RelationHead
from luke_tasks.readers.relation_classification import RelationClassificationReader
from tests.parity import golden

TASK = golden.GOLDEN / "relation_classification"
# The test file is without the three records whose relations are in no other file.
SPLITS = {**golden.SPLITS, "test": 97}
pytestmark = pytest.mark.skipif(not TASK.is_dir(), reason="../shared/peer/golden is not here")


@pytest.mark.parametrize("split", SPLITS)
def test_instances_logits_and_metrics_are_the_originals(split: str) -> None:
    labels = Labels.load(TASK / "serialization" / "vocabulary")
    reader = RelationClassificationReader(tokenizer=golden.load_tokenizer(), dataset="kbp37")
    model = golden.load_model("relation_classification", RelationHead, labels=labels)
    scores, windows = golden.run(model, reader, TASK / "data" / f"{split}.txt")
    theirs = golden.instances("relation_classification", split)
    assert len(windows) == len(theirs) == SPLITS[split]
    for number, ((window, logits), instance) in enumerate(zip(windows, theirs, strict=True)):
        fields = instance["fields"]
        (head_start, head_end), (tail_start, tail_end) = window.entity_spans.tolist()
        ours = {"word_ids": window.word_ids.tolist(), "entity1_span": [head_start, head_end - 1],
                "entity2_span": [tail_start, tail_end - 1], "entity_ids": window.entity_ids.tolist(),
                "label": int(window.targets(labels))}  # type: ignore[arg-type]  # fmt: skip
        expected = {name: fields[name] for name in ours} | {"word_ids": fields["word_ids"]["token_ids"]}
        assert ours == expected, f"record {number + 1}"
        np.testing.assert_allclose(logits, instance["raw_logits"], rtol=0, atol=1e-4, err_msg=f"record {number + 1}")
    published = golden.published_metrics("relation_classification", split)
    for name in ("accuracy", "micro_fscore", "macro_fscore"):
        assert scores[name] == pytest.approx(published[name], abs=1e-4), name
