"""Tiny fine-tuned checkpoints, small data files for each of their classes, and what `transformers` makes of a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from luke_tasks.data.batch import Batch
from tests.conftest import SENTENCES, conll
from tests.tiny import tiny_luke

NER, TYPING, PAIR = (f"LukeForEntity{kind}Classification" for kind in ("Span", "", "Pair"))
LABELS = {
    NER: ["NIL", "MISC", "PER", "ORG", "LOC"],
    TYPING: ["place", "person", "group", "time"],
    PAIR: ["per:title", "no_relation", "org:founded_by"],
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


def fine_tuned(directory: Path, architecture: str, **options: Any) -> Path:
    """A checkpoint of this class with random weights."""
    options.setdefault("id2label", dict(enumerate(LABELS[architecture])))
    return tiny_luke(directory, architecture=architecture, **options)


def data_file(directory: Path, architecture: str) -> Path:
    """A labelled file of the format that goes with the class."""
    directory.mkdir(parents=True, exist_ok=True)
    content = {
        NER: conll(SENTENCES),
        TYPING: "".join(json.dumps(record) + "\n" for record in TYPING_RECORDS),
        PAIR: json.dumps(PAIR_RECORDS),
    }
    path = directory / f"{architecture}.txt"
    path.write_text(content[architecture], encoding="utf-8")
    return path


def transformers_logits(directory: Path, batch: Batch) -> Tensor:
    """What `transformers` gives for a batch of ours whose entities are `[MASK]`, or `[MASK]` and `[MASK2]`."""
    architecture = json.loads((directory / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    model = getattr(transformers, architecture).from_pretrained(directory).eval()
    vocab = json.loads((directory / "entity_vocab.json").read_text(encoding="utf-8"))
    assert batch.entity_spans is not None and batch.entity_mask is not None
    starts, ends = batch.entity_spans.unbind(-1)  # (B, E)
    places = starts[..., None] + torch.arange(int((ends - starts).max()))  # (B, E, M)
    entity_ids = torch.full_like(starts, vocab["[MASK]"])
    if architecture == PAIR:
        entity_ids[:, 1] = vocab["[MASK2]"]
    inputs = {
        "input_ids": batch.word_ids, "attention_mask": batch.word_mask.long(), "token_type_ids": batch.word_type_ids,
        "entity_ids": entity_ids, "entity_attention_mask": batch.entity_mask.long(),
        "entity_position_ids": torch.where(places < ends[..., None], places, -1),
    }  # fmt: skip
    if architecture == NER:
        inputs |= {"entity_start_positions": starts, "entity_end_positions": (ends - 1).clamp(min=0)}
    with torch.inference_mode():
        logits: Tensor = model(**inputs).logits
    return logits
