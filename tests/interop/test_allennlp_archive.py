"""Archives of AllenNLP: the logits that `transformers` computes from their tensors, and one line for each bad one."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.errors import ArchiveError
from luke_tasks.interop.allennlp_archive import read_labels
from luke_tasks.trained import Trained, load_trained
from tests.interop.archives import TYPES, pack, typing_config, typing_weights, write_archive, write_records
from tests.parity.golden import run
from tests.tiny import tiny_luke, tiny_roberta
from tests.training.test_archive import error_of


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_luke(tmp_path_factory.mktemp("pretrained") / "luke")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return write_records(tmp_path / "records.json")


def logits_of(trained: Trained, records: Path) -> list[tuple[Features, Any]]:
    return run(trained.model, trained.reader, records)[1]


# -- the same numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["directory", "tar", "directory of a tar", "best.th"])
def test_luke_archive_gives_the_logits_of_transformers(
    form: str, checkpoint: Path, records: Path, tmp_path: Path
) -> None:
    weights = typing_weights(checkpoint)
    name = "best.th" if form == "best.th" else "weights.th"
    path = write_archive(tmp_path / "run", typing_config(checkpoint), weights, weights_name=name)
    if form == "tar":
        path = pack(path)
    if form == "directory of a tar":  # what is left when checkpoints are cleared away
        pack(path).rename(path / "model.tar.gz")
        (path / name).unlink()
    trained = load_trained(path)
    assert list(trained.labels) == TYPES
    luke = AutoModel.from_pretrained(checkpoint).eval()
    windows = logits_of(trained, records)
    assert len(windows) == 3
    for window, logits in windows:
        start, end = window.entity_spans[0].tolist()
        with torch.no_grad():
            hidden = luke(
                input_ids=torch.tensor(window.word_ids)[None], entity_ids=torch.tensor(window.entity_ids)[None],
                entity_position_ids=torch.arange(start, end)[None, None],
            ).entity_last_hidden_state[0, 0]  # fmt: skip
        expected = weights["classifier.weight"] @ hidden + weights["classifier.bias"]
        np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=1e-5)


def test_baseline_archive_gives_the_logits_of_transformers(records: Path, tmp_path: Path) -> None:
    """Any encoder; its marker is a row that AllenNLP added, and transformers 4 saved the position ids."""
    checkpoint = tiny_roberta(tmp_path / "roberta")
    position_ids = {"feature_extractor.embedder.transformer_model.embeddings.position_ids": torch.arange(70)[None]}
    weights = typing_weights(checkpoint, "baseline", **position_ids)
    trained = load_trained(write_archive(tmp_path / "run", typing_config(checkpoint, "baseline"), weights))
    words = weights["feature_extractor.embedder.transformer_model.embeddings.word_embeddings.weight"]
    roberta = AutoModel.from_pretrained(checkpoint).eval()
    roberta.resize_token_embeddings(len(words))
    roberta.get_input_embeddings().weight.data.copy_(words)
    for window, logits in logits_of(trained, records):
        start = int(window.entity_spans[0, 0])
        assert window.word_ids[start] == len(words) - 1
        with torch.no_grad():
            hidden = roberta(input_ids=torch.tensor(window.word_ids)[None]).last_hidden_state[0, start]
        expected = weights["classifier.weight"] @ hidden + weights["classifier.bias"]
        np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=1e-5)


def test_labels_of_a_padded_namespace_keep_their_rows(checkpoint: Path, records: Path, tmp_path: Path) -> None:
    """Row 0 is the padding, row 1 the unknown label, as AllenNLP numbers them."""
    plain = load_trained(write_archive(tmp_path / "plain", typing_config(checkpoint), typing_weights(checkpoint)))
    weights = typing_weights(checkpoint)
    weights["classifier.weight"] = torch.cat([torch.zeros(2, 16), weights["classifier.weight"]])
    weights["classifier.bias"] = torch.cat([torch.full((2,), -9.0), weights["classifier.bias"]])
    padded = load_trained(write_archive(tmp_path / "padded", typing_config(checkpoint), weights, padded=True))
    assert list(padded.labels) == ["@@PADDING@@", "@@UNKNOWN@@", *TYPES]
    for (_, ours), (_, theirs) in zip(logits_of(padded, records), logits_of(plain, records), strict=True):
        np.testing.assert_allclose(ours, [-9, -9, *theirs], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("patterns", "lines", "expected"),
    [
        ("*tags\n*labels\n", "a\nb\n", ["a", "b"]),
        ("labels\n", "a\nb\n", ["a", "b"]),
        ("*bels\n", "a\r\nb\r\n", ["a", "b"]),
        ("*", "a\nb", ["a", "b"]),
        ("*tags\nother_labels\n", "@@UNKNOWN@@\na\n", ["@@PADDING@@", "@@UNKNOWN@@", "a"]),
        ("", "a\n@@UNKNOWN@@\nx@@NEWLINE@@y\n", ["@@PADDING@@", "a", "@@UNKNOWN@@", "x\ny"]),
    ],
)
def test_vocabularies(patterns: str, lines: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "non_padded_namespaces.txt").write_text(patterns, encoding="utf-8", newline="")
    (tmp_path / "labels.txt").write_text(lines, encoding="utf-8", newline="")
    assert read_labels(tmp_path) == Labels(expected)


def test_damaged_vocabularies(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"non_padded_namespaces.txt: no such file; the vocabulary is incomplete"):
        read_labels(tmp_path)
    (tmp_path / "non_padded_namespaces.txt").write_text("*tags\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"labels.txt: expected a line @@UNKNOWN@@, as non_padded_namespaces.txt"):
        read_labels(tmp_path)


# -- commands -------------------------------------------------------------------------------------------------------


def test_evaluate_and_predict(
    checkpoint: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pack(write_archive(tmp_path / "run", typing_config(checkpoint), typing_weights(checkpoint)))
    assert main(["evaluate", str(path), str(records), "--include-package", "examples", "--cuda-device", "-1"]) == 0
    printed = capsys.readouterr()
    scores = json.loads(printed.out)
    assert 0 <= scores["micro_fscore"] <= 1
    assert f"{path}: a model that AllenNLP trained; its config is read as MIGRATING.md says" in printed.err
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"text": "Beyoncé lives in London", "entities": [[0, 7]]}\n', encoding="utf-8")
    assert main(["predict", str(path), str(lines), "--cuda-device", "-1"]) == 0
    predicted = json.loads(capsys.readouterr().out)
    from_python = luke_tasks.load(path, cuda_device=-1)({"text": "Beyoncé lives in London", "entities": [[0, 7]]})
    assert predicted["entities"] == from_python.to_json()["entities"]


def test_the_checkpoint_may_have_moved(
    checkpoint: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name in the archive means nothing here; an option names a folder with tokenizer and config, no weights."""
    path = write_archive(tmp_path / "run", typing_config("results/luke-of-2022"), typing_weights(checkpoint))
    message = error_of(capsys, "evaluate", str(path), str(records))
    assert message.startswith(f"{path}: takes its tokenizer and the encoder's config.json from the checkpoint "
                              "'results/luke-of-2022', which cannot be read: ")  # fmt: skip
    assert message.endswith("""(weights are not needed): -o '{"model.encoder.pretrained": "FOLDER"}'""")
    (copy := tmp_path / "copy").mkdir()
    for file in checkpoint.iterdir():
        if file.suffix != ".safetensors":
            (copy / file.name).write_bytes(file.read_bytes())
    override = json.dumps({"model.encoder.pretrained": str(copy)})
    assert main(["evaluate", str(path), str(records), "-o", override, "--cuda-device", "-1"]) == 0
    moved = load_trained(path, overrides=override)
    there = load_trained(write_archive(tmp_path / "there", typing_config(checkpoint), typing_weights(checkpoint)))
    for (_, ours), (_, theirs) in zip(logits_of(moved, records), logits_of(there, records), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert luke_tasks.load(path, overrides=override, cuda_device=-1).reader.task == "entity_typing"


def test_another_weights_file(checkpoint: Path, records: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "run", typing_config(checkpoint), None)
    weights = typing_weights(checkpoint)
    torch.save(weights, path / "model_state_e1_b0.th")
    trained = load_trained(path, weights_file=str(path / "model_state_e1_b0.th"))
    found = trained.model.state_dict()["head.classifier.bias"]
    torch.testing.assert_close(found, weights["classifier.bias"], rtol=0, atol=0)


# -- what is wrong with an archive ----------------------------------------------------------------------------------

WORDS = "feature_extractor.embedder.luke_model.embeddings.word_embeddings.weight"
OTHER = "feature_extractor.embedder.luke_model.encoder.layer.2.output.dense.bias"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classifier.bias": None}, "lacks classifier.bias 3; the file is incomplete, or of another model"),
        ({WORDS: None}, f"lacks {WORDS} 344×16; the file is incomplete"),
        ({"classifier.bias": torch.zeros(4)},
         "classifier.bias has shape 4, but the model's is 3; vocabulary/labels.txt has 3 labels"),
        ({WORDS: torch.zeros(2, 16)}, f"{WORDS} has shape 2×16, but the model's is 344×16; the pretrained checkpoint "
                                      "is not the one the archive was trained from"),
        ({OTHER: torch.zeros(16)}, f"has {OTHER}, which the model does not; the file is of another model, or of other "
                                   "options of the encoder"),
        ({"crf.transitions": torch.zeros(3, 3)}, "has crf.transitions 3×3, which the model does not; the file is of "
                                                 "another model than config.json's 'entity_typing'"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(
    changes: dict[str, Any], complaint: str, checkpoint: Path, records: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    weights = {**typing_weights(checkpoint), **changes}
    kept = {name: tensor for name, tensor in weights.items() if tensor is not None}
    path = write_archive(tmp_path / "run", typing_config(checkpoint), kept)
    words = typing_weights(checkpoint)[WORDS].shape[0]
    complaint = complaint.replace("344", str(words))
    assert error_of(capsys, "evaluate", str(path), str(records)).startswith(f"{path / 'weights.th'}: {complaint}")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pwned"),))


def test_weights_that_would_run_code(
    checkpoint: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = write_archive(tmp_path / "run", typing_config(checkpoint), None)
    for save in (torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))):
        save({"classifier.bias": Hostile()}, path / "weights.th")
        message = error_of(capsys, "evaluate", str(path), str(records))
        assert message.startswith(f"{path / 'weights.th'}: ")
        assert "refused" in message or "cannot be read as PyTorch weights" in message
    assert not (tmp_path / "pwned").exists()


def test_half_written(checkpoint: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_archive(tmp_path / "run", typing_config(checkpoint), None)
    assert error_of(capsys, "evaluate", str(path), str(records)) == (
        f"{path}: an archive of AllenNLP without weights: expected weights.th or best.th, which a run has after its "
        "first epoch; --weights-file names another file"
    )
    torch.save(typing_weights(checkpoint), path / "best.th")
    whole = (path / "best.th").read_bytes()
    (path / "best.th").write_bytes(whole[: len(whole) // 2])
    assert error_of(capsys, "evaluate", str(path), str(records)).startswith(f"{path / 'best.th'}: ")
    (path / "best.th").write_bytes(whole)
    (path / "vocabulary").rename(tmp_path / "away")
    assert error_of(capsys, "evaluate", str(path), str(records)) == (
        f"{path}: an archive of AllenNLP without vocabulary; it is not complete"
    )
    (tmp_path / "away").rename(path / "vocabulary")
    (path / "config.json").write_text('{"model": ', encoding="utf-8")
    message = error_of(capsys, "evaluate", str(path), str(records))
    assert message.startswith(f"{path / 'config.json'}: no valid JSON: ")


def test_unknown_models(checkpoint: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = typing_config(checkpoint)
    config["model"]["type"] = "crf_tagger"
    path = write_archive(tmp_path / "run", config, typing_weights(checkpoint))
    assert error_of(capsys, "predict", str(path), str(records)) == (
        f'{path}: config.json: model.type: "crf_tagger" is no model of studio-ousia/luke\'s examples (known: span_ner, '
        "entity_typing, relation_classifier, transformers_qa); no other model of AllenNLP is read here"
    )
    (path / "config.json").write_text('{"model": {"encoder": {}, "head": {}}}', encoding="utf-8")
    assert error_of(capsys, "predict", str(path), str(records)) == (
        f"{path}: has weights of AllenNLP (.th), but its config.json is no config of studio-ousia/luke's examples: its "
        "model has no feature_extractor or embedder"
    )


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/luke_tasks_was_here"),
        member("../outside"),
        member("vocabulary/../../outside"),
        member("weights.th", tarfile.SYMTYPE, "/etc/passwd"),
        member("weights.th", tarfile.SYMTYPE, "../../outside"),
        member("weights.th", tarfile.LNKTYPE, "../outside"),
        member("weights.th", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.type!r}",
)
def test_hostile_members(
    hostile: tarfile.TarInfo, checkpoint: Path, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        config = json.dumps(typing_config(checkpoint)).encode()
        info = member("config.json")
        info.size = len(config)
        tar.addfile(info, io.BytesIO(config))
        tar.addfile(hostile)
    before = sorted(tmp_path.rglob("*"))
    message = error_of(capsys, "evaluate", str(path), str(records))
    assert message.startswith(f"{path}: refused: a member would leave the folder, or is no file: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/etc/luke_tasks_was_here").exists()


def test_too_large(records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header may promise anything; nothing is unpacked."""
    import gzip

    info = member("weights.th")
    info.size = 2**40
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    message = error_of(capsys, "evaluate", str(path), str(records))
    assert message.startswith(f"{path}: would unpack to more than 64 GiB") or "not a readable" in message
