"""Fine-tuned checkpoints of Hugging Face in `evaluate`, `predict` and Python, held against `transformers`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.loader import collate
from luke_tasks.errors import LukeTasksError
from luke_tasks.heads.masked_lm import MaskedLMHead
from luke_tasks.heads.sequence_classification import SequenceClassificationHead
from luke_tasks.interop import huggingface_load
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.conll_tokens import ConllTokensReader
from luke_tasks.readers.entity_typing import EntityTypingReader
from luke_tasks.readers.relation_classification import RelationClassificationReader
from luke_tasks.trained import load_trained
from tests.interop.checkpoints import (
    CHOICES,
    LABELS,
    MASKED,
    NER,
    PAIR,
    QA,
    TAGS,
    TEXT_CLASSES,
    TYPING,
    data_file,
    fine_tuned,
    our_logits,
    real_logits,
    transformers_logits,
)
from tests.tiny import tiny_bert, tiny_luke, tiny_mluke

TEXT = "London is the capital of the United Kingdom"
INPUTS: dict[str, dict[str, Any]] = {
    NER: {"text": TEXT},
    TYPING: {"text": TEXT, "entities": [[29, 43]]},
    PAIR: {"text": TEXT, "head": [29, 43], "tail": [14, 21]},
    QA: {"question": "London is ?", "context": TEXT},
    TEXT_CLASSES: {"text": TEXT},
    TAGS: {"text": TEXT},
    CHOICES: {"context": TEXT, "choices": ["Paris", "a capital", "EU"]},
    MASKED: {"text": TEXT},
}
SPANS = {TYPING: [(29, 43)], PAIR: [(29, 43), (14, 21)]}
TASKS = {NER: "entity_span_classification", TYPING: "entity_classification", PAIR: "entity_pair_classification"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("fine-tuned")
    return {architecture: fine_tuned(base / architecture, architecture) for architecture in LABELS}


@pytest.fixture
def change(folders: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a checkpoint with other tensors or another `config.json`."""

    def changed(
        architecture: str = NER, tensors: dict[str, Any] | None = None, *, without: str = "", **config: Any
    ) -> Path:
        folder = shutil.copytree(folders[architecture], tmp_path / "changed")
        path = folder / "config.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), **config}
        content = {name: value for name, value in content.items() if value is not ...}
        path.write_text(json.dumps(content), encoding="utf-8")
        weights = {**load_file(folder / "model.safetensors"), **(tensors or {})}
        weights = {name: tensor for name, tensor in weights.items() if name != without}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return changed


def failure(capsys: pytest.CaptureFixture[str], folder: Path | str, *arguments: str) -> str:
    """The one line with which `evaluate` refuses a checkpoint."""
    capsys.readouterr()
    data = data_file(Path(folder).parent if Path(folder).exists() else Path.cwd(), NER)
    assert main(["evaluate", str(folder), str(data), "--cuda-device", "-1", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "read by" not in line]
    assert len(lines) == 1, lines
    return lines[0]


# -- the same model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", list(LABELS))
def test_logits_on_our_windows(folders: dict[str, Path], tmp_path: Path, architecture: str) -> None:
    trained = load_trained(folders[architecture])
    _, features = trained.reader.read_encoded(data_file(tmp_path, architecture))
    batch = collate(features, pad_id=trained.pad_id, labels=trained.labels)
    ours = our_logits(trained, batch)
    theirs = transformers_logits(folders[architecture], batch, trained.reader.tokenizer)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(*(real_logits(x, batch, architecture) for x in (ours, theirs)), atol=1e-5, rtol=0)
    assert ours.std() > 0.01


@pytest.mark.parametrize("architecture", [name for name in LABELS if name != CHOICES])
def test_logits_on_the_windows_of_transformers(folders: dict[str, Path], architecture: str) -> None:
    """From text to logits on their side, with their tokenizer."""
    folder = folders[architecture]
    tokenizer = transformers.LukeTokenizer.from_pretrained(folder, task=TASKS.get(architecture))
    trained = load_trained(folder)
    example = trained.reader.parse_input(INPUTS[architecture], "")
    features = trained.reader.encode([example])
    spans = SPANS.get(architecture)
    text = (TEXT,)
    if architecture == QA:
        text = ("London is ?", TEXT)
    if architecture in (NER, TAGS):  # our reader puts a space before the first word too, theirs does not
        text = (f" {TEXT}",)
    if architecture == NER:
        words = [(start + 1, end + 1) for start, end in example.word_offsets.tolist()]
        spans = [(words[start][0], words[end - 1][1]) for start, end in features[0].word_spans.tolist()]
    inputs = tokenizer(*text, entity_spans=spans, return_tensors="pt")
    if architecture == NER:
        assert inputs["entity_start_positions"][0].tolist() == features[0].entity_spans[:, 0].tolist()
    assert inputs["input_ids"][0].tolist() == features[0].word_ids.tolist()
    model = getattr(transformers, architecture).from_pretrained(folder).eval()
    with torch.inference_mode():
        outputs = model(**inputs)
        theirs = torch.stack([outputs.start_logits, outputs.end_logits], -1) if architecture == QA else outputs.logits
    ours = our_logits(trained, collate(features, pad_id=trained.pad_id, labels=None))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_the_original_s_options(folders: dict[str, Path], tmp_path: Path) -> None:
    """Those of examples/*/evaluate_transformers_checkpoint.py, but for windows that this checkpoint cannot read."""
    ner, typing, pair = (load_trained(folders[architecture]).reader for architecture in (NER, TYPING, PAIR))
    assert isinstance(ner, ConllSpanReader)
    assert isinstance(typing, EntityTypingReader) and isinstance(pair, RelationClassificationReader)
    assert (ner.max_entity_length, ner.max_mention_length, ner.max_sequence_length) == (128, 16, 68)
    assert (typing.label_set, pair.dataset, pair.restore_brackets) == (LABELS[TYPING], "tacred", False)
    long = fine_tuned(tmp_path / "long", NER, max_position_embeddings=514)  # as luke-large has
    assert load_trained(long).reader.max_sequence_length == 512
    longer = fine_tuned(tmp_path / "longer", NER, max_position_embeddings=1026)
    assert load_trained(longer).reader.max_sequence_length == 512


def test_labels(folders: dict[str, Path], tmp_path: Path) -> None:
    assert load_trained(folders[NER]).labels.names == ("O", "MISC", "PER", "ORG", "LOC")  # NIL is our O
    assert list(load_trained(folders[PAIR]).labels) == LABELS[PAIR]
    two = fine_tuned(tmp_path, TYPING, id2label={0: "LABEL_0", 1: "LABEL_1"})
    assert "id2label" not in json.loads((two / "config.json").read_text(encoding="utf-8"))
    assert load_trained(two).labels.names == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("labels", "scheme"), [(["O", "B-X", "I-X"], "iob2"), (["I-X", "O"], "io"), (["O", "S-X", "B-X", "E-X"], "bioes"),
     (["O", "B-X", "I-X", "L-X", "U-X"], "bilou")],
)  # fmt: skip
def test_scheme_of_tags(tmp_path: Path, labels: list[str], scheme: str) -> None:
    reader = load_trained(fine_tuned(tmp_path, TAGS, id2label=dict(enumerate(labels)))).reader
    assert isinstance(reader, ConllTokensReader) and reader.label_scheme == scheme


def test_directed_relations_are_kbp37(tmp_path: Path) -> None:
    labels = {0: "no_relation", 1: "org:founded(e1,e2)", 2: "org:founded(e2,e1)"}
    reader = load_trained(fine_tuned(tmp_path, PAIR, id2label=labels)).reader
    assert isinstance(reader, RelationClassificationReader) and reader.dataset == "kbp37"


def test_bias_of_pairs(folders: dict[str, Path], change: Callable[..., Path]) -> None:
    """studio-ousia's checkpoint of KBP37 has one, which `transformers` would drop."""
    bias = torch.tensor([1.0, -2.0, 3.0])
    heads = [load_trained(folder).model.head for folder in (folders[PAIR], change(PAIR, {"classifier.bias": bias}))]
    plain, biased = (head.state_dict() for head in heads)
    assert "classifier.bias" not in plain
    assert biased["classifier.bias"].tolist() == bias.tolist()


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", list(LABELS))
def test_evaluate(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str
) -> None:
    data = data_file(tmp_path, architecture)
    assert main(["evaluate", str(folders[architecture]), str(data), "--cuda-device", "-1"]) == 0
    scores = json.loads(capsys.readouterr().out)
    trained = load_trained(folders[architecture])
    examples, features = trained.reader.read_encoded(data)
    batch = collate(features, pad_id=trained.pad_id, labels=trained.labels)
    theirs = transformers_logits(folders[architecture], batch, trained.reader.tokenizer)
    assert batch.labels is not None
    if architecture == TAGS:
        first = batch.labels >= 0  # pieces that begin a word
        assert scores["accuracy"] == pytest.approx((theirs.argmax(-1) == batch.labels)[first].double().mean().item())
    elif architecture == QA:
        assert 0 <= scores["exact_match"] <= scores["f1"] <= 100
    elif architecture == MASKED:
        assert 0 <= scores["word_accuracy"] <= 1
    elif architecture in (PAIR, TEXT_CLASSES, CHOICES):
        assert scores["accuracy"] == (theirs.argmax(-1) == batch.labels).double().mean().item()
    elif architecture == TYPING:
        right = ((theirs > 0) & batch.labels.bool()).sum()
        assert scores["micro_recall"] == pytest.approx((right / batch.labels.sum()).item())
        assert scores["micro_precision"] == pytest.approx((right / (theirs > 0).sum()).item())
    else:
        real = batch.entity_mask
        right = (theirs.argmax(-1) == batch.labels)[real]
        assert scores["span_accuracy"] == pytest.approx(right.float().mean().item())
    assert scores["loss"] > 0
    assert len(examples) > 1


@pytest.mark.parametrize("architecture", list(LABELS))
def test_predict(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str
) -> None:
    lines = tmp_path / "lines"
    lines.write_text(json.dumps(INPUTS[architecture]) + "\n", encoding="utf-8")
    assert main(["predict", str(folders[architecture]), str(lines), "--cuda-device", "-1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    loaded = luke_tasks.load(str(folders[architecture]), cuda_device=-1)(INPUTS[architecture]).to_json()
    assert {**printed, "id": ""} == {**loaded, "id": ""}
    assert architecture in (QA, CHOICES) or printed["text"] == TEXT


def test_overrides(folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kbp37.txt"
    path.write_text('1\t" <e1> She </e1> founded <e2> Acme </e2> . "\norg:founded_by\n\n', encoding="utf-8")
    change = '{"dataset_reader.dataset": "kbp37", "model.head.ignored_labels": []}'
    assert main(["evaluate", str(folders[PAIR]), str(path), "--cuda-device", "-1", "-o", change]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["accuracy"] in (0.0, 1.0)
    assert f"{folders[PAIR]}: {PAIR}, read by {{'type': 'relation_classification', 'dataset': 'kbp37'" in captured.err
    change = '{"dataset_reader.datset": "kbp37"}'
    assert main(["evaluate", str(folders[PAIR]), str(path), "--cuda-device", "-1", "-o", change]) == 2
    assert f"{folders[PAIR]}: dataset_reader.datset: unknown for" in capsys.readouterr().err


def test_hub_name(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(huggingface_load, "checkpoint_dir", lambda name: asked.append(name) or folders[NER])
    assert list(luke_tasks.load("studio-ousia/luke-large-finetuned-conll-2003", cuda_device=-1).trained.labels)
    assert asked == ["studio-ousia/luke-large-finetuned-conll-2003"]
    for name in ("model", "runs/x.tar.gz", "/no/such", "a/b/c", "./a"):
        assert huggingface_load.find_checkpoint(name) is None
    assert len(asked) == 1


def test_mluke(tmp_path: Path) -> None:
    """Its tokenizer is another one, and so is the number of [MASK2]."""
    folder = tiny_mluke(tmp_path, architecture=PAIR, id2label=dict(enumerate(LABELS[PAIR])))
    trained = load_trained(folder)
    _, features = trained.reader.read_encoded(data_file(tmp_path / "data", PAIR))
    batch = collate(features, pad_id=trained.pad_id, labels=None)
    with torch.inference_mode():
        ours = trained.model(batch).logits
    torch.testing.assert_close(ours, transformers_logits(folder, batch, trained.reader.tokenizer), atol=1e-5, rtol=0)


# -- what is in the file, and what is not -----------------------------------------------------------------------------


def test_old_checkpoint(change: Callable[..., Path]) -> None:
    """A pickle with the buffers of old versions, and what pretraining needed; half precision."""
    extra = {
        "luke.embeddings.position_ids": torch.arange(70)[None], "luke.entity_embeddings.position_ids": torch.arange(70),
        "lm_head.dense.weight": torch.zeros(16, 16), "entity_predictions.bias": torch.zeros(12),
    }  # fmt: skip
    folder = change(NER, extra)
    tensors = load_file(folder / "model.safetensors")
    assert "luke.pooler.dense.weight" in tensors
    wanted = load_trained(folder).model.state_dict()
    torch.save({name: _half(tensor) for name, tensor in tensors.items()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = load_trained(folder).model.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, _half(wanted[name]).to(torch.float32), atol=0, rtol=0)


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def test_missing_tensor(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = change(without="classifier.weight")
    assert failure(capsys, folder) == f"{folder / 'model.safetensors'}: missing tensors: classifier.weight"


def test_missing_tensor_of_the_encoder(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = change(without="luke.encoder.layer.1.output.dense.bias")
    file = folder / "model.safetensors"
    assert failure(capsys, folder) == f"{file}: missing tensors: encoder.layer.1.output.dense.bias"


def test_extra_tensor(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = change(NER, {"classifier.scale": torch.ones(1), "luke.encoder.layer.2.x": torch.ones(1)})
    assert failure(capsys, folder) == (
        f"{folder / 'model.safetensors'}: tensors that LukeForEntitySpanClassification does not have: "
        "classifier.scale, encoder.layer.2.x"
    )


def test_wrong_shape(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = change(NER, {"classifier.weight": torch.ones(4, 48)})
    assert failure(capsys, folder) == (
        f"{folder / 'model.safetensors'}: classifier.weight: found shape 4×48, expected 5×48 from config.json"
    )


def test_decoders(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A table of its own for words or none, the bias under either of its names; and nothing else."""
    folder = change(MASKED)
    tensors = load_file(folder / "model.safetensors")
    table, bias = (
        tensors.pop("lm_head.decoder.weight"),
        tensors.pop("lm_head.bias", tensors.get("lm_head.decoder.bias")),
    )
    assert table is not None and bias is not None
    for names in ({"lm_head.bias": bias}, {"lm_head.decoder.bias": bias, "lm_head.decoder.weight": table}):
        rest = {name: tensor for name, tensor in tensors.items() if name != "lm_head.decoder.bias"}
        save_file({**rest, **names}, folder / "model.safetensors")
        head = load_trained(folder).model.head
        assert isinstance(head, MaskedLMHead)
        assert head.lm_head.bias.equal(bias)
        assert (head.lm_head.decoder is not None) == ("lm_head.decoder.weight" in names)
    save_file({**rest, **names, "lm_head.scale": torch.ones(1)}, folder / "model.safetensors")
    assert failure(capsys, folder).endswith("tensors that LukeForMaskedLM does not have: lm_head.scale")


def test_without_entity_queries(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What config.json says of attention decides; the option that contradicts it leaves three queries aside."""
    folder = change(without="luke.encoder.layer.0.attention.self.w2e_query.bias")
    assert failure(capsys, folder).endswith("missing tensors: encoder.layer.0.attention.self.w2e_query.bias")
    plain = load_trained(folder, overrides='{"model.encoder.use_entity_aware_attention": false}').model
    assert not any("w2e" in name for name in plain.state_dict())


def test_without_pooler(change: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Where the head reads it, a new one will not do."""
    folder = change(TEXT_CLASSES, without="luke.pooler.dense.weight")
    assert failure(capsys, folder) == f"{folder / 'model.safetensors'}: missing tensors: pooler.dense.weight"


@pytest.mark.parametrize(
    ("labels", "problem_type", "expected"),
    [
        (["LABEL_0"], None, "regression"),
        (["a", "b"], None, "single_label_classification"),
        (["a", "b"], "multi_label_classification", "multi_label_classification"),
    ],
)
def test_problem_types(tmp_path: Path, labels: list[str], problem_type: str | None, expected: str) -> None:
    folder = fine_tuned(tmp_path, TEXT_CLASSES, id2label=dict(enumerate(labels)), problem_type=problem_type)
    trained = load_trained(folder)
    assert isinstance(trained.model.head, SequenceClassificationHead)
    assert trained.model.head.problem_type == expected
    assert list(trained.labels) == ([] if expected == "regression" else labels)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["LukeForDancing"]}, "architectures ['LukeForDancing']: expected one of LukeFor"),
        ({"architectures": ["LukeModel"]}, "architectures ['LukeModel']: expected one of LukeFor"),
        ({"architectures": ...}, "architectures None: expected one of LukeFor"),
        ({"model_type": "bert"}, "model_type 'bert': only fine-tuned LUKE checkpoints"),
        ({"hidden_size": "16"}, "hidden_size: expected a positive integer, found '16'"),
        ({"id2label": {"0": "O", "2": "PER"}}, 'id2label: expected a name for each id from 0 on, found {"0": "O", "2"'),
        ({"id2label": ["O", "PER"]}, 'id2label: expected a name for each id from 0 on, found ["O", "PER"]'),
        ({"id2label": {"0": "PER", "1": "LOC"}}, "id2label: none of PER, LOC is O or NIL, which a span that is no "
                                                 "entity gets; rename that one in config.json"),
        ({"id2label": {"0": "O", "1": "NIL"}}, "id2label: O stands there more than once"),
        ({"luke_tasks": ["conll_span"]}, "luke_tasks: expected an object of objects, as `export` writes it"),
    ],
)  # fmt: skip
def test_bad_config(
    change: Callable[..., Path], capsys: pytest.CaptureFixture[str], config: dict[str, Any], expected: str
) -> None:
    folder = change(**config)
    assert failure(capsys, folder).startswith(f"{folder / 'config.json'}: {expected}")


def test_half_written(change: Callable[..., Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = change()
    weights, config = folder / "model.safetensors", folder / "config.json"
    data, text = weights.read_bytes(), config.read_text(encoding="utf-8")
    weights.write_bytes(data[: len(data) // 2])
    assert failure(capsys, folder).startswith(f"{weights}: cannot be read as safetensors, perhaps truncated: ")
    weights.unlink()
    expected = f"{folder}: holds no weights; expected model.safetensors or pytorch_model.bin"
    assert failure(capsys, folder) == expected
    weights.write_bytes(data)
    config.write_text(text[:100], encoding="utf-8")
    assert failure(capsys, folder).startswith(f"{config}: cannot be read as JSON: ")
    config.unlink()
    assert failure(capsys, folder) == f"{config}: no such file; {folder} does not hold a complete checkpoint"
    config.write_text(text, encoding="utf-8")
    for name in ("vocab.json", "entity_vocab.json"):
        away = (folder / name).rename(tmp_path / name)
        assert str(folder) in failure(capsys, folder)
        away.rename(folder / name)
    assert load_trained(folder).labels


def test_tokenizer_without_markers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A BERT's, put beside weights that were trained with markers."""
    folder = fine_tuned(tmp_path / "luke", TYPING, vocab_size=400, pad_token_id=0)
    for name in ("vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"):
        (folder / name).unlink()
    bert = tiny_bert(tmp_path / "bert")
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(bert / name, folder)
    assert failure(capsys, folder) == (
        f"{folder}: its tokenizer has no <ent>, between which a model of its class expects the entities"
    )


def test_a_pretrained_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_luke(tmp_path / "luke")
    assert "architectures ['LukeModel']: expected one of " in failure(capsys, folder)


def test_nothing_of_this_name(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    message = failure(capsys, "runs/quikstart")
    assert message.startswith("runs/quikstart: no such archive or run; as a checkpoint's name: pretrained ")
    with pytest.raises(LukeTasksError, match="no such archive"):
        luke_tasks.load("quickstart")
