"""Named entity recognition by classifying every candidate span (LUKE, Yamada et al. 2020, section 4.3).

In: the encoded window. Out: for each candidate span, logits over the entity types and "O".
Shapes: B windows, E candidate spans, D hidden size, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.errors import LukeTasksError, listed
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import at_places, words_at
from luke_tasks.heads.probabilities import softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.accuracy import Accuracy
from luke_tasks.metrics.span_f1 import SpanF1
from luke_tasks.readers.conll_span import NON_ENTITY, NerExample, NerFeatures
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class Entity:
    """A predicted entity. Characters `[start, end)` of the text, words `[word_start, word_end)`."""

    text: str
    label: str
    start: int
    end: int
    score: float  # probability of the label for this span
    word_start: int
    word_end: int


@dataclass(frozen=True)
class NerPrediction(Shown):
    """The entities of one document, in order of appearance; they do not overlap."""

    task: ClassVar[str] = "ner"
    id: str
    text: str
    entities: list[Entity] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this document."""
        return asdict(self)


@dataclass(frozen=True)
class _ScoredSpan:
    start: int  # word
    end: int
    label: str
    logit: float
    probability: float


@Head.register("ner", "span_ner")
class NerHead(Head):
    """A linear layer over what represents a candidate span.

    Args:
        hidden_size: D of the encoder.
        labels: entity types and "O".
        features: `token`: hidden vectors of the span's first and last word piece; `entity`: of its `[MASK]` entity;
            `token+entity`: all three (the paper's).
        dropout: on the features (0.1 in the original).
    """

    tasks: ClassVar[tuple[str, ...]] = ("ner",)
    metric_names: ClassVar[tuple[str, ...]] = (
        "precision", "recall", "f1", "span_accuracy", "precision-*", "recall-*", "f1-*"
    )  # fmt: skip

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        features: Literal["token", "entity", "token+entity"] = "token+entity",
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        if NON_ENTITY not in labels.names:
            raise LukeTasksError(f"the labels {listed(labels.names, 8)}: none of them is {NON_ENTITY!r}, which a span "
                                 "that is no entity gets")  # fmt: skip
        self.labels = labels
        self.use_tokens = "token" in features
        self.needs_entities = "entity" in features
        self.dropout = nn.Dropout(dropout)
        num_vectors = 2 * self.use_tokens + self.needs_entities
        self.classifier = nn.Linear(num_vectors * hidden_size, len(labels))

    def words_read(self, batch: Batch) -> Tensor:
        return words_at(batch, *_ends(batch)) if self.use_tokens else words_at(batch)

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        vectors = []
        if self.use_tokens:
            vectors += [at_places(encoded.word_hidden, places) for places in _ends(batch)]
        if self.needs_entities:
            assert encoded.entity_hidden is not None
            vectors.append(encoded.entity_hidden)
        logits = self.classifier(self.dropout(torch.cat(vectors, dim=-1)))  # (B, E, C)
        loss = None
        if batch.labels is not None:
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED_LABEL
            )
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row, : len(features.entity_ids)]  # (E of this window, C)

    def decode(self, example: NerExample, windows: Sequence[Window]) -> NerPrediction:
        """Spans in falling order of their best logit, each kept unless "O" is best or it overlaps one kept before."""
        taken = np.zeros(len(example.words), dtype=bool)
        kept: list[_ScoredSpan] = []
        for span in sorted(self._scored_spans(windows), key=lambda span: -span.logit):
            if not taken[span.start : span.end].any():
                taken[span.start : span.end] = True
                kept.append(span)
        kept.sort(key=lambda span: span.start)
        return NerPrediction(example.id, example.text, [_entity(example, span) for span in kept])

    def _scored_spans(self, windows: Sequence[Window]) -> list[_ScoredSpan]:
        """The candidates whose best label is an entity type."""
        found = []
        for features, logits in windows:
            assert isinstance(features, NerFeatures)
            best = logits.argmax(-1)  # (E,)
            rows = np.flatnonzero(best != self.labels.names.index(NON_ENTITY))  # (K,)
            places = np.arange(len(rows)), best[rows]
            spans, scores = features.word_spans[rows].tolist(), logits[rows][places].tolist()
            probabilities = softmax(logits[rows])[places].tolist()
            for (start, end), label, logit, probability in zip(
                spans, best[rows].tolist(), scores, probabilities, strict=True
            ):
                found.append(_ScoredSpan(start, end, self.labels[label], logit, probability))
        return found

    def make_metrics(self) -> Metrics:
        types = sorted(label for label in self.labels if label != NON_ENTITY)
        return {"spans": SpanF1(types), "accuracy": Accuracy()}

    def update_metrics(
        self, metrics: Metrics, example: NerExample, windows: Sequence[Window], prediction: NerPrediction
    ) -> None:
        spans, accuracy = metrics["spans"], metrics["accuracy"]
        assert isinstance(spans, SpanF1) and isinstance(accuracy, Accuracy) and example.entities is not None
        predicted = [_ScoredSpan(e.word_start, e.word_end, e.label, 0.0, e.score) for e in prediction.entities]
        spans.update(gold=example.entities, predicted=predicted, num_words=len(example.words))
        for features, logits in windows:
            gold = features.targets(self.labels)
            assert gold is not None
            accuracy.update(gold=gold.tolist(), predicted=logits.argmax(-1).tolist())

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return {**metrics["spans"].compute(), "span_accuracy": metrics["accuracy"].compute()["accuracy"]}


def _ends(batch: Batch) -> tuple[Tensor, Tensor]:
    """The first and the last word piece of each span, (B, E) each; 0 of padding, whose spans are [0, 0)."""
    assert batch.entity_spans is not None
    return batch.entity_spans[..., 0], (batch.entity_spans[..., 1] - 1).clamp(min=0)


def _entity(example: NerExample, span: _ScoredSpan) -> Entity:
    start, end = int(example.word_offsets[span.start][0]), int(example.word_offsets[span.end - 1][1])
    return Entity(
        text=example.text[start:end],
        label=span.label,
        start=start,
        end=end,
        score=round(span.probability, 6),
        word_start=span.start,
        word_end=span.end,
    )
