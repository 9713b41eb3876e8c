"""Every head that `transformers` has for LUKE too: equal logits and loss on a random tiny checkpoint (1e-5, fp32).

The windows come from our own readers and are padded; entity-aware attention is on.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from luke_tasks.data.features import IGNORED_LABEL
from luke_tasks.heads.entity_typing import EntityTypingHead
from luke_tasks.heads.masked_lm import MaskedLMHead
from luke_tasks.heads.multiple_choice import MultipleChoiceHead
from luke_tasks.heads.ner import NerHead
from luke_tasks.heads.question_answering import QuestionAnsweringHead
from luke_tasks.heads.relation_classification import RelationHead
from luke_tasks.heads.sequence_classification import SequenceClassificationHead
from luke_tasks.heads.token_classification import TokenClassificationHead
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.conll_tokens import ConllTokensReader
from luke_tasks.readers.entity_typing import EntityTypingReader
from luke_tasks.readers.masked_text import MaskedTextReader
from luke_tasks.readers.multiple_choice import MultipleChoiceReader
from luke_tasks.readers.relation_classification import RelationClassificationReader
from luke_tasks.readers.sequence_classification import SequenceClassificationReader
from luke_tasks.readers.squad import SquadReader
from tests.conftest import SENTENCES, conll
from tests.parity.transformers_heads import Pair, assert_close

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


def test_question_answering(tmp_path: Path) -> None:
    """The logits; the loss is the original's, which leaves out starts before the context and ends after it."""
    questions = [{"id": str(index), "question": "Who lives ?", "answers": [{"text": text[:3], "answer_start": 0}]}
                 for index, text in enumerate(TEXTS)]  # fmt: skip
    paragraphs = [{"context": text, "qas": [question]} for text, question in zip(TEXTS, questions, strict=True)]
    reader = partial(SquadReader, max_sequence_length=60, stride=8, max_query_length=20)
    data = json.dumps({"data": [{"title": "London", "paragraphs": paragraphs}]})
    pair = Pair(tmp_path, "LukeForQuestionAnswering", reader, QuestionAnsweringHead, data, ".json", num_labels=2)
    with torch.inference_mode():
        ours, theirs = pair.ours(pair.batch), pair.theirs(**pair.inputs())
    assert theirs.start_logits.std() > 0.01
    assert_close(ours.logits, torch.stack([theirs.start_logits, theirs.end_logits], dim=-1))


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


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_masked_lm(tmp_path: Path, tied: bool, hidden_act: str) -> None:
    """Words and entities; our decoders see hidden places only, so all are asked for here."""
    entities = [[[0, 7, "Beyoncé"], [17, 28, "Los Angeles"]], [[0, 6, "London"]], []]
    records = [{"text": text, "entities": of_text} for text, of_text in zip(TEXTS, entities, strict=True)]
    reader = partial(MaskedTextReader, entity_probability=0.7, word_probability=0.3)
    head = partial(MaskedLMHead, tie_word_embeddings=tied)
    pair = Pair(tmp_path, "LukeForMaskedLM", reader, head, lines(records), ".jsonl", hidden_act=hidden_act)
    batch, model = pair.batch, pair.ours
    assert batch.labels is not None and batch.entity_ids is not None and isinstance(model.head, MaskedLMHead)
    word_labels = batch.labels[:, 0, : batch.word_ids.size(1)].contiguous()
    entity_labels = batch.labels[:, 1, : batch.entity_ids.size(1)].contiguous()
    assert 1 < (entity_labels != IGNORED_LABEL).sum() < 4 and (batch.entity_ids == 2).any()  # [MASK]
    with torch.inference_mode():
        theirs = pair.theirs(**pair.inputs(), labels=word_labels, entity_labels=entity_labels)
        encoded = model.encoder(batch)
        assert encoded.entity_hidden is not None
        assert_close(model.head.word_logits(encoded.word_hidden, encoded.tables), theirs.logits)
        assert_close(model.head.entity_logits(encoded.entity_hidden, encoded.tables), theirs.entity_logits)
        found = model(batch)
    assert_close(found.loss, theirs.loss)
    # The candidates of the first hidden word, from their logits.
    window = batch.features[0]
    expected = theirs.logits[0, window.masked_words[0]].softmax(-1).topk(5)
    assert_close(found.logits[0, 0, :5], expected.values)
    assert found.logits[0, 0, 5:10].long().equal(expected.indices)


@pytest.mark.parametrize("max_length", [20, 60])
def test_multiple_choice(tmp_path: Path, max_length: int) -> None:
    """Theirs takes (examples, choices, word pieces), as many choices for each."""
    choices = [["two days .", "lives in Honolulu"], ["EU", "was born"], [".", "London Paris France"]]
    records = [{"context": text, "question": "born", "choices": of_text, "label": label}
               for text, of_text, label in zip(TEXTS, choices, (0, 1, 1), strict=True)]  # fmt: skip
    reader = partial(MultipleChoiceReader, max_sequence_length=max_length)
    pair = Pair(tmp_path, "LukeForMultipleChoice", reader, MultipleChoiceHead, lines(records), ".jsonl")
    grouped = {name: tensor.view(3, 2, -1) for name, tensor in pair.inputs().items()}
    with torch.inference_mode():
        ours, theirs = pair.ours(pair.batch), pair.theirs(**grouped, labels=pair.batch.labels)
    assert theirs.logits.std() > 0.01
    assert_close(ours.logits, theirs.logits)
    assert_close(ours.loss, theirs.loss)
