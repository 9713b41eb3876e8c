"""Memory that is not enough: what helps is said, or with `auto_batch_size` done."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest
import torch

from luke_tasks.data.batch import Batch
from luke_tasks.errors import TrainingError
from luke_tasks.experiment import build, read_config
from luke_tasks.training import auto_batch_size
from luke_tasks.training.checkpoint import checkpoints, read_state
from luke_tasks.training.step_faults import explained_memory
from tests.faults import setups
from tests.faults.harness import Run
from tests.training.runs import assert_same_weights, steps, train

WINDOW_MB, ROOM_MB = 300, 2100  # of address space, none of it touched: 4 windows fit, 8 do not


def test_the_system_refuses(ner_config: Path, tmp_path: Path) -> None:
    run = Run(ner_config, tmp_path / "run")
    ended = run.start(setup=functools.partial(setups.hungry, WINDOW_MB, ROOM_MB)).wait()
    assert ended.status == 1, ended.errors
    assert re.fullmatch(
        r"out of memory \(\d+ bytes more were asked for\) on a batch of 8 windows of \d+ word pieces and \d+ entities; "
        r"lower data_loader.batch_size or max_tokens, and raise trainer.num_gradient_accumulation_steps as much "
        r"\(trainer.auto_batch_size does both\), or set trainer.gradient_checkpointing to true \(with -r, too\), or "
        r'trainer.precision to "bf16"',
        ended.last_line,
    ), ended.errors


def test_batches_are_halved(ner_config: Path, tmp_path: Path) -> None:
    """And what comes of it is what comes of those batches by themselves, after a recovery too."""
    auto = Run(ner_config, tmp_path / "auto", {"trainer.auto_batch_size": True})
    ended = auto.start(setup=functools.partial(setups.hungry, WINDOW_MB, ROOM_MB)).wait()
    assert ended.status == 0, ended.errors
    assert "auto_batch_size: batch_size is 4 instead of 8, and num_gradient_accumulation_steps 2 instead of 1" in (
        ended.errors
    )
    plain = Run(ner_config, tmp_path / "plain", {"data_loader.batch_size": 4,
                                                 "trainer.num_gradient_accumulation_steps": 2})  # fmt: skip
    assert plain.start().wait().status == 0
    assert steps(auto.run_dir) == steps(plain.run_dir)
    assert_same_weights(auto.run_dir / "best.safetensors", plain.run_dir / "best.safetensors")
    last = checkpoints(auto.run_dir)[-1]
    assert read_state(last).batch_halvings == 1
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    assert auto.recover().status == 0  # where memory would do for 8
    assert steps(auto.run_dir) == steps(plain.run_dir)


def test_what_fits_is_left_alone(ner_config: Path, tmp_path: Path) -> None:
    """Not a random number is used up."""
    assert train(ner_config, tmp_path / "auto", overrides={"trainer.auto_batch_size": True}) == 0
    assert train(ner_config, tmp_path / "plain") == 0
    assert steps(tmp_path / "auto") == steps(tmp_path / "plain")


@pytest.mark.parametrize("loader", [{"batch_size": 5, "shuffle": True}, {"max_tokens": 300, "shuffle": True}])
def test_one_window_too_many(ner_config: Path, loader: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Halving ends with an error, and the largest batches are tried first."""
    experiment = build(read_config(ner_config, json.dumps({"data_loader": loader})))
    tried: list[Batch] = []

    def never(trainer: object, model: object, batch: Batch) -> TrainingError:
        tried.append(batch)
        return TrainingError("too much")

    monkeypatch.setattr(auto_batch_size, "_try", never)
    with pytest.raises(TrainingError, match="too much"):
        auto_batch_size.fitting_halvings(
            experiment.trainer, experiment.model, experiment.data, seed=1, device=torch.device("cpu")
        )
    longest = max(len(feature.word_ids) for feature in experiment.data.features)
    assert all(batch.word_ids.shape[1] == longest for batch in tried if "batch_size" in loader)
    assert len(tried) == (3 if "batch_size" in loader else 9)  # 5, 2, 1; and 300, 150, ... 1
    assert tried[-1].word_ids.shape[0] == 1


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ..."), "20.00 GiB"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                      "tried to allocate 8000 bytes. Error code 12 (Cannot allocate memory)"), "8000 bytes"),
        (MemoryError("Unable to allocate 7.28 TiB for an array"), "7.28 TiB"),
        (MemoryError(), None),
    ],
)  # fmt: skip
def test_what_memory_errors_look_like(error: Exception, asked: str | None) -> None:
    batch = Batch(word_ids=torch.zeros(3, 7, dtype=torch.int64), word_mask=torch.ones(3, 7, dtype=torch.bool))
    explained = explained_memory(error, batch)
    assert isinstance(explained, TrainingError)
    more = f" ({asked} more were asked for)" if asked else ""
    assert str(explained).startswith(
        f"out of memory{more} on a batch of 3 windows of 7 word pieces and 0 entities; lower "
    )


def test_other_errors_stay_what_they_are() -> None:
    batch = Batch(word_ids=torch.zeros(1, 1, dtype=torch.int64), word_mask=torch.ones(1, 1, dtype=torch.bool))
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert explained_memory(error, batch) is error
