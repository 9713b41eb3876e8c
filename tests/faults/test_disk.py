"""A full disk, lost rights, a directory that goes, a clock that falls back: one clear line; what was saved stays."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.training.checkpoint import checkpoints
from tests.faults import setups
from tests.faults.harness import Run, assert_same_run

OVERRIDES: dict[str, Any] = {"trainer.num_epochs": 3}
GO_ON = "put this right, and go on with the same command and -r (in place of -f)"


@pytest.fixture(scope="module")
def whole(tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    from tests.conftest import write_ner_config

    folder = tmp_path_factory.mktemp("whole")
    run = Run(write_ner_config(folder, tiny_luke_dir, ner_files), folder / "run", OVERRIDES)
    assert run.start(setup=setups.clock_moved_back).wait().status == 0
    return run


def lines(errors: str) -> list[str]:
    """What stands after the last report of an epoch."""
    return errors.strip().splitlines()[-1:] if "Traceback" not in errors else errors.splitlines()


@pytest.mark.parametrize("largest", [20_000, 70_000])  # too little for the weights; for the optimizer's state
def test_a_full_disk(largest: int, whole: Run, tmp_path: Path) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    ended = run.start(setup=functools.partial(setups.small_files, largest)).wait()
    assert ended.status == 1, ended.errors
    before = checkpoints(run.run_dir)
    assert [path.name for path in before] == ["checkpoint_epoch_1_step_4", "checkpoint_epoch_2_step_8"]
    (line,) = lines(ended.errors)
    expected = rf"{run.run_dir}/checkpoint_epoch_3_step_12\S+: File too large.*; the last checkpoint is {before[-1]}; "
    assert re.match(expected, line) and line.endswith(GO_ON), line
    assert not list(run.run_dir.glob("*.partial"))  # what was half written takes up no room
    assert run.recover().status == 0
    assert_same_run(run.run_dir, whole.run_dir)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_lost_rights(whole: Run, open_folder: Path) -> None:
    run = Run(whole.config, open_folder / "run", OVERRIDES)
    user = 65534 if os.geteuid() == 0 else None  # root may write anywhere
    try:
        ended = run.start(setup=functools.partial(setups.drop_rights, run.run_dir, user)).wait()
    finally:
        run.run_dir.chmod(0o755)
    assert ended.status == 1, ended.errors
    (line,) = lines(ended.errors)
    assert line.startswith(f"{run.run_dir}/checkpoint_epoch_3_step_12.partial: Permission denied"), line
    assert line.endswith(f"; the last checkpoint is {run.run_dir}/checkpoint_epoch_2_step_8; {GO_ON}")
    assert run.recover().status == 0
    assert_same_run(run.run_dir, whole.run_dir)


def test_the_directory_goes(whole: Run, tmp_path: Path) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    ended = run.start(setup=functools.partial(setups.remove_directory, run.run_dir)).wait()
    assert ended.status == 1, ended.errors
    assert lines(ended.errors) == [f"{run.run_dir}: the run's directory has gone, with all it held; start the run "
                                   "again, and let nothing remove it meanwhile"]  # fmt: skip
    assert not run.run_dir.exists()  # nor was it made again, with a piece of a run in it


def test_another_run_takes_the_place_of_the_directory(whole: Run, tmp_path: Path) -> None:
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    ended = run.start(setup=functools.partial(setups.replace_directory, run.run_dir)).wait()
    assert ended.status == 1, ended.errors
    assert lines(ended.errors) == [f"{run.run_dir}: this run's directory was removed, and process 1 on elsewhere has "
                                   "made another in its place; nothing is written into that one; start this run again "
                                   "with another -s"]  # fmt: skip
    assert [path.name for path in run.run_dir.iterdir()] == [".lock"]


def test_the_clock_falls_back(whole: Run, tmp_path: Path) -> None:
    """`whole` is a run in which it did."""
    run = Run(whole.config, tmp_path / "run", OVERRIDES)
    assert run.start().wait().status == 0
    assert_same_run(whole.run_dir, run.run_dir)
