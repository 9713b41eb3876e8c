"""The command line of a page as a test runs it: flags of the page's comment added, and trainings made short."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ADDED, TINY = "LUKE_DOCS_ADDED", "LUKE_DOCS_TINY"  # environment variables: JSON list of flags; a checkpoint's folder
_TRAINS = ("train", "sweep", "find-lr")
_RECORDS = 60
_LINES = 900


def shortened(arguments: list[str]) -> list[str]:
    """Arguments of luke-tasks. Without the environment variables they stay as they are."""
    added: list[str] = json.loads(os.environ.get(ADDED, "[]"))
    tiny = os.environ.get(TINY)
    changes = []
    if "-o" in added:
        place = added.index("-o")
        changes.append(added[place + 1])
        added = added[:place] + added[place + 2 :]
    if tiny and arguments and arguments[0] in _TRAINS:
        changes.insert(0, json.dumps(_tiny_overrides(arguments, tiny)))
    if changes:
        arguments = _with_overrides(arguments, changes)
    return [*arguments, *added] if "--help" not in arguments else arguments


def _with_overrides(arguments: list[str], changes: list[str]) -> list[str]:
    """Overrides are Jsonnet: objects are laid over each other with `+`."""
    given = _given_overrides(arguments)
    flags = ("-o", "--overrides")
    before = ["", *arguments]
    rest = [word for word, last in zip(arguments, before, strict=False) if word not in flags and last not in flags]
    return [*rest, "-o", " + ".join(f"({text})" for text in (given or "{}", *changes))]


def _given_overrides(arguments: list[str]) -> str:
    places = [index for index, word in enumerate(arguments) if word in ("-o", "--overrides")]
    return arguments[places[-1] + 1] if places else ""


def _tiny_overrides(arguments: list[str], checkpoint: str) -> dict[str, Any]:
    """A tiny encoder, one epoch, and the first records of the training data."""
    from luke_tasks.config import load_config

    values = load_config(arguments[1], _given_overrides(arguments)).values
    changes: dict[str, Any] = {"model.encoder.pretrained": checkpoint, "trainer.cuda_device": -1}
    if arguments[0] == "train":
        changes["trainer.num_epochs"] = 1
    for key in ("train_data_path", "validation_data_path"):
        if isinstance(path := values.get(key), str) and Path(path).is_file():
            changes[key] = str(_cut(Path(path)))
    return changes


def _cut(path: Path) -> Path:
    """The beginning of a data file, under the same name in the folder `.short`."""
    target = Path(".short") / path
    target.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        content = json.loads(text)
        content["data"] = content["data"][: _RECORDS // 6]
        target.write_text(json.dumps(content), encoding="utf-8")
    else:
        target.write_text("".join(_first(text, path.suffix)), encoding="utf-8")
    return target


def _first(text: str, suffix: str) -> Iterator[str]:
    """Records are lines; in CoNLL's columns they end with a blank line."""
    for number, line in enumerate(text.splitlines(keepends=True)):
        if number >= (_LINES if suffix == ".txt" else _RECORDS) and (suffix != ".txt" or not line.strip()):
            return
        yield line
