"""Lite models: the same logits with four entities, and one clear line where that cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.errors import ConfigError, Fault
from luke_tasks.exports import lite as lite_export
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.trained import load_trained
from tests.exports.small_runs import PAIR, relation_run
from tests.tiny import LUKE_ENTITIES, MLUKE_ENTITIES, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta
from tests.training.runs import train

SPECIAL_ONLY = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3}
TABLE = "entity_embeddings.entity_embeddings.weight"
TEXT_INPUTS: list[Any] = ["Beyoncé lives in Los Angeles .", "Barack Obama was born in Honolulu , Hawaii"]


@pytest.fixture(scope="module")
def relations(tiny_luke_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relation_run(tmp_path_factory.mktemp("relations"), {"type": "luke", "pretrained": str(tiny_luke_dir)})


def lite(source: Path | str, out: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """`allennlp export ... --to lite`; what it prints."""
    capsys.readouterr()
    assert main(["export", str(source), str(out), "--to", "lite", *flags]) == 0
    return capsys.readouterr().out


def refusal(source: Path | str, out: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    capsys.readouterr()
    assert main(["export", str(source), str(out), "--to", "lite", *flags]) == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message and not out.exists()
    return message


def logits(run: Path, raw_inputs: list[Any]) -> Tensor:
    trained = load_trained(run)
    records = [item if isinstance(item, dict) else {"text": item} for item in raw_inputs]
    features = trained.reader.encode([trained.reader.parse_input(record, "here") for record in records])
    with torch.no_grad():
        output: Tensor = trained.model(collate(features, pad_id=trained.pad_id, labels=None)).logits
    return output


def test_shared_windows(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = {"dataset_reader.context": "shared", "trainer.num_epochs": 1}
    assert train(ner_config, tmp_path / "run", overrides=overrides) == 0
    lite(tmp_path / "run", tmp_path / "lite", capsys)
    text = ["\n".join(TEXT_INPUTS)]
    torch.testing.assert_close(logits(tmp_path / "lite", text), logits(tmp_path / "run", text), atol=1e-6, rtol=0)
    assert load_trained(tmp_path / "lite").reader.entity_attention == "self"


# -- archives -------------------------------------------------------------------------------------------------------


def test_a_run(relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lite"
    printed = lite(relations, out, capsys)
    weights, lighter = load_file(relations / "best.safetensors"), load_file(out / "best.safetensors")
    sizes = [sum(tensor.numel() * 4 for tensor in tensors.values()) for tensors in (weights, lighter)]
    assert printed == (f"{out}: entity embeddings: 12 before, 4 after; weights: {sizes[0]:,} bytes before, "
                       f"{sizes[1]:,} after\n")  # fmt: skip
    assert sizes[0] - sizes[1] == (12 - 4) * 8 * 4  # rows of 8 numbers of 4 bytes

    name = f"encoder.{TABLE}"
    rows = [LUKE_ENTITIES[entity] for entity in SPECIAL_ONLY]
    assert rows == [0, 1, 2, 11]
    assert lighter[name].equal(weights[name][rows])
    assert all(lighter[other].equal(weights[other]) for other in weights if other != name)
    assert lighter.keys() == weights.keys()

    assert logits(out, [PAIR]).equal(logits(relations, [PAIR]))
    assert logits(out / "model.tar.gz", [PAIR]).equal(logits(relations, [PAIR]))
    assert json.loads((out / "metrics.json").read_text()) == json.loads((relations / "metrics.json").read_text())


def test_an_archive_is_evaluated_alike(
    ner_config: Path, ner_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    archive, out = tmp_path / "run" / "model.tar.gz", tmp_path / "lite"
    lite(archive, out, capsys)
    scores = [luke_tasks.load(path, cuda_device=-1).evaluate(ner_files["valid"]).scores for path in (archive, out)]
    assert scores[0] == scores[1]
    assert logits(out, TEXT_INPUTS).equal(logits(archive, TEXT_INPUTS))
    assert main(["evaluate", str(out), ner_files["valid"], "--cuda-device", "-1"]) == 0
    assert (
        main(["train", str(out / "config.json"), "-s", str(tmp_path / "again"), "-o", '{"trainer.num_epochs": 1}']) == 0
    )


def test_twice(relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lite(relations, tmp_path / "lite", capsys)
    assert refusal(tmp_path / "lite", tmp_path / "again", capsys) == (
        f"{tmp_path / 'lite'}: has the embeddings of the four special entities only; there is nothing to cut"
    )


def test_a_task_that_names_entities(
    relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from luke_tasks.readers.relation_classification import RelationClassificationReader

    monkeypatch.setattr(RelationClassificationReader, "names_entities", True)
    assert refusal(relations, tmp_path / "lite", capsys) == (
        f"{relations}: its dataset_reader names entities, whose embeddings a lite model has not; only models of "
        "tasks with [MASK] entities can be cut"
    )


def test_a_config_that_no_run_could_have(
    relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an entity linker's with `entities: "special"`."""

    def check(values: dict[str, Any], *arguments: Any, **options: Any) -> None:
        raise ConfigError([Fault("dataset_reader", f"entities {values['model']['encoder']['entities']}: none to link")])

    monkeypatch.setattr(lite_export, "check_config", check)
    assert refusal(relations, tmp_path / "lite", capsys) == (
        f"{relations}: cannot be cut to the special entities: dataset_reader: entities special: none to link"
    )


def test_an_encoder_without_entities(ner_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(ner_config.read_text(encoding="utf-8"))
    content["model"] = {"encoder": {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))},
                        "head": {"type": "ner", "features": "token"}}  # fmt: skip
    ner_config.write_text(json.dumps(content), encoding="utf-8")
    assert train(ner_config, tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    assert refusal(tmp_path / "run", tmp_path / "lite", capsys) == (
        f"{tmp_path / 'run'}: its encoder has no entity embeddings, so there is nothing to cut"
    )


def test_where_to(relations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    assert main(["export", str(relations), str(tmp_path / "full"), "--to", "lite"]) == 2
    expected = f"{tmp_path / 'full'}: the directory is not empty; -f replaces the export in it, or choose another"
    assert capsys.readouterr().err.strip() == expected
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    lite(relations, tmp_path / "empty", capsys)
    assert (tmp_path / "empty" / "model.tar.gz").exists()
    assert refusal(tmp_path / "no.tar.gz", tmp_path / "out", capsys) == (
        f"{tmp_path / 'no.tar.gz'}: no such archive; expected a model.tar.gz or the directory of a run"
    )


# -- checkpoints ----------------------------------------------------------------------------------------------------


def encode(checkpoint: Path, entities: list[str]) -> tuple[Tensor, Tensor]:
    """Words and entities of one window through our encoder and our tokenizer."""
    tokenizer = Tokenizer.from_pretrained(str(checkpoint))
    encoder = LukeEncoder.from_pretrained(pretrained=str(checkpoint)).eval()
    reader = ConllSpanReader(tokenizer=tokenizer, max_sequence_length=64)
    (window,) = reader.encode([reader.parse_input({"text": "Beyoncé lives in Los Angeles"}, "here")])
    batch = collate([window], pad_id=tokenizer.special.pad, labels=None)
    assert batch.entity_ids is not None
    named = [tokenizer.entity_vocab[entities[index % len(entities)]] for index in range(batch.entity_ids.shape[1])]
    batch.entity_ids = torch.tensor([named])
    with torch.no_grad():
        output = encoder(batch)
    assert output.entity_hidden is not None
    return output.word_hidden, output.entity_hidden


@pytest.mark.parametrize("make", [tiny_luke, tiny_mluke])
@pytest.mark.parametrize("architecture", ["LukeModel", "LukeForMaskedLM"])
def test_a_checkpoint(make: Any, architecture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = make(tmp_path / "luke", architecture=architecture)
    before, out = (checkpoint / "model.safetensors").stat().st_size, tmp_path / "lite"
    printed = lite(checkpoint, out, capsys)
    entities = 12 if make is tiny_luke else 7
    after = (out / "model.safetensors").stat().st_size
    left_out = "; left out: entity_predictions, lm_head" if architecture == "LukeForMaskedLM" else ""
    assert printed == (f"{out}: entity embeddings: {entities} before, 4 after; weights: {before:,} bytes before, "
                       f"{after:,} after{left_out}\n")  # fmt: skip
    for was, found in zip(encode(checkpoint, [*SPECIAL_ONLY]), encode(out, [*SPECIAL_ONLY]), strict=True):
        assert found.equal(was)

    model, info = transformers.LukeModel.from_pretrained(out, output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    assert model.entity_embeddings.entity_embeddings.num_embeddings == 4
    assert transformers.AutoTokenizer.from_pretrained(out).entity_vocab == SPECIAL_ONLY
    vocab = LUKE_ENTITIES if make is tiny_luke else MLUKE_ENTITIES
    assert Tokenizer.from_pretrained(str(checkpoint)).entity_vocab == vocab
    assert Tokenizer.from_pretrained(str(out)).entity_vocab == SPECIAL_ONLY


def test_a_checkpoint_with_a_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logits of `transformers`' own class, on the same entities under their old and new ids."""
    checkpoint = tiny_luke(tmp_path / "luke", architecture="LukeForEntityPairClassification")
    lite(checkpoint, tmp_path / "lite", capsys)
    found = []
    for folder, ids in ((checkpoint, [2, 11]), (tmp_path / "lite", [2, 3])):
        model = transformers.LukeForEntityPairClassification.from_pretrained(folder).eval()
        with torch.no_grad():
            found.append(model(
                input_ids=torch.tensor([[0, 40, 41, 42, 2]]), entity_ids=torch.tensor([ids]),
                entity_attention_mask=torch.tensor([[1, 1]]), entity_position_ids=torch.tensor([[[1, 2], [3, -1]]]),
            ).logits)  # fmt: skip
    assert found[0].equal(found[1])
    assert json.loads((tmp_path / "lite" / "config.json").read_text())["architectures"] == [
        "LukeForEntityPairClassification"
    ]


def test_a_tokenizer_that_transformers_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps the entity vocabulary in another file, which must not go on saying the old ids."""
    checkpoint = tiny_luke(tmp_path / "luke")
    transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path / "saved")
    shutil.copy(checkpoint / "model.safetensors", tmp_path / "saved")
    shutil.copy(checkpoint / "config.json", tmp_path / "saved")
    assert not (tmp_path / "saved" / "entity_vocab.json").exists()
    lite(tmp_path / "saved", tmp_path / "lite", capsys)
    assert Tokenizer.from_pretrained(str(tmp_path / "lite")).entity_vocab == SPECIAL_ONLY
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "lite").entity_vocab == SPECIAL_ONLY


def test_checkpoints_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bert = tiny_bert(tmp_path / "bert")
    assert refusal(bert, tmp_path / "out", capsys) == (
        f"{bert}: model_type 'bert' has no entity embeddings, so there is nothing to cut; a LUKE is expected"
    )
    luke = tiny_luke(tmp_path / "luke")
    lite(luke, tmp_path / "lite", capsys)
    assert refusal(tmp_path / "lite", tmp_path / "out", capsys) == (
        f"{tmp_path / 'lite'}: has the embeddings of the four special entities only; there is nothing to cut"
    )
    for flags in (["-o", '{"model.head": null}'], ["--weights-file", str(luke / "model.safetensors")]):
        assert refusal(luke, tmp_path / "out", capsys, *flags) == (
            f"{luke}: a checkpoint is cut as it is; --overrides and --weights-file go with archives"
        )
    qa = tiny_luke(tmp_path / "qa", architecture="LukeForQuestionAnswering")
    content = json.loads((qa / "config.json").read_text(encoding="utf-8"))
    linker = {"type": "json", "mention_candidate_json_file_paths": {"en-en": "candidates.json"}}
    content["luke_tasks"] = {"dataset_reader": {"type": "transformers_squad", "wiki_entity_linker": linker}}
    (qa / "config.json").write_text(json.dumps(content), encoding="utf-8")
    assert refusal(qa, tmp_path / "out", capsys) == (
        f"{qa}: its dataset_reader names entities, whose embeddings a lite model has not; only models of tasks with "
        "[MASK] entities can be cut"
    )
    (luke / "model.safetensors").unlink()
    assert refusal(luke, tmp_path / "out", capsys) == (
        f"{luke}: holds no weights; expected model.safetensors or pytorch_model.bin"
    )
    assert refusal("no-one/nothing", tmp_path / "out", capsys).startswith("pretrained 'no-one/nothing': not a folder")
