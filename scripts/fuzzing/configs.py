"""Configs: the shipped Jsonnet files, the changes of `--overrides`, and plain values as a checked config has them."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

from fuzzing.mutations import TOKENS, mutated, mutated_json
from fuzzing.runner import Case
from luke_tasks import jsonnet
from luke_tasks.config import apply_overrides, load_config
from luke_tasks.experiment_config import check_config

ROOT = Path(__file__).parents[2]
_EXTERNAL = re.compile(r"std\.extVar\(\s*[\"'](\w+)[\"']\s*\)")
_WORDS = [b"local a = a; a", b"local f(x) = f(x + 1); f(1)", b"std.makeArray(1000000000, function(i) i)", b"self",
          b"super.x", b'import "/etc/passwd"', b'importstr "../../../../etc/passwd"', b'importbin "/dev/zero"',
          b'std.extVar("NOT_SET")', b"error 'x'", b"std.repeat('x', 1000000000)", b"1" + b"+1" * 50_000,
          b"assert false; 1", b"function(x) x", b"[x for x in std.range(1, 100000000)]", b"||| \n x\n|||"]  # fmt: skip


def _tree(folder: Path) -> list[Path]:
    """A copy of the shipped configs, whose variables are set to files that are there; the configs in it."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    for source in (folder / "configs").rglob("*.*sonnet"):
        for name in _EXTERNAL.findall(source.read_text(encoding="utf-8")):
            os.environ[name] = str(ROOT / "README.md")
    return sorted(path for path in (folder / "configs").rglob("*.jsonnet") if path.parent.name != "sweeps")


def files(folder: Path) -> Case:
    """A Jsonnet file, evaluated and checked. A program that never ends is given up sooner than usual."""
    jsonnet.SECONDS = 3
    paths = _tree(folder)
    sources = [path.read_bytes() for path in paths]

    def case(rng: random.Random) -> None:
        chosen = rng.randrange(len(paths))
        data = mutated(rng, sources[chosen], sources)
        if rng.random() < 0.3:
            place = data.find(b":", rng.randrange(len(data) + 1)) + 1
            data = data[:place] + b" " + rng.choice(_WORDS) + rng.choice((b", ", b" + ", b"")) + data[place:]
        path = paths[chosen].with_name("fuzz.jsonnet")
        path.write_bytes(data)
        loaded = load_config(path)
        check_config(loaded.values, loaded.faults, (), for_training=True)

    return case


def overrides(folder: Path) -> Case:
    """`--overrides`, laid over a config's plain values."""
    values = load_config(_tree(folder)[0]).values
    wholes = [b'{"trainer.num_epochs": 1}', b'{"trainer": {"optimizer": {"lr": 1e-5}}, "random_seed": 3}',
              b'{"model.encoder.pretrained": "x", "datasets_for_vocab_creation.0": "train"}']  # fmt: skip

    def case(rng: random.Random) -> None:
        text = mutated(rng, rng.choice(wholes), [*wholes, *TOKENS]).decode("utf-8", "surrogateescape")
        apply_overrides(values, text)

    return case


def values(folder: Path) -> Case:
    """Plain values, checked against what is registered: those of shipped configs, and of the original's."""
    wholes: list[Any] = [load_config(path).values for path in _tree(folder)]
    for path in sorted((ROOT / "tests/interop/upstream").rglob("*.json*")):
        try:
            wholes.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError:
            continue  # Jsonnet

    def case(rng: random.Random) -> None:
        changed = mutated_json(rng, rng.choice(wholes))
        if isinstance(changed, dict):
            check_config(changed, (), (), for_training=rng.random() < 0.5)

    return case
