"""What a run leaves for those who watch it: its log, wandb's files, TensorBoard's; and the same after a recovery."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

import luke_tasks
from luke_tasks.errors import ArchiveError
from luke_tasks.training import run_log
from luke_tasks.training.checkpoint import checkpoints
from luke_tasks.training.run_log import LOG_NAME, RunLog, cut_log, read_log
from tests.conftest import write_ner_config
from tests.training.runs import steps, train

OVERRIDES: dict[str, Any] = {
    "data_loader.batch_size": 2,
    "trainer.checkpointer": {"save_every_num_batches": 5, "keep_most_recent_by_count": 100},
    "trainer.callbacks": [{"type": "wandb", "project": "tests", "log_every_num_steps": 1, "log_model": True},
                          {"type": "tensorboard"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, watched by all there is."""
    folder = tmp_path_factory.mktemp("watched")
    with pytest.MonkeyPatch.context() as patch:
        _offline(patch)
        assert train(write_ner_config(folder, tiny_luke_dir, ner_files), folder / "run", overrides=OVERRIDES) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def recovered(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, taken up again within its second epoch; a kill had cut a line of its log short."""
    run_dir = tmp_path_factory.mktemp("recovered") / "run"
    shutil.copytree(whole, run_dir)
    for late in checkpoints(run_dir)[-1:]:
        shutil.rmtree(late)
    (run_dir / "metrics.json").unlink()
    lines = (run_dir / LOG_NAME).read_text(encoding="utf-8").splitlines(keepends=True)
    (run_dir / LOG_NAME).write_text("".join(lines[:-1]) + lines[-2][:30], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        _offline(patch)
        assert train(whole.parent / "config.json", run_dir, "--recover", overrides=OVERRIDES) == 0
    return run_dir


def _offline(patch: pytest.MonkeyPatch) -> None:
    for name, value in (("MODE", "offline"), ("SILENT", "true"), ("ERROR_REPORTING", "false")):
        patch.setenv(f"WANDB_{name}", value)


def test_the_log(whole: Path) -> None:
    events = read_log(whole)
    assert [event["event"] for event in (events[0], events[-1])] == ["start", "end"]
    start, end = events[0], events[-1]
    assert start["versions"]["version"] == luke_tasks.__version__ and start["machine"]["cpus"] == os.cpu_count()
    assert (start["step"], start["recovered_from"], start["validation_metric"]) == (0, None, "+f1")
    assert len(start["config_sha256"]) == 64
    made = [event for event in events if event["event"] == "step"]
    assert [step["step"] for step in made] == list(range(1, start["total_steps"] + 1))
    assert all(step["loss"] > 0 and step["grad_norm"] > 0 and step["words_per_second"] >= 0 for step in made)
    epochs = [event for event in events if event["event"] == "epoch"]
    for number, epoch in enumerate(epochs):
        metrics = json.loads((whole / f"metrics_epoch_{number}.json").read_text(encoding="utf-8"))
        assert epoch["metrics"] == metrics and epoch["epoch"] == number
        assert epoch["is_best"] == (metrics["best_epoch"] == number)
        losses = [step["loss"] for step in made if step["epoch"] == number]
        assert sum(losses) / len(losses) == pytest.approx(metrics["training_loss"])
    written = [event["name"] for event in events if event["event"] == "checkpoint"]
    assert written == [path.name for path in checkpoints(whole)]
    assert (end["reason"], end["message"], end["step"]) == ("finished", None, start["total_steps"])
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_the_epochs_line(whole: Path) -> None:
    """Losses, scores, whether it is the best, speed, memory, time."""
    log = (whole / "out.log").read_text(encoding="utf-8")
    (line,) = (line for line in log.splitlines() if "epoch 1/2: " in line)
    for part in ("training loss ", "; validation ", ", f1 ", ", loss ", "; best so far; ", " words/s, ", " MB, "):
        assert part in line


def test_a_recovered_run_has_each_step_once(whole: Path, recovered: Path) -> None:
    assert steps(recovered) == steps(whole)
    kinds = [event["event"] for event in read_log(recovered)]
    assert (kinds.count("start"), kinds.count("epoch"), kinds.count("end")) == (2, 2, 1)
    again = [event for event in read_log(recovered) if event["event"] == "start"][1]
    assert again["recovered_from"] == checkpoints(whole)[-2].name
    assert again["total_steps"] == len(steps(whole))
    names = [event["name"] for event in read_log(recovered) if event["event"] == "checkpoint"]
    assert names == [path.name for path in checkpoints(whole)]


def test_wandb(whole: Path, recovered: Path) -> None:
    for run_dir, runs in ((whole, 1), (recovered, 2)):
        assert "switched off" not in (run_dir / "out.log").read_text(encoding="utf-8")
        folders = list(run_dir.glob("wandb/offline-run-*"))
        assert len(folders) == runs
        assert len({path.name.split("-")[-1] for path in folders}) == 1  # one run for wandb
        table, *_ = run_dir.glob("wandb/offline-run-*/files/media/table/validation_errors_*.json")
        content = json.loads(table.read_text(encoding="utf-8"))
        assert content["columns"] == ["where", "error", "text", "gold", "predicted"]
        assert content["data"]


def test_wandb_keeps_the_model(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent as an artifact can be loaded."""
    import wandb

    from luke_tasks.training.callbacks.wandb import WandbCallback

    class Run:
        id = "abc"
        sent: ClassVar[list[Any]] = []

        def log_artifact(self, artifact: Any) -> None:
            self.sent.append(artifact)

    callback = WandbCallback(log_model=True)
    callback.run, callback.run_dir = Run(), whole  # type: ignore[assignment]
    callback._send_model({"validation_f1": 0.5})
    (artifact,) = Run.sent
    assert isinstance(artifact, wandb.Artifact) and artifact.name == "model-abc"
    folder = whole.parent / "downloaded"
    for name, entry in artifact.manifest.entries.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(entry.local_path, folder / name)
    assert luke_tasks.load(folder)("Beyoncé lives in Los Angeles").text == "Beyoncé lives in Los Angeles"
    assert callback.limit_of("on_end") > 1000 > callback.limit_of("on_step")
    assert WandbCallback().limit_of("on_end") < 1000


def test_tensorboard(whole: Path, recovered: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for run_dir in (whole, recovered):
        events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0})
        events.Reload()
        found = events.Scalars("step/loss")
        assert [event.step for event in found] == list(range(1, len(steps(whole)) + 1))  # each once
        assert {event.step for event in events.Scalars("epoch/validation_f1")} == {0, 1}
        text = events.Tensors("validation_errors/text_summary")[0].tensor_proto.string_val[0].decode("utf-8")
        assert text.startswith("| where | error | text | gold | predicted |")
        config = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode("utf-8")
        assert '"conll_span"' in config


# -- the log by itself ----------------------------------------------------------------------------------------------


def test_warnings_and_errors(ner_config: Path, tmp_path: Path) -> None:
    """From the reading of the data on, to the reason of the end; numbers that are none are null."""
    overrides = {"dataset_reader.max_mention_length": 1, "trainer.grad_norm": None,
                 "trainer.optimizer": {"type": "sgd", "lr": 1e30}}  # fmt: skip
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 1
    events = read_log(tmp_path / "run")
    assert any("longer than max_mention_length" in event["message"] for event in events if event["event"] == "warning")
    assert events[-1]["event"] == "end" and events[-1]["reason"] == "error"
    assert events[-1]["message"].startswith("epoch 1, step ")
    assert "NaN" not in (tmp_path / "run" / LOG_NAME).read_text(encoding="utf-8").replace(events[-1]["message"], "")


def test_cutting(tmp_path: Path) -> None:
    """The epoch in progress at a checkpoint has no line yet, even where its last step is done."""
    with RunLog(tmp_path, is_new=True) as log:
        log.start({}, epoch=0, step=0, device="cpu")
        for step in (1, 2):
            log.write("step", epoch=0, step=step, loss=float("inf"))
        log.write("checkpoint", epoch=0, step=2, name="middle")
        log.write("epoch", epoch=0, step=2, metrics={"f1": float("nan")})
        log.write("checkpoint", epoch=1, step=2, name="end")
        log.write("step", epoch=1, step=3, loss=0.5)
    assert [event.get("loss", 0) for event in read_log(tmp_path)] == [0, None, None, 0, 0, 0, 0.5, 0]
    for epoch, step, expected in (
        (1, 2, ["start", "step", "step", "checkpoint", "epoch", "checkpoint", "end"]),
        (0, 2, ["start", "step", "step", "checkpoint", "end"]),
        (0, 0, ["start", "end"]),
    ):
        cut_log(tmp_path, epoch, step)
        assert [event["event"] for event in read_log(tmp_path)] == expected


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="can be read there"):
        read_log(tmp_path)
    cut_log(tmp_path, 0, 0)
    with RunLog(None, is_new=True) as log:  # another process than the first
        log.start({}, epoch=0, step=0, device="cpu")
        log.write("step", epoch=0, step=1)
    assert list(tmp_path.iterdir()) == []
    assert not run_log._early_warnings
