"""Archives for every task, with random weights: a run's directory each, made without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from luke_tasks.experiment import build, write_run_files
from luke_tasks.experiment_config import check_config
from luke_tasks.training.archive import BEST_WEIGHTS_NAME
from luke_tasks.training.checkpoint import save_weights
from tests.conftest import conll
from tests.tiny import randomise

_TEXT = "Barack Obama was born in Honolulu"
_RECORD = {"id": "1", "passage": {"text": _TEXT, "entities": [{"start": 0, "end": 11}, {"start": 25, "end": 32}]},
           "qas": [{"id": "2", "query": "In @placeholder it is warm",
                    "answers": [{"start": 25, "end": 32, "text": "Honolulu"}]}]}  # fmt: skip
_SQUAD = {"title": "Hawaii", "paragraphs": [{"context": _TEXT, "qas": [
    {"id": "1", "question": "Where?", "answers": [{"text": "Honolulu", "answer_start": 25}]}]}]}  # fmt: skip
_TYPED = {"left_context_token": [], "mention_span": "Barack Obama", "right_context_token": ["was", "born"]}
_READERS: dict[str, dict[str, Any]] = {
    "ner": {"type": "conll_span", "max_mention_length": 8},
    "token_classification": {"type": "conll_tokens"},
    "relation_classification": {"type": "relation_classification", "dataset": "jsonl"},
    "entity_typing": {"type": "entity_typing"},
    "record": {"type": "record", "stride": 20, "max_query_length": 20},
    "question_answering": {"type": "transformers_squad", "stride": 10, "max_query_length": 20},
    "multiple_choice": {"type": "multiple_choice"},
    "sequence_classification": {"type": "sequence_classification"},
    "masked_text": {"type": "masked_text"},
}  # task → reader
TASKS = tuple(_READERS)
_HEADS = {"relation_classification": "relation_classifier", "record": "entity_span_qa",
          "question_answering": "transformers_qa", "masked_text": "masked_lm"}  # fmt: skip
_LINES: dict[str, list[dict[str, Any]]] = {
    "relation_classification": [{"text": _TEXT, "head": [0, 12], "tail": [25, 33], "label": label}
                                for label in ("born_in", "no_relation")],
    "entity_typing": [{**_TYPED, "y_str": ["person"]}, {**_TYPED, "y_str": ["place"]}],
    "multiple_choice": [{"context": _TEXT, "choices": ["so", "not so"], "label": 0}],
    "sequence_classification": [{"text": _TEXT, "label": label} for label in ("good", "bad")],
    "masked_text": [{"text": _TEXT, "entities": [[25, 33, "Hawaii"]]}],
}  # fmt: skip


def make_archive(task: str, folder: Path, checkpoint: Path) -> Path:
    """The directory of a run of this task."""
    data = folder / f"{task}.{'txt' if task in ('ner', 'token_classification') else 'json'}"
    if data.suffix == ".txt":
        data.write_text(conll(["Barack/PER Obama/PER was born in Honolulu/LOC"]), encoding="utf-8")
    elif task in _LINES:
        data.write_text("\n".join(map(json.dumps, _LINES[task])), encoding="utf-8")
    else:
        data.write_text(json.dumps({"version": "1.1", "data": [_RECORD if task == "record" else _SQUAD]}),
                        encoding="utf-8")  # fmt: skip
    config = check_config({
        "dataset_reader": {**_READERS[task], "max_sequence_length": 60},
        "train_data_path": str(data),
        "model": {"encoder": {"type": "luke", "pretrained": str(checkpoint),
                              "entities": "all" if task == "masked_text" else "special"},
                  "head": {"type": _HEADS.get(task, task)}},
        "data_loader": {"batch_size": 1},
        "trainer": {"num_epochs": 1, "optimizer": {"lr": 1e-3}, "cuda_device": -1},
    }, [], [], for_training=True)  # fmt: skip
    made = build(config)
    randomise(made.model.head)
    run_dir = folder / "runs" / task
    write_run_files(run_dir, config, made.tokenizer, made.labels, made.model.encoder)
    save_weights(made.model, run_dir / BEST_WEIGHTS_NAME)
    return run_dir
