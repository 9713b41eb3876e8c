"""`check` on small data: faults and exit status, numbers counted by hand, and the cost beside a real step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from luke_tasks.__main__ import main
from luke_tasks.checks import cost
from luke_tasks.checks.check import check_data
from luke_tasks.checks.sizes import distribution
from luke_tasks.checks.text import duration, report_lines, size, table
from luke_tasks.data.loader import Sizes, collate
from luke_tasks.encoder.flops import encoder_flops
from luke_tasks.encoder.weights import Weights
from luke_tasks.experiment import build, read_config
from tests.conftest import SENTENCES, conll
from tests.tiny import tiny_luke, tiny_roberta

RATE = 1e9  # FLOP/s, in place of a measured one
TRAIN = [*SENTENCES[:5], "London/LOC calls Beyoncé and Phil in May", SENTENCES[4].replace("London/LOC", "London")]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`luke` and `transformer` without any weights file, and `whole`, the same LUKE with it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4}
    found = {"whole": tiny_luke(folder / "whole", **sizes), "luke": tiny_luke(folder / "luke", **sizes),
             "transformer": tiny_roberta(folder / "transformer", **sizes)}  # fmt: skip
    for name in ("luke", "transformer"):
        for path in (*found[name].glob("*.safetensors"), *found[name].glob("*.bin")):
            path.unlink()
    return found


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `check`, anything that opens a weights file fails; and the rate of this machine plays no part."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("weights were opened")

    monkeypatch.setattr(Weights, "open", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr("safetensors.safe_open", refuse)
    monkeypatch.setattr(cost, "matrix_rate", lambda *arguments: RATE)


@pytest.fixture
def config(tmp_path: Path, checkpoints: dict[str, Path]) -> Path:
    """A NER config and its data, in a folder of its own."""
    (tmp_path / "train.txt").write_text(conll(TRAIN), encoding="utf-8")
    (tmp_path / "valid.txt").write_text(conll([SENTENCES[3], "Bob/ANIMAL sings", SENTENCES[5]]), encoding="utf-8")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 64, "context": "sentence",
                           "max_mention_length": 4},
        "train_data_path": str(tmp_path / "train.txt"),
        "validation_data_path": str(tmp_path / "valid.txt"),
        "model": {"encoder": {"type": "luke", "pretrained": str(checkpoints["luke"])}, "head": {"type": "ner"}},
        "data_loader": {"batch_size": 3},
        "trainer": {"optimizer": {"type": "adamw"}, "num_epochs": 2, "cuda_device": -1,
                    "num_gradient_accumulation_steps": 2},
    }), encoding="utf-8")  # fmt: skip
    return path


def report_of(path: Path, **overrides: Any) -> dict[str, Any]:
    """Keys with `__` for a dot."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return check_data(read_config(path, json.dumps(dotted)))


def test_good_data(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("no fault in the config or the data\n")
    rows = {line[:22].strip(): line[22:].split() for line in printed.out.splitlines()}
    assert rows["sentences"] == ["7", "3"]
    assert rows["labels"] == []
    assert rows["O"] == ["32", "11"]  # words outside entities
    assert "label 'ANIMAL' is not in the training data" in printed.out


def test_numbers(config: Path) -> None:
    report = report_of(config)
    train, validation = report["sets"]["train"], report["sets"]["validation"]
    words = [len(sentence.split()) for sentence in TRAIN]
    assert (train["examples"], train["sentences"], train["words"]) == (3, 7, sum(words))
    assert train["labels"] == {
        "O": sum("/" not in word for sentence in TRAIN for word in sentence.split()),
        "LOC": 6,
        "PER": 3,
        "ORG": 2,
    }
    assert train["lengths"]["words_per_sentence"] == {
        "p50": sorted(words)[3], "p90": max(words), "p99": max(words), "max": max(words),
        "mean": round(sum(words) / 7, 2),
    }  # fmt: skip
    assert train["windows"] == train["features"] == 7 - sum("no span" in one["what"] for one in train["dropped"])
    assert validation["labels"]["ANIMAL"] == 1
    assert not train["faults"] and not validation["faults"] and train["is_whole"]
    built = build_whole(config)
    sizes = Sizes.of(built.data.features)
    assert train["word_pieces"] + train["entities"] == sizes.tokens.sum()
    batches = built.data.loader.order(built.data.features, seed=13370, epoch=0)
    assert train["padding_share"] == round(sizes.padding_share(batches), 4)
    (lost,) = [one for one in train["dropped"] if "entities are longer" in one["what"]]
    assert (lost["of"], lost["share"]) == (11, round(lost["count"] / 11, 6))


def build_whole(config: Path, **overrides: Any) -> Any:
    """What `train` builds, weights and all."""
    with pytest.MonkeyPatch.context() as allowed:
        allowed.setattr(Weights, "open", OPEN)
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        whole = Path(json.loads(config.read_text())["model"]["encoder"]["pretrained"]).with_name("whole")
        return build(read_config(config, json.dumps({"model.encoder.pretrained": str(whole), **dotted})))


OPEN = Weights.open


def test_warnings_say_where(config: Path, tmp_path: Path) -> None:
    train, valid = tmp_path / "train.txt", tmp_path / "valid.txt"
    warnings = report_of(config)["warnings"]
    unseen, within, shared = warnings
    place = next(number for number, line in enumerate(valid.read_text().splitlines(), 1) if line.startswith("Bob"))
    message = "is not in the training data, so nothing can learn it"
    assert unseen == f"{valid}:{place}: label 'ANIMAL' {message} (1 time in {valid})"
    lines = train.read_text().splitlines()
    assert lines.count("London -X- -X- B-LOC") == 2
    first, again = lines.index("London -X- -X- B-LOC") + 1, lines.index("London -X- -X- O") + 1
    repeats = "1 of 7 sentences (14.3%) repeat an earlier one, 1 of them with another gold label"
    assert within == f"{train}: {repeats}: {again} = {first}"
    assert shared.startswith(f"{valid}: 1 of 2 sentences (50.0%) are in the training data, too: 3 = ")


def test_faults_of_all_files(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, valid = tmp_path / "train.txt", tmp_path / "valid.txt"
    train.write_text(train.read_text().replace("-X- B-LOC", "B-LOC"), encoding="utf-8")
    valid.write_text("", encoding="utf-8")
    assert main(["check", str(config), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    bad = [number for number, line in enumerate(train.read_text().splitlines(), 1) if len(line.split()) == 3]
    columns = [fault for fault in found["sets"]["train"]["faults"] if "expected 4 columns" in fault]
    assert [fault.partition(": ")[0] for fault in columns] == [f"{train}:{number}" for number in bad]
    assert found["sets"]["validation"]["faults"] == [f"{valid}: the file is empty"]
    assert found["config_faults"] == []
    assert found["estimate"]["batches"] > 0  # of what can be read


def test_a_long_list_is_cut(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = tmp_path / "train.txt"
    train.write_text(train.read_text() + "x PER\n" * 25, encoding="utf-8")
    assert main(["check", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{train}: 25 faults"
    assert lines[21] == "  ... and 5 more (--json lists all)"


def test_faults_of_labels(config: Path, tmp_path: Path) -> None:
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "vocabulary" / "labels.txt").write_text("O\nLOC\nPER\nORG\n", encoding="utf-8")
    report = report_of(config, vocabulary={"type": "from_files", "directory": str(tmp_path / "vocabulary")})
    (fault,) = report["sets"]["validation"]["faults"]
    assert "label 'ANIMAL' is not among the model's" in fault
    (tmp_path / "train.txt").write_text("a O\nb O\n", encoding="utf-8")
    report = report_of(config, datasets_for_vocab_creation=["train"])
    assert any("one label only (O): nothing can be learned" in fault for fault in report["sets"]["train"]["faults"])
    assert report["estimate"] is None
    assert list(report_lines(report))


def test_faults_of_the_config(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for overrides, start in (
        ({"trainer.num_epoch": 1, "train_data_path": "none"}, "train_data_path: there is no file"),
        ({"dataset_reader.max_sequence_length": 99}, "dataset_reader.max_sequence_length: 99 is more than the encoder"),
        ({"trainer.validation_metric": "+f1-NONE"}, "trainer.validation_metric: no such score"),
    ):
        assert main(["check", str(config), "-o", json.dumps(overrides)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(start)
        assert main(["check", str(config), "-o", json.dumps(overrides), "--json"]) == 2
        faults = json.loads(capsys.readouterr().out)["config_faults"]
        assert f"{faults[0]['path']}: {faults[0]['message']}".startswith(start)
        assert len(faults) == len(overrides)


def test_cost_beside_a_real_step(config: Path) -> None:
    """Parameters exactly; activations within a third of what a step keeps for its gradient."""
    options = {"data_loader__batch_size": 6, "model__encoder__dropout": 0.0}
    estimate = report_of(config, **options)["estimate"]
    built = build_whole(config, **options)
    numbers = sum(weight.numel() for weight in built.model.parameters())
    assert estimate["parameters"] == estimate["trained_parameters"] == numbers
    memory = estimate["memory"]
    assert [memory[part] for part in ("weights", "gradients", "optimizer")] == [4 * numbers, 4 * numbers, 8 * numbers]
    assert estimate["memory_bytes"] == sum(memory.values())

    features = built.data.features
    batches = built.data.loader.order(features, seed=13370, epoch=0)
    batch = max(map(built_batch(built), batches), key=lambda one: one.word_ids.numel() + one.entity_ids.numel())
    weights = {weight.untyped_storage().data_ptr() for weight in built.model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    built.model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        built.model(batch)
    assert memory["activations"] == pytest.approx(sum(number for number, _ in kept.values()), rel=0.33)

    windows = [(batch.word_ids.size(1), batch.entity_ids.size(1)) for batch in map(built_batch(built), batches)
               for _ in range(batch.word_ids.size(0))]  # fmt: skip
    training = 3 * encoder_flops(built.model.encoder.config, windows)
    alone = report_of(config, **options, validation_data_path=None)["estimate"]
    assert alone["epoch_flops"] == training < estimate["epoch_flops"]
    assert alone["epoch_seconds"] == round(training / RATE / 0.7, 2)


def built_batch(built: Any) -> Any:
    """From the places of features to their batch."""
    return lambda rows: collate([built.data.features[row] for row in rows], pad_id=1, labels=built.labels)


def test_cost_of_options(config: Path, checkpoints: dict[str, Path]) -> None:
    plain = report_of(config)["estimate"]
    assert (plain["batches"], plain["optimizer_steps"]) == (3, 4)  # 7 windows; 2 batches a step, 2 epochs
    groups = [[["embeddings"], {"requires_grad": False}]]
    frozen = report_of(config, trainer__optimizer={"type": "sgd", "lr": 1, "parameter_groups": groups})["estimate"]
    assert frozen["trained_parameters"] < frozen["parameters"] == plain["parameters"]
    assert frozen["memory"]["gradients"] == 4 * frozen["trained_parameters"]
    assert frozen["memory"]["optimizer"] == 0
    options: dict[str, Any] = {"model__encoder__attention": "eager"}
    eager = report_of(config, **options)["estimate"]
    checkpointed = report_of(config, **options, trainer__gradient_checkpointing=True)["estimate"]
    assert checkpointed["memory"]["activations"] < eager["memory"]["activations"] > plain["memory"]["activations"]
    half = report_of(config, trainer__precision="bf16")["estimate"]
    assert half["memory"]["activations"] < plain["memory"]["activations"]
    assert half["memory"]["weights"] > plain["memory"]["weights"]
    report = report_of(config, trainer__use_amp=True)  # on the CPU it cannot be
    assert any(line.startswith("trainer.precision:") for line in report["warnings"])
    model = {"encoder": {"type": "transformer", "pretrained": str(checkpoints["transformer"])},
             "head": {"type": "ner", "features": "token"}}  # fmt: skip
    changed = json.loads(config.read_text())
    changed["model"] = model
    config.write_text(json.dumps(changed))
    baseline = report_of(config)["estimate"]
    assert 0 < baseline["epoch_flops"] < plain["epoch_flops"]  # words alone


def test_count_instances(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count-instances", str(config), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    sets = report_of(config)["sets"]
    assert counts == {
        name: {"instances": found["examples"], "features": found["features"], "windows": found["windows"],
               "words": found["words"]}
        for name, found in sets.items()
    }  # fmt: skip
    assert main(["count-instances", str(config)]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["instances", "features", "windows", "words"]
    assert rows[0].split() == ["train", "3", "7", "7", str(counts["train"]["words"])]


def test_distribution() -> None:
    assert distribution([]) == {}
    assert distribution([5]) == {"p50": 5, "p90": 5, "p99": 5, "max": 5, "mean": 5.0}
    assert distribution(range(1, 101)) == {"p50": 50, "p90": 90, "p99": 99, "max": 100, "mean": 50.5}


def test_text() -> None:
    assert list(table(["", "a", "bb"], [["x", "1", "2"], ["title"], ["long", "10", "3"]])) == [
        "       a  bb", "x      1   2", "title", "long  10   3"
    ]  # fmt: skip
    assert [size(number) for number in (5e5, 12e6, 3.25e9)] == ["0 MB", "12 MB", "3.2 GB"]
    assert [duration(number) for number in (0.04, 9.96, 100, 150, 9000, 200000)] == [
        "0.0 s", "10.0 s", "100 s", "2.5 min", "2.5 h", "2.3 days"
    ]  # fmt: skip


def test_the_rate_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    shape = cost.Shape(
        hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, entity_emb_size=64,
        use_entity_aware_attention=True, kept_per_place=7, is_eager=False,
    )  # fmt: skip
    assert cost.matrix_rate(100, shape, torch.device("cpu"), "fp32") > 1e6


def test_a_file_of_another_form(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split(" ") for line in conll(TRAIN).splitlines()]
    (tmp_path / "train.txt").write_text("".join(" ".join(line[::-1]) + "\n" for line in lines), encoding="utf-8")
    assert main(["check", str(config)]) == 1
    assert f"`luke-tasks init --train {tmp_path / 'train.txt'}` tells" in capsys.readouterr().out
