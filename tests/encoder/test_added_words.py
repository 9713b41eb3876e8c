"""Word pieces a task adds to a checkpoint's vocabulary: rows that start as copies, in both encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luke_tasks.data.batch import Batch
from luke_tasks.encoder.encoder import Encoder
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from tests.tiny import tiny_bert, tiny_luke


def load(kind: str, directory: Path, **options: bool) -> Encoder:
    if kind == "luke":
        return LukeEncoder.from_pretrained(pretrained=str(directory), **options).eval()
    return TransformerEncoder.from_pretrained(pretrained=str(directory), **options).eval()


@pytest.mark.parametrize(("kind", "make"), [("luke", tiny_luke), ("luke", tiny_bert), ("transformer", tiny_bert)])
def test_a_new_word_starts_as_its_source(tmp_path: Path, kind: str, make: object) -> None:
    encoder = load(kind, make(tmp_path / "checkpoint"))  # type: ignore[operator]
    size = encoder.state_dict()[next(name for name in encoder.state_dict() if "word_embeddings" in name)].shape[0]
    encoder.add_words([7, 9])
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        old = encoder(Batch(word_ids=torch.tensor([[5, 7, 9, 6]]), word_mask=mask)).word_hidden
        new = encoder(Batch(word_ids=torch.tensor([[5, size, size + 1, 6]]), word_mask=mask)).word_hidden
    assert torch.allclose(old, new, atol=1e-6)
    (tmp_path / "saved").mkdir()
    encoder.save_config(tmp_path / "saved")
    rebuilt = load(kind, tmp_path / "saved", load_weights=False)
    rebuilt.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        again = rebuilt(Batch(word_ids=torch.tensor([[5, size, size + 1, 6]]), word_mask=mask)).word_hidden
    assert torch.allclose(again, old, atol=1e-6)
    assert all(parameter.requires_grad for parameter in encoder.parameters())
