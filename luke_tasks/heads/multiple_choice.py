"""Multiple choice: a score for each choice from its pooled vector, softmax over the choices of an example.

In: the encoded windows, one a choice, those of an example side by side. Out: a logit for each choice. The same as
`transformers`' LukeForMultipleChoice, weight for weight, but for examples that may have different numbers of choices.
Shapes: B examples, S their choices taken together, C the most choices of one, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.mention_vectors import words_at
from luke_tasks.heads.probabilities import softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.accuracy import Accuracy
from luke_tasks.readers.multiple_choice import MultipleChoiceExample
from luke_tasks.registry import Fraction, Provided


@dataclass(frozen=True)
class Choice:
    """A choice and its probability."""

    text: str
    score: float


@dataclass(frozen=True)
class MultipleChoicePrediction(Shown):
    """The likeliest choice, and all of them in their order."""

    task: ClassVar[str] = "multiple_choice"
    id: str
    label: int  # from 0
    answer: str
    choices: list[Choice]

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this example."""
        return asdict(self)


@Head.register("multiple_choice")
class MultipleChoiceHead(Head):
    """A linear layer over each choice's pooled vector; cross-entropy over the choices of an example.

    Args:
        hidden_size: D of the encoder.
        labels: none.
        dropout: on the pooled vector (`transformers` takes `classifier_dropout`, or else the encoder's own).
    """

    tasks: ClassVar[tuple[str, ...]] = ("multiple_choice",)
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy",)
    needs_entities = False
    needs_pooler: ClassVar[bool] = True

    def __init__(self, *, hidden_size: Provided[int], labels: Provided[Labels], dropout: Fraction = 0.1) -> None:
        super().__init__()
        self.labels = labels
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, 1)

    def words_read(self, batch: Batch) -> Tensor:
        return words_at(batch)  # none: the pooled vector alone

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        assert encoded.pooled is not None
        scores = self.classifier(self.dropout(encoded.pooled))[:, 0]  # (S,)
        sizes = [len(features.windows) for features in batch.features]
        # A choice that is not there can never be it: probability 0, no gradient.
        logits = pad_sequence(list(scores.split(sizes)), batch_first=True, padding_value=float("-inf"))  # (B, C)
        loss = None
        if batch.labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), batch.labels)
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row, : len(features.windows)]  # (C of this example,)

    def decode(self, example: MultipleChoiceExample, windows: Sequence[Window]) -> MultipleChoicePrediction:
        logits = windows[0].logits.astype(np.float64)  # (C,)
        probabilities = softmax(logits)
        best = int(logits.argmax())
        choices = [Choice(text, round(float(probability), 6))
                   for text, probability in zip(example.choices, probabilities, strict=True)]  # fmt: skip
        return MultipleChoicePrediction(example.id, best, example.choices[best], choices)

    def make_metrics(self) -> Metrics:
        return {"accuracy": Accuracy()}

    def update_metrics(
        self, metrics: Metrics, example: MultipleChoiceExample, windows: Sequence[Window],
        prediction: MultipleChoicePrediction,
    ) -> None:  # fmt: skip
        accuracy = metrics["accuracy"]
        assert isinstance(accuracy, Accuracy) and example.label is not None
        accuracy.update(gold=[example.label], predicted=[prediction.label])

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["accuracy"].compute()
