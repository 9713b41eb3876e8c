"""The bombs of `bombs.py`, each put where a loader of luke-tasks meets it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from fuzzing import bombs
from fuzzing.archives import _run
from fuzzing.checkpoints import _Damaged
from fuzzing.readers import _reader, _tokenizers
from fuzzing.runner import Case
from fuzzing.samples import READERS
from luke_tasks import jsonnet
from luke_tasks.config import load_config
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from luke_tasks.experiment_config import check_config, discover_all
from luke_tasks.predictor import Predictor
from luke_tasks.readers.reader import Reader
from luke_tasks.trained import load_trained
from luke_tasks.training import archive
from tests.tiny import tiny_bert, tiny_luke, tiny_roberta

Bomb = Callable[[random.Random, bytes], bytes]


def configs(folder: Path) -> Case:
    """A program in a config, or a huge number in one that is checked and built."""
    jsonnet.SECONDS = 3
    whole = _run(folder)[0].read_bytes()
    path = folder / "bomb.jsonnet"

    def case(rng: random.Random) -> None:
        if rng.random() < 0.6:
            key = rng.choice((b"num_epochs", b"max_sequence_length", b"type", b"pretrained"))
            program = bombs.program(rng).encode()
            path.write_bytes(whole.rstrip(b"}\n ") + b'}} + {trainer+: {"' + key + b'": ' + program + b"}}")
        else:
            path.write_bytes(bombs.nested(rng, whole) if rng.random() < 0.3 else bombs.counted(rng, whole))
        loaded = load_config(path)
        check_config(loaded.values, loaded.faults, (), for_training=True)

    return case


def encoders(folder: Path) -> Case:
    """A published checkpoint whose config or weights are one."""
    makers = {"luke": tiny_luke, "roberta": tiny_roberta, "bert": tiny_bert}
    damaged = {name: _Damaged(make(folder / name), ["config.json", "model.safetensors"])
               for name, make in makers.items()}  # fmt: skip

    def case(rng: random.Random) -> None:
        chosen, kinds = (
            rng.choice(list(damaged)),
            {"config.json": bombs.counted, "model.safetensors": bombs.safetensors},
        )
        files = damaged[chosen]
        for name, whole in files.wholes.items():
            (files.folder / name).write_bytes(whole)
        name = rng.choice(files.names)
        (files.folder / name).write_bytes(kinds[name](rng, files.wholes[name]))
        if chosen != "luke" and rng.random() < 0.5:
            TransformerEncoder.from_pretrained(pretrained=str(files.folder))
        else:
            LukeEncoder.from_pretrained(pretrained=str(files.folder), entities=rng.choice(("all", "special")))

    return case


def parts(folder: Path) -> Case:
    """A part of a trained model, which is loaded and predicts."""
    run_dir = _run(folder)[1]
    (run_dir / archive.ARCHIVE_NAME).unlink()
    kinds: dict[str, list[Bomb]] = {
        "config.json": [bombs.counted, bombs.nested], "tokenizer/tokenizer.json": [bombs.tokenizer],
        "tokenizer/special.json": [bombs.counted, bombs.nested], "encoder/config.json": [bombs.counted, bombs.nested],
        "best.safetensors": [bombs.safetensors],
    }  # fmt: skip
    wholes = {name: (run_dir / name).read_bytes() for name in kinds}
    names = [*kinds, "tokenizer/tokenizer.json", "tokenizer/tokenizer.json"]

    def case(rng: random.Random) -> None:
        name = rng.choice(names)
        try:
            (run_dir / name).write_bytes(rng.choice(kinds[name])(rng, wholes[name]))
            for prediction in Predictor(load_trained(run_dir), cuda_device=-1)(
                ["Beyoncé lives in Los Angeles aaaaaab"]
            ):
                json.dumps(prediction.to_json())
        finally:
            (run_dir / name).write_bytes(wholes[name])

    return case


def archives(folder: Path) -> Case:
    """A packed archive."""
    whole = (_run(folder)[1] / archive.ARCHIVE_NAME).read_bytes()
    path = folder / "bomb.tar.gz"

    def case(rng: random.Random) -> None:
        path.write_bytes(bombs.archive(rng, whole))
        with archive.unpacked(path) as directory:
            archive.weights_of(path, directory)

    return case


def readers(folder: Path) -> Case:
    """A data file: one long line, word or list, or deep JSON."""
    discover_all()
    tokenizer = _tokenizers(folder)[0]
    samples: list[tuple[Reader, str, bytes]] = [
        (_reader(name, tokenizer, options), ending, data)
        for name, of_reader in READERS.items() for options, ending, data in of_reader
    ]  # fmt: skip

    def case(rng: random.Random) -> None:
        reader, ending, data = rng.choice(samples)
        path = folder / f"data{ending}"
        bomb = bombs.nested if ending in (".json", ".jsonl") and rng.random() < 0.3 else bombs.text
        path.write_bytes(bomb(rng, data))
        reader.read_encoded(path)

    return case
