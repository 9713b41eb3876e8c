"""Entity typing by independent decisions on each type (LUKE, Yamada et al. 2020, section 4.1).

In: the encoded window of one mention. Out: a logit for each type.
Shapes: B windows, D hidden size, C types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import FeatureSet, TokenFeature, mention_vectors, num_vectors, words_read
from luke_tasks.heads.probabilities import holds, sigmoid
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.typing_scores import TypingScores
from luke_tasks.readers.entity_typing import EntityTypingExample
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class TypedEntity:
    """A mention, characters `[start, end)` of the text, and its types with their probabilities, likeliest first."""

    text: str
    start: int
    end: int
    labels: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EntityTypingPrediction(Shown):
    """The mentions of one text, in the order they were given."""

    task: ClassVar[str] = "entity_typing"
    id: str
    text: str
    entities: list[TypedEntity] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this text."""
        return asdict(self)


@Head.register("entity_typing")
class EntityTypingHead(Head):
    """A linear layer over what represents the mention; a type holds when its probability is above `threshold`.

    Args:
        hidden_size: D of the encoder.
        labels: the types.
        features: `entity`: the hidden vector of the mention's `[MASK]` entity (the paper's); `token`: of its word
            pieces; `token+entity`: both.
        token_feature: which word pieces those are: the opening marker (`entity_start`), the mean of the mention and its
            markers (`mention_pooling`), or the first one of the text (`cls_token`).
        threshold: probability above which a type is predicted; in the metrics too.
        dropout: on the features (0.1 in the original).
    """

    tasks: ClassVar[tuple[str, ...]] = ("entity_typing",)
    metric_names: ClassVar[tuple[str, ...]] = TypingScores.names

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        features: FeatureSet = "entity",
        token_feature: TokenFeature = "entity_start",
        threshold: Fraction = 0.5,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.features: FeatureSet = features
        self.token_feature: TokenFeature = token_feature
        self.needs_entities = "entity" in features
        self.threshold = threshold
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_vectors(features, token_feature, 1) * hidden_size, len(labels))

    def words_read(self, batch: Batch) -> Tensor:
        return words_read(batch, self.features, self.token_feature)

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        vectors = mention_vectors(batch, encoded, self.features, self.token_feature)
        logits = self.classifier(self.dropout(vectors))  # (B, C)
        loss = None
        if batch.labels is not None:
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), batch.labels.float())
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row]  # (C,)

    def decode(self, example: EntityTypingExample, windows: Sequence[Window]) -> EntityTypingPrediction:
        entities = []
        for (start, end), window in zip(example.spans, windows, strict=True):
            probabilities = sigmoid(window.logits.astype(np.float64))  # (C,)
            held = holds(window.logits, self.threshold)  # (C,)
            types = {
                self.labels[index]: round(float(probabilities[index]), 6)
                for index in np.argsort(-probabilities, kind="stable").tolist()
                if held[index]
            }
            entities.append(TypedEntity(example.text[start:end], start, end, types))
        return EntityTypingPrediction(example.id, example.text, entities)

    def make_metrics(self) -> Metrics:
        return {"types": TypingScores()}

    def update_metrics(
        self, metrics: Metrics, example: EntityTypingExample, windows: Sequence[Window],
        prediction: EntityTypingPrediction,
    ) -> None:  # fmt: skip
        scores = metrics["types"]
        assert isinstance(scores, TypingScores) and example.types is not None
        for gold, entity in zip(example.types, prediction.entities, strict=True):
            scores.update(gold=gold, predicted=entity.labels)

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["types"].compute()
