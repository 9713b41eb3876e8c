"""Every head that `transformers` has for LUKE too: equal logits and loss on a random tiny checkpoint (1e-5, fp32).

The windows come from our own readers and are padded; entity-aware attention is on.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.data.features import IGNORED_LABEL
from luke_tasks.heads.entity_typing import EntityTypingHead
from luke_tasks.heads.ner import NerHead
from luke_tasks.heads.relation_classification import RelationHead
from luke_tasks.heads.sequence_classification import SequenceClassificationHead
from luke_tasks.heads.token_classification import TokenClassificationHead
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.conll_tokens import ConllTokensReader
from luke_tasks.readers.entity_typing import EntityTypingReader
from luke_tasks.readers.relation_classification import RelationClassificationReader
from luke_tasks.readers.sequence_classification import SequenceClassificationReader
from tests.conftest import SENTENCES, conll
from tests.parity.transformers_heads import Pair

TEXTS = ["Beyoncé lives in Los Angeles .", "London is old", "EU rejects German call to boycott British lamb ."]
ENTITIES = [[[0, 7, "Beyoncé"], [17, 28]], [], [[0, 2, "Nowhere"]]]


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_entity_classification(tmp_path: Path) -> None:
    """Several types a mention, by binary cross-entropy."""
    records = [
        {"left_context_token": text.split()[:1], "mention_span": text.split()[1], "right_context_token":
         text.split()[2:], "y_str": types}
        for text, types in zip(TEXTS, [["person", "place"], ["time"], ["person"]], strict=True)
    ]  # fmt: skip
    pair = Pair(tmp_path, "LukeForEntityClassification", EntityTypingReader, EntityTypingHead, lines(records), ".json")
    pair.check(labels=pair.batch.labels)


def test_entity_pair_classification(tmp_path: Path) -> None:
    """Theirs has no bias: ours is 0."""
    records = [{"text": text, "head": [0, 2], "tail": [7, 9], "label": label}
               for text, label in zip(TEXTS, "aba", strict=True)]  # fmt: skip
    reader = partial(RelationClassificationReader, dataset="jsonl")
    pair = Pair(tmp_path, "LukeForEntityPairClassification", reader, RelationHead, lines(records), ".json")
    assert "classifier.bias" not in dict(pair.theirs.named_parameters())
    pair.check(labels=pair.batch.labels)


def test_entity_span_classification(tmp_path: Path) -> None:
    reader = partial(ConllSpanReader, context="sentence", max_mention_length=8, max_entity_length=20)
    pair = Pair(tmp_path, "LukeForEntitySpanClassification", reader, NerHead, conll(SENTENCES), ".txt")
    spans = pair.batch.entity_spans
    assert spans is not None
    starts, ends = spans[..., 0], (spans[..., 1] - 1).clamp(min=0)
    assert pair.batch.entity_mask is not None and not pair.batch.entity_mask.all()
    pair.check(
        pair.batch.entity_mask, entity_start_positions=starts, entity_end_positions=ends, labels=pair.batch.labels
    )


@pytest.mark.parametrize("with_pair", [False, True])
@pytest.mark.parametrize("with_entities", [False, True])
@pytest.mark.parametrize("problem_type", ["single_label_classification", "multi_label_classification", "regression"])
def test_sequence_classification(tmp_path: Path, problem_type: Any, with_pair: bool, with_entities: bool) -> None:
    gold: dict[str, list[Any]] = {"single_label_classification": ["a", "b", "c"], "regression": [1.5, -2.0, 0.25],
            "multi_label_classification": [["a", "b"], [], ["c"]]}  # fmt: skip
    records = [
        {"text": text, "other": text[::-1], "label": label, "entities": entities if with_entities else []}
        for text, label, entities in zip(TEXTS, gold[problem_type], ENTITIES, strict=True)
    ]
    reader = partial(SequenceClassificationReader, problem_type=problem_type, max_sequence_length=60,
                     text_pair="other" if with_pair else None)  # fmt: skip
    head = partial(SequenceClassificationHead, problem_type=problem_type)
    pair = Pair(tmp_path, "LukeForSequenceClassification", reader, head, lines(records), ".jsonl",
                problem_type=problem_type)  # fmt: skip
    labels = pair.batch.labels
    assert labels is not None
    pair.check(labels=labels.float() if problem_type == "multi_label_classification" else labels)


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_token_classification(tmp_path: Path, context: Any) -> None:
    """Word pieces that begin no word, and those of the context, are left out of the loss."""
    reader = partial(ConllTokensReader, context=context, max_sequence_length=60)
    pair = Pair(tmp_path, "LukeForTokenClassification", reader, TokenClassificationHead, conll(SENTENCES), ".txt")
    labels = pair.batch.labels
    assert labels is not None and (labels[pair.batch.word_mask] == IGNORED_LABEL).any()
    pair.check(pair.batch.word_mask, labels=labels)
