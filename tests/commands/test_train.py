"""What `train` does with the directory it is given."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from luke_tasks.__main__ import main
from luke_tasks.commands._run_dir import check_run_dir, empty_run_dir
from luke_tasks.errors import LukeTasksError
from luke_tasks.experiment import read_config
from tests.config_case import write_base


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a valid config."""
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(*names: str) -> Path:
    run_dir = Path("run")
    run_dir.mkdir()
    for name in names:
        (run_dir / name).write_text("{}", encoding="utf-8")
    return run_dir


def refusal(capsys: pytest.CaptureFixture[str], *flags: str) -> list[str]:
    capsys.readouterr()
    assert main(["train", "base.json", "-s", "run", *flags]) == 2
    return capsys.readouterr().err.splitlines()


NO_RUN = "run: does not look like a run (no config.json with out.log in it); "


def test_there_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    make_run("config.json", "out.log")
    line = "run: the directory is not empty; -r goes on with the run in it, -f replaces it, or choose another -s"
    assert refusal(capsys) == [line]


def test_there_is_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    make_run("config.json", "model.safetensors")  # a checkpoint of Hugging Face
    assert refusal(capsys, "-f") == [f"{NO_RUN}-f would delete it; remove it yourself, or choose another -s"]
    assert refusal(capsys, "-r") == [f"{NO_RUN}choose another -s"]
    assert refusal(capsys) == [f"{NO_RUN}choose another -s"]
    assert Path("run", "model.safetensors").exists()


def test_there_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").write_text("", encoding="utf-8")
    assert refusal(capsys) == ["run: is a file; expected a directory for -s"]
    assert refusal(capsys, "-s", "run/inside") == [
        f"run/inside: cannot be made, for {Path('run').absolute()} is not a directory"
    ]


@pytest.mark.parametrize("is_there", [False, True])
def test_there_is_no_run_to_recover(is_there: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if is_there:
        make_run()
    assert refusal(capsys, "-r") == ["run: there is no run to go on with; leave -r out to start one"]


def test_force_replaces_a_run() -> None:
    run_dir = make_run("config.json", "out.log", "best.safetensors")
    check_run_dir(run_dir, {}, force=True, recover=False)
    assert (run_dir / "best.safetensors").exists()  # until the new run is ready to begin
    empty_run_dir(run_dir)
    assert list(run_dir.iterdir()) == []


def test_a_run_that_did_not_get_far_can_be_recovered_or_replaced() -> None:
    run_dir = make_run("out.log")
    check_run_dir(run_dir, {}, force=False, recover=True)
    assert (run_dir / "out.log").exists()
    check_run_dir(run_dir, {}, force=True, recover=False)
    empty_run_dir(run_dir)
    assert not (run_dir / "out.log").exists()


def test_recovering_with_the_same_config() -> None:
    resolved = read_config("base.json").resolved
    run_dir = make_run("out.log")
    (run_dir / "config.json").write_text(json.dumps(resolved), encoding="utf-8")
    check_run_dir(run_dir, read_config("base.json").resolved, force=False, recover=True)


def test_recovering_with_another_config_lists_the_changes(capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = make_run("out.log")
    (run_dir / "config.json").write_text(json.dumps(read_config("base.json").resolved), encoding="utf-8")
    changes = {"trainer.optimizer.lr": 1, "trainer.callbacks": [], "trainer.precision": "bf16", "random_seed": 1}
    assert refusal(capsys, "-r", "-o", json.dumps(changes)) == [
        "trainer.optimizer.lr: was 0.001 in the run to be recovered, is 1.0 now",
        'trainer.precision: was "fp32" in the run to be recovered, is "bf16" now',
        'trainer.callbacks: was [{"type": "tensorboard", "log_errors": 50}, {"type": "wan... in the run to be '
        "recovered, is [] now",
        "random_seed: was 13370 in the run to be recovered, is 1 now",
        "--recover: goes on with the same config only; undo these changes, or start a new run with another -s",
    ]


def test_recovering_what_an_earlier_version_began(capsys: pytest.CaptureFixture[str]) -> None:
    """Its config lacks keys that are new; they must have their defaults."""
    run_dir = make_run("out.log")
    old = read_config("base.json").resolved
    for part, key in ((old["trainer"], "on_nan"), (old["trainer"], "precision"), (old["data_loader"], "bucket")):
        del part[key]
    (run_dir / "config.json").write_text(json.dumps(old), encoding="utf-8")
    check_run_dir(run_dir, read_config("base.json").resolved, force=False, recover=True)
    assert refusal(capsys, "-r", "-o", '{"trainer.precision": "bf16"}')[0] == (
        'trainer.precision: was "fp32" in the run to be recovered, is "bf16" now'
    )
    old["trainer"]["forgotten"] = 3  # a key that is gone
    (run_dir / "config.json").write_text(json.dumps(old), encoding="utf-8")
    assert "trainer.forgotten: was 3 in the run to be recovered, is null now" in refusal(capsys, "-r")


def test_recovering_with_what_messages_advise() -> None:
    run_dir = make_run("out.log")
    (run_dir / "config.json").write_text(json.dumps(read_config("base.json").resolved), encoding="utf-8")
    changes = {"trainer.on_nan": "skip", "trainer.gradient_checkpointing": True, "trainer.checkpointer": {}}
    resolved = read_config("base.json", json.dumps(changes)).resolved
    check_run_dir(run_dir, resolved, force=False, recover=True)


def test_a_directory_in_one_that_may_not_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the volume of a container, beside what is not the user's; and the other way round."""
    run_dir = make_run().absolute()
    locked = [run_dir.parent]
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).absolute() not in locked)
    check_run_dir(run_dir, {}, force=False, recover=False)
    with pytest.raises(LukeTasksError, match=f"run/inside/it: cannot be made, for {re.escape(str(run_dir))} may not"):
        locked[0] = run_dir
        check_run_dir(run_dir / "inside" / "it", {}, force=False, recover=False)
    with pytest.raises(LukeTasksError, match="run: may not be written to; choose another -s"):
        check_run_dir(run_dir, {}, force=False, recover=False)


def test_recovering_with_a_damaged_config() -> None:
    run_dir = make_run("out.log")
    (run_dir / "config.json").write_text('{"a": ', encoding="utf-8")
    with pytest.raises(LukeTasksError, match=re.escape(f"{run_dir}/config.json: no valid JSON")):
        check_run_dir(run_dir, {}, force=False, recover=True)


def test_a_run_that_fails_before_training_leaves_no_directory(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refusal(capsys, "-o", '{"model.encoder.pretrained": "./no_such_folder"}')
    assert "./no_such_folder" in line
    assert not Path("run").exists()
