"""Question answering from config to prediction, on tiny models."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.heads.head import Window
from luke_tasks.heads.question_answering import QuestionAnsweringHead
from luke_tasks.readers.squad import SquadFeatures, SquadReader
from luke_tasks.readers.squad_format import Languages
from tests.tasks.head_check import check_head
from tests.tiny import tiny_bert, tiny_roberta
from tests.training.runs import train

Write = Callable[..., Path]
INPUTS = [
    {"question": "Who lives in Los Angeles?", "context": "Beyoncé lives in Los Angeles."},
    {
        "question": "What is London?",
        "context": "London is the capital of the United Kingdom",
        "title": "London",
        "id": 7,
    },
    {"question": "When?", "context": "two days " * 40},
]


def question(context: str, text: str, *answers: str, id: str = "") -> dict[str, Any]:
    found = [{"text": answer, "answer_start": context.index(answer)} for answer in answers]
    return {"id": id or text, "question": text, "answers": found}


def paragraph(context: str, *questions: tuple[str, ...]) -> dict[str, Any]:
    return {"context": context, "qas": [question(context, *one) for one in questions]}


PARAGRAPHS = [
    paragraph("Beyoncé lives in Los Angeles.", ("Who lives in Los Angeles?", "Beyoncé"),
              ("Where does Beyoncé live?", "Los Angeles", "in Los Angeles")),
    paragraph("Barack Obama was born in Honolulu , Hawaii .", ("Who was born in Honolulu?", "Barack Obama"),
              ("Where was Barack Obama born?", "Honolulu")),
    paragraph("London is the capital of the United Kingdom .", ("What is London?", "the capital of the United Kingdom"),
              ("What is the capital?", "London")),
]  # fmt: skip
SQUAD = {"version": "1.1", "data": [{"title": "Some_People", "paragraphs": PARAGRAPHS[:2]},
                                    {"title": "London", "paragraphs": PARAGRAPHS[2:]}]}  # fmt: skip
IMPOSSIBLE = {"id": "none", "question": "Who left?", "is_impossible": True, "answers": [],
              "plausible_answers": [{"text": "nobody", "answer_start": 99}]}  # fmt: skip


def with_impossible() -> dict[str, Any]:
    data = copy.deepcopy(SQUAD)
    data["data"][0]["paragraphs"][0]["qas"].append(IMPOSSIBLE)
    return data


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_json(content: Any, name: str = "data.json") -> Path:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write_json


@pytest.fixture
def config(tiny_luke_dir: Path, write: Write, tmp_path: Path) -> Path:
    path = str(write(SQUAD))
    candidates = {"Some People": {"Los Angeles": "Los Angeles", "Barack Obama": "Barack Obama", "Beyoncé": "Beyoncé"},
                  "London": {"London": "London"}}  # fmt: skip
    linker = {"type": "json", "mention_candidate_json_file_paths": {"en-en": str(write(candidates, "mentions.json"))}}
    content: dict[str, Any] = {
        "dataset_reader": {"type": "transformers_squad", "max_sequence_length": 60, "stride": 10,
                           "max_query_length": 30, "wiki_entity_linker": linker},
        "train_data_path": path,
        "validation_data_path": path,
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir)}, "head": {"type": "transformers_qa"}},
        "data_loader": {"batch_size": 3, "shuffle": True},
        "trainer": {"num_epochs": 2, "optimizer": {"lr": 5e-3}, "validation_metric": "+f1", "cuda_device": -1},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "config.json"


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


def reader(tokenizer: Tokenizer, **options: Any) -> SquadReader:
    return SquadReader(tokenizer=tokenizer, **options)


def plain(config: Path, **encoder: Any) -> Path:
    """The config without a linker, perhaps with another encoder."""
    content = json.loads(config.read_text(encoding="utf-8"))
    del content["dataset_reader"]["wiki_entity_linker"]
    content["model"]["encoder"] |= encoder
    config.write_text(json.dumps(content), encoding="utf-8")
    return config


# -- training and prediction ----------------------------------------------------------------------------------------


def test_head(config: Path, tmp_path: Path) -> None:
    # What entities ask for in the last layer changes entity vectors only, which the head does not read.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("e2w_query", "e2e_query")]
    unread = [f"{query}.{kind}" for query in queries for kind in ("weight", "bias")]
    check_head(config, tmp_path, INPUTS, None, tuple(unread))
    predictor = luke_tasks.load(tmp_path / "run")
    (window,) = predictor.reader.encode([predictor.reader.parse_input(INPUTS[1], "in:1")])
    assert len(window.entity_ids) >= 2  # London in the question and in the context


@pytest.mark.parametrize("make", [tiny_roberta, tiny_bert])
def test_head_over_a_plain_encoder(config: Path, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    plain(config, type="transformer", pretrained=str(make(tmp_path / "encoder")))
    # BERT's segment ids reach the loss; its unused ones do not exist.
    check_head(config, tmp_path, INPUTS)


def test_it_learns_and_predicts(config: Path, tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = {"trainer.num_epochs": 60, "model.encoder.dropout": 0, "model.encoder.entities": "special"}
    assert train(plain(config), tmp_path / "run", overrides=overrides) == 0
    answer = luke_tasks.load(tmp_path / "run")
    context = PARAGRAPHS[0]["context"]
    found = answer({"question": "Who lives in Los Angeles?", "context": context, "id": 7})
    assert (found.id, found.answer, found.start, found.end) == ("7", "Beyoncé", 0, 7)
    assert found.n_best[0].text == found.best_span == "Beyoncé"
    assert found.probability == found.n_best[0].probability > 0.5 and found.null_odds < 0
    assert sum(one.probability for one in found.n_best) <= 1.0001
    assert len({one.text for one in found.n_best}) == len(found.n_best) <= 20

    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text(json.dumps({"question": "Where does Beyoncé live?", "context": context}) + "\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(inputs), "--cuda-device", "-1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["answer"] == context[json.loads(line)["start"] : json.loads(line)["end"]] == "Los Angeles"

    path = tmp_path / "data.json"
    assert main(["predict", str(tmp_path / "run"), str(path), "--use-dataset-reader", "--cuda-device", "-1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == [one["id"] for p in PARAGRAPHS for one in p["qas"]]

    folder = tmp_path / "out"
    flags = ["--predictions-dir", str(folder), "--cuda-device", "-1"]
    assert main(["evaluate", str(tmp_path / "run"), str(path), *flags]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert 0 < scores["exact_match"] <= 100 and scores["exact_match"] <= scores["f1"]
    answers = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    assert answers == {line["id"]: line["answer"] for line in lines}
    n_best = json.loads((folder / "nbest_predictions.json").read_text(encoding="utf-8"))
    assert n_best.keys() == answers.keys()
    for id, candidates in n_best.items():
        assert candidates[0]["text"] == answers[id]
        assert [set(one) for one in candidates] == [{"text", "probability", "start_logit", "end_logit"}] * len(
            candidates
        )
    assert sorted(file.name for file in folder.iterdir()) == ["nbest_predictions.json", "predictions.json"]

    other = write(with_impossible(), "other.json")
    unanswerable = ["-o", json.dumps({"model.head.unanswerable": True})]
    assert main(["evaluate", str(tmp_path / "run"), f"{path},{other}", *flags, *unanswerable]) == 0
    assert "other_NoAns_f1" in json.loads(capsys.readouterr().out)
    assert (folder / "data_predictions.json").exists()
    odds = json.loads((folder / "other_null_odds.json").read_text(encoding="utf-8"))
    assert odds.keys() == {*answers, "none"}
    assert main(["evaluate", str(tmp_path / "run"), f"{path},{path}", *flags]) == 2
    assert "--predictions-dir: two input files would write data_predictions.json;" in capsys.readouterr().err
    alike = write(SQUAD, "data_nbest.json")  # with predictions.json behind it, the name of data.json's n best
    assert main(["evaluate", str(tmp_path / "run"), f"{path},{alike}", *flags]) == 2
    assert "two input files would write data_nbest_predictions.json;" in capsys.readouterr().err
    for unfit in (path, path / "sub" / "folder"):
        assert main(["evaluate", str(tmp_path / "run"), str(path), "--predictions-dir", str(unfit)]) == 2
        assert capsys.readouterr().err == f"--predictions-dir: {path} is a file; expected a folder\n"


def test_without_answers(config: Path, tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Unlabelled questions are predicted, neither scored nor learnt from."""
    assert train(plain(config), tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    data = with_impossible()
    first, _, impossible = data["data"][0]["paragraphs"][0]["qas"]
    del first["answers"], impossible["answers"]
    path = write(data, "test.json")
    capsys.readouterr()
    flags = ["--use-dataset-reader", "--cuda-device", "-1"]
    assert main(["predict", str(tmp_path / "run"), str(path), *flags]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines][:3] == [first["id"], "Where does Beyoncé live?", "none"]
    message = (f'{path}: article 1 (Some_People), paragraph 1, question 1 (id {first["id"]}): "answers" is missing: '
               "nothing to learn from or to score against; give them, or use `predict "
               "--use-dataset-reader`")  # fmt: skip
    assert main(["evaluate", str(tmp_path / "run"), str(path), "--cuda-device", "-1"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == message
    assert train(config, tmp_path / "other", overrides={"train_data_path": str(path)}) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == message
    own = luke_tasks.load(tmp_path / "run").reader
    assert [example.answers for example in own.read(path)][2] == []  # "is_impossible" alone says so


def test_a_head_without_files_of_its_own(
    ner_config: Path, ner_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(ner_config, tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    flags = ["--predictions-dir", str(tmp_path / "out"), "--cuda-device", "-1"]
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), ner_files["valid"], *flags]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    expected = 'the head "ner" has no files of its own; --predictions-output-file writes its predictions'
    assert last.endswith(f"--predictions-dir: {expected}")
    assert not (tmp_path / "out").exists()


# -- windows --------------------------------------------------------------------------------------------------------


def whole_context(tokenizer: Tokenizer, context: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Its pieces, word by word as they come: no cache, no batches."""
    ids, offsets = [], []
    start = 0
    for word in context.split(" "):
        pieces = tokenizer.texts_to_offset_pieces([(" " if start else "") + word])[0]
        shift = start - 1 if start else 0
        ids += pieces.ids
        offsets += [(first + shift, last + shift) for first, last in pieces.offsets]
        start += len(word) + 1
    return ids, offsets


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("skip", [False, True])
def test_windows_against_a_brute_force(tokenizer: Tokenizer, write: Write, seed: int, skip: bool) -> None:
    rng = random.Random(seed)
    words = rng.choices(["Beyoncé", "lives", "(London)", "in", "Honolulu,", "38", "日本"], k=rng.randint(4, 60))
    context = " ".join(words)
    first = rng.randrange(len(words))
    answer = " ".join(words[first : first + rng.randint(1, 3)])
    start = len(" ".join([*words[:first], ""]))
    qas = [{"id": "q", "question": "Who lives?", "answers": [{"text": answer, "answer_start": start}]}]
    path = write({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]})
    query = tokenizer.texts_to_pieces(["Who lives?"])[0]
    ids, offsets = whole_context(tokenizer, context)
    size, stride = rng.randint(20, 40), rng.randint(0, 5)
    room = size - len(query) - 4
    places = [n for n, (a, b) in enumerate(offsets) if b > start and a < start + len(answer)]
    sep, cls = tokenizer.special.sep, tokenizer.special.cls
    expected = []
    begin = 0
    while True:
        part = list(range(begin, min(begin + room, len(ids))))
        shift = len(query) + 3 - begin
        holds = set(places) <= set(part)
        if holds or not skip:
            word_ids = [cls, *query, sep, sep, *(ids[n] for n in part), sep]
            expected.append((word_ids, [places[0] + shift, places[-1] + shift] if holds else [0, 0]))
        if begin + room >= len(ids):
            break
        begin += room - stride
    own = reader(tokenizer, max_sequence_length=size, stride=stride, max_query_length=10,
                 skip_impossible_questions=skip)  # fmt: skip
    _, windows = own.read_encoded(path)
    assert [(window.word_ids.tolist(), window.targets(Labels(())).tolist()) for window in windows] == expected  # type: ignore
    for window in windows:
        assert isinstance(window, SquadFeatures)
        a, b = window.context_span
        assert len(window.offsets) == b - a and window.entity_ids.shape == (0,) and window.entity_spans.shape == (0, 2)
        if window.answer_span is not None:
            span = window.offsets[window.answer_span[0] - a : window.answer_span[1] - a]
            assert span[0, 0] <= start and span[-1, 1] >= start + len(answer)


def test_segments_of_bert(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(tiny_bert(tmp_path / "bert")))
    own = reader(tokenizer)
    (window,) = own.encode([own.parse_input({"question": "Who?", "context": "The innings, declared."}, "in:1")])
    start, end = window.context_span
    assert window.word_type_ids is not None
    assert window.word_type_ids.tolist() == [0] * start + [1] * (end - start + 1)
    assert start == len(tokenizer.texts_to_pieces(["Who?"])[0]) + 2


def test_what_is_lost_is_counted(tokenizer: Tokenizer, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    long = "two days " * 30
    contexts = [paragraph(long, (long.strip(), long.strip()), ("Who?", "two"))]
    path = write({"data": [{"paragraphs": contexts}]})
    own = reader(tokenizer, max_sequence_length=40, stride=5, max_query_length=8)
    _, windows = own.read_encoded(path)
    assert {window.example.question for window in windows} == {long.strip(), "Who?"}
    assert caplog.messages == [
        f"{path}: 1 questions are longer than 8 word pieces and were cut",
        f"{path}: 1 questions have an answer that no window holds whole, and are learned as if they had none",
    ]
    caplog.clear()
    own = reader(tokenizer, max_sequence_length=40, stride=5, max_query_length=30, skip_impossible_questions=True)
    data = with_impossible()
    data["data"][0]["paragraphs"].append({**contexts[0], "qas": contexts[0]["qas"][:1]})
    _, windows = own.read_encoded(path := write(data))
    assert all(window.answer_span is not None for window in windows)
    whole = reader(tokenizer, max_sequence_length=40, stride=5, max_query_length=30).encode(list(own.read(path)))
    left_out = len(whole) - len(windows)
    assert caplog.messages == [
        f"{path}: {left_out} windows without an answer were left out (skip_impossible_questions: for training; scores "
        "on this file are too good)",
        f"{path}: 1 questions have no answer and were left out (skip_impossible_questions)",
        f"{path}: 1 questions are longer than 30 word pieces and were cut",
        f"{path}: 1 questions have an answer that no window holds whole, and were left out",
    ]
    unlabelled = own.encode([own.parse_input({"question": "Who?", "context": long}, "in:1")])
    assert len(unlabelled) > 1  # what has no label is never left out


def test_a_context_is_tokenized_once(tokenizer: Tokenizer, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    tokenize = tokenizer.texts_to_offset_pieces
    monkeypatch.setattr(tokenizer, "texts_to_offset_pieces", lambda given: texts.extend(given) or tokenize(given))
    reader(tokenizer).read_encoded(write(SQUAD))
    assert len(texts) == len(set(texts))


def test_languages_of_files() -> None:
    assert Languages.of_file("a/xquad.zh.json") == ("zh", "zh", "en")
    assert Languages.of_file("dev-context-ar-question-de.json") == ("de", "ar", "ar")
    assert Languages.of_file("train-v1.1.json") == ("en", "en", "en")


# -- decoding and scores --------------------------------------------------------------------------------------------


def decoded(tokenizer: Tokenizer, head: QuestionAnsweringHead, *logits: dict[tuple[int, int], float]) -> Any:
    """The prediction on a context of two windows; (piece of the context or -1 for [CLS], 0 or 1) → logit, else -5."""
    own = reader(tokenizer, max_sequence_length=16, stride=2, max_query_length=6)
    context = (
        "a an in is of the to United capital , ."  # a piece each: 0 to 7 in the first window, 6 to 10 in the second
    )
    example = own.parse_input({"question": "Who?", "context": context, "id": "q"}, "in:1")
    windows = own.encode([example])
    assert len(windows) == len(logits)
    given = []
    for window, values in zip(windows, logits, strict=True):
        array = np.full((len(window.word_ids), 2), -5, dtype=np.float32)
        for (piece, place), value in values.items():
            array[0 if piece < 0 else window.context_span[0] + piece, place] = value
        given.append(Window(window, array))
    return head.decode(example, given)


def test_windows_compare_by_how_far_they_are_above_no_answer(tokenizer: Tokenizer) -> None:
    head = QuestionAnsweringHead(hidden_size=4, labels=Labels(()))
    # Window 1: "an in" scores 6 against a null score of 5; window 2: "United" scores 4 against 0.
    first = {(1, 0): 3.0, (2, 1): 3.0, (-1, 0): 2.0, (-1, 1): 3.0}
    second = {(1, 0): 2.0, (1, 1): 2.0, (-1, 0): 0.0, (-1, 1): 0.0}
    found = decoded(tokenizer, head, first, second)
    assert (found.answer, found.start, found.end, found.null_odds) == ("United", 21, 27, pytest.approx(-4))
    assert [one.text for one in found.n_best][:3] == ["United", "an in", ""]
    weights = np.exp([4.0, 1.0, 0.0])
    assert found.n_best[1].probability / found.n_best[0].probability == pytest.approx(weights[1] / weights[0], abs=1e-4)
    head.null_threshold = -4.5
    strict = decoded(tokenizer, head, first, second)
    assert (strict.answer, strict.start, strict.best_span) == ("", None, "United")


def test_no_answer(tokenizer: Tokenizer) -> None:
    first = {(1, 0): 3.0, (2, 1): 3.0, (-1, 0): 4.0, (-1, 1): 3.0}
    head = QuestionAnsweringHead(hidden_size=4, labels=Labels(()))
    found = decoded(tokenizer, head, first, {(-1, 0): 9.0})
    assert (found.answer, found.best_span, found.null_odds) == ("", "an in", pytest.approx(1))
    head = QuestionAnsweringHead(hidden_size=4, labels=Labels(()), null_threshold=1.5)
    assert decoded(tokenizer, head, first, {(-1, 0): 9.0}).answer == "an in"
    no_windows = head.decode(reader(tokenizer).parse_input({"question": "?", "context": "a"}, "in:1"), [])
    assert (no_windows.answer, no_windows.n_best) == ("", [])


def test_longest_answer(tokenizer: Tokenizer) -> None:
    logits = {(0, 0): 9.0, (5, 1): 9.0, (5, 0): 1.0}
    head = QuestionAnsweringHead(hidden_size=4, labels=Labels(()), max_answer_length=6)
    assert decoded(tokenizer, head, logits, {}).answer == "a an in is of the"
    head.max_answer_length = 5
    assert decoded(tokenizer, head, logits, {}).answer == "the"


def test_mlqa_scores_by_the_contexts_language(
    config: Path, tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(plain(config), tmp_path / "run", overrides={"trainer.num_epochs": 1}) == 0
    german = {"version": 1.0, "data": [{"title": "T", "paragraphs": [paragraph("Der London", ("Wo?", "Der London"))]}]}
    mlqa = ["-o", json.dumps({"model.head.normalisation": "mlqa"}), "--cuda-device", "-1"]
    for name, normalisation in (("dev-context-de-question-en.json", []), ("dev-context-ro-question-en.json", [])):
        path = write(german, name)
        capsys.readouterr()
        status = main(["evaluate", str(tmp_path / "run"), str(path), *mlqa, *normalisation])
        assert status == (0 if "-de-" in name else 2)
    assert "the context's language is 'ro', and MLQA's normalisation knows" in capsys.readouterr().err
    head = QuestionAnsweringHead(hidden_size=4, labels=Labels(()), normalisation="mlqa")
    own = luke_tasks.load(tmp_path / "run").reader
    (example,) = own.read(tmp_path / "dev-context-de-question-en.json")
    metrics = head.make_metrics()
    prediction = head.decode(example, [])
    head.update_metrics(metrics, example, [], type(prediction)("q", "london", 4, 10, 1.0, 0.0, "london"))
    assert head.scores(metrics)["exact_match"] == 100.0  # without the German article


# -- faults ---------------------------------------------------------------------------------------------------------


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    data = copy.deepcopy(SQUAD)
    change(data)
    return data


def in_paragraph(**values: Any) -> dict[str, Any]:
    return changed(lambda data: data["data"][0]["paragraphs"][1].update(values))


def in_question(**values: Any) -> dict[str, Any]:
    return changed(lambda data: data["data"][0]["paragraphs"][1]["qas"][1].update(values))


def in_answer(**values: Any) -> dict[str, Any]:
    return changed(lambda data: data["data"][0]["paragraphs"][1]["qas"][1]["answers"][0].update(values))


def without(place: Callable[[dict[str, Any]], dict[str, Any]], key: str) -> dict[str, Any]:
    return changed(lambda data: place(data).pop(key))


PARAGRAPH = "FILE: article 1 (Some_People), paragraph 2"
QUESTION = f"{PARAGRAPH}, question 2 (id Where was Barack Obama born?)"
ANSWER = f"{QUESTION}, answer 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE: the file is empty"),
        ("[]", "FILE:1: expected one JSON object {\"data\": [...]}, found '[]'"),
        ('{"version": "1.1"}', 'FILE: "data" is missing; found version'),
        ('{"version" "1.1"}', "FILE: no valid JSON (Expecting ':' delimiter at line 1 column 12): '\"1.1\"}'; mend the "
         "file there"),
        ('{"version": "1.1"\n "data": []}', "FILE: no valid JSON (Expecting ',' delimiter at line 2 column 2): "
         "'\"data\": []}'; mend the file there"),
        ('{"data": {}}', 'FILE:1: "data" must be a JSON array of articles, [{...}, {...}], found \'{}}\''),
        ('{"data": []}', "FILE: the file holds no example"),
        ('{"data": [1]}', "FILE: article 1: expected a JSON object {...}, found 1"),
        ('{"data": [{"paragraphs": []}', "FILE: article 2: no valid JSON (Expecting ',' delimiter at line 1 column "
         "29): ''; mend the file there"),
        ('{"data": [{"title": 7, "paragraphs": []}]}', 'FILE: article 1: "title" must be a string, found 7'),
        (without(lambda data: data["data"][0], "paragraphs"), 'FILE: article 1 (Some_People): "paragraphs" is missing; '
         "found title"),
        (without(lambda data: data["data"][0]["paragraphs"][1], "context"), f'{PARAGRAPH}: "context" is missing; found '
         "qas"),
        (in_paragraph(context=["a"]), f'{PARAGRAPH}: "context" must be a string that is not blank, found ["a"]'),
        (in_paragraph(qas={}), f'{PARAGRAPH}: "qas" must be a list [{{...}}, {{...}}], found {{}}'),
        (in_paragraph(qas=["a"]), f'{PARAGRAPH}, question 1: expected a JSON object {{...}}, found "a"'),
        (in_question(id=7), f'{PARAGRAPH}, question 2: "id" must be a string that is not blank, found 7'),
        (in_question(id="What is London?"), "FILE: article 2 (London), paragraph 1, question 1 (id What is London?): "
         "the id stands twice in the file; predictions are filed under it, so give each question its own"),
        (in_question(question=" "), f'{QUESTION}: "question" must be a string that is not blank, found " "'),
        (in_question(answers=[]), f'{QUESTION}: "answers" is empty; give one, or "is_impossible": true where the '
         "context has none"),
        (in_question(is_impossible=1), f'{QUESTION}: "is_impossible" must be true or false, found 1'),
        (in_question(is_impossible=True), f'{QUESTION}: "is_impossible" is true, but there are "answers"; remove one '
         "of the two"),
        (in_question(answers=None), f'{QUESTION}: "answers" must be a list [{{...}}, {{...}}], found null'),
        (in_answer(text=""), f'{ANSWER}: "text" must be a string that is not blank, found ""'),
        (in_answer(text=["Honolulu"]), f'{ANSWER}: "text" must be a string that is not blank, found ["Honolulu"]'),
        (in_answer(answer_start="25"), f'{ANSWER}: "answer_start" must be an integer, found "25"'),
        (in_answer(answer_start=24), f"{ANSWER}: 'Honolulu' is not at \"answer_start\" 24, where the context has "
         "' Honolul'; it stands at 25. Offsets count characters from 0"),
        (in_answer(answer_start=-19), f"{ANSWER}: 'Honolulu' is not at \"answer_start\" -19, where the context has ''; "
         "it stands at 25. Offsets count characters from 0"),
        (in_answer(text="Paris"), f"{ANSWER}: 'Paris' is not at \"answer_start\" 25, where the context has 'Honol'; it "
         "is nowhere in the context. Offsets count characters from 0"),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, write: Write, content: Any, message: str) -> None:
    path = write(content)
    with pytest.raises(DataError) as raised:
        reader(tokenizer).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "Who?"}', 'in:1: "context" is missing; found question'),
        ('{"question": 1, "context": "a"}', 'in:1: "question" must be a string that is not blank, found 1'),
        (
            '{"question": "Who?", "context": "a", "title": 1}',
            'in:1: "title" must be a string that is not blank, found 1',
        ),
        ("Who?", """in:1: expected a JSON object, {"question": "...", "context": "..."}, found 'Who?'"""),
        ("[1]", """in:1: expected a JSON object, {"question": "...", "context": "..."}, found '[1]'"""),
    ],
)
def test_bad_input(tokenizer: Tokenizer, line: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        reader(tokenizer).parse_line(line, "in:1")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"dataset_reader.stride": 30}, "dataset_reader.stride: windows share 30 word pieces, but beside a question of "
         "30 and 4 special tokens only 26 of the context fit into 60; give less than 26"),
        ({"dataset_reader.max_query_length": 70}, "dataset_reader.max_query_length: 70 leaves no room for the context "
         "in windows of 60 word pieces; give less than 56, or longer windows"),
        ({"model.encoder.entities": "special"}, "dataset_reader.wiki_entity_linker: links entities, but "
         'model.encoder.entities is "special", which keeps no embeddings of any; set it to "all", or remove this key'),
        ({"model.encoder.type": "transformer"}, 'dataset_reader.wiki_entity_linker: links entities, which the encoder '
         '"transformer" does not read; remove this key'),
        ({"dataset_reader.wiki_entity_linker.mention_candidate_json_file_paths": {"en-en": "/none"}},
         "dataset_reader.wiki_entity_linker.mention_candidate_json_file_paths.en-en: there is no file \"/none\""),
        ({"dataset_reader.wiki_entity_linker.type": "pickle"}, "dataset_reader.wiki_entity_linker.type: no "
         'EntityLinker is registered as "pickle" (registered: json); a class of your own is brought in with '
         "--include-package"),
        ({"trainer.validation_metric": "+best_f1"}, "trainer.validation_metric: no such score: 'best_f1'"),
    ],
)  # fmt: skip
def test_config_faults(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: dict[str, Any], line: str
) -> None:
    assert train(config, tmp_path / "run", overrides=overrides) == 2
    assert any(line in found for found in capsys.readouterr().err.splitlines())
    assert not (tmp_path / "run").exists()


def test_a_stride_too_long_from_python(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="stride: windows share 128 word pieces"):
        reader(tokenizer, max_sequence_length=128)
