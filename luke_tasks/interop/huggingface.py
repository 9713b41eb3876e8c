"""The classes of `transformers` for LUKE, and what each of them is here.

A checkpoint's tensors need no table: the encoder's `embeddings.…` is `luke.embeddings.…` there, and a head's
`classifier.weight` is `classifier.weight`. What goes with a class is its reader, its head and the options of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from luke_tasks.readers.conll_span import NON_ENTITY

Options = Mapping[str, Any]
CONFIG_KEY = "luke_tasks"  # in the config.json of our exports: the reader and the head, as a config describes them
NO_ENTITY_NAMES = (NON_ENTITY, "NIL")  # "NIL" is what studio-ousia's NER checkpoints call it
_DIRECTED = re.compile(r"\(e[12],e[12]\)$")  # KBP37's and RELX's relations say which entity comes first


def _nothing(labels: Sequence[str], tensors: Set[str]) -> Options:
    return {}


@dataclass(frozen=True, kw_only=True)
class HeadClass:
    """A class of `transformers`, with what a config must say to get the same model here.

    Args:
        name: as `architectures` in a `config.json` has it.
        reader, head: their registered names.
        fixed: options of the head that the class is built with; no other value can be expressed.
        reader_options, head_options: further ones, from the labels and the names of the head's tensors.
        entities: whether inputs name entities of the vocabulary, or only `[MASK]` and its like.
        has_pooler: whether the class holds a pooler, which our encoder has only where the head reads it.
        tokenizer_task: what `LukeTokenizer` must be told so that it places markers and entities.
        pipeline_tag, tag: for the hub's lists.
    """

    name: str
    reader: str
    head: str
    fixed: Options = field(default_factory=dict)
    reader_options: Callable[[Sequence[str], Set[str]], Options] = _nothing
    head_options: Callable[[Sequence[str], Set[str]], Options] = _nothing
    entities: Literal["all", "special"] = "special"
    has_pooler: bool = True
    tokenizer_task: str | None = None
    pipeline_tag: str
    tag: str


def _typing_reader(labels: Sequence[str], tensors: Set[str]) -> Options:
    return {"label_set": list(labels)}


def _relation_reader(labels: Sequence[str], tensors: Set[str]) -> Options:
    return {"dataset": "kbp37" if any(_DIRECTED.search(label) for label in labels) else "tacred"}


def _relation_head(labels: Sequence[str], tensors: Set[str]) -> Options:
    """The published mLUKE checkpoint of KBP37 has a bias, which the class of `transformers` does not know."""
    return {"bias": "classifier.bias" in tensors}


HEAD_CLASSES = (
    HeadClass(
        name="LukeForEntitySpanClassification", reader="conll_span", head="ner",
        fixed={"features": "token+entity"}, tokenizer_task="entity_span_classification",
        pipeline_tag="token-classification", tag="named-entity-recognition",
    ),
    HeadClass(
        name="LukeForEntityClassification", reader="entity_typing", head="entity_typing",
        fixed={"features": "entity"}, reader_options=_typing_reader, tokenizer_task="entity_classification",
        pipeline_tag="text-classification", tag="entity-typing",
    ),
    HeadClass(
        name="LukeForEntityPairClassification", reader="relation_classification", head="relation_classifier",
        fixed={"features": "entity"}, reader_options=_relation_reader, head_options=_relation_head,
        tokenizer_task="entity_pair_classification", pipeline_tag="text-classification", tag="relation-classification",
    ),
)  # fmt: skip
BY_NAME = {head_class.name: head_class for head_class in HEAD_CLASSES}
BY_HEAD = {head_class.head: head_class for head_class in HEAD_CLASSES}
