"""Optimizers, their parameter groups, and learning-rate schedules, under AllenNLP's names."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from luke_tasks.errors import ConfigError, Fault
from luke_tasks.registry import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, Regex, Registrable

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class GroupOptions:
    """What a parameter group changes; None leaves the optimizer's own value.

    Args:
        lr: learning rate of the group.
        weight_decay: of the group.
        requires_grad: False: the parameters are frozen.
    """

    lr: PositiveFloat | None = None
    weight_decay: NonNegativeFloat | None = None
    requires_grad: bool = True


ParameterGroups = list[tuple[list[Regex], GroupOptions]]


class Optimizer(Registrable, ABC):
    """Base of optimizers. `trainer.optimizer` in a config.

    `parameter_groups` is a list of `[[regex, ...], {options}]`; a parameter belongs to the group one of whose regexes
    is found in its name, all others keep the optimizer's own options.
    """

    default_implementation = "adamw"
    parameter_groups: ParameterGroups

    @abstractmethod
    def create(self, model: nn.Module) -> torch.optim.Optimizer:
        """The torch optimizer over the model's parameters. Raises ConfigError when groups overlap."""


@Optimizer.register("adamw", "huggingface_adamw")
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), `torch.optim.AdamW`.

    Args:
        lr: learning rate, before the schedule's factor.
        betas: how much of the running means of the gradient and of its square stays at each step.
        eps: added to the denominator.
        weight_decay: share of each weight, times the learning rate, that is taken off at each step.
        parameter_groups: `[[[regex, ...], {options}], ...]`: other options for the parameters in whose name a regex is
            found.
    """

    def __init__(
        self,
        *,
        lr: PositiveFloat = 1e-5,
        betas: tuple[Fraction, Fraction] = (0.9, 0.999),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.01,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        self.options: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.parameter_groups = parameter_groups or []

    def create(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(grouped_parameters(model, self.parameter_groups), fused=True, **self.options)


@Optimizer.register("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent, `torch.optim.SGD`.

    Args:
        lr: learning rate, before the schedule's factor.
        momentum: how much of the last step is added to the next.
        weight_decay: share of each weight that is added to its gradient.
        parameter_groups: as in `adamw`.
    """

    def __init__(
        self,
        *,
        lr: PositiveFloat,
        momentum: NonNegativeFloat = 0.0,
        weight_decay: NonNegativeFloat = 0.0,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        self.options: dict[str, Any] = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        self.parameter_groups = parameter_groups or []

    def create(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(grouped_parameters(model, self.parameter_groups), **self.options)


def grouped_parameters(model: nn.Module, groups: ParameterGroups) -> list[dict[str, Any]]:
    """The trainable parameters as torch's parameter groups: one for each of `groups`, and one for the rest.

    Raises:
        ConfigError: a parameter belongs to two groups, or nothing is left to train.
    """
    members: list[list[nn.Parameter]] = [[] for _ in range(len(groups) + 1)]
    used: set[tuple[int, str]] = set()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        hits = [(index, regex) for index, (regexes, _) in enumerate(groups) for regex in regexes
                if re.search(regex, name)]  # fmt: skip
        used.update(hits)
        if len({index for index, _ in hits}) > 1:
            shown = ", ".join(f"{index} ({regex!r})" for index, regex in hits)
            raise ConfigError([Fault("trainer.optimizer.parameter_groups", f"{name} belongs to two groups: {shown}")])
        index = hits[0][0] if hits else len(groups)
        if index < len(groups) and not groups[index][1].requires_grad:
            parameter.requires_grad_(False)
        else:
            members[index].append(parameter)
    for index, (regexes, _) in enumerate(groups):
        for regex in regexes:
            if (index, regex) not in used:
                logger.warning("trainer.optimizer.parameter_groups.%d: no parameter's name has %r in it", index, regex)
    options = [{key: value for key, value in vars(chosen).items() if value is not None and key != "requires_grad"}
               for _, chosen in groups] + [{}]  # fmt: skip
    made = [{"params": params, **chosen} for params, chosen in zip(members, options, strict=True) if params]
    if not made:
        raise ConfigError([Fault("trainer.optimizer.parameter_groups", "no parameter is left to train")])
    return made


class LearningRateScheduler(Registrable, ABC):
    """Base of schedules: a factor on every group's learning rate, as a function of the optimizer step."""

    @abstractmethod
    def factor(self, step: int, total_steps: int) -> float:
        """The factor for the step that has index `step` of `total_steps`."""

    def create(self, optimizer: torch.optim.Optimizer, total_steps: int) -> LambdaLR:
        """The torch scheduler; it is stepped once after every optimizer step."""
        return LambdaLR(optimizer, lambda step: self.factor(step, total_steps))


@LearningRateScheduler.register("linear_with_warmup", "custom_linear_with_warmup")
class LinearWithWarmup(LearningRateScheduler):
    """From 0 up to the learning rate during warm-up, then linearly down to 0 at the last step.

    Args:
        warmup_steps: optimizer steps of the warm-up.
        warmup_ratio: the same as a share of all steps.
    """

    def __init__(self, *, warmup_steps: NonNegativeInt | None = None, warmup_ratio: Fraction | None = None) -> None:
        self.warmup_steps = warmup_steps
        self.warmup_ratio = warmup_ratio or 0.0

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Both ways to say the same thing at once are refused."""
        if values["warmup_steps"] is not None and values["warmup_ratio"] is not None:
            yield "warmup_ratio", "give warmup_steps or warmup_ratio, not both"

    def factor(self, step: int, total_steps: int) -> float:
        warmup = int(total_steps * self.warmup_ratio) if self.warmup_steps is None else self.warmup_steps
        if step < warmup:
            return step / warmup
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup))


@LearningRateScheduler.register("constant_with_warmup")
class ConstantWithWarmup(LearningRateScheduler):
    """From 0 up to the learning rate during warm-up, which then stays.

    Args:
        warmup_steps: optimizer steps of the warm-up.
    """

    def __init__(self, *, warmup_steps: NonNegativeInt = 0) -> None:
        self.warmup_steps = warmup_steps

    def factor(self, step: int, total_steps: int) -> float:
        return min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0


def trainable(model: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that receive gradients."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)
