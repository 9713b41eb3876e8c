"""A prediction of each task as JSON, and what it was asked about."""

from typing import Any

NASTY = "<script>alert('&')</script>"


def predictions(text: str, label: str) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Task → (prediction, given) about `text` (8 characters or more), whose label is `label`."""
    entity = {"text": text[:4], "label": label, "start": 0, "end": 4, "score": 0.9, "word_start": 0, "word_end": 1}
    place = {"text": text[:4], "start": 0, "end": 4}
    candidate = {"text": text[:4], "start": 0, "end": 4, "probability": 0.7, "start_logit": 1.0, "end_logit": 1.0}
    return {
        "ner": ({"id": "1", "text": text, "entities": [entity]}, {}),
        "token_classification": ({"id": "1", "text": text, "words": [{**place, "label": label, "score": 1.0}]}, {}),
        "relation_classification": (
            {"id": "1", "text": text, "head": place, "tail": {**place, "start": 4, "end": 8}, "label": label,
             "score": 0.5}, {},
        ),
        "entity_typing": ({"id": "1", "text": text, "entities": [{**place, "labels": {label: 0.8}}]}, {}),
        "question_answering": (
            {"id": "1", "answer": text[:4], "start": 0, "end": 4, "probability": 0.7, "null_odds": 0.0,
             "best_span": text[:4], "n_best": [candidate, {**candidate, "text": label}]},
            {"question": label, "context": text},
        ),
        "record": (
            {"id": "1", "answer": text[:4], "start": 0, "end": 4, "score": 0.7, "candidates": {text[:4]: 0.7}},
            {"query": f"@placeholder {label}", "passage": text},
        ),
        "sequence_classification": (
            {"id": "1", "text": text, "text_pair": label, "label": label, "probabilities": {label: 0.6, "no": 0.4}}, {},
        ),
        "multiple_choice": (
            {"id": "1", "label": 1, "answer": label,
             "choices": [{"text": "no", "score": 0.2}, {"text": label, "score": 0.8}]},
            {"context": text, "question": label},
        ),
        "masked_text": (
            {"id": "1", "text": text, "words": [{**place, "candidates": [{"text": label, "score": 0.4}]}],
             "entities": []}, {},
        ),
    }  # fmt: skip
