"""Parameter groups and schedules."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from luke_tasks.errors import ConfigError
from luke_tasks.training.optimization import (
    AdamW,
    ConstantWithWarmup,
    GroupOptions,
    LinearWithWarmup,
    grouped_parameters,
)


def model() -> nn.Module:
    return nn.ModuleDict({"dense": nn.Linear(2, 2), "LayerNorm": nn.LayerNorm(2)})


def test_groups_by_regex() -> None:
    groups = grouped_parameters(model(), [(["bias", r"LayerNorm\.weight"], GroupOptions(weight_decay=0.0))])
    assert [(len(group["params"]), group.get("weight_decay")) for group in groups] == [(3, 0.0), (1, None)]


def test_frozen_group() -> None:
    module = model()
    groups = grouped_parameters(module, [(["dense"], GroupOptions(requires_grad=False))])
    assert [len(group["params"]) for group in groups] == [2]
    assert [name for name, weight in module.named_parameters() if weight.requires_grad] == [
        "LayerNorm.weight", "LayerNorm.bias"
    ]  # fmt: skip


def test_overlapping_groups() -> None:
    groups = [(["bias"], GroupOptions(lr=1.0)), (["dense"], GroupOptions(lr=2.0))]
    with pytest.raises(ConfigError) as error:
        grouped_parameters(model(), groups)
    assert str(error.value) == (
        "trainer.optimizer.parameter_groups: dense.bias belongs to two groups: 0 ('bias'), 1 ('dense')"
    )


def test_everything_frozen() -> None:
    with pytest.raises(ConfigError, match="no parameter is left to train"):
        grouped_parameters(model(), [([""], GroupOptions(requires_grad=False))])


def test_regex_that_matches_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        grouped_parameters(model(), [(["LayerNrom"], GroupOptions(lr=1.0))])
    assert caplog.messages == ["trainer.optimizer.parameter_groups.0: no parameter's name has 'LayerNrom' in it"]


def test_linear_with_warmup() -> None:
    """As AllenNLP's PolynomialDecay of power 1, which the published `custom_linear_with_warmup` is."""
    schedule = LinearWithWarmup(warmup_ratio=0.25)
    assert [schedule.factor(step, 8) for step in range(9)] == [0, 0.5, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]
    assert LinearWithWarmup(warmup_steps=4).factor(1, 8) == 0.25
    assert LinearWithWarmup().factor(0, 8) == 1.0


def test_schedule_reaches_the_optimizer() -> None:
    module = model()
    optimizer = AdamW(lr=2.0).create(module)
    scheduler = ConstantWithWarmup(warmup_steps=2).create(optimizer, 4)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        module["dense"](torch.ones(2)).sum().backward()  # type: ignore[index]
        optimizer.step()
        scheduler.step()
    assert rates == [0.0, 1.0, 2.0, 2.0]
