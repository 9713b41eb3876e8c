"""The targets: for each loader of luke-tasks, whole files of every form it reads, and how a damaged one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzzing import archives, checkpoints, configs, readers
from fuzzing.runner import Case
from fuzzing.samples import READERS


@dataclass(frozen=True)
class Target:
    """`prepare(folder)` makes whole files there, and gives what tries one case; `share` is of all cases."""

    prepare: Callable[[Path], Case]
    share: float


TARGETS: dict[str, Target] = {
    **{f"reader-{name}": Target(partial(readers.files, name), 4.5) for name in READERS},
    "reader-input": Target(readers.inputs, 5),
    "mention-candidates": Target(readers.mention_candidates, 2),
    "config-file": Target(configs.files, 5),
    "config-overrides": Target(configs.overrides, 2),
    "config-values": Target(configs.values, 12),
    "archive-file": Target(archives.packed, 10),
    "archive-parts": Target(archives.parts, 5),
    "archive-allennlp": Target(archives.allennlp, 2.5),
    "recover": Target(archives.recover, 0.5),
    "huggingface": Target(checkpoints.huggingface, 2.5),
    "pretrained-encoder": Target(checkpoints.encoders, 6),
    "pretrained-pickle": Target(checkpoints.pickles, 3),
    "pretrained-tokenizer": Target(checkpoints.tokenizers, 3),
    "entity-vocabulary": Target(checkpoints.entity_vocabularies, 2),
    "sentencepiece": Target(checkpoints.sentencepiece, 3),
}
