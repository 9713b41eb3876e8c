"""Trained models as checkpoints of Hugging Face: `transformers` gives equal logits, and `evaluate` the same metrics."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from luke_tasks.__main__ import main
from luke_tasks.data.loader import collate
from luke_tasks.errors import LukeTasksError
from luke_tasks.experiment import build, read_config
from luke_tasks.exports import huggingface
from luke_tasks.exports.huggingface import fold_bias
from luke_tasks.exports.model_card import without_local_paths
from luke_tasks.trained import Trained, load_trained
from tests.interop.checkpoints import (
    CHOICES,
    MASKED,
    NER,
    PAIR,
    QA,
    TAGS,
    TEXT_CLASSES,
    TYPING,
    data_file,
    our_logits,
    real_logits,
    transformers_logits,
)
from tests.tiny import tiny_bert, tiny_luke, tiny_mluke, tiny_roberta
from tests.training.runs import metrics, train

TASKS: dict[str, dict[str, Any]] = {
    NER: {"reader": {"type": "conll_span", "max_mention_length": 7, "max_entity_length": 20},
          "head": {"type": "ner"}, "metric": "+f1"},
    TYPING: {"reader": {"type": "entity_typing", "label_set": ["person", "place", "time"]},
             "head": {"type": "entity_typing", "threshold": 0.4}, "metric": "+micro_fscore"},
    PAIR: {"reader": {"type": "relation_classification", "dataset": "tacred", "restore_brackets": False},
           "head": {"type": "relation_classifier", "ignored_labels": ["per:title"]}, "metric": "+micro_fscore"},
    QA: {"reader": {"type": "transformers_squad", "stride": 4, "max_query_length": 12},
         "head": {"type": "transformers_qa"}, "metric": "+f1"},
    TEXT_CLASSES: {"reader": {"type": "sequence_classification"}, "head": {"type": "sequence_classification"},
                   "metric": "+accuracy"},
    TAGS: {"reader": {"type": "conll_tokens"}, "head": {"type": "token_classification"}, "metric": "+f1"},
    CHOICES: {"reader": {"type": "multiple_choice"}, "head": {"type": "multiple_choice"}, "metric": "+accuracy"},
    MASKED: {"reader": {"type": "masked_text", "word_probability": 0.4, "entity_probability": 0.6},
             "head": {"type": "masked_lm"}, "metric": "-loss"},
}  # fmt: skip


def write_config(folder: Path, architecture: str, checkpoint: Path) -> Path:
    """A config of one epoch on the class's small file, which is the validation data too."""
    task, path = TASKS[architecture], str(data_file(folder, architecture))
    config = {
        "dataset_reader": {"max_sequence_length": 62, **task["reader"]},
        "train_data_path": path, "validation_data_path": path,
        "model": {"encoder": {"pretrained": str(checkpoint)}, "head": task["head"]},
        "data_loader": {"batch_size": 2},
        "trainer": {"optimizer": {"lr": 0.01}, "num_epochs": 1, "cuda_device": -1, "validation_metric": task["metric"]},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder / "config.json"


def trained_run(folder: Path, architecture: str, checkpoint: Path) -> Path:
    assert train(write_config(folder, architecture, checkpoint), folder / "run") == 0
    return folder / "run"


def untrained(folder: Path, architecture: str, checkpoint: Path, **overrides: Any) -> Trained:
    """What an archive would hold before the first step."""
    config = read_config(write_config(folder, architecture, checkpoint), json.dumps(overrides))
    built = build(config)
    reader = config.parts.dataset_reader.build(tokenizer=built.tokenizer)
    return Trained(config, reader, built.labels, built.model.eval())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Begun from a LUKE with all its entities."""
    base = tmp_path_factory.mktemp("runs")
    checkpoint = tiny_luke(base / "luke")
    return {architecture: trained_run(base / architecture, architecture, checkpoint) for architecture in TASKS}


def export(archive: Path, out: Path, *flags: str) -> int:
    return main(["export", str(archive), str(out), "--to", "huggingface", *flags])


def assert_equal_logits(run: Path, out: Path, architecture: str) -> None:
    """Ours from the archive, theirs from the export, on the archive's own validation data."""
    trained = load_trained(run / "model.tar.gz")
    _, features = trained.reader.read_encoded(trained.config.resolved["validation_data_path"])
    batch = collate(features, pad_id=trained.pad_id, labels=None)
    ours = our_logits(trained, batch)
    theirs = transformers_logits(out, batch, trained.reader.tokenizer)
    torch.testing.assert_close(*(real_logits(x, batch, architecture) for x in (theirs, ours)), atol=1e-5, rtol=0)


def assert_round_trip(run: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`evaluate` on the export gives the metrics of the run."""
    data = load_trained(run).config.resolved["validation_data_path"]
    capsys.readouterr()
    found = []
    for archive in (run, out):
        assert main(["evaluate", str(archive), data, "--cuda-device", "-1", "--batch-size", "2"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[1] == pytest.approx(found[0], abs=1e-5)
    wanted = {name.removeprefix("best_validation_"): value for name, value in metrics(run).items()}
    assert found[1].items() <= {name: pytest.approx(value, abs=1e-5) for name, value in wanted.items()}.items()


@pytest.mark.parametrize("architecture", list(TASKS))
def test_round_trip(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str
) -> None:
    run, out = runs[architecture], tmp_path / "out"
    assert export(run, out) == 0
    labels = load_trained(run).labels
    listed = f", labels: {', '.join(labels)}" if labels else ""
    assert capsys.readouterr().out == f"{out}: {architecture}{listed}\n"
    model, loaded = getattr(transformers, architecture).from_pretrained(out, output_loading_info=True)
    assert not any(loaded.values())  # no tensor missing, and none too many
    assert model.dtype == torch.float32
    if labels:
        assert model.config.id2label == dict(enumerate(labels))
        assert model.config.label2id == {label: index for index, label in enumerate(labels)}
    assert_equal_logits(run, out, architecture)
    assert_round_trip(run, out, capsys)


@pytest.mark.parametrize(("architecture", "make"), [(NER, tiny_roberta), (PAIR, tiny_bert), (PAIR, tiny_mluke)])
def test_other_beginnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str, make: Callable[[Path], Path]
) -> None:
    """A LUKE begun from RoBERTa, from BERT (with markers added to both), and mLUKE."""
    run = trained_run(tmp_path, architecture, make(tmp_path / "checkpoint"))
    assert export(run / "model.tar.gz", tmp_path / "out") == 0
    shutil.rmtree(tmp_path / "checkpoint")
    assert_equal_logits(run, tmp_path / "out", architecture)
    assert_round_trip(run, tmp_path / "out", capsys)


def test_again(runs: dict[str, Path], tmp_path: Path) -> None:
    """An export is an archive, too: exported anew, it is the same."""
    assert export(runs[PAIR], tmp_path / "one") == 0
    assert export(tmp_path / "one", tmp_path / "two", "-o", '{"model.encoder.entities": "all"}') == 0
    one, two = tmp_path / "one", tmp_path / "two"
    for path in one.iterdir():
        if path.name != "README.md":
            assert path.read_bytes() == (two / path.name).read_bytes(), path.name


# -- the bias of pairs ------------------------------------------------------------------------------------------------


def test_fold_bias() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(5, 2 * 64, generator=generator) * 0.1
    bias = torch.randn(5, generator=generator) * 0.2
    norm = nn.LayerNorm(64)
    with torch.no_grad():
        norm.weight.add_(torch.randn(64, generator=generator) * 0.1)
        norm.bias.add_(torch.randn(64, generator=generator) * 0.1 + 0.05)
    entities = norm(torch.randn(100, 2, 64, generator=generator) * 3 + 1).flatten(1)
    folded = fold_bias(weight, bias, norm)
    torch.testing.assert_close(entities @ folded.T, entities @ weight.T + bias, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("gamma", "beta"),
    [
        (torch.ones(8), torch.zeros(8)),  # a fresh LayerNorm: no constant part
        (torch.ones(8), torch.full((8,), 1e-9)),
        (torch.tensor([1e-30] + [1.0] * 7), torch.tensor([1e-30] + [0.1] * 7)),  # MiniLM's has dead places
        (torch.tensor([0.0] + [1.0] * 7), torch.full((8,), 0.1)),
    ],
)
def test_bias_that_cannot_be_folded(gamma: Tensor, beta: Tensor) -> None:
    norm = nn.LayerNorm(8)
    norm.load_state_dict({"weight": gamma, "bias": beta})
    with pytest.raises(LukeTasksError, match=r'cannot become part of the weight: .* train with "bias": false'):
        fold_bias(torch.ones(3, 16), torch.ones(3), norm)


def test_pairs_without_bias(tmp_path: Path) -> None:
    trained = untrained(tmp_path, PAIR, tiny_luke(tmp_path / "luke"), **{"model.head.bias": False})
    huggingface.export(trained, tmp_path / "out", card="")
    _, features = trained.reader.read_encoded(data_file(tmp_path, PAIR))
    batch = collate(features, pad_id=trained.pad_id, labels=None)
    with torch.inference_mode():
        ours = trained.model(batch).logits
    theirs = transformers_logits(tmp_path / "out", batch, trained.reader.tokenizer)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


# -- the problems of texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem_type", "golds"),
    [("regression", [0.5, 3.0]), ("multi_label_classification", [["a", "b"], ["b"]])],
)
def test_problem_types(tmp_path: Path, problem_type: str, golds: list[Any]) -> None:
    path = write_config(tmp_path, TEXT_CLASSES, tiny_luke(tmp_path / "luke"))
    records = [{"text": text, "label": gold} for text, gold in zip(("London", "Paris is"), golds, strict=True)]
    data = data_file(tmp_path, TEXT_CLASSES)
    data.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    changes = {f"{part}.problem_type": problem_type for part in ("dataset_reader", "model.head")}
    metric = "-mean_squared_error" if problem_type == "regression" else "-loss"
    config = read_config(path, json.dumps({**changes, "trainer.validation_metric": metric}))
    built = build(config)
    trained = Trained(config, config.parts.dataset_reader.build(tokenizer=built.tokenizer), built.labels, built.model)
    huggingface.export(trained, tmp_path / "out", card="")
    again = load_trained(tmp_path / "out")
    assert again.config.resolved["model"]["head"]["problem_type"] == problem_type
    assert again.labels == built.labels
    model = transformers.LukeForSequenceClassification.from_pretrained(tmp_path / "out")
    assert (model.config.problem_type, model.num_labels) == (problem_type, len(built.labels) or 1)
    _, features = trained.reader.read_encoded(data)
    batch = collate(features, pad_id=trained.pad_id, labels=None)
    with torch.inference_mode():
        ours, reread = trained.model.eval()(batch).logits, again.model(batch).logits
    theirs = transformers_logits(tmp_path / "out", batch, trained.reader.tokenizer)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)
    torch.testing.assert_close(reread, ours, atol=1e-6, rtol=0)


# -- what cannot be expressed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "overrides", "expected"),
    [
        (NER, {"model.head.features": "token"},
         f'model.head.features "token": transformers\' {NER} cannot express it, only "token+entity"'),
        (TYPING, {"model.head.features": "token+entity"},
         f'model.head.features "token+entity": transformers\' {TYPING} cannot express it, only "entity"'),
        (PAIR, {"model.head.features": "token"},
         f'model.head.features "token": transformers\' {PAIR} cannot express it, only "entity"'),
    ],
)  # fmt: skip
def test_features(tmp_path: Path, architecture: str, overrides: dict[str, Any], expected: str) -> None:
    trained = untrained(tmp_path, architecture, tiny_luke(tmp_path / "luke"), **overrides)
    with pytest.raises(LukeTasksError) as raised:
        huggingface.export(trained, tmp_path / "out", card="")
    assert str(raised.value) == expected
    assert not (tmp_path / "out").exists()


def test_shared_windows(tmp_path: Path) -> None:
    overrides = {"dataset_reader.context": "shared"}
    trained = untrained(tmp_path, NER, tiny_luke(tmp_path / "luke"), **overrides)
    with pytest.raises(LukeTasksError) as raised:
        huggingface.export(trained, tmp_path / "out", card="")
    assert str(raised.value) == (
        'dataset_reader.context "shared": transformers\' LUKE has no such attention pattern, and predicts poorly with '
        'weights trained for it; to export, train with "document" or "sentence"'
    )
    assert not (tmp_path / "out").exists()


def test_baseline(tmp_path: Path) -> None:
    overrides = {"model.encoder.type": "transformer", "model.head.features": "token"}
    trained = untrained(tmp_path, NER, tiny_roberta(tmp_path / "roberta"), **overrides)
    with pytest.raises(LukeTasksError) as raised:
        huggingface.export(trained, tmp_path / "out", card="")
    expected = 'model.encoder.type "transformer": only the encoder "luke" can be exported to Hugging Face'
    assert str(raised.value) == expected


def test_own_head(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user's class, though it derives from ours, may compute anything."""
    package = tmp_path / "dance_head.py"
    package.write_text(
        "from luke_tasks.heads.head import Head\nfrom luke_tasks.heads.ner import NerHead\n\n"
        '@Head.register("dance")\nclass DanceHead(NerHead):\n    pass\n',
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        flags = ["--include-package", "dance_head", "-o", '{"model.head.type": "dance"}']
        capsys.readouterr()
        assert export(runs[NER], tmp_path / "out", *flags) == 2
    assert capsys.readouterr().err == (
        'model.head.type "dance": transformers has no class for this head (those it has: ner, entity_typing, '
        "relation_classifier, transformers_qa, sequence_classification, "
        "token_classification, multiple_choice, masked_lm)\n"
    )


# -- the card ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", list(TASKS))
def test_card(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Its scores are the run's, its code runs as it stands, and no path of this machine is in it."""
    assert export(runs[architecture], tmp_path / "tiny-model") == 0
    text = (tmp_path / "tiny-model" / "README.md").read_text(encoding="utf-8")
    score = TASKS[architecture]["metric"][1:]
    assert f"| validation | {score} | {metrics(runs[architecture])[f'best_validation_{score}']:.4f} |" in text
    assert f"| train | `{data_file(tmp_path, architecture).name}` |" in text
    assert str(tmp_path.parent) not in text
    assert str(runs[architecture].parent) not in text
    codes = re.findall("```python\n(.*?)```", text, re.DOTALL)
    assert len(codes) == 2
    monkeypatch.chdir(tmp_path)
    for code in codes:
        capsys.readouterr()
        exec(code, {})
        assert capsys.readouterr().out


def test_metrics_of_another_run(runs: dict[str, Path], tmp_path: Path) -> None:
    """Beside an archive that was moved, or of a model that was changed."""
    shutil.copytree(runs[TYPING], tmp_path / "run")
    shutil.copy(runs[PAIR] / "model.tar.gz", tmp_path / "run" / "other.tar.gz")
    change = '{"model.head.threshold": 0.9}'
    for number, (archive, flags) in enumerate(
        [("run/other.tar.gz", []), ("run", ["-o", change]), ("run/model.tar.gz", [])]
    ):
        assert export(tmp_path / archive, tmp_path / str(number), *flags) == 0
        text = (tmp_path / str(number) / "README.md").read_text(encoding="utf-8")
        assert ("Not recorded" in text) == (number < 2)


def test_card_s_front_matter(runs: dict[str, Path], tmp_path: Path) -> None:
    import yaml

    assert export(runs[NER], tmp_path / "out") == 0
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front == {"library_name": "transformers", "pipeline_tag": "token-classification",
                     "tags": ["luke", "named-entity-recognition", "luke-tasks"]}  # fmt: skip


def test_paths_in_a_config(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    config = {"pretrained": "studio-ousia/luke-base", "path": str(tmp_path / "x"), "n": [1, "~/a/b", "data/c/d.txt"],
              "scheme": "iob2", "none": None}  # fmt: skip
    assert without_local_paths(config) == {"pretrained": "studio-ousia/luke-base", "path": "x",
                                           "n": [1, "b", "d.txt"], "scheme": "iob2", "none": None}  # fmt: skip
