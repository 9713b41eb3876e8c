"""The classes of `transformers` for LUKE, and what each of them is here.

A checkpoint's tensors need no table: the encoder's `embeddings.…` is `luke.embeddings.…` there, and a head's
`classifier.weight` is `classifier.weight`. What goes with a class is its reader, its head and the options of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from luke_tasks.encoder.pretrained import ENTITY_TABLE, WORD_TABLE
from luke_tasks.readers.conll_span import NON_ENTITY

Options = Mapping[str, Any]
CONFIG_KEY = "luke_tasks"  # in the config.json of our exports: the reader and the head, as a config describes them
NO_ENTITY_NAMES = (NON_ENTITY, "NIL")  # "NIL" is what studio-ousia's NER checkpoints call it
_DIRECTED = re.compile(r"\(e[12],e[12]\)$")  # KBP37's and RELX's relations say which entity comes first


@dataclass(frozen=True)
class Facts:
    """What is known of a checkpoint when its reader and head are described."""

    labels: Sequence[str]
    tensors: Set[str]  # names
    config: Mapping[str, Any]  # its config.json
    window: int  # word pieces that it can read, at most 512


@dataclass(frozen=True, kw_only=True)
class HeadClass:
    """A class of `transformers`, with what a config must say to get the same model here.

    Args:
        name: as `architectures` in a `config.json` has it.
        reader, head: their registered names.
        fixed: options of the head that the class is built with; no other value can be expressed.
        reader_options, head_options: further ones, which depend on the checkpoint.
        entities: whether inputs may name entities of the vocabulary, or only `[MASK]` and its like.
        pooler: whether the class holds a pooler, and whether its logits depend on it; ours is there only if so.
        tied: tensors of the class that repeat one of ours, and which.
        tokenizer_task: what `LukeTokenizer` must be told so that it places markers and entities.
        pipeline_tag, tag: for the hub's lists.
    """

    name: str
    reader: str
    head: str
    fixed: Options = field(default_factory=dict)
    reader_options: Callable[[Facts], Options] = lambda facts: {"max_sequence_length": facts.window}
    head_options: Callable[[Facts], Options] = lambda facts: {}
    entities: Literal["all", "special"] = "special"
    pooler: Literal["none", "unused", "read"] = "unused"
    tied: Mapping[str, str] = field(default_factory=dict)
    tokenizer_task: str | None = None
    pipeline_tag: str
    tag: str


def _typing_reader(facts: Facts) -> Options:
    return {"max_sequence_length": facts.window, "label_set": list(facts.labels)}


def _relation_reader(facts: Facts) -> Options:
    directed = any(_DIRECTED.search(label) for label in facts.labels)
    if directed:
        return {"max_sequence_length": facts.window, "dataset": "kbp37"}
    return {"max_sequence_length": facts.window, "dataset": "tacred", "restore_brackets": False}


def _relation_head(facts: Facts) -> Options:
    """The published mLUKE checkpoint of KBP37 has a bias, which the class of `transformers` does not know."""
    return {"bias": "classifier.bias" in facts.tensors}


def _squad_reader(facts: Facts) -> Options:
    return {"max_sequence_length": min(facts.window, 384)}


def _token_reader(facts: Facts) -> Options:
    """The tags that the model gives; files may have others, which are rewritten."""
    prefixes = {label[:2] for label in facts.labels}
    scheme = "iob2" if "B-" in prefixes else "io"
    if prefixes & {"E-", "S-", "L-", "U-"}:
        scheme = "bilou" if prefixes & {"L-", "U-"} else "bioes"
    return {"max_sequence_length": facts.window, "label_scheme": scheme}


def _masked_lm_head(facts: Facts) -> Options:
    return {"tie_word_embeddings": "lm_head.decoder.weight" not in facts.tensors}


def _problem_type(facts: Facts) -> Options:
    """As `transformers` finds it: one label is a number to predict."""
    found = facts.config.get("problem_type")
    return {"problem_type": found or ("regression" if len(facts.labels) == 1 else "single_label_classification")}


def _text_reader(facts: Facts) -> Options:
    return {"max_sequence_length": facts.window, **_problem_type(facts)}


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
    HeadClass(
        name="LukeForQuestionAnswering", reader="transformers_squad", head="transformers_qa",
        reader_options=_squad_reader, entities="all", pooler="none",
        pipeline_tag="question-answering", tag="extractive-question-answering",
    ),
    HeadClass(
        name="LukeForSequenceClassification", reader="sequence_classification", head="sequence_classification",
        reader_options=_text_reader, head_options=_problem_type, entities="all", pooler="read",
        pipeline_tag="text-classification", tag="sequence-classification",
    ),
    HeadClass(
        name="LukeForTokenClassification", reader="conll_tokens", head="token_classification",
        reader_options=_token_reader, pooler="none", pipeline_tag="token-classification", tag="token-classification",
    ),
    HeadClass(
        name="LukeForMultipleChoice", reader="multiple_choice", head="multiple_choice", pooler="read",
        pipeline_tag="text-classification", tag="multiple-choice",
    ),
    HeadClass(
        name="LukeForMaskedLM", reader="masked_text", head="masked_lm", head_options=_masked_lm_head, entities="all",
        tied={"lm_head.decoder.bias": "lm_head.bias", "lm_head.decoder.weight": WORD_TABLE,
              "entity_predictions.decoder.weight": ENTITY_TABLE},
        pipeline_tag="fill-mask", tag="masked-entity-prediction",
    ),
)  # fmt: skip
BY_NAME = {head_class.name: head_class for head_class in HEAD_CLASSES}
BY_HEAD = {head_class.head: head_class for head_class in HEAD_CLASSES}
