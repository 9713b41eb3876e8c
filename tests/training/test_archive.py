"""Archives: complete, readable anywhere and offline; and one clear line for each that is not an archive."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from luke_tasks.__main__ import main
from luke_tasks.training import unpacking
from tests.tiny import tiny_luke
from tests.training.runs import train


@pytest.fixture
def run_dir(ner_config: Path, tmp_path: Path) -> Path:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    return tmp_path / "run"


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message a command ends with; exit status 2, one line, no traceback."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    errors = capsys.readouterr().err.strip()
    assert "Traceback" not in errors
    assert "\n" not in errors
    return errors


def test_offline_alone_anywhere(ner_config: Path, tmp_path: Path) -> None:
    """The checkpoint it began from is gone, the working directory another, and `transformers` is not even imported."""
    checkpoint = tiny_luke(tmp_path / "luke")
    overrides = {"model.encoder.pretrained": str(checkpoint), "trainer.num_epochs": 1}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tmp_path / "run" / "model.tar.gz", elsewhere / "m.tar.gz")
    shutil.rmtree(checkpoint)
    shutil.rmtree(tmp_path / "run")
    code = (
        "import sys, luke_tasks\n"
        "print(luke_tasks.load('m.tar.gz')('London is the capital').to_json()['text'])\n"
        "assert 'transformers' not in sys.modules, 'transformers was imported'\n"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    done = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.stdout == "London is the capital\n", done.stderr


def test_members(run_dir: Path) -> None:
    with tarfile.open(run_dir / "model.tar.gz") as tar:
        names = set(tar.getnames())
    assert names == {
        "config.json", "meta.json", "weights.safetensors", "vocabulary", "vocabulary/labels.txt",
        "vocabulary/non_padded_namespaces.txt", "tokenizer", "tokenizer/tokenizer.json", "tokenizer/special.json",
        "encoder", "encoder/config.json",
    }  # fmt: skip


def test_missing(tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "nothing.tar.gz"
    assert error_of(capsys, "evaluate", str(path), ner_files["valid"]) == (
        f"{path}: no such archive; expected a model.tar.gz or the directory of a run"
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str], share: float) -> None:
    path = run_dir / "model.tar.gz"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    message = error_of(capsys, "evaluate", str(path), ner_files["valid"])
    assert message.startswith(f"{path}: not a readable model.tar.gz, perhaps cut short or damaged (")


def test_a_full_disk(run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is the disk's fault, not the archive's. Here a limit of files' sizes stands for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        message = error_of(capsys, "evaluate", str(run_dir / "model.tar.gz"), ner_files["valid"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert re.fullmatch(rf"{re.escape(str(run_dir))}/model.tar.gz: cannot be unpacked into /\S+: File too large; set "
                        "TMPDIR to a folder with room for it", message)  # fmt: skip


def predictions(path: Path, run_dir: Path) -> str:
    """Of one sentence, by an archive."""
    (run_dir / "text.txt").write_text("Phil Simmons was born in London.", encoding="utf-8")
    out = run_dir / "out.jsonl"
    assert main(["predict", str(path), str(run_dir / "text.txt"), "--output-file", str(out)]) == 0
    return out.read_text(encoding="utf-8")


def test_gzip_of_any_kind(run_dir: Path, tmp_path: Path) -> None:
    """Compressed, as archives of older versions are; in several streams, as parallel tools write; zeros at the end."""
    packed = gzip.decompress((run_dir / "model.tar.gz").read_bytes())
    expected = predictions(run_dir, run_dir)
    half = len(packed) // 2
    for number, data in enumerate([
        gzip.compress(packed, 1),
        gzip.compress(packed, 9) + bytes(4096),
        gzip.compress(packed[:half], 0) + gzip.compress(b"") + gzip.compress(packed[half:], 6),
    ]):  # fmt: skip
        path = tmp_path / f"{number}.tar.gz"
        path.write_bytes(data)
        assert predictions(path, run_dir) == expected


def test_stored_as_it_is(run_dir: Path) -> None:
    """Weights are found in the file byte for byte: none of its time goes into compression."""
    weights = (run_dir / "best.safetensors").read_bytes()
    assert weights[100:1100] in (run_dir / "model.tar.gz").read_bytes()


@pytest.mark.parametrize("place", [0.3, 0.7])
def test_a_flipped_bit(
    run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str], place: float
) -> None:
    """In the weights it would go unnoticed but for the checksum."""
    path = run_dir / "model.tar.gz"
    weights = (run_dir / "best.safetensors").read_bytes()
    data = bytearray(path.read_bytes())
    start = bytes(data).find(weights[-4000:-3000])
    assert start > 0
    data[start + int(place * 1000)] ^= 1
    path.write_bytes(data)
    message = error_of(capsys, "evaluate", str(path), ner_files["valid"])
    assert message.startswith(f"{path}: not a readable model.tar.gz, perhaps cut short or damaged (")
    assert "CRC check failed" in message


def test_no_room(
    run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (run_dir / "best.safetensors").stat().st_size
    usage = type(shutil.disk_usage(run_dir))
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda folder: usage(2**40, 2**40 - size + 1, size - 1))
    message = error_of(capsys, "evaluate", str(run_dir / "model.tar.gz"), ner_files["valid"])
    assert message.startswith(f"{run_dir}/model.tar.gz: weights.safetensors unpacks to {size:,} bytes, and ")
    assert message.endswith(" has not so much room; set TMPDIR to a folder that has")


def test_no_archive_at_all(tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_text("hello", encoding="utf-8")
    message = error_of(capsys, "predict", str(path), ner_files["valid"])
    assert message.startswith(f"{path}: not a readable model.tar.gz, perhaps cut short or damaged (")


def test_a_directory_that_is_no_run(
    tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert error_of(capsys, "predict", str(tmp_path), ner_files["valid"]) == (
        f"{tmp_path}: not an archive of luke-tasks: it has no config.json, meta.json, vocabulary, tokenizer, encoder, "
        "best.safetensors"
    )


def test_a_run_without_a_finished_epoch(
    run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "best.safetensors").unlink()
    assert error_of(capsys, "evaluate", str(run_dir), ner_files["valid"]) == (
        f"{run_dir}: a run with no finished epoch yet (it has no best.safetensors); "
        "finish it with `allennlp train ... --recover`"
    )


def test_a_broken_archive_of_allennlp(
    tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("config.json", "weights.th"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert error_of(capsys, "evaluate", str(path), ner_files["valid"]) == (
        f"{path}: an archive of AllenNLP without vocabulary; it is not complete"
    )


def test_members_that_would_leave_the_folder(
    tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../escaped.txt"), io.BytesIO())
    message = error_of(capsys, "evaluate", str(path), ner_files["valid"])
    assert message.startswith(f"{path}: refused: a member would leave the folder, or is no file: ")
    assert "escaped.txt" in message
    assert not (tmp_path.parent / "escaped.txt").exists()


def test_a_class_that_is_not_registered(
    run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    config["dataset_reader"]["type"] = "my_reader"
    (run_dir / "config.json").write_text(json.dumps(config), encoding="utf-8")
    message = error_of(capsys, "evaluate", str(run_dir), ner_files["valid"])
    assert message.startswith(f'{run_dir}: config.json: dataset_reader.type: no Reader is registered as "my_reader"')


def test_weights_of_another_shape(
    run_dir: Path, tmp_path: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(run_dir / "best.safetensors")
    name = "head.classifier.weight"
    columns = tensors[name].shape[1]
    tensors[name] = tensors[name][:2].clone()
    other = tmp_path / "other.safetensors"
    save_file(tensors, other)
    arguments = ("evaluate", str(run_dir), ner_files["valid"], "--weights-file", str(other))
    assert error_of(capsys, *arguments) == (
        f"{other}: {name} has shape (2, {columns}), but the model's is (4, {columns}); the file is of another model"
    )
    del tensors[name]
    save_file(tensors, other)
    assert error_of(capsys, *arguments) == f"{other}: the weights lack {name}; the file is of another model"
    other.write_bytes(other.read_bytes()[:1000])
    assert error_of(capsys, *arguments).startswith(f"{other}: cannot be read as safetensors, perhaps truncated: ")


def test_damaged_parts(run_dir: Path, ner_files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = run_dir / "tokenizer" / "tokenizer.json"
    whole = tokenizer.read_text(encoding="utf-8")
    tokenizer.write_text(whole[:100], encoding="utf-8")
    assert error_of(capsys, "evaluate", str(run_dir), ner_files["valid"]).startswith(f"{tokenizer.parent}: ")
    tokenizer.write_text(whole, encoding="utf-8")
    (run_dir / "config.json").write_text("{", encoding="utf-8")
    message = error_of(capsys, "evaluate", str(run_dir), ner_files["valid"])
    assert message.startswith(f"{run_dir / 'config.json'}: no valid JSON: ")
