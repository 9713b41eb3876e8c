"""What a command loads before it works, in a process of its own: nothing that it does not need."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from luke_tasks.commands._start import no_garbage_collection
from tests.training.runs import train

ROOT = Path(__file__).parents[2]
# Runs a command, then prints its exit status and those of the named modules that are loaded.
RUN = """
import json, sys
from luke_tasks.__main__ import main
status = main(json.loads(sys.argv[1]))
print(json.dumps([status, sorted(set(json.loads(sys.argv[2])) & set(sys.modules))]))
"""
HEAVY = ["torch", "numpy", "transformers", "tokenizers", "accelerate", "huggingface_hub", "rich"]
# torch's compiler, and what it brings, take longer than torch itself; the others are for training and scores.
NOT_FOR_A_PREDICTION = ["transformers", "accelerate", "wandb", "rich", "seqeval", "sklearn", "scipy", "pandas",
                        "datasets", "huggingface_hub", "optuna", "_jsonnet", "sympy", "torch._dynamo",
                        "torch._inductor", "torch.distributed.fsdp", "torch.utils.tensorboard"]  # fmt: skip


def run(folder: Path, arguments: list[str], modules: list[str]) -> tuple[int, list[str], str]:
    """Exit status, which of the modules are loaded, and standard error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, json.dumps(arguments), json.dumps(modules)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    status, loaded = json.loads(done.stdout.splitlines()[-1])
    return status, loaded, done.stderr


def test_a_prediction(ner_config: Path, tmp_path: Path) -> None:
    overrides = {"trainer.num_epochs": 1}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    (tmp_path / "text.txt").write_text("Phil Simmons was born in London.\n", encoding="utf-8")
    arguments = ["predict", "run/model.tar.gz", "text.txt", "--output-file", "out.jsonl"]
    status, loaded, _ = run(tmp_path, arguments, ["torch", *NOT_FOR_A_PREDICTION])
    assert (status, loaded) == (0, ["torch"])
    prediction = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert prediction["text"] == "Phil Simmons was born in London."


def test_a_training_up_to_its_first_step(ner_config: Path, tmp_path: Path) -> None:
    """Scores are for the end of the epoch, and their libraries with them; rich is for a terminal."""
    modules = ["seqeval", "sklearn", "scipy", "pandas", "accelerate", "wandb", "rich", "torch._dynamo"]
    status, loaded, errors = run(tmp_path, ["train", str(ner_config), "-s", "run", "--dry-run"], modules)
    assert (status, loaded) == (0, []), errors


@pytest.mark.parametrize(
    ("content", "overrides", "fault"),
    [
        (None, "", "c.jsonnet: no such file; "),
        ("{ a: 1, ", "", "c.jsonnet:1:"),
        ("[1]", "", "c.jsonnet: expected an object"),
        ("{}", "{", "--overrides:1:"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: str | None, overrides: str, fault: str) -> None:
    if content is not None:
        (tmp_path / "c.jsonnet").write_text(content, encoding="utf-8")
    status, loaded, errors = run(tmp_path, ["train", "c.jsonnet", "-s", "run", "-o", overrides], HEAVY)
    assert (status, loaded) == (2, [])
    assert errors.startswith(fault)


def test_no_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    monkeypatch.setitem(sys.modules, "torch", sys)
    with no_garbage_collection():
        assert gc.isenabled()  # too late to gain anything
    assert gc.get_freeze_count() == frozen
    monkeypatch.delitem(sys.modules, "torch")
    try:
        with pytest.raises(KeyError), no_garbage_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
