"""What every task head does: logits and loss from encoded windows, predictions from logits, scores from predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import Encoder, EncoderOutput
from luke_tasks.encoder.plain_cpu import is_on_plain_cpu
from luke_tasks.metrics.metric import Metric
from luke_tasks.registry import Registrable

Metrics = Mapping[str, Metric]


@dataclass
class HeadOutput:
    """What a head makes of a batch."""

    logits: Tensor  # the head's own shape, B first
    loss: Tensor | None  # () ; None without labels


class Window(NamedTuple):
    """One window of an example after the model: its features, and its rows of the logits without padding."""

    features: Features
    logits: NDArray[np.float32]


class Head(Registrable, nn.Module, ABC):
    """Base of heads. `model.head` in a config."""

    tasks: ClassVar[tuple[str, ...]]  # the reader tasks it can be trained on
    metric_names: ClassVar[tuple[str, ...]]  # what `scores` may hold, `*` standing for any label
    needs_entities: bool  # whether it reads `EncoderOutput.entity_hidden`
    needs_pooler: ClassVar[bool] = False  # whether it reads `EncoderOutput.pooled`
    labels: Labels

    def load_pretrained(self, pretrained: str) -> None:
        """Take up what the encoder's checkpoint holds for this head, before training. Most heads start anew."""

    def before_compile(self) -> None:
        """Mark what `torch.compile` is to leave alone. Here, not at import: marking loads the compiler, a second."""

    def words_read(self, batch: Batch) -> Tensor | None:
        """Of which word pieces `forward` reads the vectors, (B, W) bool; of others an encoder may give zeros.

        None (the default): of all. A head that reads `EncoderOutput.pooled` need not count the first one for it. A
        subclass with a `forward` of its own is taken to read all, unless it has its own `words_read`, too.
        """
        return None

    @classmethod
    def says_what_it_reads(cls) -> bool:
        """Whether `words_read` is about this class's `forward`, not about one that was overridden."""
        own = next(base for base in cls.__mro__ if {"words_read", "forward"} & vars(base).keys())
        return "words_read" in vars(own)

    @abstractmethod
    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        """Logits, and the loss when the batch has labels."""

    @abstractmethod
    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        """The logits of one window of the batch, without padding."""

    @abstractmethod
    def decode(self, example: Any, windows: Sequence[Window]) -> Any:
        """The prediction for an example from all its windows, in the example's own words and character offsets.

        Windows come in the order `Reader.encode` made them; there may be none.
        """

    def prediction_files(self, predictions: Sequence[Any]) -> dict[str, Any]:
        """File name → JSON content, in the form that the task's own evaluation script reads; most tasks have none.

        Args:
            predictions: of all examples of a file.
        """
        return {}

    @abstractmethod
    def make_metrics(self) -> Metrics:
        """Fresh metrics for one evaluation."""

    @abstractmethod
    def update_metrics(self, metrics: Metrics, example: Any, windows: Sequence[Window], prediction: Any) -> None:
        """Add one labelled example to the metrics."""

    @abstractmethod
    def scores(self, metrics: Metrics) -> dict[str, float]:
        """The metrics' values under the names `validation_metric` uses."""


class Model(nn.Module):
    """An encoder and a head: what is trained."""

    def __init__(self, *, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `nn.Module.compile`."""
        self.head.before_compile()
        super().compile(*args, **kwargs)

    def forward(self, batch: Batch) -> HeadOutput:
        seen = batch if self.head.needs_entities else batch.words_only()
        if is_on_plain_cpu(batch.word_ids) and self.head.says_what_it_reads():  # a GPU would have to be waited for
            seen = replace(seen, words_read=self.head.words_read(batch))
        return self.head(batch, self.encoder(seen))
