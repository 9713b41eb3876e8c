"""A class for each word from the vector of its first word piece (Devlin et al. 2019, section 5.3).

In: the encoded window. Out: a logit for each class at every word piece; those of first pieces are read. The same as
`transformers`' LukeForTokenClassification, weight for weight.
Shapes: B windows, W word pieces, D hidden size, C classes, N words that a window labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.ner import Entity
from luke_tasks.heads.probabilities import softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.accuracy import Accuracy
from luke_tasks.metrics.span_f1 import SpanF1
from luke_tasks.readers.conll_tokens import TokenExample, TokenFeatures
from luke_tasks.readers.tagging import Span, marks_entities, parse_tag, predicted_spans
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class LabelledWord:
    """A word, characters `[start, end)` of the text, and its likeliest label."""

    text: str
    label: str
    start: int
    end: int
    score: float  # probability of the label


@dataclass(frozen=True)
class TokenPrediction(Shown):
    """The words of one document with their labels, and the entities where the labels mark such (else None)."""

    task: ClassVar[str] = "token_classification"
    id: str
    text: str
    words: list[LabelledWord]
    entities: list[Entity] | None = None  # `score`: the lowest of its words

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this document."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@Head.register("token_classification")
class TokenClassificationHead(Head):
    """A linear layer over every word piece.

    Where the labels are tags of entities (`B-PER`, ...), predictions and scores are of entities too: precision, recall
    and F1 as `seqeval` counts them, the predicted tags read by the rules of CoNLL's scorer.

    Args:
        hidden_size: D of the encoder.
        labels: the classes, or tags.
        dropout: on the vectors (`transformers` takes `classifier_dropout`, or else the encoder's own).
    """

    tasks: ClassVar[tuple[str, ...]] = ("token_classification",)
    metric_names: ClassVar[tuple[str, ...]] = (
        "accuracy", "precision", "recall", "f1", "precision-*", "recall-*", "f1-*"
    )  # fmt: skip
    needs_entities = False

    def __init__(self, *, hidden_size: Provided[int], labels: Provided[Labels], dropout: Fraction = 0.1) -> None:
        super().__init__()
        self.labels = labels
        self.marks_entities = marks_entities(labels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, len(labels))

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        logits = self.classifier(self.dropout(encoded.word_hidden))  # (B, W, C)
        loss = None
        if batch.labels is not None:
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED_LABEL
            )
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        assert isinstance(features, TokenFeatures)
        return logits[row, features.first_pieces.tolist()]  # (N, C)

    def decode(self, example: TokenExample, windows: Sequence[Window]) -> TokenPrediction:
        words = []
        for features, logits in windows:
            assert isinstance(features, TokenFeatures)
            probabilities = softmax(logits)  # (N, C)
            for row, best in enumerate(logits.argmax(-1).tolist()):
                start, end = example.word_offsets[features.first_word + row].tolist()
                score = round(float(probabilities[row, best]), 6)
                words.append(LabelledWord(example.text[start:end], self.labels[best], start, end, score))
        entities = None
        if self.marks_entities:
            spans = _spans(example, [word.label for word in words])
            entities = [_entity(example, span, words) for span in spans]
        return TokenPrediction(example.id, example.text, words, entities)

    def make_metrics(self) -> Metrics:
        if not self.marks_entities:
            return {"accuracy": Accuracy()}
        types = {parse_tag(label, "").label for label in self.labels} - {""}
        return {"accuracy": Accuracy(), "spans": SpanF1(sorted(types))}

    def update_metrics(
        self, metrics: Metrics, example: TokenExample, windows: Sequence[Window], prediction: TokenPrediction
    ) -> None:
        assert example.labels is not None
        predicted = [word.label for word in prediction.words]
        for metric in metrics.values():
            if isinstance(metric, Accuracy):
                metric.update(gold=example.labels, predicted=predicted)
            elif isinstance(metric, SpanF1):
                gold = example.entities if example.entities is not None else _spans(example, example.labels)
                metric.update(gold=gold, predicted=_spans(example, predicted), num_words=len(predicted))

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return {name: value for metric in metrics.values() for name, value in metric.compute().items()}


def _spans(example: TokenExample, tags: Sequence[str]) -> list[Span]:
    """The entities of each sentence, in words of the document."""
    return [
        Span(first + span.start, first + span.end, span.label)
        for first, last in example.sentences
        for span in predicted_spans(tags[first:last])
    ]


def _entity(example: TokenExample, span: Span, words: Sequence[LabelledWord]) -> Entity:
    own = words[span.start : span.end]
    return Entity(
        text=example.text[own[0].start : own[-1].end],
        label=span.label,
        start=own[0].start,
        end=own[-1].end,
        score=min(word.score for word in own),
        word_start=span.start,
        word_end=span.end,
    )
