"""The loop: what a run leaves behind, when it stops, and what each option changes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luke_tasks.data import loader
from luke_tasks.experiment import build, read_config
from luke_tasks.registry import Registrable
from luke_tasks.training.callbacks.callback import Callback
from luke_tasks.training.checkpoint import checkpoints
from tests.training.runs import assert_same_weights, metrics, steps, train


def test_what_a_run_leaves(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir) == 0
    names = {path.name for path in run_dir.iterdir()}
    assert names == {
        "config.json", "meta.json", "vocabulary", "tokenizer", "encoder", "out.log", "log.jsonl",
        "metrics_epoch_0.json", "metrics_epoch_1.json", "metrics.json", "best.safetensors", "model.tar.gz",
        *(path.name for path in checkpoints(run_dir)),
    }  # fmt: skip
    assert len(checkpoints(run_dir)) == 2
    assert (run_dir / "vocabulary" / "labels.txt").read_text(encoding="utf-8").splitlines()[0] == "O"
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert printed == json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    allennlps = {"best_epoch", "peak_worker_0_memory_MB", "training_duration", "epoch", "training_loss",
                 "validation_f1", "validation_precision", "validation_recall", "validation_span_accuracy",
                 "validation_loss", "best_validation_f1", "best_validation_loss"}  # fmt: skip
    assert allennlps <= printed.keys()
    assert "epoch 2/2: training loss " in captured.err
    assert "epoch 2/2: training loss " in (run_dir / "out.log").read_text(encoding="utf-8")


def test_same_seed_same_run(ner_config: Path, tmp_path: Path) -> None:
    assert train(ner_config, tmp_path / "a") == 0
    assert train(ner_config, tmp_path / "b") == 0
    assert steps(tmp_path / "a") == steps(tmp_path / "b")
    assert train(ner_config, tmp_path / "c", overrides={"random_seed": 1}) == 0
    assert steps(tmp_path / "a") != steps(tmp_path / "c")


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_schedule_ends_with_the_last_batch_of_max_tokens(
    ner_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulated: int
) -> None:
    """Epochs have their own numbers of batches; the learning rate falls by the same in each step, to nothing."""
    monkeypatch.setattr(loader, "_POOLED_BATCHES", 3)  # so that other windows meet in this little data, too
    overrides = {"data_loader": {"max_tokens": 70, "shuffle": True}, "trainer.num_epochs": 4,
                 "dataset_reader.context": "sentence",
                 "trainer.learning_rate_scheduler.warmup_ratio": 0.0,
                 "trainer.num_gradient_accumulation_steps": accumulated}  # fmt: skip
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides=overrides) == 0
    experiment = build(read_config(ner_config, json.dumps(overrides)))
    features = experiment.data.features
    batches = [experiment.data.loader.order(features, seed=13370, epoch=epoch) for epoch in range(4)]
    assert len(set(map(len, batches))) > 1
    logged = steps(run_dir)
    for epoch, of_epoch in enumerate(batches):
        assert sum(step["epoch"] == epoch for step in logged) == -(-len(of_epoch) // accumulated)
    assert [step["lr"] for step in logged] == pytest.approx([1e-3 * (1 - i / len(logged)) for i in range(len(logged))])
    log = (run_dir / "out.log").read_text(encoding="utf-8")
    assert f"training data, epoch 1: {len(features)} windows in {len(batches[0])} batches; " in log
    validation = len(experiment.data.validation_features)
    assert f"validation data: {validation} windows in " in log


def test_accumulation_is_a_larger_batch(ner_config: Path, tmp_path: Path) -> None:
    """With every window of equal weight in the loss, k batches of n are a batch of k·n."""
    no_dropout = {"model.encoder.dropout": 0.0, "model.head.dropout": 0.0, "trainer.grad_norm": None,
                  "trainer.optimizer": {"type": "sgd", "lr": 0.1}, "data_loader.shuffle": False,
                  "trainer.num_epochs": 1}  # fmt: skip
    single = {**no_dropout, "data_loader.batch_size": 1}
    assert train(ner_config, tmp_path / "plain", overrides=single) == 0
    grouped = {**single, "trainer.num_gradient_accumulation_steps": 3}
    assert train(ner_config, tmp_path / "grouped", overrides=grouped) == 0
    windows = len(steps(tmp_path / "plain"))
    assert len(steps(tmp_path / "grouped")) == -(-windows // 3)
    first = steps(tmp_path / "grouped")[0]["loss"]
    # the first group's loss is the mean over its three windows, all at the starting weights
    frozen = {**single, "trainer.optimizer.lr": 1e-12}
    assert train(ner_config, tmp_path / "frozen", overrides=frozen) == 0
    assert first == pytest.approx(sum(step["loss"] for step in steps(tmp_path / "frozen")[:3]) / 3, abs=1e-5)


def test_gradient_clipping(ner_config: Path, tmp_path: Path) -> None:
    """With SGD and no schedule, the norm of the first change is the learning rate times the clipped norm."""
    overrides: dict[str, Any] = {"trainer.optimizer": {"type": "sgd", "lr": 1.0}, "trainer.grad_norm": 0.01,
                                 "trainer.learning_rate_scheduler": None, "data_loader.batch_size": 100,
                                 "trainer.num_epochs": 1}  # fmt: skip
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    frozen = {**overrides, "trainer.optimizer": {"type": "sgd", "lr": 1e-12}}
    assert train(ner_config, tmp_path / "start", overrides=frozen) == 0
    after, before = load_file(tmp_path / "run/best.safetensors"), load_file(tmp_path / "start/best.safetensors")
    change = torch.stack([(after[name] - before[name]).norm() for name in after]).norm()
    assert change.item() == pytest.approx(0.01, rel=1e-3)
    values = {**overrides, "trainer.grad_norm": None, "trainer.grad_clipping": 0.001}
    assert train(ner_config, tmp_path / "values", overrides=values) == 0
    clipped = load_file(tmp_path / "values/best.safetensors")
    largest = max((clipped[name] - before[name]).abs().max().item() for name in clipped)
    assert largest == pytest.approx(0.001, rel=1e-2)


def test_patience_stops_and_the_best_epoch_is_kept(ner_config: Path, tmp_path: Path) -> None:
    """Validation loss that only rises: the first epoch stays the best."""
    overrides = {"trainer.num_epochs": 10, "trainer.patience": 2, "trainer.validation_metric": "+loss",
                 "trainer.optimizer.lr": 1e-3}  # fmt: skip
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides=overrides) == 0
    result = metrics(run_dir)
    assert result["best_epoch"] == 0
    assert result["epoch"] == 2
    assert (
        result["best_validation_loss"]
        == json.loads((run_dir / "metrics_epoch_0.json").read_text(encoding="utf-8"))["validation_loss"]
    )
    assert checkpoints(run_dir)[-1].name.startswith("checkpoint_epoch_3_")
    first = tmp_path / "first"
    assert train(ner_config, first, overrides={**overrides, "trainer.num_epochs": 10, "trainer.patience": 1}) == 0
    assert_same_weights(run_dir / "best.safetensors", first / "best.safetensors")


def test_keep_most_recent(ner_config: Path, tmp_path: Path) -> None:
    overrides = {"trainer.checkpointer": {"keep_most_recent_by_count": 1, "save_every_num_batches": 2}}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    assert len(checkpoints(tmp_path / "run")) == 1


def test_moving_average_is_what_is_kept(ner_config: Path, tmp_path: Path) -> None:
    """With decay 1 the average never leaves the start."""
    overrides = {"trainer.moving_average": {"decay": 1.0}, "trainer.num_epochs": 1}
    assert train(ner_config, tmp_path / "average", overrides=overrides) == 0
    frozen = {"trainer.optimizer": {"type": "sgd", "lr": 1e-30}, "trainer.num_epochs": 1}
    assert train(ner_config, tmp_path / "start", overrides=frozen) == 0
    assert_same_weights(tmp_path / "average/best.safetensors", tmp_path / "start/best.safetensors")


def test_bf16_trains(ner_config: Path, tmp_path: Path) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.precision": "bf16"}) == 0
    weights = load_file(tmp_path / "run/best.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_without_validation_data_the_last_epoch_is_kept(ner_config: Path, tmp_path: Path) -> None:
    overrides = {"validation_data_path": None, "trainer.validation_metric": "-loss"}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    assert metrics(tmp_path / "run")["best_epoch"] == 1
    last = checkpoints(tmp_path / "run")[-1]
    assert_same_weights(tmp_path / "run/best.safetensors", last / "model.safetensors")


def test_evaluate_on_test(ner_config: Path, tmp_path: Path, ner_files: dict[str, str]) -> None:
    overrides = {"test_data_path": ner_files["valid"], "evaluate_on_test": True}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    result = metrics(tmp_path / "run")
    assert result["test_span_accuracy"] == pytest.approx(result["best_validation_span_accuracy"])


def test_loss_that_is_no_number(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = {"trainer.optimizer": {"type": "sgd", "lr": 1e30}, "trainer.grad_norm": None,
                 "trainer.learning_rate_scheduler": None}  # fmt: skip
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides=overrides) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("epoch 1, step 2: the loss is nan; try a lower learning rate (now 1e+30)")


def test_a_gpu_that_is_not_there(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.cuda_device": 99}) == 2
    errors = capsys.readouterr().err.strip()
    assert errors.startswith("cuda_device: GPU 99 was asked for, but torch sees ")
    assert "\n" not in errors  # said before the data are read


@Callback.register("test_trainer_failing")
class FailingCallback(Callback):
    """Raises at the second step."""

    def __init__(self) -> None:
        self.calls = 0

    def on_step(self, step: int, values: dict[str, float]) -> None:
        self.calls += 1
        if step == 2:
            raise ConnectionError("no route to host")


def test_a_failing_callback_does_not_stop_the_run(
    ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert issubclass(Callback, Registrable)
    overrides = {"trainer.callbacks": [{"type": "test_trainer_failing"}]}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    errors = capsys.readouterr().err
    warning = "callback FailingCallback failed in on_step and is switched off: ConnectionError: no route to host"
    assert errors.count(warning) == 1


def test_a_failed_start_leaves_no_directory(ner_config: Path, tmp_path: Path, ner_files: dict[str, str]) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("a b\nc\n", encoding="utf-8")
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir, overrides={"train_data_path": str(bad)}) == 2
    assert not run_dir.exists()
    assert train(ner_config, run_dir) == 0


def test_dry_run_writes_nothing(ner_config: Path, tmp_path: Path) -> None:
    assert train(ner_config, tmp_path / "run", "--dry-run") == 0
    assert not (tmp_path / "run").exists()


@pytest.fixture(autouse=True)
def restore_logging() -> Any:
    """Each run adds its own `out.log`."""
    before = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers = before


def test_a_failed_start_keeps_the_run_that_force_would_replace(ner_config: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("a b\nc\n", encoding="utf-8")
    run_dir = tmp_path / "run"
    assert train(ner_config, run_dir) == 0
    assert train(ner_config, run_dir, "-f", overrides={"train_data_path": str(bad)}) == 2
    assert (run_dir / "model.tar.gz").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data_loader.drop_last": True, "data_loader.batch_size": 1000},
         "data_loader.drop_last: the 28 windows of the training data make no full batch of 1000"),
        ({"data_loader.drop_last": True, "data_loader.max_tokens": 1000},
         "data_loader.drop_last: goes with batches of a fixed size only, not with max_tokens; remove one of them"),
        ({"trainer.precision": "fp16"},
         'trainer.precision: "fp16" (and use_amp) needs a GPU, and this run is on the CPU; use "bf16" or "fp32"'),
        ({"trainer.validation_metric": "+f1-PRE"},
         "trainer.validation_metric: no such score: 'f1-PRE'; did you mean f1-PER? (computed: precision, recall, f1, "),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_is_written(
    ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: dict[str, Any], message: str
) -> None:
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(message.replace("28", last.split()[2] if "windows" in last else "28"))
    assert not (tmp_path / "run").exists()


def test_a_label_without_a_place_is_said_before_training(
    ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "test.txt"
    test.write_text("Paris B-CITY\n", encoding="utf-8")
    overrides = {"test_data_path": str(test), "evaluate_on_test": True, "datasets_for_vocab_creation": ["train"]}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 2
    errors = capsys.readouterr().err
    assert "warning: label 'CITY' is in the validation or test data only: nothing can learn it" in errors
    assert errors.strip().splitlines()[-1].startswith(f"{test}:1: label 'CITY' is not among the model's: O, ")


def test_data_without_an_entity(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare.txt"
    bare.write_text("nothing O\nhere O\n", encoding="utf-8")
    overrides = {"train_data_path": str(bare), "validation_data_path": None, "trainer.validation_metric": "-loss"}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == f"{bare}: the data hold one label only (O): nothing can be learned from them"


def test_the_log_says_why_a_run_ended(ner_config: Path, tmp_path: Path) -> None:
    overrides = {"trainer.optimizer": {"type": "sgd", "lr": 1e30}, "trainer.grad_norm": None,
                 "trainer.learning_rate_scheduler": None}  # fmt: skip
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 1
    log = (tmp_path / "run" / "out.log").read_text(encoding="utf-8")
    assert "TrainingError: epoch 1, step 2: the loss is nan" in log.splitlines()[-1]
    assert "train: " in log.splitlines()[0] or "tags read as" in log.splitlines()[0]


@pytest.mark.slow
def test_compile(ner_config: Path, tmp_path: Path) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.compile": True, "trainer.num_epochs": 1}) == 0
    assert train(ner_config, tmp_path / "plain", overrides={"trainer.num_epochs": 1}) == 0
    losses = [[step["loss"] for step in steps(tmp_path / name)] for name in ("run", "plain")]
    assert losses[0][0] == pytest.approx(losses[1][0], abs=0.2)  # another order of sums, another dropout mask
