"""Token classification from config to prediction, on tiny models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.data.features import IGNORED_LABEL
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.heads.head import Window
from luke_tasks.heads.token_classification import TokenClassificationHead
from luke_tasks.readers.conll_tokens import ConllTokensReader, TokenExample
from luke_tasks.readers.tagging import Span, marks_entities, predicted_spans, tags_of
from tests.conftest import SENTENCES, conll
from tests.tasks.head_check import check_head
from tests.tiny import tiny_roberta
from tests.training.runs import metrics, train

INPUTS = ["Beyoncé lives in Los Angeles.", {"words": ["London", "is", "Barack"], "id": 3}, {"text": "EU\n\nParis is ."}]
# Words alone are read: what belongs to entities has no part in it.
UNUSED = r"entity_embeddings|e2w_query|w2e_query|e2e_query"
POS = "EU NNP B-ORG\nrejects VBZ O\nGerman JJ B-MISC\n\nParis NNP B-LOC\nis VBZ O\n"


@pytest.fixture
def config(ner_config: Path) -> Path:
    content: dict[str, Any] = json.loads(ner_config.read_text(encoding="utf-8"))
    content["dataset_reader"] = {"type": "conll_tokens", "max_sequence_length": 64}
    content["model"]["head"] = {"type": "token_classification"}
    ner_config.write_text(json.dumps(content), encoding="utf-8")
    return ner_config


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


def reader(tokenizer: Tokenizer, **options: Any) -> ConllTokensReader:
    return ConllTokensReader(tokenizer=tokenizer, **options)


# -- training and prediction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_head(config: Path, tmp_path: Path, context: str) -> None:
    check_head(config, tmp_path, INPUTS, {"dataset_reader.context": context}, unused=UNUSED)


def test_head_over_a_plain_encoder(config: Path, tmp_path: Path) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content["model"]["encoder"] = {"type": "transformer", "pretrained": str(tiny_roberta(tmp_path / "roberta"))}
    config.write_text(json.dumps(content), encoding="utf-8")
    check_head(config, tmp_path, INPUTS)


def test_it_learns_and_predicts(
    config: Path, ner_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"trainer.num_epochs": 12, "trainer.optimizer.lr": 1e-2, "model.head.dropout": 0,
                 "model.encoder.dropout": 0}  # fmt: skip
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    scores = metrics(tmp_path / "run")
    assert scores["best_validation_f1"] == scores["best_validation_f1-PER"] == 1.0
    source = tmp_path / "in.txt"
    source.write_text("Beyoncé lives in  Los Angeles\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(source)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(word["text"], word["label"], word["start"]) for word in found["words"]] == [
        ("Beyoncé", "B-PER", 0), ("lives", "O", 8), ("in", "O", 14), ("Los", "B-LOC", 18), ("Angeles", "I-LOC", 22)
    ]  # fmt: skip
    assert [(e["text"], e["label"], e["word_start"], e["word_end"]) for e in found["entities"]] == [
        ("Beyoncé", "PER", 0, 1), ("Los Angeles", "LOC", 3, 5)
    ]  # fmt: skip
    assert found["entities"][1]["score"] == min(word["score"] for word in found["words"][3:])


def test_parts_of_speech(config: Path, tmp_path: Path) -> None:
    """Classes of words: no entities, no F1."""
    (tmp_path / "pos.txt").write_text(POS * 8, encoding="utf-8")
    overrides = {"dataset_reader.label_column": 2, "trainer.validation_metric": "+accuracy", "trainer.num_epochs": 8,
                 "train_data_path": str(tmp_path / "pos.txt"), "validation_data_path": str(tmp_path / "pos.txt"),
                 "trainer.optimizer.lr": 1e-2}  # fmt: skip
    assert train(config, tmp_path / "run", overrides=overrides) == 0
    assert metrics(tmp_path / "run")["best_validation_accuracy"] == 1.0
    tag = luke_tasks.load(tmp_path / "run")
    assert set(tag.trained.labels) == {"NNP", "VBZ", "JJ"}
    found = tag("Paris is").to_json()
    assert [word["label"] for word in found["words"]] == ["NNP", "VBZ"] and "entities" not in found
    assert set(tag.evaluate(tmp_path / "pos.txt").scores) == {"accuracy", "loss"}


def test_scores_by_hand(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """One predicted entity of three is right; an I- tag without B- begins an entity, as seqeval has it."""
    (tmp_path / "f.txt").write_text("a B-PER\nb I-PER\nc O\nd B-LOC\n\ne O\n", encoding="utf-8")
    (example,), _ = reader(tokenizer).read_encoded(tmp_path / "f.txt")
    head = TokenClassificationHead(hidden_size=4, labels=Labels(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]))
    scores = head.make_metrics()
    features = reader(tokenizer).encode([example])
    rows = [np.eye(5, dtype=np.float32)[[1, 0, 0, 4]], np.eye(5, dtype=np.float32)[[3]]]
    windows = [Window(feature, logits) for feature, logits in zip(features, rows, strict=True)]
    prediction = head.decode(example, windows)
    assert [word.label for word in prediction.words] == ["B-PER", "O", "O", "I-LOC", "B-LOC"]
    assert prediction.entities is not None and [e.word_start for e in prediction.entities] == [0, 3, 4]  # not across
    head.update_metrics(scores, example, windows, prediction)
    found = head.scores(scores)
    assert (found["accuracy"], found["precision"], found["recall"]) == (2 / 5, 1 / 3, 1 / 2)


# -- reading --------------------------------------------------------------------------------------------------------


def labels(tokenizer: Tokenizer, path: Path, **options: Any) -> list[list[str] | None]:
    return [example.labels for example in reader(tokenizer, **options).read(path)]


def test_labels(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("-DOCSTART- O O\n\na X I-PER\nb Y I-PER\nc X B-PER\n\nd X I-LOC\n-DOCSTART- O O\ne X O\n", "utf-8")
    assert labels(tokenizer, path) == [["B-PER", "I-PER", "B-PER", "B-LOC"], ["O"]]  # IOB1 in the file
    assert labels(tokenizer, path, label_scheme="bioes")[0] == ["B-PER", "E-PER", "S-PER", "S-LOC"]
    assert labels(tokenizer, path, label_scheme="bilou")[0] == ["B-PER", "L-PER", "U-PER", "U-LOC"]
    assert labels(tokenizer, path, label_scheme="io")[0] == ["I-PER", "I-PER", "I-PER", "I-LOC"]
    assert labels(tokenizer, path, labels="words")[0] == ["I-PER", "I-PER", "B-PER", "I-LOC"]
    assert labels(tokenizer, path, label_column=2) == [["X", "Y", "X", "X"], ["X"]]
    path.write_text("a O\nb O\n", "utf-8")
    assert labels(tokenizer, path) == [["O", "O"]]


def test_features(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The label stands at a word's first piece; nothing but that counts."""
    (tmp_path / "f.txt").write_text("Beyoncé B-PER\nlives O\n", encoding="utf-8")
    (_,), (window,) = reader(tokenizer).read_encoded(tmp_path / "f.txt")
    targets = window.targets(Labels(["O", "B-PER"]))
    pieces = tokenizer.words_to_pieces(["Beyoncé", "lives"])
    assert window.word_ids.tolist() == [0, *pieces[0], *pieces[1], 2]
    second = 1 + len(pieces[0])
    assert window.first_pieces.tolist() == [1, second]
    expected = np.full(len(window.word_ids), IGNORED_LABEL)
    expected[[1, second]] = [1, 0]
    assert targets is not None and targets.tolist() == expected.tolist()


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_every_word_of_a_long_sentence_is_labelled_once(
    tokenizer: Tokenizer, tmp_path: Path, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sentences = [" ".join(SENTENCES), "x" * 90 + " is/LOC", SENTENCES[0]]
    (tmp_path / "f.txt").write_text(conll(sentences, documents_of=5), encoding="utf-8")
    examples, windows = reader(tokenizer, context=context, max_sequence_length=22).read_encoded(tmp_path / "f.txt")
    (example,) = examples
    words = [window.first_word + n for window in windows for n in range(len(window.first_pieces))]
    assert words == list(range(len(example.words)))
    assert max(len(window.word_ids) for window in windows) == 22
    assert sum(window.num_words for window in windows) == len(example.words)
    pieces = tokenizer.words_to_pieces(example.words)
    for window in windows:
        for n, place in enumerate(window.first_pieces):
            assert window.word_ids[place] == pieces[window.first_word + n][0]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records if record.levelname == "WARNING"] == [
        "1 words are longer than the window (20 word pieces) and were cut",
        "2 sentences are longer than the window (20 word pieces) and were split",
    ]


def test_context_is_read_but_not_labelled(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(conll(SENTENCES), encoding="utf-8")
    _, alone = reader(tokenizer).read_encoded(tmp_path / "f.txt")
    _, amid = reader(tokenizer, context="document").read_encoded(tmp_path / "f.txt")
    assert len(alone) == len(amid) == 6
    for one, other in zip(alone, amid, strict=True):
        assert len(one.word_ids) < len(other.word_ids)
        assert one.word_ids[one.first_pieces].tolist() == other.word_ids[other.first_pieces].tolist()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "FILE: the file is empty"),
        ("a O\nb I-PER\n", {"iob_scheme": "iob2"}, "FILE:2: 'I-PER' follows O, but in IOB2 an entity begins with "
         "'B-PER'; mend the tag, or set dataset_reader.iob_scheme to the file's scheme"),
        ("a O\nb PER\n", {"labels": "entities"}, "FILE:2: unknown tag 'PER': expected O, or B-, I-, E- or S- and a "
         "type as in B-PER, in the last column"),
        ("a O\nb O\n", {"label_column": 3}, "FILE:1: expected a label in column 3 (dataset_reader.label_column), found "
         "2 columns: 'a O'"),
        ("a\tX\tO\nb\t\tO\n", {"label_column": 2}, "FILE:2: expected a label for 'b', found nothing in its column "
         "(dataset_reader.label_column)"),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, tmp_path: Path, content: str, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "f.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as raised:
        reader(tokenizer, **options).read_encoded(path)
    assert str(raised.value).replace(str(path), "FILE") == message


def test_an_unknown_label(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("a O\n\nb B-PER\n", encoding="utf-8")
    _, windows = reader(tokenizer).read_encoded(tmp_path / "f.txt")
    with pytest.raises(DataError, match=r"f.txt:3: label 'B-PER' is not among the model's: O, B-LOC"):
        windows[1].targets(Labels(["O", "B-LOC"]))


def test_bad_input(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r'^in:1: give "text" or "words", not both$'):
        reader(tokenizer).parse_input({"text": "a", "words": ["a"]}, "in:1")
    empty = reader(tokenizer).parse_input({"words": []}, "in:1")
    assert isinstance(empty, TokenExample) and reader(tokenizer).encode([empty]) == []


# -- tags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-A I-A O B-A B-A", [(0, 2, "A"), (3, 4, "A"), (4, 5, "A")]),
        ("I-A I-B I-B O I-B", [(0, 1, "A"), (1, 3, "B"), (4, 5, "B")]),
        ("B-A E-A S-A I-A E-B", [(0, 2, "A"), (2, 3, "A"), (3, 4, "A"), (4, 5, "B")]),
        ("U-A B-A L-A", [(0, 1, "A"), (1, 3, "A")]),
        ("O O", []),
        ("", []),
    ],
)
def test_predicted_spans(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert list(predicted_spans(tags.split())) == [Span(*span) for span in spans]


@pytest.mark.parametrize("scheme", ["iob2", "bioes", "bilou"])
def test_tags_and_back(scheme: Any) -> None:
    """And as seqeval, an independent reader of these schemes, has it."""
    from seqeval.scheme import BILOU, IOB2, IOBES, Entities

    spans = [Span(0, 1, "A"), Span(1, 4, "A"), Span(4, 6, "B"), Span(7, 8, "B")]
    tags = tags_of(spans, 9, scheme)
    assert list(predicted_spans(tags)) == spans
    found = Entities([tags], {"iob2": IOB2, "bioes": IOBES, "bilou": BILOU}[scheme]).entities[0]
    assert [(one.start, one.end, one.tag) for one in found] == [(span.start, span.end, span.label) for span in spans]


def test_marks_entities() -> None:
    assert marks_entities(["O", "B-PER"]) and marks_entities(["I-A"])
    assert not marks_entities(["O"]) and not marks_entities(["NNP", "B-PER"]) and not marks_entities(["-LRB-", "O"])
