"""ReCoRD from config to prediction, on tiny models."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.errors import ConfigError, DataError
from luke_tasks.experiment import read_config
from luke_tasks.heads.entity_span_qa import EntitySpanQAHead
from luke_tasks.heads.head import Window
from luke_tasks.readers.record import RecordExample, RecordFeatures, RecordReader
from tests.tasks.head_check import check_head
from tests.tiny import tiny_bert, tiny_luke, tiny_mluke, tiny_roberta
from tests.training.runs import train

INPUTS = [
    {"query": "The winners, @placeholder, sang.", "passage": "London beat Paris.\nIt rained in Hawaii.",
     "candidates": [[0, 6], [12, 17], [32, 38]], "id": "spans"},
    {"query": "@placeholder lost", "passage": "Paris beat London, said Paris.", "candidates": ["London", "Paris"]},
]  # fmt: skip


def places(text: str, name: str) -> list[dict[str, int]]:
    """Every place of a name, `end` being its last character."""
    return [
        {"start": start, "end": start + len(name) - 1} for start in range(len(text)) if text.startswith(name, start)
    ]


def article(text: str, names: list[str], *queries: tuple[str, str]) -> dict[str, Any]:
    """`queries` are (query, answer)."""
    qas = [{"id": f"q{number}", "query": query, "answers": [{**place, "text": name} for place in places(text, name)]}
           for number, (query, name) in enumerate(queries)]  # fmt: skip
    return {
        "passage": {"text": text, "entities": [place for name in names for place in places(text, name)]},
        "qas": qas,
    }


def match(winner: str, loser: str) -> dict[str, Any]:
    text = f"{winner} beat {loser} on Friday.\n@highlight\n\nRain in {loser}"
    return article(text, [loser, winner], ("@placeholder won", winner), ("Poor @placeholder lost", loser))


TOWNS = ["London", "Paris", "Hawaii", "Honolulu", "Somerset", "Leicestershire"]
ARTICLES = [match(winner, loser) for winner in TOWNS for loser in TOWNS[:3] if winner != loser]


def as_json(*articles: dict[str, Any]) -> str:
    return json.dumps({"version": "1.0", "data": articles})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_data(content: Any, name: str = "data.json") -> Path:
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path / name

    return write_data


@pytest.fixture
def config(tiny_luke_dir: Path, write: Callable[..., Path], tmp_path: Path) -> Path:
    path = write(as_json(*ARTICLES))
    content: dict[str, Any] = {
        "dataset_reader": {"type": "record", "max_sequence_length": 60, "stride": 20, "max_query_length": 20,
                           "max_mention_length": 4},
        "train_data_path": str(path),
        "validation_data_path": str(path),
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir), "entities": "special"},
                  "head": {"type": "entity_span_qa"}},
        "data_loader": {"batch_size": 8, "shuffle": True},
        "trainer": {"num_epochs": 1, "optimizer": {"lr": 5e-3}, "validation_metric": "+exact_match", "cuda_device": -1},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "config.json"


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    made = {}
    for name, make in (("luke", tiny_luke), ("bert", tiny_bert), ("mluke", tiny_mluke)):
        made[name] = Tokenizer.from_pretrained(str(make(tmp_path_factory.mktemp("checkpoint") / name)))
        made[name].add_words(RecordReader.added_words)
    return made


@pytest.fixture(scope="module")
def tokenizer(tokenizers: dict[str, Tokenizer]) -> Tokenizer:
    return tokenizers["luke"]


def shown(tokenizer: Tokenizer, ids: Any) -> str:
    """Byte-level word pieces as the text they stand for."""
    added = {id: piece for piece, id in tokenizer.added_words.items()}
    pieces = (added.get(id) or tokenizer.backend.id_to_token(id) for id in np.asarray(ids).tolist())
    return "".join(piece.replace("Ġ", " ") for piece in pieces)


def read_one(own: RecordReader, path: Path) -> tuple[RecordExample, list[RecordFeatures]]:
    (example,), windows = own.read_encoded(path)
    return example, list(windows)


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", ["entity", "token+entity"])
def test_head(config: Path, tmp_path: Path, features: str) -> None:
    # What words ask for in the last layer changes word vectors only, which the entity features do not read.
    queries = [f"encoder.encoder.layer.1.attention.self.{name}" for name in ("query", "w2e_query")]
    unread = [f"{query}.{kind}" for query in queries for kind in ("weight", "bias")] if features == "entity" else []
    check_head(config, tmp_path, INPUTS, {"model.head.features": features}, tuple(unread))


def test_head_over_a_plain_encoder(config: Path, tmp_path: Path) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"] = {"encoder": {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))},
                        "head": {"type": "entity_span_qa", "features": "token"}}  # fmt: skip
    config.write_text(json.dumps(content), encoding="utf-8")
    check_head(config, tmp_path, INPUTS)


@pytest.mark.parametrize(("kind", "make"), [("luke", tiny_bert), ("luke", tiny_mluke), ("transformer", tiny_bert)])
def test_other_checkpoints(config: Path, tmp_path: Path, kind: str, make: Any) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"] = {"encoder": {"type": kind, "pretrained": str(make(tmp_path / "checkpoint"))},
                        "head": {"type": "entity_span_qa",
                                 "features": "entity" if kind == "luke" else "token"}}  # fmt: skip
    config.write_text(json.dumps(content), encoding="utf-8")
    assert train(config, tmp_path / "run", overrides={"train_data_path": str(tmp_path / "data.json")}) == 0
    predictor = luke_tasks.load(tmp_path / "run" / "model.tar.gz")
    assert list(predictor.reader.tokenizer.added_words) == list(RecordReader.added_words)
    assert predictor.trained.model.encoder.num_words == predictor.reader.tokenizer.num_words
    assert predictor(INPUTS[0]).answer in ("London", "Paris", "Hawaii")


def test_an_encoder_without_entities_needs_words(config: Path, tmp_path: Path) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"]["encoder"] = {"type": "transformer", "pretrained": "nowhere"}
    config.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_config(config)
    assert str(raised.value) == ('model.head.features: "entity" needs vectors of entities, which the encoder '
                                 '"transformer" does not give; use "token"')  # fmt: skip


def test_it_learns_and_predicts(
    config: Path, tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"trainer.num_epochs": 12, "model.head.dropout": 0, "model.encoder.dropout": 0}
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    cloze = luke_tasks.load(tmp_path / "run")
    scores = cloze.evaluate(tmp_path / "data.json").scores
    assert scores["exact_match"] == scores["f1"] > 0.9
    lost = cloze({"query": "Poor @placeholder lost", "passage": "London beat Paris on Friday.\nRain in Paris",
                  "candidates": ["Paris", "London"], "id": 7})  # fmt: skip
    assert (lost.id, lost.answer) == ("7", "Paris")
    assert "London beat Paris on Friday.\nRain in Paris"[lost.start : lost.end] == "Paris"
    assert list(lost.candidates) == ["Paris", "London"]
    assert lost.score == lost.candidates["Paris"] > lost.candidates["London"]

    source = write("\n".join([json.dumps(INPUTS[0]), "", json.dumps(INPUTS[1])]), "in.jsonl")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["id"] for one in printed] == ["spans", f"{source}:3"]
    assert [set(one["candidates"]) for one in printed] == [{"London", "Paris", "Hawaii"}, {"Paris", "London"}]
    for one, raw in zip(printed, INPUTS, strict=True):
        assert set(one) == {"id", "answer", "start", "end", "score", "candidates"}
        assert str(raw["passage"])[one["start"] : one["end"]] == one["answer"]
        assert one["score"] == max(one["candidates"].values()) == one["candidates"][one["answer"]]


def test_without_answers(config: Path, tmp_path: Path, write: Callable[..., Path], capsys: Any) -> None:
    """As in the test set: predicted, neither scored nor learnt from."""
    assert train(config, tmp_path / "run") == 0
    unlabelled = json.loads(as_json(ARTICLES[0]))
    del unlabelled["data"][0]["qas"][0]["answers"]
    unlabelled["data"][0]["qas"][1]["answers"] = []
    path = write(unlabelled, "test.json")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(path), "--use-dataset-reader"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["q0", "q1"]
    message = (f'{path}: article 1, query %s: "answers" is missing or empty: nothing to learn from or to score '
               "against; give them, or use `predict --use-dataset-reader`")  # fmt: skip
    assert main(["evaluate", str(tmp_path / "run"), str(path)]) == 2  # the longer window comes first
    assert capsys.readouterr().err.strip().splitlines()[-1] == message % "2 (id q1)"
    assert train(config, tmp_path / "other", overrides={"train_data_path": str(path)}) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == message % "1 (id q0)"


def test_a_window_without_room(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(config, tmp_path / "run", overrides={"dataset_reader.max_query_length": 54}) == 2
    assert capsys.readouterr().err.strip() == (
        "dataset_reader.max_query_length: 54 leaves no room for the passage in windows of 60 word pieces; give at most "
        "53, or longer windows"
    )


def test_a_window_without_room_from_python(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="max_query_length: 90 leaves no room for the passage in windows of 60"):
        RecordReader(tokenizer=tokenizer, max_sequence_length=60)


# -- reading --------------------------------------------------------------------------------------------------------


def test_read(tokenizer: Tokenizer, write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    text = "Paris is old.\n@highlight\n\nParis, not London"
    entry = article(text, ["Paris", "London"], ("Old @placeholder", "Paris"), ("@placeholder?", "London"))
    entry["passage"]["entities"].append(entry["passage"]["entities"][0])
    entry["qas"][1]["answers"] = [{"start": 9, "end": 11, "text": "old"}]
    del entry["qas"][1]["id"]
    path = write(as_json(entry))
    examples, windows = RecordReader(tokenizer=tokenizer).read_encoded(path)
    first, second = examples
    assert (first.id, first.query, first.passage.text) == ("q0", "Old @placeholder", text)
    assert first.passage.candidates == [(0, 5), (26, 31), (37, 43)]
    assert first.passage is second.passage
    assert (first.answers, first.gold_texts()) == ([(0, 5), (26, 31)], ["Paris", "Paris"])
    assert second.id == second.where == f"{path}: article 1, query 2"
    assert [window.targets(Labels(())).tolist() for window in windows] == [[1, 1, 0], [0, 0, 0]]
    assert [one.getMessage() for one in caplog.records] == [
        f"{path}: 1 entities are listed twice in their passage, and taken once",
        f"{path}: 1 queries have no answer among the passage's entities: they can only be answered wrongly",
    ]


def test_word_pieces_of_a_roberta(tokenizer: Tokenizer, write: Callable[..., Path]) -> None:
    """A space stands before a slice where the text has one, and at both beginnings."""
    text = "London, Paris's\n@highlight\n\nHawaii"
    path = write(as_json(article(text, ["Paris", "London", "Hawaii"], ("Old @placeholder's", "Paris"))))
    example, (window,) = read_one(RecordReader(tokenizer=tokenizer, max_mention_length=2), path)
    assert shown(tokenizer, window.word_ids) == (
        "<s> Old [PLACEHOLDER]'s</s></s>[ENTITY] London[ENTITY], [ENTITY] Paris[ENTITY]'s [HIGHLIGHT]  [ENTITY] Hawaii"
        "[ENTITY]</s>"
    )
    assert [shown(tokenizer, window.word_ids[start:end]) for start, end in window.entity_spans] == [
        "[PLACEHOLDER]", "[ENTITY] L", "[ENTITY] P", "[ENTITY] H",  # cut to 2 pieces: max_mention_length
    ]  # fmt: skip
    assert set(window.entity_ids.tolist()) == {tokenizer.entity_vocab["[MASK]"]}
    assert window.word_type_ids is None and window.entity_type_ids is None
    assert window.num_words == 2 + 4
    assert window.candidates == [0, 1, 2]
    uncut = RecordReader(tokenizer=tokenizer).encode([example])[0]
    assert shown(tokenizer, uncut.word_ids[slice(*uncut.entity_spans[2])]) == "[ENTITY] Paris[ENTITY]"


def test_segments_of_a_bert(tokenizers: dict[str, Tokenizer], write: Callable[..., Path]) -> None:
    own = tokenizers["bert"]
    path = write(as_json(article("London, Paris", ["Paris", "London"], ("@placeholder lost", "Paris"))))
    _, (window,) = read_one(RecordReader(tokenizer=own), path)
    assert window.word_type_ids is not None and window.entity_type_ids is not None
    assert window.word_ids[0] == own.special.cls
    separators = np.flatnonzero(window.word_ids == own.special.sep)
    assert len(separators) == 2
    assert np.flatnonzero(window.word_type_ids).tolist() == list(range(separators[0] + 1, len(window.word_ids)))
    assert window.entity_type_ids.tolist() == [0, 1, 1]
    assert window.word_ids[window.entity_spans[0, 0]] == own.word_id("[PLACEHOLDER]")
    assert window.entity_spans[0].tolist() == [1, 2]


def test_overlapping_candidates(tokenizer: Tokenizer) -> None:
    own = RecordReader(tokenizer=tokenizer)
    raw = {
        "query": "@placeholder",
        "passage": "a b c d",
        "candidates": [[0, 3], [2, 3], [2, 5], [4, 5], [0, 1], [2, 3]],
    }
    example = own.parse_input(raw, "in:1")
    assert example.passage.candidates == [(0, 1), (0, 3), (2, 3), (2, 5), (4, 5)]
    (window,) = own.encode([example])
    assert shown(tokenizer, window.word_ids[4:-1]).replace("[ENTITY]", "|") == "|| a| || b|| | c|| d"
    inner = [shown(tokenizer, window.word_ids[start:end]) for start, end in window.entity_spans[1:]]
    assert [text.replace("[ENTITY]", "").split() for text in inner] == [["a"], ["a", "b"], ["b"], ["b", "c"], ["c"]]
    assert all(text.startswith("[ENTITY]") and text.endswith("[ENTITY]") for text in inner)


# -- against an independent computation -----------------------------------------------------------------------------


def pieces_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """As the tokenizers' own `encode`, one text at a time."""
    return tokenizer.texts_to_pieces([text])[0]


def brute_force(
    tokenizer: Tokenizer, example: RecordExample, reader: RecordReader, separators: int
) -> list[tuple[list[int], list[list[int]], list[int], list[int]]]:
    """Each window's pieces, positions of its entities, candidates and gold labels, built character by character."""
    added = tokenizer.added_words
    passage = example.passage.text.replace("\n", " ")
    ids: list[int] = []
    owners: list[set[int]] = []  # of each piece: the candidates it belongs to
    position, slice_start = 0, 0
    starts = {start: (index, end) for index, (start, end) in enumerate(example.passage.candidates)}
    current: int | None = None

    def put(new: list[int]) -> None:
        ids.extend(new)
        owners.extend({current} if current is not None else set() for _ in new)

    def flush(end: int) -> None:
        nonlocal slice_start
        rest, first = passage[slice_start:end], True
        while True:
            part, found, rest = rest.partition("@highlight")
            glued = not (slice_start == 0 or passage[slice_start - 1] == " ") if first else True
            put(pieces_of(tokenizer, part if glued or part[:1] in ("", " ") else " " + part))
            if not found:
                break
            put([added["[HIGHLIGHT]"]])
            first = False
        slice_start = end

    while position < len(passage):
        if position in starts:
            flush(position)
            current, end = starts[position]
            put([added["[ENTITY]"]])
            flush(end)
            put([added["[ENTITY]"]])
            current, position = None, end
        else:
            position += 1
    flush(len(passage))

    before, after = example.query.replace("\n", " ").split("@placeholder")
    before = " " + before if before and before[0] != " " else before
    query = [*pieces_of(tokenizer, before), added["[PLACEHOLDER]"], *pieces_of(tokenizer, after)]
    query = query[: reader.max_query_length]
    cls, sep = tokenizer.special.cls, tokenizer.special.sep
    head = [cls, *query, *[sep] * separators]
    room = reader.max_sequence_length - len(head) - 1
    windows = []
    for begin in range(0, len(ids), min(reader.stride, room)):
        positions, kept = [[1 + query.index(added["[PLACEHOLDER]"])]], []
        for candidate in range(len(example.passage.candidates)):
            own = [place for place, owner in enumerate(owners) if candidate in owner]
            if all(begin <= place < begin + room for place in own):
                kept.append(candidate)
                positions.append([place - begin + len(head) for place in own][: reader.max_mention_length])
        gold = [int(example.passage.candidates[candidate] in (example.answers or ())) for candidate in kept]
        if kept:
            windows.append(([*head, *ids[begin : begin + room], sep], positions, kept, gold))
        if begin + room >= len(ids):
            break
    return windows


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("name", "separators"), [("luke", 2), ("bert", 1), ("mluke", 2)])
def test_windows(tokenizers: dict[str, Tokenizer], tmp_path: Path, name: str, separators: int, seed: int) -> None:
    rng = random.Random(seed)
    words = [rng.choice(["London", "beat", "Beyoncé", ", ", "Paris", "\n@highlight\n\n", "(", "of", "Los Angeles"])
             for _ in range(60)]  # fmt: skip
    text, entities = "", []
    for word in words:
        text += rng.choice(["", " ", " ", " ", "  "]) if text else ""
        if word[0].isupper() and rng.random() < 0.5:
            entities.append({"start": len(text), "end": len(text) + len(word) - 1})
        text += word
    answers = [{**entity, "text": text[entity["start"] : entity["end"] + 1]} for entity in entities[::4]]
    before, after = rng.choices(["Old", "London", "of"], k=rng.randint(0, 9)), rng.choice([" won", "'s", ""])
    qas = [{"id": "q", "query": " ".join(before) + rng.choice([" ", ""]) + "@placeholder" + after, "answers": answers}]
    path = tmp_path / "data.json"
    path.write_text(as_json({"passage": {"text": text, "entities": entities}, "qas": qas}), encoding="utf-8")
    own = RecordReader(
        tokenizer=tokenizers[name], max_sequence_length=rng.choice([50, 70]), stride=rng.choice([7, 16, 90]),
        max_query_length=40, max_mention_length=rng.choice([3, 30]),
    )  # fmt: skip
    example, windows = read_one(own, path)
    expected = brute_force(tokenizers[name], example, own, separators)
    assert len(windows) == len(expected) > 1
    for window, (ids, positions, kept, gold) in zip(windows, expected, strict=True):
        assert window.word_ids.tolist() == ids
        assert [list(range(*span)) for span in window.entity_spans.tolist()] == positions
        assert window.candidates == kept
        assert window.targets(Labels(())).tolist() == gold


# -- what does not fit ----------------------------------------------------------------------------------------------


def long_example(own: RecordReader, *, around: int, candidates: list[str], answers: list[tuple[int, int]]) -> Any:
    text = " ".join([*["two"] * around, "London", *["two"] * around, "Paris"])
    example = own.parse_input({"query": "@placeholder", "passage": text, "candidates": candidates}, "in:1")
    example.answers = answers or [(text.index("London"), text.index("London") + 6)]
    return example


def messages(own: RecordReader, caplog: pytest.LogCaptureFixture) -> list[str]:
    own.report_dropped("f")
    return [one.getMessage() for one in caplog.records]


def test_a_candidate_cut_by_one_window_and_whole_in_another(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    own = RecordReader(tokenizer=tokenizer, max_sequence_length=20, max_query_length=9, stride=6)  # room for 15 pieces
    two, london = len(pieces_of(tokenizer, " two")), len(pieces_of(tokenizer, " London"))
    example = long_example(own, around=13 // two, candidates=["London"], answers=[])
    assert 13 // two * two < 15 < 13 // two * two + london + 2, "the first window cuts it"
    windows = own.encode([example])
    assert windows and all(window.candidates == [0] for window in windows)
    for window in windows:
        start, end = window.entity_spans[1]
        assert shown(tokenizer, window.word_ids[start:end]) == "[ENTITY] London[ENTITY]"
        assert window.targets(Labels(())).tolist() == [1]
    (message,) = messages(own, caplog)
    assert message.endswith("windows hold no candidate and were left out")


def test_lost_candidates_and_answers_are_counted(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    own = RecordReader(tokenizer=tokenizer, max_sequence_length=16, max_query_length=9, stride=5)  # room for 11 pieces
    two = [(0, len(" ".join(["two"] * 12)))]
    example = long_example(own, around=12, candidates=["Paris"], answers=two)
    example.passage = type(example.passage)(example.passage.text, [*two, *example.passage.candidates])
    assert {tuple(window.candidates) for window in own.encode([example])} == {(1,)}
    only_long = long_example(own, around=12, candidates=["Paris"], answers=two)
    only_long.passage = type(example.passage)(example.passage.text, two)
    assert own.encode([only_long]) == []
    found = messages(own, caplog)
    assert "f: 2 candidates fit whole into no window and were left out" in found
    assert "f: 1 queries have their answer in no window: they can only be answered wrongly" in found
    assert "f: 1 queries have no candidate in any window and stay unanswered" in found
    assert len(found) == 4 and found[0].endswith("windows hold no candidate and were left out")


@pytest.mark.parametrize(("before", "after", "expected"), [
    (0, 9, "[PLACEHOLDER] of of of of"), (2, 9, " of of[PLACEHOLDER] of of"), (9, 2, " of of of of[PLACEHOLDER]"),
    (5, 0, " of of of of[PLACEHOLDER]"), (4, 0, " of of of of[PLACEHOLDER]"),
])  # fmt: skip
def test_a_long_query_keeps_its_gap(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, before: int, after: int, expected: str
) -> None:
    own = RecordReader(tokenizer=tokenizer, max_query_length=5)
    query = " ".join(["of"] * before) + "@placeholder" + " of" * after
    (window,) = own.encode([own.parse_input({"query": query, "passage": "Paris", "candidates": ["Paris"]}, "in:1")])
    assert shown(tokenizer, window.word_ids[1:6]) == expected
    assert window.word_ids[window.entity_spans[0, 0]] == tokenizer.word_id("[PLACEHOLDER]")
    assert window.word_ids[6] == tokenizer.special.sep
    cut = ["f: 1 queries are longer than max_query_length (5 word pieces) and were cut"]
    assert messages(own, caplog) == cut * (before + after > 4)


# -- decoding -------------------------------------------------------------------------------------------------------


def test_the_best_candidate_over_all_windows(tokenizer: Tokenizer) -> None:
    """Repeated names are candidates of their own; the score of a name is its best."""
    own = RecordReader(tokenizer=tokenizer, max_sequence_length=512)
    example = own.parse_input(
        {"query": "@placeholder", "passage": "Paris, London, Paris, Hawaii", "candidates": TOWNS[:3], "id": "x"}, "in:1"
    )
    (window,) = own.encode([example])
    assert window.candidates == [0, 1, 2, 3]
    head = EntitySpanQAHead(hidden_size=4, labels=Labels(()))

    def part(candidates: list[int], *logits: float) -> Window:
        features = RecordFeatures(**{**vars(window), "candidates": candidates})
        return Window(features, np.array(logits, dtype=np.float32))

    found = head.decode(example, [part([0, 1], -1.0, 0.0), part([1, 2], -3.0, 2.0), part([2, 3], 1.0, -800.0)])
    assert (found.id, found.answer, found.start, found.end) == ("x", "Paris", 15, 20)
    assert found.score == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)
    assert list(found.candidates.items()) == [("Paris", found.score), ("London", 0.5), ("Hawaii", 0.0)]

    nothing = head.decode(example, [])
    assert nothing.to_json() == {"id": "x", "answer": None, "start": None, "end": None, "score": None, "candidates": {}}
    metrics = head.make_metrics()
    example.answers = [(0, 5), (15, 20)]
    for prediction in (found, nothing):
        head.update_metrics(metrics, example, [], prediction)
    assert head.scores(metrics) == {"exact_match": 0.5, "f1": 0.5}


def test_loss_is_the_mean_over_candidates(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    own = RecordReader(tokenizer=tokenizer)
    examples = [own.parse_input({"query": "@placeholder", "passage": "London Paris", "candidates": names}, "in:1")
                for names in (["London", "Paris"], ["Paris"])]  # fmt: skip
    examples[0].answers, examples[1].answers = [(0, 6)], [(7, 12)]
    batch = collate(own.encode(examples), pad_id=1, labels=Labels(()))
    head = EntitySpanQAHead(hidden_size=4, labels=Labels(()), features="token+entity").eval()
    words, entities = torch.randn(2, batch.word_ids.shape[1], 4), torch.randn(2, 3, 4)
    output = head(batch, EncoderOutput(word_hidden=words, entity_hidden=entities))
    assert batch.entity_spans is not None and output.loss is not None
    losses = []
    for row, candidate, gold in ((0, 1, 1), (0, 2, 0), (1, 1, 1)):
        start, gap = batch.entity_spans[row, candidate, 0], batch.entity_spans[row, 0, 0]
        pair = torch.cat([words[row, gap], entities[row, 0], words[row, start], entities[row, candidate]])
        logit = head.scorer(pair).item()
        assert output.logits[row, candidate - 1].item() == pytest.approx(logit, abs=1e-5)
        losses.append(np.log1p(np.exp(-logit if gold else logit)))
    assert output.loss.item() == pytest.approx(np.mean(losses), abs=1e-5)


# -- faults ---------------------------------------------------------------------------------------------------------

GOOD = article("Paris beat London.", ["Paris", "London"], ("@placeholder won", "Paris"))
TEXT = {"text": "Paris beat London."}
RANGE = "expected 0 <= start <= end < 18, the number of characters of the passage"


def with_query(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "qas": [{**GOOD["qas"][0], **changes}]}


def with_entity(start: Any, end: Any) -> dict[str, Any]:
    return {**GOOD, "passage": {**TEXT, "entities": [{"start": start, "end": end}]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE: the file is empty"),
        (json.dumps([GOOD])[:40], 'FILE:1: expected one JSON object {"data": [...]}, '
         'found \'[{"passage": {"text": "Paris beat London\''),
        ('{"version": "1.0"}', "FILE: \"data\" is missing; found version"),
        ('{"data": []}', "FILE: the file holds no example"),
        (as_json({"qas": []}), 'FILE: article 1: "passage" is missing; found qas'),
        (as_json({**GOOD, "passage": "Paris"}),
         'FILE: article 1: "passage" must be a JSON object {...}, found "Paris"'),
        (as_json({**GOOD, "passage": {**TEXT}}), 'FILE: article 1, passage: "entities" is missing; found text'),
        (as_json({**GOOD, "passage": {"text": 5, "entities": []}}),
         'FILE: article 1, passage: "text" must be a string that is not blank, found 5'),
        (as_json({**GOOD, "passage": {**TEXT, "entities": [[0, 5]]}}),
         'FILE: article 1, passage: "entities" must be an array of JSON objects, found [[0, 5]]'),
        (as_json(with_entity(11, 18)), f'FILE: article 1, passage, entity 1: "start" 11, "end" 18: {RANGE}'),
        (as_json(with_entity(-1, 3)), f'FILE: article 1, passage, entity 1: "start" -1, "end" 3: {RANGE}'),
        (as_json(with_entity(6, 5)), f'FILE: article 1, passage, entity 1: "start" 6, "end" 5: {RANGE}'),
        (as_json(with_entity(5, 5)), 'FILE: article 1, passage, entity 1: "start, end": [5, 6] covers only spaces; '
         "give the characters of the entity"),
        (as_json(with_entity("0", 5)), 'FILE: article 1, passage, entity 1: "start" must be an integer, found "0"'),
        (as_json(GOOD, {**GOOD, "id": "a", "qas": {"id": "q"}}),
         'FILE: article 2 (id a): "qas" must be an array of JSON objects, found {"id": "q"}'),
        (as_json(with_query(query=None)),
         'FILE: article 1, query 1 (id q0): "query" must be a string that is not blank, found null'),
        (as_json(with_query(query="Who won?")), 'FILE: article 1, query 1 (id q0): "query" must hold "@placeholder" '
         'once, found it 0 times in "Who won?"'),
        (as_json(with_query(query="@placeholder, @placeholder")), 'FILE: article 1, query 1 (id q0): "query" must hold '
         '"@placeholder" once, found it 2 times in "@placeholder, @placeholder"'),
        (as_json(with_query(answers=[{"start": 0, "end": 4}])),
         'FILE: article 1, query 1 (id q0), answer 1: "text" is missing; found start, end'),
        (as_json(with_query(answers=[{"start": 0, "end": 5, "text": "Paris"}])), 'FILE: article 1, query 1 (id q0), '
         'answer 1: "text" is "Paris", but from "start" 0 to "end" 5 the passage has "Paris "; mend the one or the '
         "other"),
        (as_json(with_query(answers=[{"start": 0, "end": 40, "text": "Paris"}])),
         f'FILE: article 1, query 1 (id q0), answer 1: "start" 0, "end" 40: {RANGE}'),
        (as_json(with_query(answers=["Paris"])),
         'FILE: article 1, query 1 (id q0): "answers" must be an array of JSON objects, found ["Paris"]'),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, write: Callable[..., Path], content: str, message: str) -> None:
    path = write(content)
    with pytest.raises(DataError) as raised:
        RecordReader(tokenizer=tokenizer).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


def test_candidates_by_name(tokenizer: Tokenizer) -> None:
    """Whole words, wherever they stand; in a script without spaces, any place."""
    own = RecordReader(tokenizer=tokenizer)

    def found(passage: str, *candidates: Any) -> list[str]:
        raw = {"query": "@placeholder", "passage": passage, "candidates": list(candidates)}
        return [f"{start}:{passage[start:end]}" for start, end in own.parse_input(raw, "in:1").passage.candidates]

    assert found("Paris, Parisian Paris's (Paris)", "Paris") == ["0:Paris", "16:Paris", "25:Paris"]
    assert found("The U.S. and $5", "U.S.", "$5", (4, 6)) == ["4:U.", "4:U.S.", "13:$5"]
    assert found("東京は日本の首都です。IBMは東京にある。", "東京", "IBM") == ["0:東京", "11:IBM", "15:東京"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"passage": "a", "candidates": ["a"]}, 'in:1: "query" is missing; found passage, candidates'),
        ({"query": "a", "passage": "a", "candidates": ["a"]},
         'in:1: "query" must hold "@placeholder" once, found it 0 times in "a"'),
        ({"query": "@placeholder", "candidates": ["a"]}, 'in:1: "passage" is missing; found query, candidates'),
        ({"query": "@placeholder", "passage": ["a"], "candidates": ["a"]},
         'in:1: "passage" must be a string that is not blank, found ["a"]'),
        ({"query": "@placeholder", "passage": "a"}, 'in:1: "candidates" is missing; found query, passage'),
        ({"query": "@placeholder", "passage": "a", "candidates": []}, 'in:1: "candidates" must be a list of [start, '
         "end) or of strings, and hold one at least, found []"),
        ({"query": "@placeholder", "passage": "a", "candidates": "a"}, 'in:1: "candidates" must be a list of [start, '
         'end) or of strings, and hold one at least, found "a"'),
        ({"query": "@placeholder", "passage": "a ab", "candidates": ["a", "b"]}, 'in:1: "candidates.1": the passage '
         'does not have "b" as whole words; write it as it stands there, or give its characters as [start, end)'),
        ({"query": "@placeholder", "passage": "a", "candidates": [" "]}, 'in:1: "candidates.0": the passage does not '
         'have " " as whole words; write it as it stands there, or give its characters as [start, end)'),
        ({"query": "@placeholder", "passage": "a b", "candidates": [[0, 1], [1, 2]]},
         'in:1: "candidates.1": [1, 2] covers only spaces; give the characters of the entity'),
        ({"query": "@placeholder", "passage": "a b", "candidates": [[2, 9]]},
         'in:1: "candidates.0": expected [start, end) in characters, 0 <= start < end <= 3, found [2, 9]'),
    ],
)  # fmt: skip
def test_bad_input(tokenizer: Tokenizer, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        RecordReader(tokenizer=tokenizer).parse_line(json.dumps(raw), "in:1")
    assert str(raised.value) == message


def test_a_line_of_text_is_no_input(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError) as raised:
        RecordReader(tokenizer=tokenizer).parse_line("Paris won", "in:1")
    assert str(raised.value) == (
        'in:1: expected a JSON object, {"query": "...", "passage": "...", "candidates": ["...", [start, end], ...]}, '
        "found 'Paris won'"
    )
