"""Archives: the packed file, each part of a run's directory, those of AllenNLP, and the checkpoints of `--recover`."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import tarfile
from pathlib import Path
from typing import Any

from fuzzing.mutations import mutated, mutated_json_file
from fuzzing.runner import Case
from luke_tasks.experiment import build, read_config
from luke_tasks.predictor import Predictor
from luke_tasks.trained import load_trained
from luke_tasks.training import archive
from tests.conftest import SENTENCES, conll
from tests.interop.archives import typing_config, typing_weights, write_archive
from tests.tiny import tiny_luke

_NAMES = [
    "../x",
    "/etc/x",
    "a/../../x",
    "config.json",
    "./config.json",
    "vocabulary",
    "x" * 5000,
    "a/" * 300 + "b",
    "",
    ".",
    "\0",
]
_KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE,
          tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, b"?"]  # fmt: skip


def _run(folder: Path, **trainer: Any) -> tuple[Path, Path]:
    """A tiny model, trained: its config and the run's directory."""
    (folder / "train.txt").write_text(conll(SENTENCES), encoding="utf-8")
    config = {
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 64},
        "train_data_path": str(folder / "train.txt"),
        "validation_data_path": str(folder / "train.txt"),
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke(folder / "luke"))}, "head": {"type": "ner"}},
        "data_loader": {"batch_size": 8},
        "trainer": {"num_epochs": 1, "cuda_device": -1, "optimizer": {"type": "adamw", "lr": 1e-3}, **trainer},
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    build(read_config(path)).train(folder / "run", plain_progress=True)
    return path, folder / "run"


def _changed(rng: random.Random, name: str, data: bytes, others: list[bytes]) -> bytes:
    return mutated_json_file(rng, data, others) if name.endswith(".json") else mutated(rng, data, others)


def packed(folder: Path) -> Case:
    """A `model.tar.gz`: its bytes, those of the tar in it, or members of every kind added to it."""
    _, run_dir = _run(folder)
    whole = (run_dir / archive.ARCHIVE_NAME).read_bytes()
    tar = gzip.decompress(whole)
    path = folder / "fuzz.tar.gz"

    def case(rng: random.Random) -> None:
        how = rng.randrange(4)
        if how == 0:
            path.write_bytes(mutated(rng, whole))
        elif how == 1:
            path.write_bytes(gzip.compress(mutated(rng, tar), 0))
        elif how == 2:  # the headers, where little changes much
            start = rng.choice(
                [place for place in range(0, len(tar), 512) if tar[place + 257 : place + 262] == b"ustar"]
            )
            path.write_bytes(
                gzip.compress(tar[:start] + mutated(rng, tar[start : start + 512]) + tar[start + 512 :], 0)
            )
        else:
            path.write_bytes(gzip.compress(_member(rng) + tar, 0))
        with archive.unpacked(path) as directory:
            inside = directory.resolve()
            assert all(file.resolve().is_relative_to(inside) and not file.is_symlink() for file in directory.rglob("*"))
            archive.weights_of(path, directory)

    return case


def _member(rng: random.Random) -> bytes:
    member = tarfile.TarInfo(rng.choice(_NAMES))
    member.type = rng.choice(_KINDS)
    member.linkname = rng.choice(_NAMES)
    member.size = rng.choice((0, 10, 10, 2**20, 2**33, 2**40))
    member.mode, member.devmajor = rng.choice((0o644, 0, 0o7777)), 1
    data = rng.randbytes(10) if rng.random() < 0.5 else b"30 path=../../../../etc/evil\n" * 3
    member_format: Any = rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    buffer = io.BytesIO(member.tobuf(member_format, errors="surrogateescape"))
    return buffer.getvalue() + data.ljust(512, b"\0")


def parts(folder: Path) -> Case:
    """One file of a run's directory is damaged; the model is loaded, and predicts."""
    _, run_dir = _run(folder)
    (run_dir / archive.ARCHIVE_NAME).unlink()
    names = ["config.json", "vocabulary/labels.txt", "tokenizer/tokenizer.json", "tokenizer/special.json",
             "encoder/config.json", "best.safetensors"]  # fmt: skip
    return _one_part(run_dir, names)


def allennlp(folder: Path) -> Case:
    """An archive of AllenNLP."""
    checkpoint = tiny_luke(folder / "luke")
    run_dir = write_archive(folder / "run", typing_config(checkpoint), typing_weights(checkpoint))
    names = ["config.json", "vocabulary/labels.txt", "vocabulary/non_padded_namespaces.txt", "weights.th"]
    return _one_part(run_dir, names)


def _one_part(run_dir: Path, names: list[str]) -> Case:
    wholes = {name: (run_dir / name).read_bytes() for name in names}
    inputs: list[Any] = ["Beyoncé lives in Los Angeles", {"text": "Phil Simmons took four .", "entities": [[0, 12]]}]

    def case(rng: random.Random) -> None:
        name = rng.choice(names)
        try:
            (run_dir / name).write_bytes(_changed(rng, name, wholes[name], list(wholes.values())))
            predictor = Predictor(load_trained(run_dir), cuda_device=-1)
            for prediction in predictor(inputs[:1] if predictor.reader.task == "ner" else inputs[1:]):
                json.dumps(prediction.to_json())
        finally:
            (run_dir / name).write_bytes(wholes[name])

    return case


def recover(folder: Path) -> Case:
    """A checkpoint of a run, whose training goes on."""
    config, run_dir = _run(folder, num_epochs=2)
    checkpoint = next(run_dir.glob("checkpoint_*"))
    whole, state = folder / "whole", json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    shutil.copytree(checkpoint, whole)
    (whole / "state.json").write_text(json.dumps({**state, "finished": False, "epoch": 1}), encoding="utf-8")
    names = ["state.json", "state.json", "training.pt", "model.safetensors"]
    checked = read_config(config)

    def case(rng: random.Random) -> None:
        for old in run_dir.glob("checkpoint_*"):
            shutil.rmtree(old)
        shutil.copytree(whole, checkpoint)
        name = rng.choice(names)
        data = (whole / name).read_bytes()
        (checkpoint / name).write_bytes(_changed(rng, name, data, [data]))
        build(checked).train(run_dir, recover=True, plain_progress=True)

    return case
