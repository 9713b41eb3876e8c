"""Entities of question and context: the linker, its files, and the script that makes them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.data.hub import read_entity_vocab, read_entity_vocab_file
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import CheckpointError, ConfigError, DataError
from luke_tasks.readers.entity_linker import JsonEntityLinker
from luke_tasks.readers.squad import SquadReader
from tests.conftest import ROOT
from tests.tiny import LUKE_ENTITIES, tiny_mluke

TITLE = "Los_Angeles"
NAMES = {"Los": "Los", "Los Angeles": "Los Angeles", "Angeles": "Paris", "Beyoncé": "Beyoncé", "London": "London",
         "Kansas City": "Kansas"}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


@pytest.fixture
def candidates(tmp_path: Path) -> str:
    path = tmp_path / "candidates.json"
    path.write_text(json.dumps({"Los Angeles": NAMES}), encoding="utf-8")
    return str(path)


def reader(tokenizer: Tokenizer, paths: dict[str, str], linker: dict[str, Any] | None = None, **options: Any
           ) -> SquadReader:  # fmt: skip
    own = JsonEntityLinker(mention_candidate_json_file_paths=paths, **(linker or {}))
    return SquadReader(tokenizer=tokenizer, wiki_entity_linker=own, **options)


def linked(own: SquadReader, question: str, context: str, title: str = TITLE) -> list[tuple[str, str]]:
    """Text and entity name of each mention of the only window."""
    (window,) = own.encode([own.parse_input({"question": question, "context": context, "title": title}, "in:1")])
    names = {id: name for name, id in own.tokenizer.entity_vocab.items()}
    question_pieces = own.tokenizer.texts_to_offset_pieces([question])[0].offsets
    found = []
    for id, (start, end) in zip(window.entity_ids.tolist(), window.entity_spans.tolist(), strict=True):
        if end <= len(question_pieces) + 1:
            text = question[question_pieces[start - 1][0] : question_pieces[end - 2][1]]
        else:
            offsets = window.offsets[start - window.context_span[0] : end - window.context_span[0]]
            text = context[offsets[0, 0] : offsets[-1, 1]]
        found.append((text.strip(), names[id]))  # a piece that is a space may end a mention, as in the original
    return found


def test_the_longest_mention_first_and_none_twice(tokenizer: Tokenizer, candidates: str) -> None:
    own = reader(tokenizer, {"en-en": candidates})
    assert linked(own, "Where is  Los  Angeles ?", "Beyoncé lives in Los Angeles. London! Londoners") == [
        ("Los  Angeles", "Los Angeles"), ("Beyoncé", "Beyoncé"), ("Los Angeles", "Los Angeles"), ("London", "London"),
        ("London", "London"),  # pieces, not words, as in the original
    ]  # fmt: skip


def test_a_mention_outside_the_vocabulary_takes_its_pieces(tokenizer: Tokenizer, candidates: str) -> None:
    """ "Los" means what the vocabulary does not have, so "Angeles" alone is the next that can be found."""
    own = reader(tokenizer, {"en-en": candidates}, {"max_mention_length": 1})
    assert linked(own, "?", "Kansas City Los Angeles") in ([("Angeles", "Paris")], [])
    longest = max(len(tokenizer.texts_to_pieces([" Los Angeles"])[0]), 3)
    own = reader(tokenizer, {"en-en": candidates}, {"max_mention_length": longest})
    assert linked(own, "?", "Los Angeles") == [("Los Angeles", "Los Angeles")]
    assert linked(own, "?", "Kansas City") == []


def test_at_most_so_many_entities(tokenizer: Tokenizer, candidates: str, caplog: pytest.LogCaptureFixture) -> None:
    own = reader(tokenizer, {"en-en": candidates}, max_sequence_length=2000)
    assert len(linked(own, "London ?", "London " * 150)) == 128
    own.report_dropped("f")
    assert caplog.messages == ["f: 1 windows have more than 128 entities; the last were left out"]
    own = reader(tokenizer, {"en-en": candidates}, max_num_entity_features=2)
    assert linked(own, "London ?", "Beyoncé London") == [("London", "London"), ("Beyoncé", "Beyoncé")]


def test_an_unknown_article(tokenizer: Tokenizer, candidates: str, caplog: pytest.LogCaptureFixture) -> None:
    own = reader(tokenizer, {"en-en": candidates})
    assert linked(own, "London ?", "London", title="Paris") == []
    own.report_dropped("f")
    assert caplog.messages == ["f: 1 questions are of articles without mention candidates, and got no entities"]


def test_a_text_without_a_title_needs_no_file(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    """An archive that has left its file behind still answers plain questions."""
    own = reader(tokenizer, {"en-en": "moved.json"})
    (window,) = own.encode([own.parse_input({"question": "London ?", "context": "London"}, "in:1")])
    assert window.entity_ids.tolist() == []
    own.report_dropped("f")
    assert caplog.messages == ['f: 1 questions have no "title" to link by, and got no entities']
    with pytest.raises(DataError, match=f"moved.json: no such file in {Path.cwd()}; expected mention candidates"):
        linked(own, "London ?", "London")


def test_entities_stay_with_their_window(tokenizer: Tokenizer, candidates: str) -> None:
    own = reader(tokenizer, {"en-en": candidates}, max_sequence_length=40, stride=4, max_query_length=8)
    raw = {"question": "London ?", "context": "two days on " * 20 + "Beyoncé lives " * 3, "title": TITLE}
    windows = own.encode([own.parse_input(raw, "in:1")])
    assert len(windows) > 1
    for window in windows:
        assert window.entity_ids[0] == LUKE_ENTITIES["London"]  # the question's, in each
        beyonce = window.entity_spans[window.entity_ids == LUKE_ENTITIES["Beyoncé"]]
        for start, end in beyonce - window.context_span[0]:
            assert raw["context"][window.offsets[start, 0] : window.offsets[end - 1, 1]] == "Beyoncé"
    assert len(windows[-1].entity_ids) > 1 and len(windows[0].entity_ids) == 1


def test_languages_of_mluke(tmp_path: Path) -> None:
    """The question's mentions by its language, the context's by the context's; names of the vocabulary bear them."""
    tokenizer = Tokenizer.from_pretrained(str(tiny_mluke(tmp_path / "mluke")))
    paths = {}
    for key, names in {
        "de-de": {"Frankreich": "Frankreich"},
        "de-en": {"France": "France", "London": "London"},
    }.items():
        paths[key] = str(tmp_path / f"{key}.json")
        Path(paths[key]).write_text(json.dumps({"T": names}), encoding="utf-8")
    own = reader(tokenizer, paths, languages=("en", "de"))
    assert [pair[0] for pair in linked(own, "France or London ?", "London Frankreich", "T")] == [
        "France", "London", "Frankreich",
    ]  # fmt: skip
    with pytest.raises(DataError) as raised:
        linked(reader(tokenizer, paths), "?", "a", "T")
    assert str(raised.value) == ("wiki_entity_linker: no mention candidates for 'en-en' (titles-texts); "
                                 "mention_candidate_json_file_paths has de-de, de-en")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "FILE: no such file; expected mention candidates, {title: {surface: entity name}}. If it has moved: -o "
         "'{\"dataset_reader.wiki_entity_linker.mention_candidate_json_file_paths.en-en\": \"FILE\"}'; to go on "
         "without entities: -o '{\"dataset_reader.wiki_entity_linker\": null}'"),
        ("[]", "FILE: expected one JSON object {title: {surface: entity name}}, found []"),
        ("{", "FILE: cannot be read as JSON: Expecting property name enclosed in double quotes: line 1 column 2 "
         "(char 1)"),
        ('{"Los Angeles": ["London"]}', 'FILE: "Los Angeles": expected an object {surface: entity name}, found '
         '["London"]'),
        ('{"Los Angeles": {"London": "London", "Paris": 3}}', 'FILE: "Los Angeles": "Paris": expected the name of an '
         "entity, found 3"),
    ],
)  # fmt: skip
def test_bad_files(tokenizer: Tokenizer, tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as raised:
        linked(reader(tokenizer, {"en-en": str(path)}), "London ?", "London")
    assert str(raised.value).replace(str(path), "FILE") == message


def test_a_vocabulary_of_special_entities_only(tiny_luke_dir: Path, candidates: str) -> None:
    special = Tokenizer.from_pretrained(str(tiny_luke_dir), special_entities_only=True)
    with pytest.raises(ConfigError, match="holds special entities only"):
        reader(special, {"en-en": candidates})


# -- entity vocabularies --------------------------------------------------------------------------------------------

SPECIAL = ["[PAD]", "[UNK]", "[MASK]", "[MASK2]"]


def write_vocab(folder: Path, form: str) -> Path:
    folder.mkdir(exist_ok=True)
    names = [*SPECIAL, "London", "Los Angeles"]
    if form == "json":
        content = json.dumps({name: id for id, name in enumerate(names)})
    elif form == "tsv":
        content = "".join(f"{name}\t{100 - id}\n" for id, name in enumerate(names))
    else:
        lines = [{"id": id, "entities": [[name, "en"], [name, "ja"]], "count": 1} for id, name in enumerate(names)]
        content = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"entity_vocab.{form}").write_text(content, encoding="utf-8")
    return folder / f"entity_vocab.{form}"


@pytest.mark.parametrize("form", ["json", "tsv", "jsonl"])
def test_three_forms_of_a_vocabulary(tokenizer: Tokenizer, tmp_path: Path, candidates: str, form: str) -> None:
    path = write_vocab(tmp_path / "own", form)
    vocab = read_entity_vocab(tmp_path / "own")
    london = {"London": 4} if form != "jsonl" else {"en:London": 4, "ja:London": 4}
    assert {name: id for name, id in vocab.items() if "London" in name} == london
    assert [vocab[name] for name in SPECIAL] == [0, 1, 2, 3]
    for given in (path, tmp_path / "own"):
        own = reader(tokenizer, {"en-en": candidates}, {"entity_vocab_path": str(given)})
        (window,) = own.encode([own.parse_input({"question": "?", "context": "London", "title": TITLE}, "in:1")])
        assert window.entity_ids.tolist() == [4]


def test_a_vocabulary_beyond_the_encoders(tokenizer: Tokenizer, tmp_path: Path, candidates: str) -> None:
    path = tmp_path / "big.tsv"
    path.write_text("".join(f"e{number}\t1\n" for number in range(30)), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        linked(reader(tokenizer, {"en-en": candidates}, {"entity_vocab_path": str(path)}), "?", "London")
    assert str(raised.value) == (
        f"dataset_reader.wiki_entity_linker.entity_vocab_path: {path}: 'e12' has id 12, but the encoder's entities "
        "have ids up to 11; remove this key, or name the encoder's own vocabulary"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.tsv", "[PAD]\t0\nLondon\n", "FILE:2: expected name<TAB>count, found 'London'"),
        ("v.jsonl", '{"id": 0}\n', 'FILE:1: expected {"id": ..., "entities": [[name, language], ...]}, found '
         "'{\"id\": 0}'"),
        ("v.jsonl", '{"id": 1e999, "entities": [["London", "en"]]}\n',  # found by fuzzing
         'FILE:1: expected {"id": ..., "entities": [[name, language], ...]}, found \'{"id": 1e999, "entities": '
         "[[\"London\", \"en\"]]}'"),
    ],
)  # fmt: skip
def test_bad_vocabularies(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError) as raised:
        read_entity_vocab_file(tmp_path / name)
    assert str(raised.value).replace(str(tmp_path / name), "FILE") == message


# -- the script -----------------------------------------------------------------------------------------------------


def build(*arguments: object) -> int:
    spec = importlib.util.spec_from_file_location("build", ROOT / "scripts" / "build_mention_candidates.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return int(script.main([str(argument) for argument in arguments]))


def squad_file(path: Path, context: str, question: str, answer: str) -> Path:
    qas = [{"id": "q1", "question": question, "answers": [{"text": answer, "answer_start": context.index(answer)}]}]
    data = [{"title": TITLE, "paragraphs": [{"context": context, "qas": qas}]}]
    path.write_text(json.dumps({"version": "1.1", "data": data}), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_from_dictionary_to_linked_entities(tokenizer: Tokenizer, tmp_path: Path, form: str) -> None:
    rows = [("Los Angeles", "Los Angeles (band)", 3), ("Los Angeles", "Los Angeles", 9), ("Angel", "Angel", 1),
            ("London", "London", 1), ("Beyoncé", "Beyoncé", 2), ("Hawaii", "Hawaii", 1)]  # fmt: skip
    mentions = tmp_path / f"mentions.{form}"
    lines = ["\t".join(map(str, row)) if form == "tsv"
             else json.dumps({"mention": row[0], "entity": row[1], "count": row[2]}) for row in rows]  # fmt: skip
    mentions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = squad_file(tmp_path / "train.json", "Beyoncé lives in Los Angeles.", "Who left London?", "Beyoncé")
    output = tmp_path / "candidates.json"
    assert build("--mentions", mentions, "--output", output, data) == 0
    assert json.loads(output.read_text(encoding="utf-8")) == {
        "Los Angeles": {"Beyoncé": "Beyoncé", "Los Angeles": "Los Angeles", "London": "London"}
    }
    _, (window,) = reader(tokenizer, {"en-en": str(output)}).read_encoded(data)
    names = {id: name for name, id in tokenizer.entity_vocab.items()}
    assert [names[id] for id in window.entity_ids.tolist()] == ["London", "Beyoncé", "Los Angeles"]


def test_mentions_of_a_script_without_spaces(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("東京\t東京都\n日本の首都\t首都\nガンダム\tガンダム\n", encoding="utf-8")
    data = squad_file(tmp_path / "xquad.ja.json", "東京は日本の首都です。", "ガンダムは?", "東京")
    assert build("--mentions", tmp_path / "m.tsv", "--output", tmp_path / "o.json", data) == 0
    assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8")) == {
        "Los Angeles": {"東京": "東京都", "日本の首都": "首都", "ガンダム": "ガンダム"}
    }


def test_the_script_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = squad_file(tmp_path / "train.json", "a b", "c?", "a")
    (tmp_path / "m.tsv").write_text("London\tLondon\nParis\n", encoding="utf-8")
    assert build("--mentions", tmp_path / "m.tsv", "--output", tmp_path / "o.json", data) == 2
    assert capsys.readouterr().err == (f"{tmp_path}/m.tsv:2: expected mention<TAB>entity, or "
                                       "mention<TAB>entity<TAB>count, found 'Paris'\n")  # fmt: skip
    assert build("--mentions", tmp_path / "m.tsv", "--output", tmp_path / "none" / "o.json", data) == 2
    assert capsys.readouterr().err == (f"{tmp_path}/none/o.json: cannot be written, for there is no directory "
                                       f"{tmp_path}/none\n")  # fmt: skip
