"""The options of a training (`trainer` in a config), and the data it takes. What runs it is `loop.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import DataLoader
from luke_tasks.heads.head import Model
from luke_tasks.registry import Check, Fraction, PositiveFloat, PositiveInt
from luke_tasks.spec import Spec
from luke_tasks.training.callbacks.callback import Callback
from luke_tasks.training.checkpoint import Checkpointer
from luke_tasks.training.distributed import Device
from luke_tasks.training.optimization import LearningRateScheduler, Optimizer

MetricName = Annotated[
    str,
    Check(
        lambda name: len(name) > 1 and name[0] in "+-",
        '"+" (higher is better) or "-" (lower is better) and a metric\'s name, such as "+f1"',
        schema={"pattern": r"^[+-][\s\S]"},
    ),
]


@dataclass
class TrainingData:
    """What a run trains and validates on."""

    features: Sequence[Features]
    loader: DataLoader
    labels: Labels
    pad_id: int
    validation_examples: Sequence[Any] = ()
    validation_features: Sequence[Features] = ()
    validation_batch_size: int | None = 32
    validation_max_tokens: int | None = None


class MovingAverage:
    """Exponential moving average of the weights, used for validation and for the archive (`trainer.moving_average`).

    Args:
        type: the only kind; may be left out.
        decay: share of the average that stays at each step.
    """

    def __init__(self, *, type: Literal["exponential"] = "exponential", decay: Fraction = 0.9999) -> None:
        self.decay = decay

    def of(self, model: Model) -> AveragedModel:
        """An average that starts from the model's weights."""
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.decay))
        averaged.update_parameters(model)  # the first update copies; later ones average
        return averaged


class Trainer:
    """The options of a training (`trainer` in a config).

    Args:
        optimizer: with its parameter groups.
        num_epochs: passes over the training data.
        patience: stop after so many epochs without a better validation score; None: never.
        validation_metric: `+` or `-` and the name of the score that says which epoch is best.
        grad_norm: gradients are scaled down to this norm; None: not.
        grad_clipping: each gradient is cut to this absolute value; None: not.
        num_gradient_accumulation_steps: batches for one optimizer step, in each process.
        cuda_device: index of a GPU, -1 for the CPU; None: the first GPU if there is one, and under a launcher each
            process's own.
        use_amp: AllenNLP's switch for mixed precision: the same as `precision: "fp16"`.
        precision: of the forward pass; weights stay in fp32.
        compile: run the model through `torch.compile`.
        gradient_checkpointing: keep only what goes into each layer, and compute the rest again for the gradient: less
            memory, about a third more time.
        learning_rate_scheduler: a factor on the learning rate at each step; None: it stays.
        checkpointer: when checkpoints are written, and how many stay.
        moving_average: an average of the weights that is validated and kept in their place.
        callbacks: what watches the run: `wandb`, `tensorboard`, or your own.
        on_nan: when the loss or the gradients of a step are no finite numbers: stop (`raise`), or leave the weights as
            they are and go on (`skip`); after 100 such steps in a row, or an epoch of nothing else, it stops, too.
        auto_batch_size: before the first step, halve `batch_size` (and `max_tokens`) of both data loaders until the
            largest batch fits into memory, and double `num_gradient_accumulation_steps` as often: a step keeps its
            examples (of an odd size, all but one or a few).
    """

    def __init__(
        self,
        *,
        optimizer: Optimizer,
        num_epochs: PositiveInt = 20,
        patience: PositiveInt | None = None,
        validation_metric: MetricName = "-loss",
        grad_norm: PositiveFloat | None = None,
        grad_clipping: PositiveFloat | None = None,
        num_gradient_accumulation_steps: PositiveInt = 1,
        cuda_device: Device | None = None,
        use_amp: bool = False,
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        compile: bool = False,
        gradient_checkpointing: bool = False,
        learning_rate_scheduler: LearningRateScheduler | None = None,
        checkpointer: Checkpointer | None = None,
        moving_average: MovingAverage | None = None,
        callbacks: list[Spec[Callback]] | None = None,
        on_nan: Literal["raise", "skip"] = "raise",
        auto_batch_size: bool = False,
    ) -> None:
        self.optimizer = optimizer
        self.num_epochs = num_epochs
        self.patience = patience
        self.validation_metric = validation_metric
        self.grad_norm = grad_norm
        self.grad_clipping = grad_clipping
        self.num_gradient_accumulation_steps = num_gradient_accumulation_steps
        self.cuda_device = cuda_device
        self.precision = "fp16" if use_amp else precision
        self.compile = compile
        self.gradient_checkpointing = gradient_checkpointing
        self.learning_rate_scheduler = learning_rate_scheduler
        self.checkpointer = checkpointer or Checkpointer()
        self.moving_average = moving_average
        self.callbacks = callbacks or []
        self.on_nan = on_nan
        self.auto_batch_size = auto_batch_size

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The two ways to ask for mixed precision must agree."""
        if values["use_amp"] and values["precision"] == "bf16":
            yield "use_amp", 'asks for fp16, but precision says "bf16"; remove one of them'
