"""Cloze questions whose answer is an entity of the passage (LUKE, Yamada et al. 2020, section 4.4).

In: encoded windows of a query with a gap and a stretch of its passage. Out: a logit for each candidate of the stretch.
Shapes: B windows, W word pieces, C candidates (most of the batch), E = 1 + C entities, the gap first, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import FeatureSet, at_places, words_read
from luke_tasks.heads.probabilities import sigmoid
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.record_scores import RecordScores
from luke_tasks.readers.record import RecordExample, RecordFeatures
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class ClozePrediction(Shown):
    """What belongs in the gap of one query; all None where no window of the passage held a candidate."""

    task: ClassVar[str] = "record"
    id: str
    answer: str | None
    start: int | None  # characters [start, end) of the passage
    end: int | None
    score: float | None  # probability that this candidate is the answer
    candidates: dict[str, float] = field(default_factory=dict)  # text → its best score, likeliest first

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this query."""
        return asdict(self)


@Head.register("entity_span_qa")
class EntitySpanQAHead(Head):
    """A linear layer over what represents the gap and a candidate, side by side; each candidate is judged on its own.

    Args:
        hidden_size: D of the encoder.
        labels: none; the task has no classes.
        features: `entity`: hidden vectors of the `[MASK]` entities (the paper's); `token`: of the word pieces
            `[PLACEHOLDER]` and `[ENTITY]`, the candidate's opening marker; `token+entity`: both.
        dropout: on the features (0.1 in the original).
    """

    tasks: ClassVar[tuple[str, ...]] = ("record",)
    metric_names: ClassVar[tuple[str, ...]] = RecordScores.names

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        features: FeatureSet = "entity",
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.features: FeatureSet = features
        self.needs_entities = "entity" in features
        self.dropout = nn.Dropout(dropout)
        vectors = ("token" in features) + ("entity" in features)
        self.scorer = nn.Linear(2 * vectors * hidden_size, 1)

    def words_read(self, batch: Batch) -> Tensor:
        return words_read(batch, self.features, "entity_start")

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        vectors = self._vectors(batch, encoded)  # (B, E, vectors · D)
        candidates = vectors[:, 1:]
        pairs = torch.cat([vectors[:, :1].expand_as(candidates), candidates], dim=-1)  # (B, C, 2 · vectors · D)
        logits = self.scorer(self.dropout(pairs)).squeeze(-1)  # (B, C)
        loss = None
        if batch.labels is not None:
            real = batch.labels != IGNORED_LABEL  # (B, C)
            loss = nn.functional.binary_cross_entropy_with_logits(logits[real].float(), batch.labels[real].float())
        return HeadOutput(logits=logits, loss=loss)

    def _vectors(self, batch: Batch, encoded: EncoderOutput) -> Tensor:
        """What stands for each entity: (B, E, vectors · D)."""
        vectors = []
        if "token" in self.features:
            assert batch.entity_spans is not None
            vectors.append(at_places(encoded.word_hidden, batch.entity_spans[..., 0]))
        if "entity" in self.features:
            assert encoded.entity_hidden is not None
            vectors.append(encoded.entity_hidden)
        return torch.cat(vectors, dim=-1)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row, : len(features.entity_ids) - 1]  # (C,)

    def decode(self, example: RecordExample, windows: Sequence[Window]) -> ClozePrediction:
        best: dict[int, float] = {}  # candidate → its highest logit over the windows
        for window in windows:
            assert isinstance(window.features, RecordFeatures)
            for candidate, logit in zip(window.features.candidates, window.logits.tolist(), strict=True):
                best[candidate] = max(logit, best.get(candidate, logit))
        if not best:
            return ClozePrediction(example.id, None, None, None, None)
        scores: dict[str, float] = {}
        for candidate in sorted(best, key=lambda index: -best[index]):
            start, end = example.passage.candidates[candidate]
            scores.setdefault(example.passage.text[start:end], _probability(best[candidate]))
        chosen = max(best, key=lambda index: best[index])
        start, end = example.passage.candidates[chosen]
        answer = example.passage.text[start:end]
        return ClozePrediction(example.id, answer, start, end, scores[answer], scores)

    def make_metrics(self) -> Metrics:
        return {"answers": RecordScores()}

    def update_metrics(
        self, metrics: Metrics, example: RecordExample, windows: Sequence[Window], prediction: ClozePrediction
    ) -> None:
        answers = metrics["answers"]
        assert isinstance(answers, RecordScores)
        answers.update(gold=example.gold_texts(), predicted=prediction.answer)

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["answers"].compute()


def _probability(logit: float) -> float:
    return round(float(sigmoid(np.array(logit))), 6)
