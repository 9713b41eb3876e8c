"""Cases from the examples and predictions of each task."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from luke_tasks.heads.entity_span_qa import ClozePrediction
from luke_tasks.heads.entity_typing import EntityTypingPrediction, TypedEntity
from luke_tasks.heads.masked_lm import FilledPlace, Filling, MaskedTextPrediction
from luke_tasks.heads.multiple_choice import Choice, MultipleChoicePrediction
from luke_tasks.heads.ner import Entity, NerPrediction
from luke_tasks.heads.question_answering import AnswerCandidate, AnswerPrediction
from luke_tasks.heads.relation_classification import RelationArgument, RelationPrediction
from luke_tasks.heads.sequence_classification import TextPrediction
from luke_tasks.heads.token_classification import LabelledWord, TokenPrediction
from luke_tasks.mistakes.cases import Case, cases_of
from luke_tasks.mistakes.judging import judge
from luke_tasks.readers.conll_span import NerExample
from luke_tasks.readers.conll_tokens import TokenExample
from luke_tasks.readers.entity_typing import EntityTypingExample
from luke_tasks.readers.masked_text import MaskedTextExample
from luke_tasks.readers.mentions import Mention
from luke_tasks.readers.multiple_choice import MultipleChoiceExample
from luke_tasks.readers.record import RecordExample
from luke_tasks.readers.record_text import Passage
from luke_tasks.readers.relation_classification import RelationExample
from luke_tasks.readers.sequence_classification import TextExample
from luke_tasks.readers.squad_format import GoldAnswer, Languages, SquadExample
from luke_tasks.readers.tagging import Span

WORDS = ["Ada", "left", ".", "Bo", "Lo", "won"]
TEXT = "Ada left . Bo Lo won"
OFFSETS = np.array([[0, 3], [4, 8], [9, 10], [11, 13], [14, 16], [17, 20]])
DOCUMENT: dict[str, Any] = {"id": "d", "words": WORDS, "sentences": [(0, 3), (3, 6)], "text": TEXT,
                            "word_offsets": OFFSETS, "source": "f.txt", "sentence_lines": [1, 5]}  # fmt: skip
BO = Entity("Bo", "ORG", 11, 13, 0.6, 3, 4)


def stored(cases: list[Case]) -> list[Case]:
    """As they come back from their file."""
    return [Case(**json.loads(json.dumps(asdict(case)))) for case in cases]


def test_a_document_becomes_sentences() -> None:
    example = NerExample(**DOCUMENT, entities=[Span(0, 1, "PER"), Span(3, 5, "PER")])
    first, second = stored(cases_of("ner", example, NerPrediction("d", TEXT, [BO])))
    assert (first.id, first.prediction, first.gold) == (
        "f.txt:1",
        {"text": "Ada left .", "entities": []},
        [[0, 3, "PER"]],
    )
    assert (second.id, second.gold) == ("f.txt:5", [[0, 5, "PER"]])
    assert second.prediction["entities"] == [{"start": 0, "end": 2, "label": "ORG", "score": 0.6}]
    assert (judge(first).kinds, judge(second).kinds) == (["missed"], ["boundary", "type"])


def test_words_with_labels() -> None:
    words = [LabelledWord(word, label, *place, 0.8) for word, label, place in
             zip(WORDS, ["N", "V", ".", "N", "V", "V"], OFFSETS.tolist(), strict=True)]  # fmt: skip
    example = TokenExample(**DOCUMENT, entities=None, labels=["N", "V", ".", "N", "N", "V"])
    first, second = stored(cases_of("token_classification", example, TokenPrediction("d", TEXT, words)))
    assert (first.form, judge(first).kinds, judge(second).kinds) == ("words", [], ["N → V"])
    assert second.prediction["text"][slice(3, 5)] == "Lo" and second.prediction["words"][1]["start"] == 3


def test_tags_of_entities_are_spans() -> None:
    labels = ["B-PER", "O", "O", "B-PER", "I-PER", "O"]
    for entities in ([Span(0, 1, "PER"), Span(3, 5, "PER")], None):
        example = TokenExample(**DOCUMENT, entities=entities, labels=labels)
        first, second = stored(cases_of("token_classification", example, TokenPrediction("d", TEXT, [], [BO])))
        assert (first.form, first.gold, second.gold) == ("spans", [[0, 3, "PER"]], [[0, 5, "PER"]])


def test_the_other_tasks() -> None:
    ada, bo = RelationArgument("Ada", 0, 3), RelationArgument("Bo", 11, 13)
    relation = RelationExample("1", TEXT, (0, 3), (11, 13), "knows", "f:1")
    typing = EntityTypingExample("1", TEXT, [(0, 3), (11, 13)], [["person"], ["group", "person"]], "f:2")
    typed = [TypedEntity("Ada", 0, 3, {"person": 0.9}), TypedEntity("Bo", 11, 13, {"place": 0.6})]
    question = SquadExample(
        "q", "", "Who left?", TEXT, [GoldAnswer("Ada", 0), GoldAnswer("Ada", 0)], Languages(), "f:3"
    )
    answer = AnswerPrediction("q", "Ada left", 0, 8, 0.5, -1.0, "Ada left",
                              [AnswerCandidate("Ada left", 0, 8, 0.5, 1.0, 1.0)] * 9)  # fmt: skip
    query = RecordExample("r", "@placeholder won", Passage(TEXT, [(0, 3), (11, 16)]), [(11, 16)], "f:4")
    choice = MultipleChoiceExample("m", "Ada left.", "Then she", ["slept.", "rained."], 0, "f:5")
    masked = MaskedTextExample("t", TEXT, [Mention(0, 3, "Ada Lovelace")], True, "f:6")
    filled = MaskedTextPrediction("t", TEXT, [FilledPlace("left", 4, 8, [Filling("Left", 0.5)])],
                                  [FilledPlace("Ada", 0, 3, [Filling("Ada (language)", 0.4)])])  # fmt: skip
    made = {
        "relation_classification": (relation, RelationPrediction("1", TEXT, ada, bo, "none", 0.7), ["knows → none"]),
        "entity_typing": (typing, EntityTypingPrediction("1", TEXT, typed), []),
        "question_answering": (question, answer, ["partly right"]),
        "record": (query, ClozePrediction("r", "Ada", 0, 3, 0.6, {"Ada": 0.6}), ["wrong candidate"]),
        "multiple_choice": (choice, MultipleChoicePrediction("m", 1, "rained.", [Choice("slept.", 0.4),
                                                             Choice("rained.", 0.6)]), ["1 → 2"]),
        "masked_text": (masked, filled, ["wrong entity"]),
    }  # fmt: skip
    for task, (example, prediction, kinds) in made.items():
        cases = stored(cases_of(task, example, prediction))
        assert judge(cases[0]).kinds == kinds, task
    both = stored(cases_of("entity_typing", typing, made["entity_typing"][1]))
    assert judge(both[1]).kinds == ["missing label", "extra label"] and len(both) == 2
    (of_question,) = cases_of("question_answering", question, answer)
    assert of_question.gold == [[0, 3]] and len(of_question.prediction["n_best"]) == 3


@pytest.mark.parametrize(
    ("label", "prediction", "form", "kinds"),
    [
        ("good", {"label": "bad", "probabilities": {"bad": 0.8, "good": 0.2}}, "label", ["good → bad"]),
        (["a", "b"], {"labels": {"a": 0.8}}, "labels", ["missing label"]),
        (2.5, {"value": 3.0}, "number", ["too high"]),
        (2.5, {"value": 2.5}, "number", []),
    ],
)
def test_texts(label: Any, prediction: dict[str, Any], form: str, kinds: list[str]) -> None:
    example = TextExample("1", "It broke.", None, label, "f:1")
    (case,) = stored(cases_of("sequence_classification", example, TextPrediction("1", "It broke.", **prediction)))
    assert (case.form, judge(case).kinds) == (form, kinds)


def test_without_labels_or_of_an_unknown_task_there_is_no_case() -> None:
    unlabelled = NerExample(**DOCUMENT, entities=None)
    assert cases_of("ner", unlabelled, NerPrediction("d", TEXT)) == []
    assert cases_of("my_task", unlabelled, None) == []
