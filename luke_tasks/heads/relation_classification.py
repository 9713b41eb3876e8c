"""Relation classification from the vectors of the two entities (LUKE, Yamada et al. 2020, section 4.2).

In: the encoded text with its head and tail. Out: a logit for each relation.
Shapes: B windows, D hidden size, C relations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.errors import ConfigError, Fault, describe
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import FeatureSet, TokenFeature, mention_vectors, num_vectors, words_read
from luke_tasks.heads.probabilities import softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.relation_f1 import RelationF1, without_direction
from luke_tasks.readers.records import Span
from luke_tasks.readers.relation_classification import RelationExample
from luke_tasks.registry import Fraction, Provided
from luke_tasks.schema import nearest

_NO_RELATION = ("no_relation",)


@dataclass(frozen=True)
class RelationArgument:
    """Head or tail: characters `[start, end)` of the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class RelationPrediction(Shown):
    """The relation of one text's head to its tail."""

    task: ClassVar[str] = "relation_classification"
    id: str
    text: str
    head: RelationArgument
    tail: RelationArgument
    label: str
    score: float  # probability of the label

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this text."""
        return asdict(self)


@Head.register("relation_classifier")
class RelationHead(Head):
    """A linear layer over what represents head and tail, side by side.

    Args:
        hidden_size: D of the encoder.
        labels: the relations.
        features: `entity`: hidden vectors of the `[MASK]` and `[MASK2]` entities (the paper's); `token`: of word
            pieces; `token+entity`: both.
        token_feature: which word pieces those are: the opening markers (`entity_start`), the mean of each entity and
            its markers (`mention_pooling`), or the first one of the text (`cls_token`).
        ignored_labels: labels that say there is no relation, and stand outside precision, recall and F1.
        bias: whether the linear layer has one, as in the original; `transformers`' LukeForEntityPairClassification has
            none.
        dropout: on the features (0.1 in the original).

    Raises:
        ConfigError: an ignored label, other than the default one, is none of `labels`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("relation_classification",)
    metric_names: ClassVar[tuple[str, ...]] = RelationF1.names

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        features: FeatureSet = "entity",
        token_feature: TokenFeature = "entity_start",
        ignored_labels: Sequence[str] = _NO_RELATION,
        bias: bool = True,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        known = {*labels, *map(without_direction, labels), *_NO_RELATION}
        unknown = [label for label in ignored_labels if label not in known]
        if unknown:
            faults = [f"{describe(label)} is no label of the data{nearest(label, known)}" for label in unknown]
            raise ConfigError(Fault("model.head.ignored_labels", fault) for fault in faults)
        self.labels = labels
        self.features: FeatureSet = features
        self.token_feature: TokenFeature = token_feature
        self.needs_entities = "entity" in features
        self.ignored_labels = ignored_labels
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_vectors(features, token_feature, 2) * hidden_size, len(labels), bias)

    def words_read(self, batch: Batch) -> Tensor:
        return words_read(batch, self.features, self.token_feature)

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        vectors = mention_vectors(batch, encoded, self.features, self.token_feature)
        logits = self.classifier(self.dropout(vectors))  # (B, C)
        loss = None
        if batch.labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), batch.labels)
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row]  # (C,)

    def decode(self, example: RelationExample, windows: Sequence[Window]) -> RelationPrediction:
        logits = windows[0].logits.astype(np.float64)  # (C,)
        best = int(logits.argmax())
        return RelationPrediction(
            id=example.id,
            text=example.text,
            head=_argument(example.text, example.head),
            tail=_argument(example.text, example.tail),
            label=self.labels[best],
            score=round(float(softmax(logits)[best]), 6),
        )

    def make_metrics(self) -> Metrics:
        return {"relations": RelationF1(ignored=self.ignored_labels)}

    def update_metrics(
        self, metrics: Metrics, example: RelationExample, windows: Sequence[Window], prediction: RelationPrediction
    ) -> None:
        relations = metrics["relations"]
        assert isinstance(relations, RelationF1) and example.label is not None
        relations.update(gold=example.label, predicted=prediction.label)

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["relations"].compute()


def _argument(text: str, span: Span) -> RelationArgument:
    """Without a space that the data set's format has left at the end of an entity."""
    start, end = span
    end = start + len(text[start:end].rstrip())
    return RelationArgument(text[start:end], start, end)
