"""What the parity tests share: the golden runs of the original system, and our model with its weights.

Reads `../shared/peer/golden` (see its README), which is beside the repository and not part of it.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import torch

from luke_tasks.data.features import Features
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.heads.head import Head, Model
from luke_tasks.readers.reader import Reader
from luke_tasks.training.evaluation import Runner, evaluate

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "peer" / "golden"
CHECKPOINT = str(GOLDEN / "checkpoint" / "luke-tiny")
SPLITS = {"train": 300, "dev": 100, "test": 100}


def load_tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained(CHECKPOINT)


def load_model(task: str, make_head: Any, **options: Any) -> Model:
    """Ours, with the weights that AllenNLP trained."""
    encoder = LukeEncoder.from_pretrained(pretrained=CHECKPOINT)
    model = Model(encoder=encoder, head=make_head(hidden_size=encoder.hidden_size, **options))
    with tarfile.open(GOLDEN / task / "serialization" / "model.tar.gz") as archive:
        file = archive.extractfile("weights.th")
        assert file is not None
        weights = torch.load(io.BytesIO(file.read()), weights_only=True)
    ours = {
        _own_name(name): tensor
        for name, tensor in weights.items()
        if ".pooler." not in name and not name.startswith("answer_type_classifier.")  # nothing reads or trains them
    }
    model.load_state_dict(ours)  # strict: every tensor has its place
    return model.eval()


_OWN_PREFIXES = {
    "feature_extractor.embedder.luke_model.": "encoder.",
    "embedder.token_embedder_tokens.luke_model.": "encoder.",  # of question answering
    "classifier.": "head.classifier.",
    "span_scoring_layer.": "head.qa_outputs.",
}


def _own_name(name: str) -> str:
    """What AllenNLP's tensor is called here."""
    prefix = next((prefix for prefix in _OWN_PREFIXES if name.startswith(prefix)), "")
    return _OWN_PREFIXES.get(prefix, "") + name.removeprefix(prefix)


def instances(task: str, split: str) -> list[dict[str, Any]]:
    with gzip.open(GOLDEN / task / f"instances_{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def published_metrics(task: str, split: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((GOLDEN / task / f"metrics_{split}.json").read_text(encoding="utf-8"))
    return found


class _RecordingHead:
    """A head's `decode`, which also keeps each window's logits by the identity of its features."""

    def __init__(self, head: Head) -> None:
        self.decode, self.logits = head.decode, dict[int, Any]()

    def __call__(self, example: Any, windows: Any) -> Any:
        self.logits.update({id(window.features): window.logits for window in windows})
        return self.decode(example, windows)


def run(model: Model, reader: Reader, path: Path) -> tuple[dict[str, float], list[tuple[Features, Any]]]:
    """The scores of a file, and each window with its logits."""
    examples, windows = reader.read_encoded(path)
    recording = _RecordingHead(model.head)
    model.head.decode = recording  # type: ignore[method-assign]
    runner = Runner.of(model, batch_size=16, pad_id=reader.tokenizer.special.pad, device=torch.device("cpu"))
    scores = evaluate(runner, examples, windows).scores
    return scores, [(window, recording.logits[id(window)]) for window in windows]
