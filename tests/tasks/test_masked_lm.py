"""Masked language modelling from config to prediction, on tiny models."""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.features import IGNORED_LABEL
from luke_tasks.data.hub import SPECIAL_ENTITIES
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from luke_tasks.errors import DataError
from luke_tasks.heads.masked_lm import MaskedLMHead
from luke_tasks.metrics.masked import FillingScores
from luke_tasks.readers.masked_text import MaskedTextFeatures, MaskedTextReader
from tests.tasks.head_check import check_head
from tests.tiny import LUKE_ENTITIES, TEXT, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta
from tests.training.runs import metrics, train

RECORDS = [
    {"text": "Barack Obama was born in Hawaii .", "entities": [[0, 12, "Barack Obama"], [25, 31, "Hawaii"]]},
    {"text": "London is the capital ; Paris is the capital of France",
     "entities": [[0, 6, "London"], [24, 29, "Paris"]]},
    {"text": "Beyoncé lives in Los Angeles", "entities": [[0, 7, "Beyoncé"], [17, 28, "Los Angeles"]]},
    {"text": "EU rejects German call"},
]  # fmt: skip
INPUTS: list[Any] = [
    {"text": "<mask> is the capital of [MASK] .", "entities": [[0, 6], [25, 31, "France"]], "id": "x"},
    "Phil Simmons took <mask>",
    "nothing to find",
    {"words": ["Barack", "<mask>", "was"], "entities": [{"start": 0, "end": 2}]},
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_lines(content: Any, name: str = "data.jsonl") -> Path:
        if not isinstance(content, str):
            content = "".join(json.dumps(record) + "\n" for record in content)
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        return tmp_path / name

    return write_lines


@pytest.fixture
def make_config(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def make(encoder: dict[str, Any]) -> Path:
        path = write(RECORDS * 3)
        content: dict[str, Any] = {
            "dataset_reader": {"type": "masked_text", "max_sequence_length": 40, "entity_probability": 0.7},
            "train_data_path": str(path),
            "validation_data_path": str(path),
            "model": {"encoder": encoder, "head": {"type": "masked_lm", "top_k": 3}},
            "data_loader": {"batch_size": 6, "shuffle": True},
            "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "cuda_device": -1},
        }
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / "config.json"

    return make


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


def reader(tokenizer: Tokenizer, **options: Any) -> MaskedTextReader:
    return MaskedTextReader(tokenizer=tokenizer, **options)


def hidden(tokenizer: Tokenizer, path: Path, **options: Any) -> list[MaskedTextFeatures]:
    _, windows = reader(tokenizer, **options).read_encoded(path)
    return list(windows)  # type: ignore[arg-type]


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_head(make_config: Callable[..., Path], tiny_luke_dir: Path, tmp_path: Path, tied: bool) -> None:
    overrides = {"model.head.tie_word_embeddings": tied}
    check_head(make_config({"type": "luke", "pretrained": str(tiny_luke_dir)}), tmp_path, INPUTS, overrides)


def test_head_over_a_plain_encoder(make_config: Callable[..., Path], tmp_path: Path) -> None:
    """Words only; the entities of the data are not read."""
    config = make_config({"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))})
    check_head(config, tmp_path, INPUTS)
    prediction = luke_tasks.load(tmp_path / "run")(INPUTS[0])
    assert len(prediction.words) == 2 and prediction.entities == []


def test_it_learns_and_fills(
    make_config: Callable[..., Path], write: Callable[..., Path], tiny_luke_dir: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = make_config({"type": "luke", "pretrained": str(tiny_luke_dir), "dropout": 0.0})
    overrides = {"trainer.num_epochs": 60, "dataset_reader.word_probability": 0.3, "trainer.optimizer.lr": 1e-2}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    scores = metrics(tmp_path / "run")
    assert scores["best_validation_entity_accuracy"] > 0.9 and scores["best_validation_word_accuracy"] > 0.9
    assert 1 <= scores["best_validation_perplexity"] < 2
    text = "[MASK] is the capital ; Paris is the capital of France"
    source = write([{"text": text, "entities": [[24, 29]]}], "i.txt")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 0
    found = json.loads(capsys.readouterr().out)
    (word,), (entity,) = found["words"], found["entities"]
    assert (word["text"], word["start"], word["end"]) == ("[MASK]", 0, 6)
    assert (entity["text"], entity["start"], entity["end"]) == ("Paris", 24, 29)
    assert len(word["candidates"]) == len(entity["candidates"]) == 3
    assert all(candidate["text"] in LUKE_ENTITIES.keys() - {*SPECIAL_ENTITIES} for candidate in entity["candidates"])
    scores_of = [candidate["score"] for candidate in entity["candidates"]]
    assert scores_of == sorted(scores_of, reverse=True) and sum(scores_of) <= 1


def test_predictions_are_those_of_the_logits(tiny_luke_dir: Path, tokenizer: Tokenizer) -> None:
    """The likeliest word pieces and entities, by their names, for several masks of several windows."""
    model, own = _model(tiny_luke_dir, tokenizer, top_k=14), reader(tokenizer, max_sequence_length=20)
    example = own.parse_input({"text": " ".join([*TEXT[:2], "<mask>", "is", "[MASK] ."]), "entities": [[0, 7]]}, "in:1")
    windows = own.encode([example])
    assert len(windows) > 2
    from luke_tasks.training.evaluation import Runner, predict

    runner = Runner.of(model, batch_size=4, pad_id=1, device=torch.device("cpu"))
    ((_, prediction),) = predict(runner, [example], own.encode)
    assert [example.text[place.start : place.end] for place in prediction.words] == ["<mask>", "[MASK]"]
    (entity,) = prediction.entities
    assert entity.text == "Beyoncé"
    assert {one.text for one in entity.candidates} == set(LUKE_ENTITIES) - set(SPECIAL_ENTITIES)  # fewer than top_k
    encoded = model.encoder(collate(windows[:1], pad_id=1, labels=None))
    probabilities = model.head.entity_logits(encoded.entity_hidden[0, 0], encoded.tables).softmax(-1)
    for one in entity.candidates:
        assert one.score == pytest.approx(probabilities[LUKE_ENTITIES[one.text]].item(), abs=1e-5)


def test_nothing_to_fill_in_is_said(tokenizer: Tokenizer) -> None:
    own = reader(tokenizer)
    inputs = [{"text": "no mask"}, {"text": "Paris is", "entities": [[0, 5, "Paris"]]},
              {"text": "a <mask>"}, {"text": "Paris is", "entities": [[0, 5]]}]  # fmt: skip
    own.encode([own.parse_input(record, "in:1") for record in inputs])
    assert own.dropped == {"texts have nothing to fill in: no <mask>, and no entity without a title": 2}


def _model(checkpoint: Path, tokenizer: Tokenizer, **options: Any) -> Any:
    from luke_tasks.heads.head import Model

    encoder = LukeEncoder.from_pretrained(pretrained=str(checkpoint))
    head = MaskedLMHead(hidden_size=16, labels=Labels(()), encoder=encoder, tokenizer=tokenizer, **options)
    return Model(encoder=encoder, head=head).eval()


def test_a_model_can_be_copied(tiny_luke_dir: Path, tokenizer: Tokenizer) -> None:
    """As a moving average of the weights does."""
    model = _model(tiny_luke_dir, tokenizer)
    copied = copy.deepcopy(model)
    assert copied.head._piece_text(5) == model.head._piece_text(5)


# -- the checkpoint's own decoders ----------------------------------------------------------------------------------


def test_a_compiled_model(tiny_luke_dir: Path, tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    """The loop over the windows stays in Python: a batch that hides other places is not compiled anew."""
    from torch._dynamo.testing import CompileCounter

    features = hidden(tokenizer, write(RECORDS))
    batches = [collate(part, pad_id=1, labels=Labels(())) for part in (features, features[::-1])]
    model = _model(tiny_luke_dir, tokenizer)
    with torch.inference_mode():
        expected = [model(batch).logits for batch in batches]
        compiled = CompileCounter()
        model.compile(backend=compiled)
        found = [model(batch).logits for batch in batches[:1]]
        graphs = compiled.frame_count
        found += [model(batch).logits for batch in batches[1:]]
    assert 0 < graphs == compiled.frame_count
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(found, expected, strict=True))


def test_luke_decoders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = tiny_luke(tmp_path, architecture="LukeForMaskedLM")
    published = load_file(checkpoint / "model.safetensors")
    tokenizer = Tokenizer.from_pretrained(str(checkpoint))
    model = _model(checkpoint, tokenizer)
    model.head.load_pretrained(str(checkpoint))
    own = dict(model.head.named_parameters())
    for name in own:
        theirs = "lm_head.decoder.bias" if name == "lm_head.bias" else name
        assert own[name].equal(published[theirs]), name
    assert "lm_head.decoder.weight is another table than the word embeddings; it is not used unless" in caplog.text
    untied = _model(checkpoint, tokenizer, tie_word_embeddings=False)
    untied.head.load_pretrained(str(checkpoint))
    assert untied.head.lm_head.decoder.weight.equal(published["lm_head.decoder.weight"])


def test_decoders_of_the_special_entities(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, architecture="LukeForMaskedLM")
    bias = load_file(checkpoint / "model.safetensors")["entity_predictions.bias"]
    encoder = LukeEncoder.from_pretrained(pretrained=str(checkpoint), entities="special")
    tokenizer = Tokenizer.from_pretrained(str(checkpoint), special_entities_only=True)
    head = MaskedLMHead(hidden_size=16, labels=Labels(()), encoder=encoder, tokenizer=tokenizer)
    head.load_pretrained(str(checkpoint))
    assert head.get_parameter("entity_predictions.bias").equal(bias[[0, 1, 2, 11]])


@pytest.mark.parametrize(
    ("make", "architecture"), [(tiny_roberta, "RobertaForMaskedLM"), (tiny_bert, "BertForMaskedLM")]
)
def test_roberta_and_bert_decoders(tmp_path: Path, make: Any, architecture: str) -> None:
    """Their logits are ours, too."""
    import transformers

    from luke_tasks.data.batch import Batch

    checkpoint = make(tmp_path, architecture=architecture)
    encoder = TransformerEncoder.from_pretrained(pretrained=str(checkpoint)).eval()
    tokenizer = Tokenizer.from_pretrained(str(checkpoint))
    head = MaskedLMHead(hidden_size=16, labels=Labels(()), encoder=encoder, tokenizer=tokenizer).eval()
    head.load_pretrained(str(checkpoint))
    words = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    theirs = getattr(transformers, architecture).from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        encoded = encoder(Batch(word_ids=words, word_mask=mask.bool()))
        assert encoded.tables is not None
        found = head.word_logits(encoded.word_hidden, encoded.tables)
        expected = theirs(input_ids=words, attention_mask=mask).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_checkpoint_without_decoders(tiny_luke_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = _model(tiny_luke_dir, Tokenizer.from_pretrained(str(tiny_luke_dir)))
    with caplog.at_level(logging.INFO, "luke_tasks"):
        model.head.load_pretrained(str(tiny_luke_dir))
    assert "has no lm_head.bias, lm_head.dense.weight, lm_head.dense.bias, " in caplog.text


def test_a_decoder_of_another_shape(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, architecture="LukeForMaskedLM")
    model = _model(checkpoint, Tokenizer.from_pretrained(str(checkpoint)))
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.dense.bias"] = torch.zeros(7)
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    from luke_tasks.errors import CheckpointError

    with pytest.raises(CheckpointError) as raised:
        model.head.load_pretrained(str(checkpoint))
    message = "lm_head.dense.bias: found shape (7,), expected (16,) for model.head lm_head.dense.bias"
    assert str(raised.value) == f"{checkpoint}/model.safetensors: {message}"


# -- hiding ---------------------------------------------------------------------------------------------------------


def test_what_is_hidden(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    """15 % of the word pieces: 80 % as the mask, 10 % as any piece, 10 % as they are; entities as [MASK]."""
    path = write([{"text": f"{n} " + " ".join(TEXT), "entities": [[len(str(n)) + 1, len(str(n)) + 8, "Beyoncé"]]}
                  for n in range(200)])  # fmt: skip
    windows = hidden(tokenizer, path)
    own = reader(tokenizer)
    plain = [own.encode([own.parse_input({"text": window.example.text}, "")])[0] for window in windows]
    total = as_mask = kept = num_hidden_entities = 0
    for window, original in zip(windows, plain, strict=True):
        assert len(window.masked_words) == round(0.15 * (len(original.word_ids) - 2))
        assert window.gold_words is not None and window.gold_entities is not None
        assert window.gold_words.tolist() == original.word_ids[window.masked_words].tolist()
        others = np.delete(np.arange(len(window.word_ids)), window.masked_words)
        assert window.word_ids[others].tolist() == original.word_ids[others].tolist()
        for place, (start, end) in zip(window.masked_words, window.masked_offsets, strict=True):
            piece = tokenizer.backend.decode([int(original.word_ids[place])]).strip()
            assert piece == window.example.text[start:end].strip() or "\ufffd" in piece
        read = window.word_ids[window.masked_words]
        total += len(read)
        as_mask += int((read == tokenizer.special.mask).sum())
        kept += int((read == window.gold_words).sum())
        if len(window.masked_entities):
            num_hidden_entities += 1
            assert window.entity_ids.tolist() == [LUKE_ENTITIES["[MASK]"]]
            assert window.gold_entities.tolist() == [LUKE_ENTITIES["Beyoncé"]]
        else:
            assert window.entity_ids.tolist() == [LUKE_ENTITIES["Beyoncé"]]
    assert total > 3000
    assert as_mask / total == pytest.approx(0.8, abs=0.03) and kept / total == pytest.approx(0.1, abs=0.03)
    assert num_hidden_entities / 200 == pytest.approx(0.15, abs=0.08)


def test_it_depends_on_text_and_seed_alone(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    def of(records: list[dict[str, Any]], **options: Any) -> dict[str, list[int]]:
        return {w.example.text: w.word_ids.tolist() for w in hidden(tokenizer, write(records), **options)}

    assert of(RECORDS) == of(RECORDS[::-1])
    assert of(RECORDS) != of(RECORDS, seed=1)


def test_targets(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    """Masks of the text itself, and entities without a title or not in the vocabulary, have no gold."""
    record = {"text": "London <mask> in England", "entities": [[0, 6], [17, 24, "England"], [0, 6, "London"]]}
    (window,) = hidden(tokenizer, write([record]), word_probability=0.01, entity_probability=1.0)
    targets = window.targets(Labels(()))
    assert targets is not None and targets.shape == (2, max(len(window.word_ids), 3))
    assert len(window.masked_words) == 2  # one of the text, one at random
    (mask,) = [place for place, start in zip(window.masked_words, window.masked_offsets) if start == (7, 13)]  # noqa: B905
    assert targets[0, mask] == IGNORED_LABEL and (targets[0] != IGNORED_LABEL).sum() == 1
    assert window.entity_ids.tolist() == [LUKE_ENTITIES[name] for name in ("[MASK]", "[UNK]", "[MASK]")]
    assert targets[1, :3].tolist() == [IGNORED_LABEL, IGNORED_LABEL, LUKE_ENTITIES["London"]]
    assert reader(tokenizer).encode([reader(tokenizer).parse_input(record, "")])[0].targets(Labels(())) is None


def test_nothing_hidden_has_no_loss(tiny_luke_dir: Path, tokenizer: Tokenizer, write: Callable[..., Path]) -> None:

    windows = hidden(tokenizer, write(RECORDS), word_probability=0.0, entity_probability=0.0)
    model = _model(tiny_luke_dir, tokenizer).train()
    loss = model(collate(windows, pad_id=1, labels=Labels(()))).loss
    loss.backward()
    assert loss.item() == 0.0
    words_alone = hidden(tokenizer, write(RECORDS), entity_probability=0.0)
    assert math.isfinite(model(collate(words_alone, pad_id=1, labels=Labels(()))).loss.item())


@pytest.mark.parametrize(
    ("make", "takes_spaces"),
    [(tiny_luke, True), (tiny_luke, False), (tiny_roberta, True), (tiny_bert, False), (tiny_mluke, False)],
)
def test_pieces_around_a_mask_are_those_of_transformers(tmp_path: Path, make: Any, takes_spaces: bool) -> None:
    from transformers import AddedToken, AutoTokenizer

    reference = AutoTokenizer.from_pretrained(str(make(tmp_path)))
    if takes_spaces:  # as published
        mask = AddedToken(reference.mask_token, lstrip=True, special=True)
        AutoTokenizer.from_pretrained(str(tmp_path), mask_token=mask).save_pretrained(tmp_path)
        reference = AutoTokenizer.from_pretrained(str(tmp_path))
    tokenizer = Tokenizer.from_pretrained(str(tmp_path))
    own = reader(tokenizer)
    for text in ("London is <mask> of France", "<mask> is", "two <mask>", "a <mask> <mask> . b", "no mask ."):
        (window,) = own.encode([own.parse_input({"text": text}, "in:1")])
        expected = reference._tokenizer.encode(text.replace("<mask>", reference.mask_token)).ids
        assert window.word_ids.tolist() == expected, text
        assert len(window.masked_words) == text.count("<mask>")


def test_a_long_text_gives_several_windows(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    text = " ".join(TEXT)
    record = {"text": text, "entities": [[0, 7, "Beyoncé"], [len(text) - 6, len(text), None]]}
    options = {"word_probability": 0.0, "entity_probability": 0.0}
    (whole,), parts = (hidden(tokenizer, write([record]), max_sequence_length=n, **options) for n in (500, 20))
    assert len(parts) > 3 and max(len(part.word_ids) for part in parts) == 20
    assert [id for part in parts for id in part.word_ids.tolist()[1:-1]] == whole.word_ids.tolist()[1:-1]
    assert [len(part.entity_ids) for part in parts] == [1, *[0] * (len(parts) - 2), 1]
    for part in parts:
        for mention, (start, end) in zip(part.mentions, part.entity_spans, strict=True):
            found = tokenizer.backend.decode(part.word_ids[start:end].tolist()).strip()
            assert found and text[mention.start : mention.end].startswith(found)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("d.txt", "", {}, "FILE: the file is empty"),
        ("d.jsonl", "plain", {}, "FILE:1: expected one JSON object a line, found something else: 'plain'; write each "
         "record as {...} on a line of its own"),
        ("d.txt", '{"text": 3}', {"format": "jsonl"},
         'FILE:1: "text" must be a string that is not blank, found 3'),
        ("d.jsonl", '{"entities": []}', {},
         'FILE:1: expected "text" (a string) or "words" (a list of strings), found entities'),
        ("d.jsonl", '{"text": "a b", "entities": [[1, 2]]}', {},
         'FILE:1: "entities.0": [1, 2] covers only spaces; give the characters of the entity'),
    ],
)  # fmt: skip
def test_bad_files(
    tokenizer: Tokenizer, write: Callable[..., Path], name: str, content: str, options: dict[str, Any], message: str
) -> None:
    path = write(content, name)
    with pytest.raises(DataError) as raised:
        reader(tokenizer, **options).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


def test_plain_text(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    path = write("a b\u2028c\r\n\n {not JSON\n", "d.txt")
    examples = list(reader(tokenizer).read(path))
    assert [(one.text, one.where) for one in examples] == [("a b\u2028c", f"{path}:1"), (" {not JSON", f"{path}:3")]


def test_scores() -> None:
    """exp of the mean of −ln ½ and −ln ⅛ is 4."""
    scores = FillingScores()
    assert set(scores.compute().values()) == {0.0}
    scores.update_words(right=[True], log_probabilities=[math.log(1 / 2)])
    scores.update_words(right=[False], log_probabilities=[math.log(1 / 8)])
    scores.update_entities(right=[True, False, True])
    assert scores.compute() == pytest.approx({"word_accuracy": 0.5, "entity_accuracy": 2 / 3, "perplexity": 4.0})
