"""`luke-tasks init`: from files as people have them to a config that trains."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.config import load_config
from luke_tasks.own_data.config_text import RECIPES
from luke_tasks.own_data.formats import FORMATS, TASKS
from luke_tasks.own_data.measure import make_reader
from luke_tasks.readers.tagging import Span
from tests.conftest import ROOT, write_ner_files
from tests.own_data.forms import FORMS, SENTENCES, columns

DATA = ROOT / "data"
IOB2 = columns(lambda word, tag: f"{word}\t{tag}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: nothing is asked there, unless a test answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    return tmp_path


@pytest.fixture
def model(tiny_luke_dir: Path) -> list[str]:
    return ["--model", str(tiny_luke_dir)]


def config_of(name: str) -> dict[str, Any]:
    return load_config(name).values


def entities(path: str) -> list[list[Span]]:
    """Of each sentence of a CoNLL file, as its reader finds them."""
    found = []
    for document in make_reader({"type": "conll_span"}, None).read(path):
        for start, end in document.sentences:
            own = [entity for entity in document.entities if start <= entity.start < end]
            found.append([Span(entity.start - start, entity.end - start, entity.label) for entity in own])
    return found


# -- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "train", "reader", "score"),
    [
        ("ner", "ner/train.txt", {"type": "conll_span", "context": "document"}, "+f1"),
        ("entity_typing", "entity_typing/train.jsonl", {"type": "entity_typing", "label_set": "coarse"},
         "+micro_fscore"),
        ("relation_classification", "relation_classification/train.jsonl", {"dataset": "jsonl"}, "+micro_fscore"),
        ("question_answering", "question_answering/train.json", {"type": "transformers_squad"}, "+f1"),
        ("record", "record/train.json", {"type": "record"}, "+exact_match"),
        ("sequence_classification", "sequence_classification/train.tsv", {"type": "sequence_classification"},
         "+accuracy"),
        ("multiple_choice", "multiple_choice/train.jsonl", {"type": "multiple_choice"}, "+accuracy"),
        ("masked_lm", "masked_lm/train.jsonl", {"type": "masked_text"}, "-loss"),
    ],
)  # fmt: skip
def test_samples_are_recognised(
    model: list[str], capsys: pytest.CaptureFixture[str], task: str, train: str, reader: dict[str, Any], score: str
) -> None:
    assert main(["init", "--train", str(DATA / train), "--yes", *model]) == 0
    config = config_of(f"{task}.jsonnet")  # that it has no fault was checked when it was written
    assert reader.items() <= config["dataset_reader"].items()
    assert config["trainer"]["validation_metric"] == score
    ending = train.partition(".")[2]
    assert [Path(config[key]).name for key in ("validation_data_path", "test_data_path")] == [
        f"valid.{ending}", f"test.{ending}"]  # fmt: skip
    printed = capsys.readouterr().out
    assert f"luke-tasks check {task}.jsonnet" in printed
    assert f"allennlp train {task}.jsonnet -s runs/{task}" in printed


def test_limits_fit_the_data(model: list[str]) -> None:
    Path("train.txt").write_text(IOB2, encoding="utf-8")
    arguments = ["--train", "train.txt", "--validation", "train.txt", "--task", "ner", *model]
    assert main(["init", *arguments]) == 0
    reader = config_of("ner.jsonnet")["dataset_reader"]
    from luke_tasks.data.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(model[1])
    names = (["Ada", "Lovelace"], ["New", "York", "City"])
    mentions = (sum(map(len, tokenizer.words_to_pieces(words))) for words in names)
    assert reader["max_mention_length"] == min(16, max(mentions))
    assert reader["max_sequence_length"] == 68  # all the positions that the tiny checkpoint has
    assert f"longest mention: {reader['max_mention_length']}" in Path("ner.jsonnet").read_text(encoding="utf-8")


@pytest.mark.parametrize("luke", ["studio-ousia/luke-base", "roberta-base"])
def test_model_that_is_not_here(luke: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the hub, lengths are measured with the embedded model, and the config says so."""
    Path("train.txt").write_text(IOB2, encoding="utf-8")
    assert main(["init", "--train", "train.txt", "--validation", "train.txt", "--task", "ner", "--model", luke]) == 0
    assert "hub" in capsys.readouterr().err
    encoder = config_of("ner.jsonnet")["model"]["encoder"]
    assert encoder["pretrained"] == luke
    assert (encoder.get("entities") == "special") == ("luke" in luke)


def test_every_task_has_formats_and_a_recipe() -> None:
    assert {*FORMATS} == {*TASKS} == {*RECIPES}


@pytest.mark.parametrize("form", ["doccano.jsonl", "kaggle.csv"])
def test_converted_data_train(model: list[str], form: str) -> None:
    Path(form).write_text(FORMS[form], encoding="utf-8")
    assert main(["init", "--train", form, "--yes", *model]) == 0
    assert main(["train", "ner.jsonnet", "-s", "run", "--dry-run"]) == 0


def test_words_with_classes(model: list[str]) -> None:
    sentences = ["A DET 1\nship NOUN 2\nsails VERB 3\n", "A DET 1\ngull NOUN 2\ncries VERB 3\n"]
    Path("tags.txt").write_text("\n".join(sentences), encoding="utf-8")
    arguments = ["--train", "tags.txt", "--validation", "tags.txt", "--yes", *model]
    assert main(["init", *arguments]) == 0
    config = config_of("token_classification.jsonnet")
    assert config["dataset_reader"]["label_column"] == 2
    assert config["trainer"]["validation_metric"] == "+accuracy"


# -- conversions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_conversion_keeps_every_entity(model: list[str], form: str) -> None:
    Path("right.txt").write_text(IOB2, encoding="utf-8")
    Path(form).write_text(FORMS[form], encoding="utf-8")
    arguments = ["--train", form, "--validation", "right.txt", "--task", "ner", "--convert", *model]
    # the validation data are in another form than the training data, and need no conversion
    assert main(["init", *arguments]) == 0
    config = config_of("ner.jsonnet")
    assert config["train_data_path"] != form
    assert entities(config["train_data_path"]) == entities("right.txt")
    words = [line.split("\t")[0] for line in Path(config["train_data_path"]).read_text("utf-8").split("\n") if line]
    assert words == [word for sentence in SENTENCES for word, _ in sentence]


def test_conversion_goes_beyond_what_is_looked_at(model: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess takes the first lines; what is written is the whole file."""
    monkeypatch.setattr("luke_tasks.own_data.kinds._LOOKED_AT", 16)
    Path("right.txt").write_text(IOB2, encoding="utf-8")
    Path("kaggle.csv").write_text(FORMS["kaggle.csv"], encoding="utf-8")
    assert main(["init", "--train", "kaggle.csv", "--validation", "right.txt", "--yes", *model]) == 0
    assert entities("kaggle.conll") == entities("right.txt")


def test_one_odd_tag_is_a_fault_and_no_other_style(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It would make a type of each tag, `B-PER` and `I-PER`. All faults come together, with their lines."""
    lines = columns(lambda word, tag: f"{tag}\t{word}").split("\n") * 5
    lines[2], lines[4] = "Q-XYZ\tleft", "."
    Path("train.tsv").write_text("\n".join(lines), encoding="utf-8")
    assert main(["init", "--train", "train.tsv", "--yes", *model]) == 2
    printed = capsys.readouterr()
    assert ": LOC, PER; tags of another form: Q-XYZ" in printed.out
    assert "train.tsv: 2 faults" in printed.err
    assert "train.tsv:3: unknown tag 'Q-XYZ': expected O, or one such as B-" in printed.err
    assert "train.tsv:5: there is no column 2: '.'" in printed.err
    lines[2], lines[4] = "O\tleft", "O\t."
    Path("train.tsv").write_text("\n".join(lines), encoding="utf-8")
    assert main(["init", "--train", "train.tsv", "--yes", *model]) == 0
    assert {entity.label for one in entities("train.train.conll") for entity in one} == {"PER", "LOC"}


def test_all_bad_spans_are_listed(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"text": "Ada left Oslo.", "label": [[0, 3, "PER"], [9, end, "LOC"]]} for end in (13, 20, 11, 4)]
    Path("train.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    assert main(["init", "--train", "train.jsonl", "--yes", *model]) == 2
    errors = capsys.readouterr().err
    assert "train.jsonl: 2 faults" in errors
    assert "record 2: the span 9 to 20 (LOC) is not in the text, which has 14 characters" in errors
    assert "record 4: the span 9 to 4 (LOC) is not in the text" in errors
    Path("train.jsonl").write_text(json.dumps(records[2]) + "\n" + json.dumps(records[0]), encoding="utf-8")
    assert main(["init", "--train", "train.jsonl", "--yes", *model]) == 0
    assert "record 1: a span begins or ends inside 'Oslo': the word is cut there" in capsys.readouterr().err


def test_all_wrong_answers_are_listed(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And data in one article are divided by its paragraphs."""
    paragraphs = [
        {"context": "Ada left.", "qas": [{"id": str(number), "question": "Who?", "answers": [
            {"text": "Ada", "answer_start": start}]}]} for number, start in enumerate((0, 2, 0, 500))]  # fmt: skip
    Path("qa.json").write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}), encoding="utf-8")
    assert main(["init", "--train", "qa.json", "--validation", "qa.json", "--yes", *model]) == 2
    errors = capsys.readouterr().err
    assert "qa.json: 2 faults" in errors and "paragraph 2," in errors and "paragraph 4," in errors
    content = {"data": [{"title": "", "paragraphs": [paragraphs[0], paragraphs[2]]}]}
    Path("qa.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(["init", "--train", "qa.json", "--yes", *model]) == 0
    assert "(1 and 1 paragraphs)" in capsys.readouterr().out


def test_dates_are_no_classes(model: list[str]) -> None:
    rows = [f"{number};Das ist Text {number}.;{'ja' if number % 2 else 'nein'};0{1 + number % 3}.03.2024"
            for number in range(12)]  # fmt: skip
    Path("a.csv").write_text("\n".join(["Nr;Bewertung;Klasse;Datum", *rows]), encoding="utf-8-sig")
    assert main(["init", "--train", "a.csv", "--yes", *model]) == 0
    assert config_of("sequence_classification.jsonnet")["dataset_reader"]["label"] == "Klasse"


def test_bilou_needs_no_conversion(model: list[str]) -> None:
    from tests.own_data.forms import bilou

    lines = [f"{word} {tag}" for one in SENTENCES for (word, _), tag in zip(one, bilou(one), strict=True)]
    Path("train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["init", "--train", "train.txt", "--validation", "train.txt", "--task", "ner", *model]) == 0
    assert config_of("ner.jsonnet")["train_data_path"] == "train.txt"


def test_questions_of_one_record_each(model: list[str]) -> None:
    records: list[dict[str, Any]] = [
        {"context": "Ada left.", "question": "Who left?", "answers": {"text": ["Ada"], "answer_start": [0]}},
        {"context": "Ada left.", "question": "Who came?", "answers": {"text": [], "answer_start": []}},
        {"context": "Bo ran.", "question": "Who ran?", "answers": {"text": ["Bo"], "answer_start": [0]}},
    ]
    Path("qa.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    assert main(["init", "--train", "qa.jsonl", "--yes", "--split", "0.5", *model]) == 0
    questions = [one for part in ("train", "validation")
                 for one in make_reader({"type": "transformers_squad"}, None).read(f"qa.{part}.json")]  # fmt: skip
    assert sorted((one.question, len(one.answers)) for one in questions) == [
        ("Who came?", 0), ("Who left?", 1), ("Who ran?", 1)]  # fmt: skip


# -- tables ---------------------------------------------------------------------------------------------------------

REVIEWS = [("It broke on the first day.", "bad"), ("It lasts, and looks nice.", "good")] * 6


@pytest.mark.parametrize(
    ("name", "content", "encoding", "options"),
    [
        ("own.csv", "Stars,Review Text\n" + "".join(f'{label},"{text}"\n' for text, label in REVIEWS), "utf-8",
         {"text": "Review Text", "label": "Stars"}),
        ("own.txt", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in REVIEWS), "utf-8",
         {"format": "tsv"}),
        ("own.tsv", "".join(f"{text}\t{label}\n" for text, label in REVIEWS), "utf-8",
         {"columns": ["column1", "column2"], "text": "column1", "label": "column2"}),
        ("own.csv", ",review,sentiment\n" + "".join(f'1,"{text}",{label}\n' for text, label in REVIEWS),
         "utf-8", {"text": "review", "label": "sentiment"}),
        ("own.csv", "text;label\n" + "".join(f"{text} schön;{label}\n" for text, label in REVIEWS), "ISO-8859-1", {}),
        ("own.csv", "text,label\n" + "".join(f'"{text} schön",{label}\n' for text, label in REVIEWS), "utf-16",
         {"encoding": "utf-16"}),
        ("own.csv", "text,label\n" + "".join(f'"{text} schön",{label}\n' for text, label in REVIEWS), "ISO-8859-1",
         {"encoding": "ISO-8859-1"}),
        ("own.txt", "".join(f"__label__{label} {text}\n" for text, label in REVIEWS), "utf-8", {}),
        ("own.jsonl", "".join(json.dumps({"text": text, "labels": [label, "all"]}) + "\n" for text, label in REVIEWS),
         "utf-8", {"label": "labels", "problem_type": "multi_label_classification"}),
        ("own.csv", "sentence1,sentence2,score\n" + "".join(f'"{text}",so {label},{i}.5\n'
                                                            for i, (text, label) in enumerate(REVIEWS)),
         "utf-8", {"text": "sentence1", "text_pair": "sentence2", "label": "score", "problem_type": "regression"}),
    ],
)  # fmt: skip
def test_tables(model: list[str], name: str, content: str, encoding: str, options: dict[str, Any]) -> None:
    Path(name).write_bytes(content.encode(encoding))
    assert main(["init", "--train", name, "--yes", *model]) == 0
    config = config_of("sequence_classification.jsonnet")
    reader = config["dataset_reader"]
    assert {key: reader[key] for key in reader if key not in ("type", "max_sequence_length")} == options
    texts = [example.text for key in ("train_data_path", "validation_data_path")
             for example in make_reader(config["dataset_reader"], None).read(config[key])]  # fmt: skip
    assert Counter(text.removesuffix(" schön") for text in texts) == Counter(text for text, _ in REVIEWS)


# -- splitting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "options"),
    [
        ("entity_typing/train.jsonl", {"type": "entity_typing"}),
        ("question_answering/train.json", {"type": "transformers_squad"}),
        ("sequence_classification/train.tsv", {"type": "sequence_classification"}),
    ],
)
def test_split_loses_nothing(model: list[str], train: str, options: dict[str, Any]) -> None:
    name = Path(train).name
    Path(name).write_bytes((DATA / train).read_bytes())
    assert main(["init", "--train", name, "--split", "0.2", "--yes", *model]) == 0
    stem, _, ending = name.partition(".")

    def read(path: str) -> Counter[str]:
        return Counter(getattr(one, "question", None) or one.text for one in make_reader(options, None).read(path))

    parts = [read(f"{stem}.{part}.{ending}") for part in ("train", "validation")]
    assert parts[0] + parts[1] == read(name)
    assert 0.1 < parts[1].total() / read(name).total() < 0.3


def test_split_keeps_documents_whole(model: list[str]) -> None:
    write_ner_files(Path())
    Path("valid.txt").unlink()
    assert main(["init", "--train", "train.txt", "--split", "--yes", *model]) == 0
    documents = [Path(f"train.{part}.txt").read_text("utf-8").split("-DOCSTART- -X- -X- O\n")[1:]
                 for part in ("train", "validation")]  # fmt: skip
    assert [len(part) for part in documents] == [7, 1]
    whole = Path("train.txt").read_text("utf-8").split("-DOCSTART- -X- -X- O\n")[1:]
    assert sorted(documents[0] + documents[1]) == sorted(whole)


# -- questions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is typed, line by line; all of it must be asked for."""
    lines: list[str] = []

    def answer(question: str) -> str:
        print(question)
        if not lines:
            raise EOFError
        return lines.pop(0)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    yield lines
    assert not lines


def test_questions_have_defaults(answers: list[str], model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_ner_files(Path())
    answers += ["absent.txt", "train.txt", "nre", "", "", "", model[1], ""]
    assert main(["init"]) == 0
    printed = capsys.readouterr().out
    assert "absent.txt: no such file" in printed
    assert "4 columns separated by spaces; tags look like IOB2: LOC, PER, ORG" in printed
    assert "Task [ner]" in printed
    assert "[valid.txt]" in printed
    assert config_of("ner.jsonnet")["validation_data_path"] == "valid.txt"


def test_home_folder(answers: list[str], model: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HOME", str(folder))
    Path("train.txt").write_text(IOB2, encoding="utf-8")
    answers += ["~/train.txt", "", "~/train.txt", "", ""]
    assert main(["init", *model]) == 0
    assert config_of("ner.jsonnet")["train_data_path"] == str(folder / "train.txt")


def test_conversion_may_be_refused(answers: list[str], capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("d.jsonl").write_text(FORMS["doccano.jsonl"], encoding="utf-8")
    answers += ["ner", "n"]
    assert main(["init", "--train", "d.jsonl"]) == 2
    assert "nothing is written; ner reads" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["d.jsonl"]


def test_input_that_ends(answers: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.txt").write_text(IOB2, encoding="utf-8")
    assert main(["init", "--train", "train.txt"]) == 2
    assert "nothing is written" in capsys.readouterr().err


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--train is missing"),
        (["--train", "absent.txt"], "absent.txt: no such file"),
        (["--train", "."], "is a directory; name one file in it (it holds bad.json, "),
        (["--train", "empty.txt"], "empty.txt: the file is empty"),
        (["--train", "packed.gz"], "is a gzip archive: unpack it"),
        (["--train", "binary.dat"], "holds zero bytes"),
        (["--train", "bad.json"], "begins as JSON does, but is none"),
        (["--train", "mixed.json"], "record 2 is no JSON object as the others are: '7'"),
        (["--train", "few.txt"], "cannot tell which task this is for; it begins with\n      hello"),
        (["--train", "few.txt", "--task", "ner"], "ner reads this format:\n"),
        (["--train", "train.txt", "--task", "record"], "It looks like data for --task ner"),
        (["--train", "numbers.jsonl", "--task", "ner"], '"ner_tags" holds numbers'),
        (["--train", "odd.jsonl"], "odd.jsonl: cannot tell which task this is for"),
        (["--train", "train.txt", "--yes", "--split", "1.5"], "--split: expected a share between 0 and 1"),
        (["--train", "train.txt", "--split", "0.1", "--validation", "x"], "give one of them"),
        (["--train", "train.txt", "--yes", "--model", "./absent"], "no such folder"),
        (["--train", "train.txt", "--yes", "--output", "absent/x.jsonnet"], "absent/x.jsonnet: cannot be written"),
        (["--train", "train.txt", "--yes", "--output", "few.txt"], "few.txt: is there already"),
        (["--train", "table.csv", "--yes", "--label", "nix"], "there is no column 'nix'; the file has text, label"),
    ],
)
def test_refused(capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str], complaint: str) -> None:
    Path("train.txt").write_text(IOB2, encoding="utf-8")
    Path("few.txt").write_text("hello\n", encoding="utf-8")
    Path("empty.txt").write_text("\n", encoding="utf-8")
    Path("bad.json").write_text('{"a": [1,\n', encoding="utf-8")
    Path("mixed.json").write_text('[{"text": "Ada"}, 7]', encoding="utf-8")
    Path("numbers.jsonl").write_text('{"tokens": ["a", "b"], "ner_tags": [0, 1]}\n', encoding="utf-8")
    Path("table.csv").write_text("text,label\nA day.,x\n", encoding="utf-8")
    odd = {"left_context_token": [], "mention_span": "x", "right_context_token": [], "y_str": 1}
    Path("odd.jsonl").write_text(json.dumps(odd), encoding="utf-8")
    Path("packed.gz").write_bytes(b"\x1f\x8b\x08")
    Path("binary.dat").write_bytes(bytes(range(256)))
    before = sorted(folder.iterdir())
    assert main(["init", *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_without_a_terminal_all_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.jsonl").write_text(FORMS["doccano.jsonl"], encoding="utf-8")
    assert main(["init", "--train", "train.jsonl"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(flag in line for flag in ("--task (the data look like ner)", "--convert", "--validation", "--split",
                                         "--model", "--yes"))  # fmt: skip


def test_nothing_is_left_where_the_data_are_bad(
    model: list[str], capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """A fault that only the reader finds: what was converted and split goes again."""
    Path("train.jsonl").write_text(FORMS["doccano.jsonl"], encoding="utf-8")
    Path("dev.txt").write_text("Ada B-PER\nleft\n", encoding="utf-8")
    arguments = ["--train", "train.jsonl", "--validation", "dev.txt", "--task", "ner", "--convert", *model]
    assert main(["init", *arguments]) == 2
    assert "dev.txt" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["dev.txt", "train.jsonl"]


def test_overlapping_spans_cannot_be_tags(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    record = {"text": "Bank of Oslo", "entities": [[0, 12, "ORG"], [8, 12, "LOC"]]}
    Path("train.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert main(["init", "--train", "train.jsonl", "--task", "ner", "--yes", *model]) == 2
    assert "train.jsonl: record 1: the spans of LOC and ORG overlap at 'Oslo'" in capsys.readouterr().err
