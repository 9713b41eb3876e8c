"""The last layer computes what the head reads and leaves the rest: nothing that is read changes by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import EntityAttention
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.heads.entity_span_qa import EntitySpanQAHead
from luke_tasks.heads.entity_typing import EntityTypingHead
from luke_tasks.heads.head import Head, HeadOutput, Model
from luke_tasks.heads.ner import NerHead
from luke_tasks.heads.question_answering import QuestionAnsweringHead
from luke_tasks.heads.relation_classification import RelationHead
from luke_tasks.heads.sequence_classification import SequenceClassificationHead
from luke_tasks.heads.token_classification import TokenClassificationHead
from tests.encoder.test_luke import random_batch
from tests.tiny import tiny_luke

LABELS, NONE = Labels(["O", "PER", "LOC"]), Labels([])


def encoder_of(directory: Path, *, pooler: bool = False) -> LukeEncoder:
    torch.manual_seed(0)
    return LukeEncoder.from_pretrained(pretrained=str(tiny_luke(directory)), pooler=pooler)


def some_words(batch: Batch) -> Tensor:
    """Of the second window none."""
    read = torch.rand(batch.word_ids.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    read[1] = False
    return read


@pytest.mark.parametrize("attention", ["all", "self"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("none", [False, True])
def test_vectors_and_gradients_are_the_same(
    tmp_path: Path, checkpointing: bool, attention: EntityAttention, none: bool
) -> None:
    """Also in shared windows, where entities attend to words and themselves; also where no word is read."""
    encoder = encoder_of(tmp_path).double()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in encoder.encoder.layer:
        layer.attention.self.dropout = 0.0
    if checkpointing:
        encoder.checkpoint_gradients()
    batch = replace(random_batch(0), entity_attention=attention)
    read = torch.zeros_like(batch.word_mask) if none else some_words(batch)
    found = []
    for words_read in (None, read):
        output = encoder.train()(replace(batch, words_read=words_read))
        assert output.entity_hidden is not None
        loss = output.word_hidden[read].square().sum() + output.entity_hidden.square().sum()
        gradients = torch.autograd.grad(loss, list(encoder.parameters()), allow_unused=True, materialize_grads=True)
        found.append([output.word_hidden[read], output.entity_hidden, *gradients])
    torch.testing.assert_close(found[1], found[0])
    assert output.word_hidden[~read].abs().sum() == 0
    assert none or output.word_hidden[read].abs().sum() > 0


def test_mixed_precision(tmp_path: Path) -> None:
    encoder, batch = encoder_of(tmp_path).eval(), random_batch(0)
    read = some_words(batch)
    with torch.autocast("cpu", torch.bfloat16):
        whole, spared = (encoder(replace(batch, words_read=words)) for words in (None, read))
    assert spared.word_hidden.dtype == whole.word_hidden.dtype
    torch.testing.assert_close(spared.word_hidden[read], whole.word_hidden[read], atol=0.02, rtol=0.02)


class MeanHead(SequenceClassificationHead):
    """Reads all words, and has said nothing of it."""

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        return HeadOutput(self.classifier(encoded.word_hidden.mean(dim=1)), None)


class LastHead(MeanHead):
    """Reads one word, and says so."""

    def words_read(self, batch: Batch) -> Tensor:
        return torch.arange(batch.word_ids.size(1)) == torch.full((len(batch.word_ids), 1), 3)

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        return HeadOutput(self.classifier(encoded.word_hidden[:, 3]), None)


class NoisyEncoder(LukeEncoder):
    """Mixes words after the layers."""

    def forward(self, batch: Batch) -> EncoderOutput:
        output = super().forward(batch)
        return replace(output, word_hidden=output.word_hidden.cumsum(dim=1))


def test_subclasses_that_read_more(tmp_path: Path) -> None:
    batch, encoder = random_batch(0).words_only(), encoder_of(tmp_path).eval()
    for made, says in ((MeanHead, False), (LastHead, True)):
        head = made(hidden_size=16, labels=LABELS).eval()
        assert head.says_what_it_reads() is says
        torch.testing.assert_close(Model(encoder=encoder, head=head)(batch).logits, head(batch, encoder(batch)).logits)
    noisy = NoisyEncoder.from_pretrained(pretrained=str(tmp_path)).eval()
    found = Model(encoder=noisy, head=head)(batch).logits
    torch.testing.assert_close(found, head(batch, noisy(batch)).logits)


def test_words_alone_and_none_of_them_read(tmp_path: Path) -> None:
    """The pooled vector is made of the first word piece, whatever a head says."""
    encoder = encoder_of(tmp_path, pooler=True).eval()
    words = random_batch(0).words_only()
    whole, spared = (encoder(replace(words, words_read=read)) for read in (None, torch.zeros_like(words.word_mask)))
    torch.testing.assert_close(spared.pooled, whole.pooled)
    assert spared.word_hidden[:, 1:].abs().sum() == 0
    without = encoder_of(tmp_path / "without").eval()
    assert without(replace(words, words_read=torch.zeros_like(words.word_mask))).word_hidden.abs().sum() == 0


def heads() -> dict[str, tuple[Callable[[], Head], int]]:
    """By name: how one is made, and how many entities it takes."""
    made: dict[str, tuple[Callable[[], Head], int]] = {
        "tags": (lambda: TokenClassificationHead(hidden_size=16, labels=LABELS), 0),
        "answers": (lambda: QuestionAnsweringHead(hidden_size=16, labels=NONE), 0),
        "texts": (lambda: SequenceClassificationHead(hidden_size=16, labels=LABELS), 2),
    }
    for features in ("token", "entity", "token+entity"):
        made[f"spans, {features}"] = (lambda f=features: NerHead(hidden_size=16, labels=LABELS, features=f), 6)
        made[f"cloze, {features}"] = (
            lambda f=features: EntitySpanQAHead(hidden_size=16, labels=NONE, features=f),
            6,
        )
        for token_feature in ("entity_start", "mention_pooling", "cls_token"):
            options = {"hidden_size": 16, "labels": LABELS, "features": features, "token_feature": token_feature}
            made[f"typing, {features}, {token_feature}"] = (lambda o=options: EntityTypingHead(**o), 1)
            made[f"relation, {features}, {token_feature}"] = (lambda o=options: RelationHead(**o), 2)
    return made


@pytest.mark.parametrize("name", list(heads()))
def test_every_head_reads_what_it_says(tmp_path: Path, name: str) -> None:
    make, entities = heads()[name]
    torch.manual_seed(1)
    head = make()
    model = Model(encoder=encoder_of(tmp_path, pooler=head.needs_pooler), head=head).eval()
    batch = random_batch(0, entities=entities)
    if entities in (1, 2):  # as many in each window
        spans = torch.tensor([[2, 4], [3, 4]])[:entities].expand(4, -1, -1)
        batch = replace(batch, entity_spans=spans, entity_mask=torch.ones(4, entities, dtype=torch.bool))
    seen = batch if head.needs_entities else batch.words_only()
    read = head.words_read(batch)
    whole = head(batch, model.encoder(seen)).logits
    assert whole.std() > 0
    assert torch.equal(torch.isnan(whole), torch.zeros_like(whole, dtype=torch.bool))
    real = batch.entity_mask if entities == 6 else None
    if real is not None and name.startswith("cloze"):
        real = real[:, 1:]
    found = model(batch).logits
    torch.testing.assert_close(*((found, whole) if real is None else (found[real], whole[real])))
    assert read is None if name in ("tags", "answers") else not bool(read[batch.word_mask].all())
