"""A user's own task, as CONTRIBUTING describes it: one reader and one head, with no list to edit.

Lines `label<TAB>text`; the class of a text is read off its first word piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features, IntArray
from luke_tasks.data.labels import Labels
from luke_tasks.data.text import split_words
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.errors import DataError
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.metrics.accuracy import Accuracy
from luke_tasks.readers.reader import Reader, read_text
from luke_tasks.registry import PositiveInt, Provided


@dataclass
class SentimentExample:
    """A text and, when known, its label."""

    text: str
    label: str | None
    where: str


@dataclass(eq=False)
class SentimentFeatures(Features):
    """The whole text in one window."""

    def targets(self, labels: Labels) -> IntArray | None:
        example = self.example
        return None if example.label is None else np.array(labels.index(example.label, example.where))


@Reader.register("test_sentiment")
class SentimentReader(Reader):
    """`good<TAB>What a film` → SentimentExample("What a film", "good", ...)."""

    task: ClassVar[str] = "test_sentiment"

    def __init__(self, *, tokenizer: Provided[Tokenizer], max_sequence_length: PositiveInt = 32) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length

    def read(self, path: str | Path) -> Iterator[SentimentExample]:
        for number, line in enumerate(read_text(path, "utf-8").splitlines(), start=1):
            label, tab, text = line.partition("\t")
            if not tab:
                raise DataError(f"{path}:{number}: expected label<TAB>text, found {line!r}")
            yield SentimentExample(text, label, f"{path}:{number}")

    def encode(self, examples: Iterable[SentimentExample]) -> Sequence[Features]:
        special = self.tokenizer.special
        made = []
        for example in examples:
            words = [example.text[start:end] for start, end in split_words(example.text)]
            pieces = [piece for word in self.tokenizer.words_to_pieces(words) for piece in word]
            word_ids = np.array([special.cls, *pieces[: self.max_sequence_length - 2], special.sep])
            made.append(
                SentimentFeatures(
                    example=example,
                    word_ids=word_ids,
                    entity_ids=np.zeros(0, dtype=np.int64),
                    entity_spans=np.zeros((0, 2), dtype=np.int64),
                    num_words=len(words),
                )
            )
        return made

    def labels_of(self, example: SentimentExample) -> Iterable[str]:
        return [example.label] if example.label is not None else []

    def parse_input(self, record: dict[str, Any], where: str) -> SentimentExample:
        return SentimentExample(record["text"], None, where)


@dataclass(frozen=True)
class Sentiment:
    """A predicted label."""

    text: str
    label: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@Head.register("test_sentiment")
class SentimentHead(Head):
    """A linear layer over the first word piece."""

    tasks: ClassVar[tuple[str, ...]] = ("test_sentiment",)
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy",)
    needs_entities = False

    def __init__(self, *, hidden_size: Provided[int], labels: Provided[Labels]) -> None:
        super().__init__()
        self.labels = labels
        self.classifier = nn.Linear(hidden_size, len(labels))

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        logits = self.classifier(encoded.word_hidden[:, 0])  # (B, C)
        loss = nn.functional.cross_entropy(logits, batch.labels) if batch.labels is not None else None
        return HeadOutput(logits=logits, loss=loss)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row]

    def decode(self, example: SentimentExample, windows: Sequence[Window]) -> Sentiment:
        return Sentiment(example.text, self.labels[int(windows[0].logits.argmax())])

    def make_metrics(self) -> Metrics:
        return {"accuracy": Accuracy()}

    def update_metrics(
        self, metrics: Metrics, example: SentimentExample, windows: Sequence[Window], prediction: Sentiment
    ) -> None:
        accuracy = metrics["accuracy"]
        assert isinstance(accuracy, Accuracy)
        accuracy.update(gold=[example.label], predicted=[prediction.label])

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["accuracy"].compute()
