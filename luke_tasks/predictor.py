"""The Python API: `load(ARCHIVE)` gives a callable that predicts on raw input.

>>> ner = luke_tasks.load("runs/quickstart/model.tar.gz")
>>> ner("Beyoncé lives in Los Angeles.").entities
[Entity(text='Beyoncé', label='PER', start=0, end=7, ...), Entity(text='Los Angeles', label='LOC', ...)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.features import Features
from luke_tasks.data.loader import batch_limit
from luke_tasks.heads.head import Window
from luke_tasks.heads.shown import Shown, ShownList
from luke_tasks.trained import Trained, load_trained
from luke_tasks.training.devices import choose_device
from luke_tasks.training.evaluation import Evaluation, Runner, evaluate, predict, run_windows

Input = str | dict[str, Any]
Precision = Literal["fp32", "bf16"]
_A_BATCH = 32  # examples, where batches have no limit in windows
_MOST_AT_ONCE = 1024  # examples of a list that are held with their windows


class Predictor:
    """A trained model, callable on raw input.

    Args:
        trained: what an archive holds.
        batch_size: windows run at once. Default: 32, or no limit with `max_tokens`.
        max_tokens: word and entity places run at once, padding included; see `DataLoader`.
        cuda_device: index of a GPU, -1 for the CPU; None: the first GPU if there is one.
        precision: numbers the model computes with; `bf16` turns its weights into bfloat16.
    """

    def __init__(
        self, trained: Trained, *, batch_size: int | None = None, max_tokens: int | None = None,
        cuda_device: int | None = None, precision: Precision = "fp32",
    ) -> None:  # fmt: skip
        if precision not in get_args(Precision):
            raise ValueError(f"precision: expected {' or '.join(get_args(Precision))}, found {precision!r}")
        if precision == "bf16":
            trained.model.bfloat16()
        self.trained = trained
        self.reader = trained.reader
        self.batch_size = batch_limit(batch_size, max_tokens)
        device = choose_device(cuda_device)
        self._runner = Runner.of(
            trained.model, batch_size=self.batch_size, max_tokens=max_tokens, pad_id=trained.pad_id, device=device
        )

    @classmethod
    def for_evaluation(
        cls, trained: Trained, *, batch_size: int | None, max_tokens: int | None, cuda_device: int | None,
        precision: Precision,
    ) -> Predictor:  # fmt: skip
        """One whose batches are those of the validation in its training, where neither size is given."""
        if not (batch_size or max_tokens):
            loader = trained.config.parts.evaluation_loader
            batch_size, max_tokens = loader.batch_size, loader.max_tokens
        return cls(trained, batch_size=batch_size, max_tokens=max_tokens, cuda_device=cuda_device, precision=precision)

    @overload
    def __call__(self, inputs: Input) -> Any: ...
    @overload
    def __call__(self, inputs: Sequence[Input]) -> list[Any]: ...
    def __call__(self, inputs: Input | Sequence[Input]) -> Any:
        """Predict on one input, or on several.

        Args:
            inputs: a text, or an object as `predict` reads one a line (`{"text": ...}`, `{"words": [...]}`).
        Returns:
            The task's prediction, or a list of them; each has `to_json()`, and shows itself in a notebook.
        Raises:
            DataError: an input lacks what the task needs.
        """
        if isinstance(inputs, (str, dict)):
            return self([inputs])[0]
        records = (item if isinstance(item, dict) else {"text": item} for item in inputs)
        examples = [self.reader.parse_input(record, f"input {index}") for index, record in enumerate(records)]
        predictions = ShownList()
        for example, prediction in self.predict_examples(examples, at_once=max(_MOST_AT_ONCE, self.batch_size or 0)):
            if isinstance(prediction, Shown):
                prediction.remember(example)
            predictions.append(prediction)
        self.reader.report_dropped("input")
        return predictions

    def predict_examples(self, examples: Iterable[Any], *, at_once: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Examples with their predictions, in order, streamed.

        Args:
            at_once: examples that are read before the first is answered. Windows of like length among them run
                together: the more, the less padding. Default: a batch's.
        """
        return predict(self._runner, examples, self.reader.encode, chunk_size=at_once or self.batch_size or _A_BATCH)

    def run_windows(self, features: Sequence[Features]) -> list[NDArray[np.float32]]:
        """The logits of windows that `reader.encode` has made, in their order; `decode` takes those of an example."""
        return run_windows(self._runner, features)

    def decode(self, example: Any, windows: Sequence[Window]) -> Any:
        """The prediction for an example from all its windows, in the order that `reader.encode` gave them."""
        prediction = self.trained.model.head.decode(example, windows)
        if isinstance(prediction, Shown):
            prediction.remember(example)
        return prediction

    def evaluate(self, path: str | Path) -> Evaluation:
        """Score the model on a file of the dataset's format. Raises DataError on the first bad record."""
        examples, features = self.reader.read_encoded(path)
        self._runner.report(str(path), features)
        return evaluate(self._runner, examples, features)


def load(
    archive: str | Path, *, overrides: str = "", batch_size: int | None = None, max_tokens: int | None = None,
    cuda_device: int | None = None, precision: Precision = "fp32", include_packages: Sequence[str] = (),
) -> Predictor:  # fmt: skip
    """The model of an archive (`model.tar.gz`) or a run's directory, ready to predict.

    Args:
        overrides: JSON, changes to the archive's config.
        batch_size, max_tokens, cuda_device, precision: see `Predictor`.
        include_packages: packages of your own, whose classes register themselves.
    Raises:
        ArchiveError, CheckpointError: it cannot be read.
    """
    trained = load_trained(archive, overrides=overrides, include_packages=include_packages)
    return Predictor(
        trained, batch_size=batch_size, max_tokens=max_tokens, cuda_device=cuda_device, precision=precision
    )
