"""A run that was killed or interrupted, and recovered, ends as the uninterrupted one: bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from luke_tasks.training.checkpoint import checkpoints
from tests.training.runs import assert_same_weights, metrics, spawn, steps, train

OVERRIDES = {"trainer.checkpointer.save_every_num_batches": 2, "trainer.num_epochs": 3, "data_loader.batch_size": 4,
             "trainer.num_gradient_accumulation_steps": 2,
             "trainer.moving_average": {"type": "exponential", "decay": 0.9}}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums: both runs use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same_run(recovered: Path, uninterrupted: Path) -> None:
    assert steps(recovered) == steps(uninterrupted)
    assert metrics(recovered) == metrics(uninterrupted)
    assert_same_weights(recovered / "best.safetensors", uninterrupted / "best.safetensors")
    last = checkpoints(uninterrupted)[-1].name
    assert_same_weights(recovered / last / "model.safetensors", uninterrupted / last / "model.safetensors")


def test_killed_at_a_random_step(ner_config: Path, tmp_path: Path) -> None:
    overrides = {**OVERRIDES, "trainer.num_epochs": 12}  # long enough to be caught at it
    assert train(ner_config, tmp_path / "whole", overrides=overrides) == 0
    total = len(steps(tmp_path / "whole"))
    killed_at = random.SystemRandom().randrange(1, total * 3 // 4)
    print(f"killing after step {killed_at} of {total}")
    killed = tmp_path / "killed"
    process = spawn(ner_config, killed, overrides=overrides)
    deadline = time.monotonic() + 120
    while len(steps(killed)) < killed_at and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(steps(killed)) < total
    assert train(ner_config, killed, "--recover", overrides=overrides) == 0
    assert_same_run(killed, tmp_path / "whole")


@pytest.mark.parametrize("batches", [{}, {"data_loader": {"max_tokens": 90, "shuffle": True}}])
def test_recovering_from_every_checkpoint(ner_config: Path, tmp_path: Path, batches: dict[str, Any]) -> None:
    """Whatever the last checkpoint is, mid-epoch ones included."""
    overrides = {**OVERRIDES, "trainer.checkpointer.keep_most_recent_by_count": 100, **batches}
    if batches:
        overrides.pop("data_loader.batch_size")
        overrides["dataset_reader.context"] = "sentence"  # uneven windows
    whole = tmp_path / "whole"
    assert train(ner_config, whole, overrides=overrides) == 0
    found = checkpoints(whole)
    assert len(found) > 4
    for number in (0, 1, len(found) // 2, len(found) - 2):
        run_dir = tmp_path / f"from_{number}"
        shutil.copytree(whole, run_dir)
        for late in checkpoints(run_dir)[number + 1 :]:
            shutil.rmtree(late)
        for name in ("metrics.json", "model.tar.gz", "best.safetensors"):
            (run_dir / name).unlink()
        if number >= len(found) // 2:  # the best epoch may lie before the checkpoint
            shutil.copy(whole / "best.safetensors", run_dir)
        assert train(ner_config, run_dir, "--recover", overrides=overrides) == 0
        assert_same_run(run_dir, whole)


def test_recovering_in_shared_windows(ner_config: Path, tmp_path: Path) -> None:
    """The probabilities that attention drops come back, and weights that get no gradient do not stand in the way."""
    overrides = {**OVERRIDES, "trainer.checkpointer.keep_most_recent_by_count": 100, "dataset_reader.context": "shared",
                 "data_loader.batch_size": 1, "model.encoder.dropout": 0.3}  # fmt: skip
    whole, run_dir = tmp_path / "whole", tmp_path / "recovered"
    assert train(ner_config, whole, overrides=overrides) == 0
    shutil.copytree(whole, run_dir)
    for late in checkpoints(run_dir)[2:]:
        shutil.rmtree(late)
    for name in ("metrics.json", "model.tar.gz", "best.safetensors"):
        (run_dir / name).unlink()
    assert train(ner_config, run_dir, "--recover", overrides=overrides) == 0
    assert_same_run(run_dir, whole)


def test_interrupt_saves_the_state_and_exits_130(ner_config: Path, tmp_path: Path) -> None:
    overrides = {**OVERRIDES, "trainer.num_epochs": 30, "trainer.checkpointer.save_every_num_batches": 1000}
    run_dir = tmp_path / "run"
    process = spawn(ner_config, run_dir, overrides=overrides)
    deadline = time.monotonic() + 120
    while not steps(run_dir) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("interrupted in epoch ")
    assert last.endswith(f"the state is saved in {run_dir}; go on with the same command and -r (in place of -f)")
    assert "Traceback" not in errors
    done = len(steps(run_dir))
    assert checkpoints(run_dir)
    whole = tmp_path / "whole"
    assert train(ner_config, whole, overrides=overrides) == 0
    assert 0 < done < len(steps(whole))
    assert train(ner_config, run_dir, "--recover", overrides=overrides) == 0
    assert_same_run(run_dir, whole)


def test_recovering_a_finished_run_makes_its_archive_again(ner_config: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir) == 0
    before, logged = metrics(run_dir), steps(run_dir)
    (run_dir / "model.tar.gz").unlink()
    (run_dir / "metrics.json").unlink()
    assert train(ner_config, run_dir, "--recover") == 0
    assert (run_dir / "model.tar.gz").exists()
    assert metrics(run_dir) == before
    assert steps(run_dir) == logged


def test_half_written_checkpoint_does_not_count(ner_config: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir) == 0
    partial = run_dir / "checkpoint_epoch_9_step_99.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert partial not in checkpoints(run_dir)
    assert train(ner_config, run_dir, "--recover") == 0
    assert not partial.exists()


def test_damaged_checkpoint(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir) == 0
    state = checkpoints(run_dir)[-1] / "training.pt"
    state.write_bytes(state.read_bytes()[:100])
    capsys.readouterr()
    assert train(ner_config, run_dir, "--recover") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"{state.parent}: damaged checkpoint (")
    assert last.endswith("; remove it to go on from the one before")


def test_recovering_after_the_data_changed(
    ner_config: Path, tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of the classifier would mean other types, and the shuffle would be another."""
    data = tmp_path / "train.txt"
    shutil.copy(ner_files["train"], data)
    overrides = {"train_data_path": str(data)}
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides=overrides) == 0
    whole = data.read_text(encoding="utf-8")
    data.write_text(whole + "Oslo -X- -X- B-ORG\nis -X- -X- O\n" * 300, encoding="utf-8")
    assert train(ner_config, run_dir, "-r", overrides=overrides) == 2
    assert f"{run_dir}: the data have changed since this run began: its labels were O, " in capsys.readouterr().err
    data.write_text(whole + "nothing -X- -X- O\n", encoding="utf-8")
    assert train(ner_config, run_dir, "-r", overrides=overrides) == 1
    assert f"{run_dir}: the training data have changed since this run began: " in capsys.readouterr().err
