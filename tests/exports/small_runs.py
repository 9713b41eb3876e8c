"""Runs of one short epoch on a few texts, to export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.training.runs import train

PAIR = {"text": "Barack Obama was born in Honolulu", "head": [0, 12], "tail": [25, 33]}
PAIRS: list[Any] = [PAIR, {"text": "In Paris , France", "head": [11, 17], "tail": [3, 8]}]
MENTIONS: list[Any] = [{"text": "London is the capital of the United Kingdom", "entities": [[0, 6], [29, 43]]},
                       {"text": "In Hawaii", "entities": [[3, 9]]}]  # fmt: skip


def relation_run(folder: Path, encoder: dict[str, Any], **head: Any) -> Path:
    """Of a task whose second entity, `[MASK2]`, is not one of the first four ids of the tiny checkpoint."""
    records = [{**PAIR, "label": label} for label in ("born", "none")]
    reader = {"type": "relation_classification", "dataset": "jsonl", "max_sequence_length": 60}
    return _run(folder, records, reader, encoder, {"type": "relation_classifier", **head})


def typing_run(folder: Path, encoder: dict[str, Any], **head: Any) -> Path:
    """Of entity typing with three types."""
    record = {"left_context_token": [], "mention_span": "London", "right_context_token": ["is", "in", "Hawaii"]}
    records = [{**record, "y_str": types} for types in (["place", "entity"], ["place", "location"])]
    return _run(folder, records, {"type": "entity_typing", "max_sequence_length": 60}, encoder,
                {"type": "entity_typing", **head})  # fmt: skip


def _run(folder: Path, records: list[Any], reader: Any, encoder: dict[str, Any], head: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    config = {
        "dataset_reader": reader, "train_data_path": str(data), "validation_data_path": str(data),
        "model": {"encoder": encoder, "head": head}, "data_loader": {"batch_size": 2},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "adamw", "lr": 1e-3}, "cuda_device": -1},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert train(folder / "config.json", folder / "run") == 0
    return folder / "run"
