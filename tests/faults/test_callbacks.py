"""A callback that raises or hangs, in any call: one warning, and the training goes on as without it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.training.callbacks import callback
from luke_tasks.training.callbacks.callback import Callback
from tests.faults.harness import assert_no_process_left
from tests.training.runs import metrics, steps, train

METHODS = ("__init__", "on_start", "on_step", "on_epoch", "on_end")


@Callback.register("test_faulty")
class FaultyCallback(Callback):
    """Raises, leaves the program or hangs in the method it is told to.

    Args:
        method: which.
        how: what it does there.
    """

    time_limit_seconds = 0.3
    released = threading.Event()

    def __init__(self, *, method: str, how: str) -> None:
        self.method, self.how = method, how
        self._reached("__init__")

    def on_start(self, run_dir: Path, config: dict[str, Any]) -> None:
        self._reached("on_start")

    def on_step(self, step: int, values: dict[str, float]) -> None:
        self._reached("on_step")

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        self._reached("on_epoch")

    def on_end(self, metrics: dict[str, Any]) -> None:
        self._reached("on_end")

    def on_stop(self) -> None:
        self._reached("on_stop")

    def _reached(self, method: str) -> None:
        if method != self.method:
            return
        if self.how == "raises":
            raise ConnectionError("no route to host")
        if self.how == "leaves":
            sys.exit("wandb: no API key")
        self.released.wait(60)


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    FaultyCallback.released.clear()
    yield
    FaultyCallback.released.set()
    callback._given_up.clear()


SHOWN = {"raises": "ConnectionError: no route to host", "leaves": "SystemExit: wandb: no API key",
         "hangs": "TimeoutError: no answer within 0.3 seconds"}  # fmt: skip


@pytest.fixture(scope="module")
def without(tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without callbacks."""
    from tests.conftest import write_ner_config

    folder = tmp_path_factory.mktemp("without")
    config = write_ner_config(folder, tiny_luke_dir, ner_files)
    assert train(config, folder / "run", overrides={"trainer.num_epochs": 1}) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("method", "how"),
    [*((method, "raises") for method in METHODS), ("on_start", "leaves"), ("__init__", "hangs"), ("on_step", "hangs")],
)
def test_the_training_goes_on(
    method: str, how: str, ner_config: Path, without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = {"type": "test_faulty", "method": method, "how": how}
    overrides = {"trainer.num_epochs": 1, "trainer.callbacks": [faulty, {"type": "tensorboard"}]}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    what = "its constructor" if method == "__init__" else method
    warning = f"warning: callback FaultyCallback failed in {what} and is switched off: {SHOWN[how]}"
    assert capsys.readouterr().err.count(warning) == 1
    assert steps(tmp_path / "run") == steps(without)
    assert metrics(tmp_path / "run") == metrics(without)
    assert callback.callbacks_hang() == (how == "hangs")
    assert list((tmp_path / "run" / "tensorboard").iterdir())  # the one beside it works


def test_a_run_that_fails_is_told_of(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a failure in that does not hide the first."""
    overrides = {"trainer.callbacks": [{"type": "test_faulty", "method": "on_stop", "how": "raises"}],
                 "trainer.optimizer": {"type": "sgd", "lr": 1e30}, "trainer.grad_norm": None}  # fmt: skip
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 1
    errors = capsys.readouterr().err
    assert "callback FaultyCallback failed in on_stop and is switched off: ConnectionError" in errors
    assert errors.strip().splitlines()[-1].startswith("epoch 1, step ")


def test_threads_end_with_the_run(ner_config: Path, tmp_path: Path) -> None:
    before = threading.active_count()
    assert train(ner_config, tmp_path / "run", overrides={"trainer.num_epochs": 1, "trainer.callbacks": [
        {"type": "test_faulty", "method": "on_epoch", "how": "raises"}, {"type": "test_faulty", "method": "", "how": ""}
    ]}) == 0  # fmt: skip
    end = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_wandb_with_a_server_that_never_answers(ner_config: Path, tmp_path: Path) -> None:
    """Neither the training nor the exit waits for it beyond the limit; its helper process is ended."""
    pytest.importorskip("psutil")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        code = "import sys; from luke_tasks.training.callbacks.wandb import WandbCallback; " \
               "WandbCallback.time_limit_seconds = 3.0; " \
               "from luke_tasks.__main__ import main; sys.exit(main())"  # fmt: skip
        overrides = '{"trainer.num_epochs": 1, "trainer.callbacks": [{"type": "wandb"}]}'
        command = [sys.executable, "-c", code, "train", str(ner_config), "-s", str(tmp_path / "run"), "-o", overrides]
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "WANDB_API_KEY": "a" * 40, "WANDB_MODE": "online",
                       "WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}  # fmt: skip
        with subprocess.Popen(command, env=environment, start_new_session=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:  # fmt: skip
            output, errors = process.communicate(timeout=300)
        ended = time.monotonic()
    assert process.returncode == 0, errors
    warning = "callback WandbCallback failed in on_start and is switched off: TimeoutError: no answer within 3 seconds"
    assert errors.count(warning) == 1
    assert '"validation_f1"' in output
    log = (tmp_path / "run" / "out.log").stat().st_mtime  # its last line is that of the archive
    assert time.time() - (time.monotonic() - ended) - log < 30  # wandb's own exit waits 90 seconds
    assert_no_process_left(process.pid)
