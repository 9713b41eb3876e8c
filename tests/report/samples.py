"""Cases of each form, right and wrong ones, with text of strangers in them."""

from typing import Any

from luke_tasks.mistakes.cases import Case
from tests.pages.samples import predictions


def spans_case(text: str, gold: list[list[Any]], predicted: list[tuple[int, int, str]], id: str = "f:1") -> Case:
    """Spans in characters of `text`."""
    entities = [{"start": start, "end": end, "label": label, "score": 0.9} for start, end, label in predicted]
    return Case(id, "spans", "ner", {"text": text, "entities": entities}, gold)


def wrong_cases(text: str, label: str) -> dict[str, Case]:
    """Form → a case that was answered wrongly, about `text`, whose predicted label is `label`."""
    made = predictions(text, label)
    value = {"id": "1", "text": text, "value": 0.5}
    masked = {**made["masked_text"][0], "entities": []}

    def case(form: str, task: str, gold: Any) -> Case:
        return Case("f:1", form, task, made[task][0], gold, made[task][1])

    return {
        "spans": case("spans", "ner", [[0, 8, "GOLD"]]),
        "words": case("words", "token_classification", ["GOLD"]),
        "label": case("label", "relation_classification", "GOLD"),
        "text": case("label", "sequence_classification", "GOLD"),
        "labels": case("labels", "entity_typing", ["GOLD"]),
        "number": Case("f:1", "number", "sequence_classification", value, 2.0),
        "answers": case("answers", "question_answering", [[4, 8]]),
        "candidates": case("candidates", "record", [[4, 8]]),
        "choice": case("choice", "multiple_choice", 0),
        "fillings": Case("f:1", "fillings", "masked_text", masked, ["GOLD"]),
    }
