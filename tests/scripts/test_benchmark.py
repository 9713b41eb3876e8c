"""`scripts/benchmark.py`: every suite gives its table, both sides compute the same, and arithmetic is counted right.

No figure is looked at: how fast a machine is proves nothing.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.errors import LukeTasksError
from luke_tasks.trained import Trained
from tests.conftest import ROOT, conll

sys.path.insert(0, str(ROOT / "scripts"))
import benchmark
from benchmarks import caching, evaluating, predicting, reading, training
from benchmarks.models import luke_config, make_batch, make_checkpoint, their_inputs, their_model, windows_of
from benchmarks.options import Options
from benchmarks.processes import in_own_process
from benchmarks.report import THEIRS, Comparison, comparison_table
from benchmarks.samples import SAMPLES, conll_documents, long_contexts
from benchmarks.timing import MATRIX, MatrixProduct, interleave

from luke_tasks.encoder.flops import TRAINING, attention_flops, encoder_flops

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """As small as can be; one folder, so that checkpoints are made once."""
    return Options(folder=tmp_path_factory.mktemp("benchmark"), size="small", repeats=2, matrix_size=8, documents=2,
                   examples=10, batch_size=4, records=40)  # fmt: skip


@pytest.fixture(autouse=True)
def one_product_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices are tiny here, and so many of their products would fit into a round."""
    monkeypatch.setattr("benchmarks.timing._MATRIX_SECONDS", 0.0)


def run(suite: str, options: Options) -> list[list[dict[str, Any]]]:
    """The records of each table of a suite, whose Markdown is checked for its shape."""
    tables = benchmark._function(benchmark.SUITES[suite])(options)
    for table in tables:
        lines = table.markdown().splitlines()
        assert len(lines) == 2 + len(table.records)
        assert len({line.count("|") for line in lines}) == 1
        json.dumps(table.records, allow_nan=True)
    return [list(table.records) for table in tables]


def check(records: list[dict[str, Any]], repeats: int = 2) -> None:
    """What every comparison holds."""
    for record in records:
        assert len(record["ours"]) == len(record["theirs"]) == repeats
        assert all(math.isfinite(value) and value > 0 for value in [*record["ours"], *record["theirs"]])
        assert record["ratio"] == record["ours_figure"] / record["theirs_figure"]
        if record["flops"]:
            share = record["flops"] / record["ours_figure"] / record["matrix_rate"]
            assert record["ours_share"] == pytest.approx(share)


def test_attention(options: Options) -> None:
    (records,) = run("attention", options)
    check(records)
    assert len(records) == 16  # 2 ways × forward or both × dropout or not × 2 precisions
    for record in records:
        assert record["difference"] < (1e-5 if record["precision"] == "fp32" else 0.02)
    forward, backward = (next(record["flops"] for record in records if what in record["case"])
                         for what in ("forward,", "forward + backward"))  # fmt: skip
    assert backward == TRAINING * forward


def test_encoder(options: Options) -> None:
    (records,) = run("encoder", options)
    check(records)
    fp32, autocast, weights = records
    assert fp32["difference"] < 1e-5
    assert fp32["their_own_difference"] == 0
    for record in (autocast, weights):
        assert 0 < record["difference"] < 2 * record["their_own_difference"]


def test_train_step(options: Options) -> None:
    (records,) = run("train-step", options)
    check(records)
    assert [record["precision"] for record in records] == ["fp32", "bf16"]
    assert records[0]["difference"] < 1e-5
    assert records[1]["difference"] < 0.05


def test_both_training_steps_learn_the_same(options: Options) -> None:
    """Without dropout, three steps of each leave the same loss, and another one than before."""
    checkpoint = make_checkpoint(options, training.ARCHITECTURE, training.NER_LABELS, hidden_dropout_prob=0.0,
                                 attention_probs_dropout_prob=0.0)  # fmt: skip
    batch = make_batch(luke_config(checkpoint), options, labels=len(training.NER_LABELS))
    ours = training.our_trained(checkpoint, options).model
    ours.head.dropout.p = 0.0  # type: ignore[union-attr]
    theirs = their_model(checkpoint, training.ARCHITECTURE, options)
    with torch.inference_mode():
        before = float(ours(batch).loss)
    for step in (training.our_step(ours, batch, "fp32", options), training.their_step(theirs, batch, "fp32", options)):
        for _ in range(3):
            step()
    with torch.inference_mode():
        losses = [float(ours(batch).loss), float(theirs(**their_inputs(batch, spans=True)).loss)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0] < before - 1e-4


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What suites ask of processes of their own is done in this one instead, and noted."""
    noted: list[dict[str, Any]] = []

    def here(suite: str, job: dict[str, Any]) -> Any:
        noted.append(json.loads(json.dumps(job)))
        return json.loads(json.dumps(benchmark._function(benchmark.CHILDREN[suite])(noted[-1])))

    monkeypatch.setattr(training, "in_own_process", here)
    monkeypatch.setattr(reading, "in_own_process", here)
    monkeypatch.setattr(caching, "in_own_process", here)
    return noted


def test_memory(options: Options, jobs: list[dict[str, Any]]) -> None:
    (records,) = run("memory", replace(options, precisions=("bf16",)))
    check(records, repeats=1)
    assert [(job["side"], job["options"]["entities"]) for job in jobs] == [
        ("ours", None), (THEIRS, None), ("ours", 1000), (THEIRS, 1000)
    ]  # fmt: skip
    assert all(record["unit"] == "MB" for record in records)


def test_read(options: Options, jobs: list[dict[str, Any]]) -> None:
    checkpoint = make_checkpoint(options, "LukeModel")
    documents, readers = run("read", replace(options, pretrained=str(checkpoint)))
    check(documents)
    assert "2 documents" in documents[0]["case"]
    assert [record["reader"] for record in readers] == [job["reader"] for job in jobs] == list(SAMPLES)
    assert all(record["words_per_second"] > 0 and record["file"] > 0 for record in readers)


def test_cache(options: Options, jobs: list[dict[str, Any]]) -> None:
    pytest.importorskip("datasets")
    checkpoint = make_checkpoint(options, "LukeModel")
    options = replace(options, pretrained=str(checkpoint), records=20)
    (records,) = run("cache", options)
    assert [(record["reader"], record["features"]) for record in records] == [
        (reader, way) for reader in caching.READERS for way in caching.WAYS
    ]
    assert [job["folder"] is None for job in jobs] == [True, False, False] * len(caching.READERS)
    assert all(record["start"] > 0 and record["epoch"] > 0 and record["file"] > 0 for record in records)
    assert all((record["cache"] > 0) == (record["features"] != "in memory") for record in records)


def test_a_process_of_its_own(options: Options) -> None:
    path = options.folder / "few.jsonl"
    path.write_text('{"text": "Ann left.", "head": [0, 3], "tail": [4, 8], "label": "a"}\n', encoding="utf-8")
    checkpoint = make_checkpoint(options, "LukeModel")
    job = {"reader": "relation_classification", "file": str(path), "pretrained": str(checkpoint)}
    found = in_own_process("read", job)
    assert found["file"] == path.stat().st_size / 1e6
    assert set(found) == {"file", "words_per_second", "kept", "peak", "ratio"}


@pytest.mark.parametrize(("suite", "count"), [("ner", 2), ("typing", 10), ("relation", 10), ("qa", 10)])
def test_evaluation(suite: str, count: int, options: Options) -> None:
    (records,) = run(suite, options)
    check(records)
    exact = records[0]
    assert exact["precision"] == "fp32"
    assert exact["predictions"] == count
    assert exact["difference"] == 0
    ((ours, theirs),) = exact["scores"].values()
    assert ours == pytest.approx(theirs)
    assert exact["amount"] > count


@pytest.mark.parametrize("suite", ["ner", "typing", "relation", "qa"])
def test_evaluation_in_parts(suite: str, options: Options) -> None:
    """Each round takes other examples, all of them are evaluated once, and the figures are sums."""
    (wholes,) = run(suite, replace(options, precisions=("fp32",)))
    (records,) = run(suite, replace(options, precisions=("fp32",), in_parts=True))
    (whole,), (record,) = wholes, records
    assert (record["predictions"], record["difference"]) == (whole["predictions"], 0)
    assert (record["amount"], record["flops"]) == (whole["amount"], whole["flops"])
    assert len(record["ours"]) == len(record["theirs"]) == 2
    assert record["ratio"] == sum(record["ours"]) / sum(record["theirs"])
    assert record["ours_share"] == pytest.approx(record["flops"] / sum(record["ours"]) / record["matrix_rate"])
    assert [name.startswith("mean ") for name in record["scores"]] == [True]


def test_too_few_examples_for_parts(options: Options) -> None:
    with pytest.raises(LukeTasksError, match="--in-parts: 2 examples are too few for 3 rounds"):
        run("ner", replace(options, repeats=3, in_parts=True))


def test_evaluation_in_bf16(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours has bf16 weights then, as `evaluate --precision bf16`."""
    found: list[torch.dtype] = []
    real = evaluating.our_evaluation

    def watched(trained: Trained, *args: Any) -> Any:
        found.append(next(trained.model.parameters()).dtype)
        return real(trained, *args)

    monkeypatch.setattr(evaluating, "our_evaluation", watched)
    (records,) = run("relation", replace(options, precisions=("bf16",)))
    assert [record["precision"] for record in records] == ["bf16"]
    assert set(found) == {torch.bfloat16}


@pytest.mark.parametrize("suite", ["ner", "typing", "relation", "qa"])
def test_evaluation_compares_what_could_differ(suite: str, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other weights on their side, predictions differ and are counted."""
    found = their_model

    def changed(*args: Any) -> Any:
        model = found(*args)
        with torch.no_grad():
            getattr(model, "qa_outputs" if suite == "qa" else "classifier").weight.neg_()
        return model

    monkeypatch.setattr(evaluating, "their_model", changed)
    (records,) = run(suite, replace(options, precisions=("fp32",)))
    assert records[0]["difference"] > 0


def test_predict(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "cold", lambda options: Comparison(case="cold", ours=[1.0, 1.0], theirs=[1.0, 2.0]))
    (records,) = run("predict", options)
    check(records)
    for record in records[:2]:
        assert record["predictions"] == 10
        assert record["difference"] == 0


def test_cold_start_and_help(options: Options) -> None:
    """The processes that are timed do what they are meant to."""
    archive = predicting.make_archive(options)
    text = options.folder / "text.txt"
    text.write_text(predicting.SENTENCE, encoding="utf-8")
    command = [sys.executable, "-m", "luke_tasks", "predict", str(archive), str(text), "--cuda-device", "-1"]
    assert json.loads(predicting.run_process(command))["text"] == predicting.SENTENCE
    assert not predicting.help_imports_torch()
    with pytest.raises(RuntimeError, match="exit status 3"):
        predicting.run_python("raise SystemExit(3)")


def test_start(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "_TORCH", "import json")
    monkeypatch.setattr(predicting, "_MODELS", "import csv")
    (records,) = run("start", replace(options, repeats=1))
    check(records, repeats=1)
    assert [record["beside"] for record in records] == ["`import json`", "`import csv`"]


# -- arithmetic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entities", [None, 7])
def test_flops_are_those_that_torch_counts(entities: int | None, options: Options) -> None:
    """torch counts every matrix product that `transformers`' eager model makes, forward and backward."""
    checkpoint = make_checkpoint(options, "LukeModel")
    config = luke_config(checkpoint)
    batch = make_batch(config, options, entities=entities)
    theirs = their_model(checkpoint, "LukeModel", options)
    with FlopCounterMode(display=False) as forward:
        output = theirs(**their_inputs(batch))
    expected = encoder_flops(config, windows_of(batch))
    assert forward.get_total_flops() == expected
    with FlopCounterMode(display=False) as backward:
        (output.last_hidden_state.sum() + output.entity_last_hidden_state.sum()).backward()
    assert backward.get_total_flops() == (TRAINING - 1) * expected


def test_flops_of_words_alone(options: Options) -> None:
    checkpoint = make_checkpoint(options, "LukeModel")
    batch = make_batch(luke_config(checkpoint), options).words_only()
    theirs = their_model(checkpoint, "LukeModel", options)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(**their_inputs(batch))
    assert counter.get_total_flops() == encoder_flops(luke_config(checkpoint), windows_of(batch))


def test_flops_of_our_eager_model(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours does no more than a few percent besides (the mean positions of entities)."""
    monkeypatch.setattr("luke_tasks.encoder.linear._is_faster", lambda *tensors: False)  # torch counts its own alone
    checkpoint = make_checkpoint(options, "LukeModel")
    batch = make_batch(luke_config(checkpoint), options)
    ours = LukeEncoder.from_pretrained(pretrained=str(checkpoint), attention="eager").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ours(batch)
    expected = encoder_flops(luke_config(checkpoint), windows_of(batch))
    assert expected <= counter.get_total_flops() <= 1.05 * expected


def test_flops_of_luke_base_by_hand(options: Options) -> None:
    config = luke_config(make_checkpoint(options, "LukeModel"))
    base = type(config)(**{**vars(config), "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                           "entity_emb_size": 768})  # fmt: skip
    assert attention_flops(base, 512, 128) == 2 * 4 * 640 * 768 * 768 + 2 * 2 * 640 * 640 * 768
    layer = 2 * 640 * 768 * (5 * 768 + 2 * 3072) + 4 * 640 * 640 * 768
    assert encoder_flops(base, [(512, 128), (512, 128)]) == 2 * 12 * layer  # 265.7 GFLOP


def test_matrix_product() -> None:
    product = MatrixProduct(torch.float32, CPU, 16)
    product.count = 3
    assert product.flops == 3 * 2 * 16**3
    product()
    assert torch.allclose(product.out, product.left @ product.right)


# -- order, table, files --------------------------------------------------------------------------------------------


def test_rounds_are_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing._SHORT_SECONDS", 0.0)
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in ("ours", "theirs", MATRIX)}  # type: ignore[misc]
    times = interleave(runs, repeats=3, device=CPU, before_each=lambda: order.append("-"))
    assert order == ["-", "ours", "-", "theirs", "-", MATRIX] * 4
    assert {name: len(seconds) for name, seconds in times.items()} == {"ours": 3, "theirs": 3, MATRIX: 3}


def test_short_work_is_repeated_before_it_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing._SHORT_SECONDS", math.inf)
    order: list[str] = []
    times = interleave({"ours": lambda: order.append("ours")}, repeats=2, device=CPU)
    assert len(order) == 1 + 2 * 2
    assert len(times["ours"]) == 2


def test_table() -> None:
    row = Comparison(case="step", precision="fp32", ours=[1.0, 2.0, 3.0], theirs=[4.0, 4.0, 4.0], flops=8e9,
                     matrix_rate=10e9, amount=(100, "words"), difference=1e-7)  # fmt: skip
    assert comparison_table([row]).markdown().splitlines() == [
        "| case | precision | ours | beside | its figure | ours / its | range | share of matrix rate | its share |"
        " amount | difference |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|",
        "| step | fp32 | 2.00 s | transformers | 4.00 s | 0.50 | 0.25 to 0.75 | 40 % | 20 % | 50.0 / 25.0 words/s |"
        " 1.0e-07 |",
    ]  # fmt: skip


def test_documents_of_a_file() -> None:
    marked = conll_documents(conll(["a b", "c", "d", "e"], documents_of=3), 3)
    assert marked.count("-DOCSTART-") == 3
    assert [line.split()[0] for line in marked.splitlines() if line and not line.startswith("-D")] == [
        *"abcd", "e", *"abcd"
    ]  # fmt: skip
    for separator in ("\n\n", "\r\n\r\n", "\n\t\n", "\n\n \n"):  # a blank line may hold blanks
        unmarked = separator.join(f"w{number} O" for number in range(30))
        assert conll_documents(unmarked, 2).count("O\n\n") == 24


def test_joined_contexts_keep_their_answers() -> None:
    source = (ROOT / "data" / "question_answering" / "test.json").read_text(encoding="utf-8")
    paragraphs = json.loads(long_contexts(source))["data"][0]["paragraphs"]
    questions = 0
    for paragraph in paragraphs:
        for question in paragraph["qas"]:
            questions += 1
            for answer in question["answers"]:
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
    assert questions == 91
    assert max(len(paragraph["context"].split()) for paragraph in paragraphs) > 200


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    arguments = ["read", "--only", "conll", "--documents", "1", "--matrix-size", "8", "--size", "small", *files]
    checkpoint = make_checkpoint(Options(folder=tmp_path, size="small"), "LukeModel")
    assert benchmark.main([*arguments, "--pretrained", str(checkpoint)]) == 0
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert set(content) == {"machine", "command", "suites"}
    assert {"CPU", "memory", "Python", "torch", "transformers"} <= set(content["machine"])
    check(content["suites"]["read"], repeats=5)
    printed = capsys.readouterr().out
    assert (tmp_path / "a.md").read_text(encoding="utf-8").strip() == printed.strip()
    assert "### read" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encoder", "--repeats", "4"], "--repeats 4: expected at least 5"),
        (["encoder", "--device", "cuda"], "--device cuda: torch sees no GPU here"),
        (["ner", "--data", "no-such-file"], "--data no-such-file: no such file"),
        (["ner", "qa", "--data", "pyproject.toml"], "--data: one file cannot serve ner, qa"),
        (["encoder", "--windows", "0"], "--windows 0: expected at least 1"),
        (["read", "--only", "nothing"], "--only nothing: expected one of conll,"),
        (["cache", "--only", "nothing"], "--only nothing: expected one of conll_span,"),
    ],
)
def test_requests_that_cannot_be_met(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(ROOT)
    assert benchmark.main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
