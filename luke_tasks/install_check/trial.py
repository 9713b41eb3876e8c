"""A whole run in small: a tiny LUKE learns named entities for two steps, is scored, and predicts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from luke_tasks.experiment import Experiment, build, read_config
from luke_tasks.install_check.tiny_luke import write_tiny_luke

_DATA = "Ada B-PER\nLovelace I-PER\nlived O\nin O\nLondon B-LOC\n. O\n\nOslo B-LOC\nis O\ncold O\n. O\n\n"
TEXT = "Ada left Oslo."


class Trial:
    """The run, step by step, in an empty folder. Each step raises what goes wrong; AssertionError: a result is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> str:
        """A checkpoint, data and a config; the model is built from them."""
        write_tiny_luke(self.folder / "checkpoint")
        (self.folder / "train.txt").write_text(_DATA * 2, encoding="utf-8")
        (self.folder / "config.jsonnet").write_text(json.dumps(self._config()), encoding="utf-8")
        self.experiment: Experiment = build(read_config(self.folder / "config.jsonnet"))
        return f"{sum(weight.numel() for weight in self.experiment.model.parameters()):,} parameters"

    def train(self) -> str:
        """One epoch of two steps, with a checkpoint and an archive."""
        metrics = self.experiment.train(self.folder / "run", plain_progress=True)
        loss = metrics["training_loss"]
        assert math.isfinite(loss), f"the loss is {loss}"
        return f"2 steps on {self.experiment.device}, loss {loss:.2f}"

    def evaluate(self) -> str:
        """The archive, loaded and scored."""
        import luke_tasks

        self.predictor = luke_tasks.load(self.folder / "run" / "model.tar.gz")
        scores = self.predictor.evaluate(self.folder / "train.txt").scores
        assert math.isfinite(scores["loss"]) and 0 <= scores["f1"] <= 1, f"the scores are {scores}"
        return f"from model.tar.gz, loss {scores['loss']:.2f}"

    def predict(self) -> str:
        """Raw text in, JSON out."""
        prediction = self.predictor(TEXT).to_json()
        json.dumps(prediction)
        return f"{len(prediction['entities'])} entities in {TEXT!r} (the model has learned nothing yet)"

    def _config(self) -> dict[str, Any]:
        data = str(self.folder / "train.txt")
        return {
            "dataset_reader": {"type": "conll_span", "context": "sentence", "max_sequence_length": 64,
                               "max_mention_length": 16},
            "train_data_path": data,
            "validation_data_path": data,
            "model": {"encoder": {"type": "luke", "pretrained": str(self.folder / "checkpoint")},
                      "head": {"type": "ner"}},
            "data_loader": {"batch_size": 2},
            "trainer": {"num_epochs": 1, "optimizer": {"type": "adamw", "lr": 1e-3}, "validation_metric": "+f1"},
        }  # fmt: skip
