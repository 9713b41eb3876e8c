"""A head of `transformers` and ours with its weights, on the same windows.

`OURS` is the one table from their names to ours; encoders bear the same names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.heads.head import Head, Model
from luke_tasks.heads.masked_lm import MaskedLMHead
from luke_tasks.readers.reader import Reader
from luke_tasks.spec import Spec
from tests.encoder.test_luke import reference_inputs
from tests.tiny import tiny_luke

OURS = {"luke.": "encoder.", "classifier.": "head.classifier.", "lm_head.": "head.lm_head.",
        "entity_predictions.": "head.entity_predictions.", "qa_outputs.": "head.qa_outputs."}  # fmt: skip
# There, each of these is another tensor too: the table of the entity embeddings, and `lm_head.bias`.
TIED = ("entity_predictions.decoder.weight", "lm_head.decoder.bias")


def our_weights(theirs: torch.nn.Module) -> dict[str, Tensor]:
    """Their weights under our names."""
    found = {}
    for name, weight in theirs.state_dict().items():
        if name in TIED:
            continue
        prefix = next(prefix for prefix in OURS if name.startswith(prefix))
        found[OURS[prefix] + name.removeprefix(prefix)] = weight
    return found


class Pair:
    """Their model of a random tiny checkpoint, and ours, with a batch of all windows of some examples.

    Args:
        architecture: their class.
        make_reader, make_head: ours, from the tokenizer, and from `hidden_size` and `labels`.
        data: the content of the data file.
        **config: of the checkpoint.
    """

    def __init__(
        self, folder: Path, architecture: str, make_reader: Any, make_head: Any, data: str, suffix: str, **config: Any
    ) -> None:
        (folder / f"data{suffix}").write_text(data, encoding="utf-8")
        reader: Reader = make_reader(tokenizer=Tokenizer.from_pretrained(str(tiny_luke(folder / "words"))))
        examples, features = reader.read_encoded(folder / f"data{suffix}")
        self.labels = Labels.count(label for example in examples for label in reader.labels_of(example))
        config = {"num_labels": max(len(self.labels), 1), **config}
        checkpoint = tiny_luke(folder / "luke", architecture=architecture, **config)
        self.theirs = getattr(transformers, architecture).from_pretrained(checkpoint).eval()
        head_class: type[Head] = getattr(make_head, "func", make_head)
        encoder = LukeEncoder.from_pretrained(
            pretrained=str(checkpoint), load_weights=False, pooler=head_class.needs_pooler
        )
        head: Head = Spec(make_head, {}, None).build(
            hidden_size=encoder.hidden_size, labels=self.labels, encoder=encoder, tokenizer=reader.tokenizer
        )
        self.ours = Model(encoder=encoder, head=head).eval()
        self.load()
        self.batch = collate(features, pad_id=reader.tokenizer.special.pad, labels=self.labels)
        assert not self.batch.word_mask.all()  # there is padding

    def load(self) -> None:
        weights = our_weights(self.theirs)
        if self.ours.encoder.pooler is None:  # type: ignore[union-attr]
            weights = {name: weight for name, weight in weights.items() if "pooler" not in name}
        if isinstance(self.ours.head, MaskedLMHead) and self.ours.head.lm_head.decoder is None:
            # Tied, as published checkpoints have it; from version 5 on, transformers forgets to.
            self.theirs.lm_head.decoder.weight = self.theirs.luke.embeddings.word_embeddings.weight
            del weights["head.lm_head.decoder.weight"]
        missing, unexpected = self.ours.load_state_dict(weights, strict=False)
        assert not unexpected
        assert set(missing) <= {"head.classifier.bias"}  # of entity pairs, transformers has none
        for name in missing:
            self.ours.get_parameter(name).data.zero_()

    def check(self, mask: Tensor | None = None, **their_inputs: Any) -> None:
        """Logits (where `mask` is True) and loss are equal."""
        with torch.inference_mode():
            ours = self.ours(self.batch)
            theirs = self.theirs(**self.inputs(), **their_inputs)
        found, expected = ours.logits, theirs.logits.view(ours.logits.shape)
        if mask is not None:
            found, expected = found[mask], expected[mask]
        assert_close(found, expected)
        assert_close(ours.loss, theirs.loss)
        assert expected.std() > 0.01 and theirs.loss > 0.01

    def inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = reference_inputs(with_entities_only_where_any(self.batch))
        return inputs


def with_entities_only_where_any(batch: Batch) -> Batch:
    """`transformers` refuses entity inputs of length 0."""
    return batch if batch.entity_ids is not None and batch.entity_ids.size(1) else batch.words_only()


def assert_close(found: Tensor | None, expected: Tensor) -> None:
    assert found is not None
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
