"""Classes of a text or a pair of texts, or a number for it, from the pooled vector (Devlin et al. 2019, section 4.1).

In: the encoded window. Out: a logit for each class, or one number. The same as `transformers`'
LukeForSequenceClassification, weight for weight: the pooler belongs to the encoder.
Shapes: B windows, D hidden size, C classes.
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
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import words_at
from luke_tasks.heads.probabilities import holds, sigmoid, softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.classification import ClassScores, ClassSetScores, RegressionScores
from luke_tasks.readers.sequence_classification import ProblemType, TextExample
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class TextPrediction(Shown):
    """What a text, or a pair, was classified as. Of the last four, the problem's own are set."""

    task: ClassVar[str] = "sequence_classification"
    id: str
    text: str
    text_pair: str | None = None
    label: str | None = None  # the likeliest class
    probabilities: dict[str, float] | None = None  # of every class, likeliest first
    labels: dict[str, float] | None = None  # those of several classes that hold, with their probabilities
    value: float | None = None  # regression

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this text."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@Head.register("sequence_classification")
class SequenceClassificationHead(Head):
    """A linear layer over the pooled vector.

    Args:
        hidden_size: D of the encoder.
        labels: the classes; none in a regression.
        problem_type: as the reader's. One class: cross-entropy; any number of classes: binary cross-entropy of each;
            a number: mean squared error.
        threshold: probability above which one of several classes is predicted; in the metrics too.
        dropout: on the pooled vector (`transformers` takes `classifier_dropout`, or else the encoder's own).
    """

    tasks: ClassVar[tuple[str, ...]] = ("sequence_classification",)
    metric_names: ClassVar[tuple[str, ...]] = tuple(dict.fromkeys((*ClassScores.names, *RegressionScores.names)))
    needs_entities = True  # those a record may name; without any, words alone are read
    needs_pooler: ClassVar[bool] = True

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        problem_type: ProblemType = "single_label_classification",
        threshold: Fraction = 0.5,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.problem_type: ProblemType = problem_type
        self.threshold = threshold
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, 1 if problem_type == "regression" else len(labels))

    def words_read(self, batch: Batch) -> Tensor:
        return words_at(batch)  # none: the pooled vector alone

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        assert encoded.pooled is not None
        logits = self.classifier(self.dropout(encoded.pooled))  # (B, C); (B, 1) of a regression
        loss = None
        if batch.labels is not None and self.problem_type == "regression":
            loss = nn.functional.mse_loss(logits[:, 0].float(), batch.labels)
        elif batch.labels is not None and self.problem_type == "multi_label_classification":
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), batch.labels.float())
        elif batch.labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), batch.labels)
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row]  # (C,)

    def decode(self, example: TextExample, windows: Sequence[Window]) -> TextPrediction:
        logits = windows[0].logits.astype(np.float64)  # (C,)
        given: dict[str, Any] = {"id": example.id, "text": example.text, "text_pair": example.text_pair}
        if self.problem_type == "regression":
            return TextPrediction(**given, value=round(float(logits[0]), 6))
        best = np.argsort(-logits, kind="stable").tolist()
        if self.problem_type == "multi_label_classification":
            held = holds(logits, self.threshold)
            best = [index for index in best if held[index]]
            return TextPrediction(**given, labels=_by_name(self.labels, best, sigmoid(logits)))
        of_classes = _by_name(self.labels, best, softmax(logits))
        return TextPrediction(**given, label=self.labels[best[0]], probabilities=of_classes)

    def make_metrics(self) -> Metrics:
        if self.problem_type == "regression":
            return {"numbers": RegressionScores()}
        if self.problem_type == "multi_label_classification":
            return {"classes": ClassSetScores(self.labels.names)}
        return {"classes": ClassScores(self.labels.names)}

    def update_metrics(
        self, metrics: Metrics, example: TextExample, windows: Sequence[Window], prediction: TextPrediction
    ) -> None:
        for metric in metrics.values():
            if isinstance(metric, RegressionScores):
                assert isinstance(example.label, float) and prediction.value is not None
                metric.update(gold=example.label, predicted=prediction.value)
            elif isinstance(metric, ClassSetScores):
                assert isinstance(example.label, list) and prediction.labels is not None
                metric.update(gold=example.label, predicted=prediction.labels)
            elif isinstance(metric, ClassScores):
                assert isinstance(example.label, str) and prediction.label is not None
                metric.update(gold=example.label, predicted=prediction.label)

    def scores(self, metrics: Metrics) -> dict[str, float]:
        (metric,) = metrics.values()
        return metric.compute()


def _by_name(labels: Labels, indices: Sequence[int], probabilities: Any) -> dict[str, float]:
    return {labels[index]: round(float(probabilities[index]), 6) for index in indices}
