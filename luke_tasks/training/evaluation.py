"""Running a model over windows without training it: predictions in the order of the examples, metrics and loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.loader import Sizes, collate, evaluation_order, report_batches
from luke_tasks.data.stored_set import StoredFeatures
from luke_tasks.errors import CheckpointError
from luke_tasks.heads.head import Head, HeadOutput, Model, Window
from luke_tasks.training.processes import ALONE, Processes


@dataclass
class Runner:
    """A model ready to run: where, in what batches, and in place of `model` itself what to call.

    Args:
        forward: the model, perhaps wrapped for mixed precision.
        head: its head.
        batch_size: windows a batch at most; None: no limit.
        pad_id: the tokenizer's pad id.
        max_tokens: word and entity places a batch at most, see `DataLoader`; None: no limit.
        after_batch: called with the number of windows done, after each batch of this process; may raise to stop.
        processes: those that share the batches out.
    """

    forward: Callable[..., HeadOutput]
    head: Head
    batch_size: int | None
    pad_id: int
    device: torch.device
    max_tokens: int | None = None
    after_batch: Callable[[int], None] = field(default=lambda num_windows: None)
    processes: Processes = ALONE

    @classmethod
    def of(
        cls, model: Model, *, batch_size: int | None, pad_id: int, device: torch.device, max_tokens: int | None = None,
        processes: Processes = ALONE,
    ) -> Runner:  # fmt: skip
        """Runs `model` as it is."""
        model.to(device).eval()
        return cls(forward=model, head=model.head, batch_size=batch_size, pad_id=pad_id, device=device,
                   max_tokens=max_tokens, processes=processes)  # fmt: skip

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
    predictions: list[Any]  # one an example, in their order; rank 0 of several processes has them
    examples: Sequence[Any] = ()


def evaluate(runner: Runner, examples: Sequence[Any], features: Sequence[Features]) -> Evaluation:
    """Predict and score labelled examples, `features` being all their windows.

    Several processes share out the batches, which are the same for any number of them. Rank 0 gets the logits of all,
    decodes and scores as one process does, and tells the others the scores, which hence are equal to one process's.

    Raises:
        DataError: a gold label the model does not know.
    """
    losses: list[float] = []
    logits = _run(runner, features, losses)
    if not runner.processes.is_main:
        return Evaluation(runner.processes.broadcast({}), [])
    metrics = runner.head.make_metrics()
    predictions = []
    for example, windows in _by_example(examples, features, logits):
        prediction = runner.head.decode(example, windows)
        runner.head.update_metrics(metrics, example, windows, prediction)
        predictions.append(prediction)
    scores = runner.head.scores(metrics)
    if losses:
        scores["loss"] = sum(losses) / len(losses)
    return Evaluation(runner.processes.broadcast(scores), predictions, examples)


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
        features = encode(chunk) if chunk else []
        for example, windows in _by_example(chunk, features, _run(runner, features, None)):
            yield example, runner.head.decode(example, windows)
    if failure is not None:
        raise failure


def run_windows(runner: Runner, features: Sequence[Features]) -> list[NDArray[np.float32]]:
    """The logits of each window, in their order, as `Head.decode` takes them."""
    return _run(runner, features, None)


def _run(runner: Runner, features: Sequence[Features], losses: list[float] | None) -> list[NDArray[np.float32]]:
    """The logits of each of `features`; batch losses are added to `losses`.

    Of several processes rank 0 gets them, a round of batches at a time: beside the logits that one process holds, too,
    it needs room for those of `world_size` batches.
    """
    logits: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)] * len(features)
    labels = runner.head.labels if losses is not None else None
    order = runner.order(Sizes.of(features))
    # Weights that are gathered for a forward pass (FSDP) and kept must be fit for training later.
    with torch.no_grad() if runner.processes.are_many else torch.inference_mode():
        for number, (rows, _) in enumerate(runner.processes.share(order)):
            batch = collate([features[index] for index in rows], pad_id=runner.pad_id, labels=labels)
            in_round = order[number * runner.processes.world_size :][: runner.processes.world_size]
            found = runner.processes.gather(_run_batch(runner, batch))
            for (loss, of_windows), of_batch in zip(found or (), in_round, strict=False):  # what does not count is last
                if loss is not None and losses is not None:
                    losses.append(loss)
                for index, values in zip(of_batch, of_windows, strict=True):
                    logits[index] = values
            runner.after_batch(sum(map(len, in_round)))
    return logits


def _run_batch(runner: Runner, batch: Batch) -> tuple[float | None, list[NDArray[np.float32]]]:
    """The loss of a batch, where it has labels, and the logits of each of its windows."""
    try:
        output = runner.forward(batch.to(runner.device))
    except IndexError as error:
        raise CheckpointError("a word piece or an entity has no embedding: the tokenizer and the weights of this model "
                              f"do not go together ({error})") from error  # fmt: skip
    of_batch = output.logits.float().cpu()  # one copy from the device, not one a window
    if of_batch.isnan().any():
        raise CheckpointError("the model's scores are no numbers (NaN): its weights are damaged, or its training has "
                              "diverged")  # fmt: skip
    of_windows = [runner.head.window_logits(of_batch, row, feature).numpy().copy()
                  for row, feature in enumerate(batch.features)]  # fmt: skip
    return output.loss.item() if output.loss is not None else None, of_windows


def _by_example(
    examples: Sequence[Any], features: Sequence[Features], logits: Sequence[NDArray[np.float32]]
) -> Iterator[tuple[Any, list[Window]]]:
    """Each example with its windows, in the order of `features`."""
    for example, rows in zip(examples, _rows_by_example(examples, features), strict=True):
        yield example, [Window(features[row], logits[row]) for row in rows]


def _rows_by_example(examples: Sequence[Any], features: Sequence[Features]) -> Iterable[Sequence[int]]:
    """Which features are the windows of each example: by the example's identity, unless they are stored."""
    if isinstance(features, StoredFeatures):
        return features.rows_by_example()
    rows: dict[int, list[int]] = {}
    for row, feature in enumerate(features):
        rows.setdefault(id(feature.example), []).append(row)
    return [rows.get(id(example), []) for example in examples]
