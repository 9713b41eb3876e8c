"""Running a model over windows without training it: predictions in the order of the examples, metrics and loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch

from luke_tasks.data.features import Features
from luke_tasks.data.loader import Sizes, batches_of, evaluation_order, report_batches
from luke_tasks.errors import CheckpointError
from luke_tasks.heads.head import Head, HeadOutput, Model, Window


@dataclass
class Runner:
    """A model ready to run: where, in what batches, and in place of `model` itself what to call.

    Args:
        forward: the model, perhaps wrapped for mixed precision.
        head: its head.
        batch_size: windows a batch at most; None: no limit.
        pad_id: the tokenizer's pad id.
        max_tokens: word and entity places a batch at most, see `DataLoader`; None: no limit.
        after_batch: called with the number of windows of each batch; may raise to stop.
    """

    forward: Callable[..., HeadOutput]
    head: Head
    batch_size: int | None
    pad_id: int
    device: torch.device
    max_tokens: int | None = None
    after_batch: Callable[[int], None] = field(default=lambda num_windows: None)

    @classmethod
    def of(
        cls, model: Model, *, batch_size: int | None, pad_id: int, device: torch.device, max_tokens: int | None = None
    ) -> Runner:
        """Runs `model` as it is."""
        model.to(device).eval()
        return cls(forward=model, head=model.head, batch_size=batch_size, pad_id=pad_id, device=device,
                   max_tokens=max_tokens)  # fmt: skip

    def order(self, sizes: Sizes) -> list[list[int]]:
        """The batches of windows of these sizes, as lists of indices."""
        return evaluation_order(sizes, batch_size=self.batch_size, max_tokens=self.max_tokens)

    def report(self, what: str, features: Sequence[Features]) -> None:
        """Log the padding of the batches of `features`, which `what` names, and what is larger than `max_tokens`."""
        sizes = Sizes.of(features)
        report_batches(what, sizes, self.order(sizes), self.max_tokens)


@dataclass
class Evaluation:
    """What a model did on some labelled examples."""

    scores: dict[str, float]  # the head's metrics, and `loss`: the mean over batches
    predictions: list[Any]  # one an example, in their order


def evaluate(runner: Runner, examples: Sequence[Any], features: Sequence[Features]) -> Evaluation:
    """Predict and score labelled examples, `features` being all their windows.

    Raises:
        DataError: a gold label the model does not know.
    """
    losses: list[float] = []
    windows = _run(runner, features, losses)
    metrics = runner.head.make_metrics()
    predictions = []
    for example in examples:
        own = windows.get(id(example), [])
        prediction = runner.head.decode(example, own)
        runner.head.update_metrics(metrics, example, own, prediction)
        predictions.append(prediction)
    scores = runner.head.scores(metrics)
    if losses:
        scores["loss"] = sum(losses) / len(losses)
    return Evaluation(scores, predictions)


def predict(
    runner: Runner,
    examples: Iterable[Any],
    encode: Callable[[Sequence[Any]], Sequence[Features]],
    *,
    chunk_size: int = 64,
) -> Iterator[tuple[Any, Any]]:
    """Examples with their predictions, in order, as they come: at most `chunk_size` examples are held at a time.

    When `examples` raises, the examples that came before are predicted first.
    """
    stream = iter(examples)
    failure: Exception | None = None
    more = True
    while more:
        chunk: list[Any] = []
        try:
            for example in islice(stream, chunk_size):
                chunk.append(example)
        except Exception as error:  # raised again below
            failure = error
        more = len(chunk) == chunk_size
        windows = _run(runner, encode(chunk), None) if chunk else {}
        for example in chunk:
            yield example, runner.head.decode(example, windows.get(id(example), []))
    if failure is not None:
        raise failure


def _run(runner: Runner, features: Sequence[Features], losses: list[float] | None) -> dict[int, list[Window]]:
    """The windows of each example (by identity), in the order of `features`; batch losses are added to `losses`."""
    logits: dict[int, Any] = {}  # by identity of the features
    labels = runner.head.labels if losses is not None else None
    with torch.inference_mode():
        for batch in batches_of(
            features, batch_size=runner.batch_size, pad_id=runner.pad_id, labels=labels, max_tokens=runner.max_tokens
        ):
            try:
                output = runner.forward(batch.to(runner.device))
            except IndexError as error:
                raise CheckpointError("a word piece or an entity has no embedding: the tokenizer and the weights of "
                                      f"this model do not go together ({error})") from error  # fmt: skip
            if output.loss is not None and losses is not None:
                losses.append(output.loss.item())
            of_batch = output.logits.float().cpu()  # one copy from the device, not one a window
            if of_batch.isnan().any():
                raise CheckpointError("the model's scores are no numbers (NaN): its weights are damaged, or its "
                                      "training has diverged")  # fmt: skip
            for row, feature in enumerate(batch.features):
                logits[id(feature)] = runner.head.window_logits(of_batch, row, feature).numpy().copy()
            runner.after_batch(len(batch.features))
    windows: dict[int, list[Window]] = {}
    for feature in features:
        windows.setdefault(id(feature.example), []).append(Window(feature, logits[id(feature)]))
    return windows
