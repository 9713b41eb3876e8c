"""The NER head: which spans it keeps, worked by hand; its loss; its scores beside the official counting."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.head import Window
from luke_tasks.heads.ner import NerHead
from luke_tasks.readers.conll_span import NerExample, NerFeatures
from luke_tasks.readers.tagging import Span

LABELS = Labels(["O", "PER", "LOC"])


def example(num_words: int) -> NerExample:
    words = [f"w{index}" for index in range(num_words)]
    offsets = np.array([(3 * index, 3 * index + 2) for index in range(num_words)])
    return NerExample("doc", words, [(0, num_words)], [], " ".join(words), offsets)


def window(document: NerExample, spans: dict[tuple[int, int], list[float]]) -> Window:
    word_spans = np.array(list(spans))
    features = NerFeatures(
        example=document, word_ids=np.arange(len(document.words) + 2), entity_ids=np.full(len(spans), 2),
        entity_spans=word_spans + 1, num_words=len(document.words), word_spans=word_spans,
        span_labels=np.full(len(spans), "O", dtype=object), where="here:1",
    )  # fmt: skip
    return Window(features, np.array(list(spans.values()), dtype=np.float32))


@pytest.fixture
def head() -> NerHead:
    return NerHead(hidden_size=4, labels=LABELS, features="token+entity")


def test_best_spans_first_and_none_overlaps(head: NerHead) -> None:
    document = example(6)
    spans = {
        (0, 2): [0.0, 5.0, 1.0],  # PER, second best
        (1, 3): [0.0, 1.0, 6.0],  # LOC, the best: kept
        (0, 1): [0.0, 2.0, 1.0],  # PER, beside the best: kept
        (3, 4): [9.0, 1.0, 8.0],  # O is best
        (3, 6): [0.0, 1.0, 0.5],  # PER: kept
    }
    prediction = head.decode(document, [window(document, spans)])
    assert [(e.word_start, e.word_end, e.label) for e in prediction.entities] == [
        (0, 1, "PER"), (1, 3, "LOC"), (3, 6, "PER")
    ]  # fmt: skip
    assert prediction.entities[1].text == "w1 w2"
    assert (prediction.entities[1].start, prediction.entities[1].end) == (3, 8)
    assert prediction.entities[1].score == pytest.approx(np.exp(6) / (1 + np.exp(1) + np.exp(6)), abs=1e-5)


def test_splits_of_one_sentence_compete(head: NerHead) -> None:
    document = example(3)
    first, second = window(document, {(0, 2): [0, 3, 0]}), window(document, {(1, 3): [0, 0, 4]})
    prediction = head.decode(document, [first, second])
    assert [(e.word_start, e.word_end) for e in prediction.entities] == [(1, 3)]


def test_no_window_no_entity(head: NerHead) -> None:
    assert head.decode(example(2), []).entities == []


def test_loss_ignores_padding(head: NerHead) -> None:
    long, short = example(5), example(2)
    features = [
        window(long, {(start, start + 1): [0.0, 0.0, 0.0] for start in range(5)}).features,
        window(short, {(0, 1): [0.0, 0.0, 0.0]}).features,
    ]
    head.eval()
    torch.manual_seed(0)
    hidden = EncoderOutput(torch.randn(2, 7, 4), torch.randn(2, 5, 4))
    both = head(collate(features, pad_id=0, labels=LABELS), hidden)
    expected = torch.nn.functional.cross_entropy(
        torch.cat([both.logits[0], both.logits[1, :1]]), torch.zeros(6, dtype=torch.long)
    )
    assert both.loss is not None
    assert both.loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert head(collate(features, pad_id=0, labels=None), hidden).loss is None


def test_features_are_first_piece_last_piece_and_entity() -> None:
    document = example(4)
    features = window(document, {(1, 3): [0.0, 0.0, 0.0]}).features
    batch = collate([features], pad_id=0, labels=None)
    hidden = EncoderOutput(torch.arange(6.0)[None, :, None].expand(1, 6, 1), torch.full((1, 1, 1), 9.0))
    for kind, expected in (("token", [2.0, 3.0]), ("entity", [9.0]), ("token+entity", [2.0, 3.0, 9.0])):
        head = NerHead(hidden_size=1, labels=LABELS, features=kind).eval()  # type: ignore[arg-type]
        logits = head(batch, hidden).logits
        assert torch.allclose(logits[0, 0], head.classifier(torch.tensor(expected)))


def test_scores_against_an_independent_count(head: NerHead) -> None:
    """Random predictions: micro precision, recall and F1 counted here from sets of (document, start, end, label)."""
    rng = random.Random(0)
    metrics = head.make_metrics()
    gold_set, predicted_set = set(), set()
    for number in range(50):
        document = example(12)
        document.entities = _random_spans(rng)
        rows = {"PER": [0.0, 3.0, 1.0], "LOC": [0.0, 1.0, 3.0]}
        logits = {(span.start, span.end): rows[span.label] for span in _random_spans(rng)}
        kept = [window(document, logits)] if logits else []
        prediction = head.decode(document, kept)
        head.update_metrics(metrics, document, kept, prediction)
        gold_set |= {(number, span.start, span.end, span.label) for span in document.entities}
        predicted_set |= {(number, e.word_start, e.word_end, e.label) for e in prediction.entities}
    scores = head.scores(metrics)
    hits = len(gold_set & predicted_set)
    assert hits > 10
    assert scores["precision"] == pytest.approx(hits / len(predicted_set))
    assert scores["recall"] == pytest.approx(hits / len(gold_set))
    assert scores["f1"] == pytest.approx(2 * hits / (len(gold_set) + len(predicted_set)))
    per = {span for span in gold_set if span[-1] == "PER"}
    assert scores["recall-PER"] == pytest.approx(len(per & predicted_set) / len(per))


def _random_spans(rng: random.Random) -> list[Span]:
    spans: list[Span] = []
    position = 0
    while position < 10:
        if rng.random() < 0.5:
            end = position + rng.randint(1, 2)
            spans.append(Span(position, end, rng.choice(["PER", "LOC"])))
            position = end
        else:
            position += 1
    return spans
