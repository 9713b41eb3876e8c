"""The targets: for each loader of luke-tasks, whole files of every form it reads, and how a damaged one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzzing import archives, bomb_targets, checkpoints, configs, readers
from fuzzing.runner import Case
from fuzzing.samples import READERS


@dataclass(frozen=True)
class Target:
    """`prepare(folder)` makes whole files there, and gives what tries one case; `share` is of all cases."""

    prepare: Callable[[Path], Case]
    share: float


TARGETS: dict[str, Target] = {
    **{f"reader-{name}": Target(partial(readers.files, name), 7) for name in READERS},
    "reader-input": Target(readers.inputs, 8),
    "mention-candidates": Target(readers.mention_candidates, 3),
    "config-file": Target(configs.files, 1.2),
    "config-overrides": Target(configs.overrides, 1),
    "config-values": Target(configs.values, 4),
    "archive-file": Target(archives.packed, 4),
    "archive-parts": Target(archives.parts, 1.5),
    "archive-allennlp": Target(archives.allennlp, 1),
    "recover": Target(archives.recover, 0.2),
    "huggingface": Target(checkpoints.huggingface, 0.8),
    "pretrained-encoder": Target(checkpoints.encoders, 2),
    "pretrained-pickle": Target(checkpoints.pickles, 4),
    "pretrained-tokenizer": Target(checkpoints.tokenizers, 0.8),
    "entity-vocabulary": Target(checkpoints.entity_vocabularies, 3),
    "sentencepiece": Target(checkpoints.sentencepiece, 3),
    "bombs-config": Target(bomb_targets.configs, 0.3),
    "bombs-encoder": Target(bomb_targets.encoders, 0.6),
    "bombs-parts": Target(bomb_targets.parts, 0.4),
    "bombs-archive": Target(bomb_targets.archives, 0.2),
    "bombs-reader": Target(bomb_targets.readers, 0.2),
}
