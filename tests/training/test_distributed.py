"""Several processes train what one process trains: the same batches, each once, the same losses, equal metrics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luke_tasks.commands._launch import check_launch
from luke_tasks.errors import ConfigError
from luke_tasks.experiment import build, read_config
from luke_tasks.training.checkpoint import checkpoints
from luke_tasks.training.processes import Processes
from tests.conftest import write_ner_config
from tests.training.runs import assert_same_weights, metrics, steps
from tests.training.workers import said, train_in, used

# 28 windows in 7 batches, of which a step takes 4: the last takes 3. Validation: 2 batches.
OVERRIDES = {"model.encoder.dropout": 0.0, "model.head.dropout": 0.0, "data_loader.batch_size": 4,
             "trainer.checkpointer": {"keep_most_recent_by_count": 100, "save_every_num_batches": 4},
             "validation_data_loader": {"batch_size": 4}}  # fmt: skip
SHAPES = {  # processes, batches for a step in each
    "one": (1, 4, {}),
    "two": (2, 2, {}),
    "four": (4, 1, {}),
    "shared": (2, 2, {"distributed": {"strategy": "fsdp"}}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_luke_dir: Path, ner_files: dict[str, str]) -> dict[str, Path]:
    """Name → a run of that shape; beside it is its config."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_ner_config(folder, tiny_luke_dir, ner_files)
    values = json.loads(config.read_text(encoding="utf-8"))
    tested = {**values, "test_data_path": ner_files["valid"], "evaluate_on_test": True}
    config.write_text(json.dumps(tested), encoding="utf-8")
    for name, (processes, accumulated, more) in SHAPES.items():
        overrides = {**OVERRIDES, "trainer.num_gradient_accumulation_steps": accumulated, **more}
        assert train_in(processes, config, folder / name, overrides=overrides) == [0] * processes, said(
            folder / name, 0
        )
    return {name: folder / name for name in SHAPES}


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "one"])
def test_the_same_training(runs: dict[str, Path], name: str) -> None:
    alone, together = steps(runs["one"]), steps(runs[name])
    assert [step["lr"] for step in together] == [step["lr"] for step in alone]
    assert [step["loss"] for step in together] == pytest.approx([step["loss"] for step in alone], abs=1e-5)
    expected = metrics(runs["one"])
    assert metrics(runs[name]) == {
        key: pytest.approx(value, abs=1e-5) if key.endswith("loss") else value for key, value in expected.items()
    }
    assert {"test_f1", "test_loss", "best_validation_f1"} <= expected.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_each_window_counts_once_an_epoch(runs: dict[str, Path], name: str) -> None:
    processes = SHAPES[name][0]
    by_rank = [used(runs[name], rank) for rank in range(processes)]
    assert {len(of_rank) for of_rank in by_rank} == {4}  # steps of both epochs, on every rank
    for epoch in (0, 1):
        windows = [window for of_rank in by_rank for step in of_rank[2 * epoch : 2 * epoch + 2] for window in step]
        assert len(windows) == 28
        assert sorted(windows) == sorted(window for step in used(runs["one"], 0)[:2] for window in step)
    if name == "four":
        assert by_rank[3][1] == []  # three batches for four processes


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "one"])
def test_only_rank_0_writes_and_talks(runs: dict[str, Path], name: str) -> None:
    for rank in range(1, SHAPES[name][0]):
        assert said(runs[name], rank) == ""
    files = {path.name for path in runs[name].iterdir()}
    assert files == {path.name for path in runs["one"].iterdir()}
    assert "epoch 2/2: training loss " in said(runs[name], 0)
    assert said(runs[name], 0).count("warning: ") == said(runs["one"], 0).count("warning: ")


def test_checkpoints_are_whole(runs: dict[str, Path]) -> None:
    """Weights that were shared out are written together: what one process writes."""
    alone = shapes_of(checkpoints(runs["one"])[-1])
    for name in ("two", "shared"):
        last = checkpoints(runs[name])[-1]
        assert shapes_of(last) == alone
        assert len(torch.load(last / "training.pt", weights_only=True)["random"]) == 2


def shapes_of(checkpoint: Path) -> dict[str, Any]:
    """Of the weights, and of what the optimizer keeps of each."""
    weights = load_file(checkpoint / "model.safetensors")
    optimizer = torch.load(checkpoint / "training.pt", weights_only=True)["optimizer"]["state"]
    kept = {str(number): state["exp_avg"].shape for number, state in optimizer.items()}
    return {**{name: tensor.shape for name, tensor in weights.items()}, **kept}


def cut_back(run_dir: Path, copy: Path) -> Path:
    """A copy of a run that knows nothing of what came after its first checkpoint, in the first epoch."""
    shutil.copytree(run_dir, copy)
    for late in checkpoints(copy)[1:]:
        shutil.rmtree(late)
    for name in ("metrics.json", "model.tar.gz", "best.safetensors"):
        (copy / name).unlink()
    assert len(checkpoints(copy)) == 1
    return copy


@pytest.mark.parametrize("name", ["two", "shared"])
def test_recovering_is_exact(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    processes, accumulated, more = SHAPES[name]
    run_dir = cut_back(runs[name], tmp_path / name)
    overrides = {**OVERRIDES, "trainer.num_gradient_accumulation_steps": accumulated, **more}
    assert train_in(processes, runs[name].with_name("config.json"), run_dir, "-r", overrides=overrides) == [0, 0]
    assert steps(run_dir) == steps(runs[name])
    assert metrics(run_dir) == metrics(runs[name])
    assert_same_weights(run_dir / "best.safetensors", runs[name] / "best.safetensors")


def test_recovering_in_another_number_of_processes(runs: dict[str, Path], tmp_path: Path) -> None:
    run_dir = cut_back(runs["shared"], tmp_path / "run")
    config = runs["one"].with_name("config.json")
    same_step = {**OVERRIDES, "trainer.num_gradient_accumulation_steps": 4}
    assert train_in(1, config, run_dir, "-r", overrides=same_step) == [0]
    output = said(run_dir, 0)
    assert "warning: the run was begun by 2 processes and is now 1's: from here on it is not, bit for bit, " in output
    assert "an optimizer step took" not in output
    expected = [step["loss"] for step in steps(runs["one"])]
    assert [step["loss"] for step in steps(run_dir)] == pytest.approx(expected, abs=1e-5)

    run_dir = cut_back(runs["one"], tmp_path / "other")
    smaller_step = {**OVERRIDES, "trainer.num_gradient_accumulation_steps": 1}
    assert train_in(2, config, run_dir, "-r", overrides=smaller_step) == [0, 0]
    line = "an optimizer step took 4 batches, and now takes 2; trainer.num_gradient_accumulation_steps: 2 keeps it"
    assert f"warning: {line}" in said(run_dir, 0)
    assert len(steps(run_dir)) == 1 + 2 + 4  # one step of 4 batches, then 3 batches and 7 by twos


def test_an_error_is_said_once(runs: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("a b\nc\n", encoding="utf-8")
    run_dir = tmp_path / "run"
    config = runs["one"].with_name("config.json")
    assert train_in(2, config, run_dir, overrides={**OVERRIDES, "train_data_path": str(bad)}) == [2, 2]
    assert said(run_dir, 0).splitlines()[-1].startswith(f"{bad}:2: ")
    assert said(run_dir, 1) == ""
    assert not run_dir.exists()


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("number", [0, 1, 4, 7, 9])
def test_shares(world_size: int, number: int) -> None:
    shares = [Processes(rank, world_size).share(list(range(number))) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    counted = [item for share in shares for item, counts in share if counts]
    assert sorted(counted) == list(range(number))
    assert all(item == number - 1 for share in shares for item, counts in share if not counts)


def faults_of(values: dict[str, Any]) -> list[str]:
    from luke_tasks.schema import check
    from luke_tasks.training.distributed import Distributed

    return [str(fault) for fault in check(values, Distributed, "distributed")[1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cuda_devices": []}, "distributed.cuda_devices: is empty; give an index of a GPU, or -1, for each process"),
        ({"cuda_devices": [0, -1]}, "distributed.cuda_devices: names the CPU (-1) beside GPUs; the processes of a run "
                                    "use one kind of device"),
        ({"cuda_devices": [1, 1]}, "distributed.cuda_devices: names a GPU twice; give each process its own"),
        ({"cuda_devices": [0], "num_nodes": 2},
         "distributed.primary_address: missing; of several machines, the address of the one with --node-rank 0"),
        ({"num_nodes": 2}, "distributed.num_nodes: goes with cuda_devices; under torchrun, it is torchrun that is told "
                           "of the machines"),
        ({"master_port": 1, "primary_port": 2}, "distributed.master_port: is the older name of primary_port, which is "
                                                "given, too; remove this key"),
        ({"strategy": "zero"}, 'distributed.strategy: expected one of "ddp", "fsdp", found "zero"'),
    ],
)  # fmt: skip
def test_faults(values: dict[str, Any], expected: str) -> None:
    assert faults_of(values) == [expected]


def test_a_table_on_the_cpu_under_a_launcher(ner_config: Path) -> None:
    config = read_config(ner_config, '{"model.encoder.entity_embeddings_on": "cpu"}')
    with pytest.raises(ConfigError, match='"cpu", which goes with one process only, and the launcher has started 2'):
        build(config, Processes(rank=1, world_size=2, local_rank=1, local_world_size=2, launched=True))


@pytest.mark.parametrize(("told", "warns"), [("bf16", True), ("no", False), ("fp32", False)])
def test_a_precision_that_accelerate_is_told_of(
    told: str, warns: bool, ner_config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
    check_launch(read_config(ner_config).parts, Processes(0, 2, launched=True), 0)
    line = ('accelerate launch was told --mixed_precision bf16, which does nothing: the config decides, and '
            'trainer.precision is "fp32" there')  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == ([line] if warns else [])
