"""Tiny fine-tuned checkpoints, small data files for each of their classes, and what `transformers` makes of a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.heads.masked_lm import MaskedLMHead
from luke_tasks.trained import Trained
from tests.conftest import SENTENCES, conll
from tests.tiny import tiny_luke

NER, TYPING, PAIR = (f"LukeForEntity{kind}Classification" for kind in ("Span", "", "Pair"))
QA, TEXT_CLASSES = "LukeForQuestionAnswering", "LukeForSequenceClassification"
TAGS, CHOICES, MASKED = "LukeForTokenClassification", "LukeForMultipleChoice", "LukeForMaskedLM"
LABELS: dict[str, Any] = {
    NER: ["NIL", "MISC", "PER", "ORG", "LOC"],
    TYPING: ["place", "person", "group", "time"],
    PAIR: ["per:title", "no_relation", "org:founded_by"],
    QA: None,
    TEXT_CLASSES: ["good", "bad", "neither"],
    TAGS: ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"],
    CHOICES: None,
    MASKED: None,
}
TYPING_RECORDS = [
    {"left_context_token": ["On"], "mention_span": "Friday night", "right_context_token": [",", "police", "came"],
     "y_str": ["time", "night"], "annot_id": "1"},
    {"left_context_token": [], "mention_span": "Barack Obama", "right_context_token": ["was", "born"],
     "y_str": ["person"], "annot_id": "2"},
    {"left_context_token": ["born", "in"], "mention_span": "Honolulu , Hawaii", "right_context_token": [],
     "y_str": ["place", "island"], "annot_id": "3"},
]  # fmt: skip
PAIR_RECORDS = [
    {"id": "1", "token": ["She", "founded", "-LRB-", "Acme", "-RRB-", "in", "Paris"], "subj_start": 3, "subj_end": 3,
     "obj_start": 0, "obj_end": 0, "relation": "org:founded_by"},
    {"id": "2", "token": ["The", "president", "Barack", "Obama", "spoke"], "subj_start": 2, "subj_end": 3,
     "obj_start": 1, "obj_end": 1, "relation": "per:title"},
    {"id": "3", "token": ["Paris", "is", "not", "London"], "subj_start": 0, "subj_end": 0, "obj_start": 3,
     "obj_end": 3, "relation": "no_relation"},
]  # fmt: skip

CONTEXT = "London is the capital of the United Kingdom and Paris that of France"
QUESTIONS = [
    {"id": "q1", "question": "London is ?", "answers": [{"text": "the capital", "answer_start": 10}]},
    {"id": "q2", "question": "Paris ?", "answers": [{"text": "France", "answer_start": 62}]},
]
SQUAD = {"version": "1.1", "data": [{"title": "Europe", "paragraphs": [{"context": CONTEXT, "qas": QUESTIONS}]}]}
TEXT_RECORDS: list[dict[str, Any]] = [
    {"text": "Paris is fine", "label": "good"}, {"text": "Somerset on Friday", "label": "bad"},
    {"text": "EU", "label": "neither", "entities": [{"start": 0, "end": 2, "title": "Japan"}]},
]  # fmt: skip

CHOICE_RECORDS: list[dict[str, Any]] = [
    {"context": "Paris is", "choices": ["the capital of France", "London"], "label": 0},
    {"context": "On Friday", "question": "Who", "choices": ["Somerset", "two days ."], "label": 1},
]
MASKED_RECORDS: list[dict[str, Any]] = [
    {"text": "Beyoncé lives in Los Angeles", "entities": [[0, 7, "Beyoncé"], [17, 28, "Los Angeles"]]},
    {"text": "London is the capital of the United Kingdom", "entities": [[0, 6, "London"]]},
]


def json_lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def fine_tuned(directory: Path, architecture: str, **options: Any) -> Path:
    """A checkpoint of this class with random weights."""
    if LABELS[architecture] is not None:
        options.setdefault("id2label", dict(enumerate(LABELS[architecture])))
    if architecture == QA:
        options.setdefault("max_position_embeddings", 514)  # windows of questions share 128 word pieces
    return tiny_luke(directory, architecture=architecture, **options)


def data_file(directory: Path, architecture: str) -> Path:
    """A labelled file of the format that goes with the class."""
    directory.mkdir(parents=True, exist_ok=True)
    content = {
        NER: conll(SENTENCES),
        TAGS: conll(SENTENCES),
        TYPING: json_lines(TYPING_RECORDS),
        PAIR: json.dumps(PAIR_RECORDS),
        QA: json.dumps(SQUAD),
        TEXT_CLASSES: json_lines(TEXT_RECORDS),
        CHOICES: json_lines(CHOICE_RECORDS),
        MASKED: json_lines(MASKED_RECORDS),
    }
    path = directory / f"{architecture}.{'jsonl' if architecture in (TEXT_CLASSES, CHOICES, MASKED) else 'txt'}"
    path.write_text(content[architecture], encoding="utf-8")
    return path


def transformers_logits(directory: Path, batch: Batch, tokenizer: Tokenizer) -> Tensor:
    """What `transformers` gives for a batch of ours; `tokenizer` is ours, and may number entities otherwise."""
    architecture = json.loads((directory / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    model = getattr(transformers, architecture).from_pretrained(directory).eval()
    inputs = {"input_ids": batch.word_ids, "attention_mask": batch.word_mask.long(),
              "token_type_ids": batch.word_type_ids}  # fmt: skip
    if batch.entity_ids is not None and batch.entity_ids.numel():
        assert batch.entity_spans is not None and batch.entity_mask is not None
        vocab = json.loads((directory / "entity_vocab.json").read_text(encoding="utf-8"))
        names = {id: name for name, id in tokenizer.entity_vocab.items()}
        starts, ends = batch.entity_spans.unbind(-1)  # (B, E)
        places = starts[..., None] + torch.arange(int((ends - starts).max()))  # (B, E, M)
        inputs |= {
            "entity_ids": torch.tensor([[vocab[names[id]] for id in row] for row in batch.entity_ids.tolist()]),
            "entity_attention_mask": batch.entity_mask.long(),
            "entity_position_ids": torch.where(places < ends[..., None], places, -1),
        }  # fmt: skip
        if architecture == NER:
            inputs |= {"entity_start_positions": starts, "entity_end_positions": (ends - 1).clamp(min=0)}
    if architecture == CHOICES:  # (examples, choices, word pieces); each of ours has two
        inputs = {name: tensor.unflatten(0, (-1, 2)) for name, tensor in inputs.items() if tensor is not None}
    with torch.inference_mode():
        outputs = model(**inputs)
    if architecture == MASKED and "entity_ids" in inputs:
        return torch.cat([outputs.logits.flatten(), outputs.entity_logits.flatten()])
    if architecture == QA:
        return torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)  # (B, W, 2)
    logits: Tensor = outputs.logits
    return logits


def our_logits(trained: Trained, batch: Batch) -> Tensor:
    """Of masked language modelling, whose head sees hidden places only, those of all words and then of all entities."""
    head = trained.model.head
    with torch.inference_mode():
        if not isinstance(head, MaskedLMHead):
            logits: Tensor = trained.model(batch).logits
            return logits
        encoded = trained.model.encoder(batch)
        words = head.word_logits(encoded.word_hidden, encoded.tables)
        if encoded.entity_hidden is None or not encoded.entity_hidden.numel():
            return words
        return torch.cat([words.flatten(), head.entity_logits(encoded.entity_hidden, encoded.tables).flatten()])


def real_logits(logits: Tensor, batch: Batch, architecture: str) -> Tensor:
    """Without those of padding."""
    mask = {NER: batch.entity_mask, QA: batch.word_mask, TAGS: batch.word_mask}.get(architecture)
    return logits if mask is None else logits[mask]
