"""The cache of features: the same as what is read from the file, and never used where it is not."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luke_tasks.config import load_config
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import DataLoader, Sizes, count_words
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.experiment_config import discover_all
from luke_tasks.heads.head import Head
from luke_tasks.readers import feature_cache
from luke_tasks.readers.data_set import read_set
from luke_tasks.readers.feature_cache import CachedSet, read_cached
from luke_tasks.readers.reader import Reader
from luke_tasks.schema import check
from tests.conftest import ROOT, SENTENCES, conll
from tests.plugins import sentiment
from tests.same import same
from tests.shipped_data import data_for

pytest.importorskip("datasets")
NER = {"type": "conll_span", "max_sequence_length": 64, "max_mention_length": 8, "max_entity_length": 20}
QUICKSTARTS = sorted(set((ROOT / "configs").glob("*/quickstart*.jsonnet")) - set((ROOT / "configs").glob("sweeps/*")))


@pytest.fixture(scope="module")
def tokenizer(tiny_luke_dir: Path) -> Tokenizer:
    discover_all()
    return Tokenizer.from_pretrained(str(tiny_luke_dir))


Cached = Callable[..., CachedSet]


@pytest.fixture
def cached(tokenizer: Tokenizer, tmp_path: Path) -> Cached:
    """What the cache in `tmp_path` gives for a reader's config and a file."""

    def read(config: dict[str, Any], path: Path, folder: str = "cache") -> CachedSet:
        return read_cached(*made(config, tokenizer), path, tmp_path / folder)

    return read


def made(config: dict[str, Any], tokenizer: Tokenizer) -> tuple[Reader, Any]:
    spec, faults = check(config, Reader)
    assert not faults
    reader = spec.build(tokenizer=tokenizer)
    tokenizer.add_words(reader.added_words)
    return reader, spec


@pytest.fixture
def ner(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text(conll(SENTENCES * 2, documents_of=2), encoding="utf-8")
    return tmp_path / "train.txt"


def folders(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


# -- the same -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", QUICKSTARTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_reader(
    config: Path, cached: Cached, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "_EXAMPLES_AT_ONCE", 2)
    values = {**load_config(config).values["dataset_reader"], "max_sequence_length": 32}
    if values["type"] == "transformers_squad":
        values |= {"max_query_length": 8, "stride": 4}
    if values["type"] == "record":
        values |= {"max_query_length": 8}
    spec, _ = check(values, Reader)
    content, ending = data_for(spec.to_json())
    path = tmp_path / f"data{ending}"
    path.write_text(content, encoding="utf-8")
    assert_same_set(values, path, cached, tokenizer)


def assert_same_set(values: dict[str, Any], path: Path, cached: Cached, tokenizer: Tokenizer) -> None:
    own = read_set(made(values, tokenizer)[0], path)
    assert len(own.features) > 0
    for expected_origin in ("written to", "read from"):
        found = cached(values, path)
        assert expected_origin in found.origin
        assert found.num_words == own.num_words
        assert list(found.label_counts.items()) == list(own.label_counts.items())
        assert same(list(found.examples), own.examples)
        assert same(list(found.features), list(own.features))
        assert same(found.features[-1], own.features[-1])
        assert same(found.features[:2], list(own.features[:2]))
        assert same(Sizes.of(found.features), Sizes.of(own.features))
        rows = {id(example): [] for example in own.examples}  # type: ignore[var-annotated]
        for row, feature in enumerate(own.features):
            rows[id(feature.example)].append(row)
        assert list(found.features.rows_by_example()) == list(rows.values())  # type: ignore[attr-defined]
        rows_of_a_batch = [len(own.features) - 1, 0]
        assert count_words(found.features, rows_of_a_batch) == count_words(own.features, rows_of_a_batch)
        with pytest.raises(IndexError):
            found.features[len(own.features)]


def test_a_users_own_dataclasses(cached: Cached, tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("good\tWhat a film\nbad\tWhat a waste\n", encoding="utf-8")
    assert_same_set({"type": "test_sentiment"}, path, cached, tokenizer)


def test_examples_are_shared_by_their_windows(cached: Cached, ner: Path) -> None:
    found = cached(NER, ner)
    assert found.features[0].example is found.features[1].example is found.examples[0]


def test_few_examples_are_kept(cached: Cached, ner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luke_tasks.data.stored_set._KEPT_BYTES", 1)
    found = cached(NER, ner)
    first = found.examples[0]
    assert found.examples[0] is first
    assert found.examples[1] is not found.examples[0] is not first
    assert len(found.examples._kept) == 1  # type: ignore[attr-defined]


def test_the_order_of_batches(cached: Cached, tokenizer: Tokenizer, ner: Path) -> None:
    features, own = cached(NER, ner).features, read_set(made(NER, tokenizer)[0], ner).features
    for options in ({"batch_size": 3}, {"batch_size": 3, "shuffle": True, "bucket": True}, {"max_tokens": 120}):
        loader = DataLoader(**options)  # type: ignore[arg-type]
        assert loader.order(features, seed=1, epoch=0) == loader.order(own, seed=1, epoch=0)
        counts = [loader.num_batches(one, seed=1, num_epochs=2) for one in (features, own)]
        assert counts[0] == counts[1]


def test_datasets_opens_the_files(cached: Cached, ner: Path) -> None:
    """They are Arrow as anyone can read it."""
    from datasets import Dataset

    found = cached(NER, ner)
    table = Dataset.from_file(str(found.folder / "features.arrow"))
    assert table["words"] == [len(feature.word_ids) for feature in found.features]
    assert table.column_names == ["example", "num_words", "rows", "words", "entities", "tokens", "text", "numbers"]


def test_messages_come_again(cached: Cached, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was dropped is dropped from the cache too."""
    path = tmp_path / "train.tsv"
    path.write_text("text\tlabel\n" + "a b c d e f g h\tx\n" * 3, encoding="utf-8")
    config = {"type": "sequence_classification", "text": "text", "label": "label", "max_sequence_length": 6}
    caplog.set_level(logging.INFO, "luke_tasks")
    texts = []
    for _ in range(2):
        cached(config, path)
        texts.append([(record.levelno, record.getMessage()) for record in caplog.records])
        caplog.clear()
    message = f"{path}: 3 texts are longer than the window (6 word pieces) and were cut"
    assert texts[0] == texts[1] == [(logging.WARNING, message)]


def test_unlabelled_windows_are_counted_once(cached: Cached, ner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cached(NER, ner)
    labels = Labels.count(found.label_counts.elements())
    with pytest.raises(DataError, match="label 'LOC' is not among the model's"):
        found.count_unlabelled(Labels(["O", "PER", "ORG"]))
    assert found.count_unlabelled(labels) == 0
    again = cached(NER, ner)
    monkeypatch.setattr(type(again.features), "__getitem__", None)
    assert again.count_unlabelled(labels) == 0  # without making one
    with pytest.raises(TypeError):
        again.count_unlabelled(Labels([*labels, "more"]))


# -- another key ----------------------------------------------------------------------------------------------------


def test_what_makes_a_new_folder(cached: Cached, tokenizer: Tokenizer, ner: Path, tmp_path: Path) -> None:
    def keys() -> set[str]:
        return set(folders(tmp_path / "cache"))

    first = cached(NER, ner).folder
    assert cached(NER, ner).folder == first and keys() == {first.name}
    cached({**NER, "max_sequence_length": 60}, ner)
    assert len(keys()) == 2
    ner.write_text(ner.read_text(encoding="utf-8").replace("Beyoncé", "Beyonce"), encoding="utf-8")
    cached(NER, ner)
    assert len(keys()) == 3
    tokenizer.added_words["<more>"] = tokenizer.num_words
    tokenizer.num_words += 1
    cached(NER, ner)
    assert len(keys()) == 4
    shutil.copy(ner, tmp_path / "other.txt")  # messages name the file
    cached(NER, tmp_path / "other.txt")
    assert len(keys()) == 5


@pytest.mark.parametrize("library", ["numpy", "tokenizers", "luke_tasks"])
def test_other_versions_make_a_new_folder(
    library: str, cached: Cached, ner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached(NER, ner).folder
    monkeypatch.setattr(f"{library}.__version__", "0.0.0")
    assert cached(NER, ner).folder != first


def test_other_code_makes_a_new_folder(cached: Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's reader, changed between two runs."""
    path = tmp_path / "train.tsv"
    path.write_text("good\tWhat a film\n", encoding="utf-8")
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    source = Path(sentiment.__file__).read_text(encoding="utf-8").replace("test_sentiment", "test_own")
    (package / "reader.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for part in (Reader, Head):
        monkeypatch.setattr(part, "_registry", dict(part._registry))
    __import__("own_package.reader")
    first = cached({"type": "test_own"}, path).folder
    assert cached({"type": "test_own"}, path).folder == first
    (package / "helper.py").write_text("more = 1\n", encoding="utf-8")
    assert cached({"type": "test_own"}, path).folder != first


def test_a_reader_of_no_file(cached: Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, its code may change with nothing to tell."""
    path = tmp_path / "train.tsv"
    path.write_text("good\tWhat a film\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "session", types.ModuleType("session"))
    monkeypatch.setattr(sentiment.SentimentReader, "__module__", "session")
    with pytest.raises(LukeTasksError, match=r"is defined in a session \(session\), so it cannot be told"):
        cached({"type": "test_sentiment"}, path)


def test_other_files_that_the_reader_uses(cached: Cached, tiny_luke_dir: Path, tmp_path: Path) -> None:
    """Mention candidates, which the config names by path, and the vocabulary of a folder, which the linker names."""
    content, _ = data_for({"type": "transformers_squad"})
    (tmp_path / "train.json").write_text(content, encoding="utf-8")
    candidates, vocabulary = tmp_path / "candidates.json", tmp_path / "vocabulary"
    candidates.write_text('{"A": {"London": "London"}}', encoding="utf-8")
    vocabulary.mkdir()
    shutil.copy(tiny_luke_dir / "entity_vocab.json", vocabulary)
    linker = {"type": "json", "mention_candidate_json_file_paths": {"en-en": str(candidates)},
              "entity_vocab_path": str(vocabulary)}  # fmt: skip
    config = {"type": "transformers_squad", "max_sequence_length": 32, "max_query_length": 8, "stride": 4,
              "wiki_entity_linker": linker}  # fmt: skip

    def linked() -> int:
        return int(sum(len(one.entity_ids) for one in cached(config, tmp_path / "train.json").features))

    assert linked() == linked() == 1
    candidates.write_text('{"A": {"London": "London", "EU": "Paris"}}', encoding="utf-8")
    assert linked() == 2
    vocab = json.loads((vocabulary / "entity_vocab.json").read_text(encoding="utf-8"))
    del vocab["Paris"]
    (vocabulary / "entity_vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    assert linked() == 1


# -- damage ---------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = [
    ("features.arrow", cut, "features.arrow has "),
    ("examples.arrow", flipped, "examples.arrow is not what was written"),
    ("manifest.json", cut, "Expecting"), ("manifest.json", Path.unlink, "[Errno 2] No such file"),
    ("features.arrow", Path.unlink, "[Errno 2] No such file"),
    ("manifest.json", lambda path: path.write_text("[]"), "manifest.json: TypeError"),
    ("manifest.json", lambda path: path.write_text(path.read_text().replace('"content": "', '"content": "0')),
     "manifest.json is of something else"),
    ("manifest.json", lambda path: path.write_text(path.read_text().replace("NerExample", "NoExample")),
     "no class luke_tasks.readers.conll_span.NoExample"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_folder_is_made_again(
    name: str, damage: Callable[[Path], object], message: str, cached: Cached, ner: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    before = cached(NER, ner)
    expected = list(before.features)
    damage(before.folder / name)
    after = cached(NER, ner)
    assert "written to" in after.origin
    assert same(list(after.features), expected)
    (warning,) = [record.getMessage() for record in caplog.records if "cache is damaged" in record.getMessage()]
    assert warning.startswith(f"{before.folder}: the cache is damaged ({message}")
    assert warning.endswith("; it is made again")
    assert "read from" in cached(NER, ner).origin


def test_a_half_written_folder_does_not_count(
    cached: Cached, ner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that was killed while it wrote: what it left is replaced."""
    folder = cached(NER, ner).folder
    left = folder.rename(folder.with_name(f"{folder.name}.partial"))
    found = cached(NER, ner)
    assert "written to" in found.origin and folders(tmp_path / "cache") == [folder.name]
    assert not left.exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    failure: BaseException, cached: Cached, ner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: object) -> None:
        raise failure

    monkeypatch.setattr(feature_cache, "_file_entry", fail)
    with pytest.raises((LukeTasksError, KeyboardInterrupt)) as error:
        cached(NER, ner)
    assert folders(tmp_path / "cache") == []
    if isinstance(failure, OSError):
        assert str(error.value).endswith("cannot be written: No space left on device; give another folder, or remove "
                                         "the key")  # fmt: skip


def test_a_file_that_changes_while_it_is_read(
    cached: Cached, ner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = type(made(NER, Tokenizer.__new__(Tokenizer))[0]).encode

    def grow(self: Any, examples: Any) -> Any:
        ner.write_text(ner.read_text(encoding="utf-8") + "x -X- -X- O\n", encoding="utf-8")
        return encode(self, examples)

    from luke_tasks.readers.conll_span import ConllSpanReader

    monkeypatch.setattr(ConllSpanReader, "encode", grow)
    with pytest.raises(DataError, match=r"train\.txt: was changed while it was read"):
        cached(NER, ner)
    assert folders(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, ": no such file"), ("\n", ": the file is empty"), ("a b\nc\n", ":2: expected 2 columns")],
)
def test_bad_data_files(content: str | None, message: str, cached: Cached, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        cached(NER, path)
    assert str(error.value).startswith(f"{path}{message}")


def test_what_is_no_file(cached: Cached, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is neither a file nor a folder"):
        cached(NER, tmp_path / "pipe")


def test_examples_that_cannot_be_stored(cached: Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Any, path: Path) -> Iterator[Any]:
        yield sentiment.SentimentExample({"a set"}, "good", "here")  # type: ignore[arg-type]

    monkeypatch.setattr(sentiment.SentimentReader, "read", read)
    monkeypatch.setattr(sentiment.SentimentReader, "encode", lambda self, examples: [])
    (tmp_path / "train.tsv").write_text("good\tfilm\n", encoding="utf-8")
    with pytest.raises(LukeTasksError) as error:
        cached({"type": "test_sentiment"}, tmp_path / "train.tsv")
    assert str(error.value).startswith("data_loader.cache_dir: tests.plugins.sentiment.SentimentExample.text is of the "
                                       "type builtins.set, which cannot be stored; what can: ")  # fmt: skip
    assert folders(tmp_path / "cache") == []


# -- several processes ----------------------------------------------------------------------------------------------


def _ask(checkpoint: Path, path: Path, directory: Path, answers: Any) -> None:
    discover_all()
    found = read_cached(*made(NER, Tokenizer.from_pretrained(str(checkpoint))), path, directory)
    answers.put(("written" in found.origin, [one.word_ids.tolist() for one in found.features]))


def test_two_processes_at_once(
    cached: Cached, tiny_luke_dir: Path, tokenizer: Tokenizer, ner: Path, tmp_path: Path
) -> None:
    """One makes it, and all have the same."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=_ask, args=(tiny_luke_dir, ner, tmp_path / "cache", answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(written for written, _ in found) == [False, False, True]
    own = [feature.word_ids.tolist() for feature in read_set(made(NER, tokenizer)[0], ner).features]
    assert all(windows == own for _, windows in found)
    assert len(folders(tmp_path / "cache")) == 1


def test_a_cache_that_may_only_be_read(
    cached: Cached, ner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of another user: it is used, and what was counted is not remembered."""
    first = cached(NER, ner)

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(feature_cache, "_lock", refuse)
    found = cached(NER, ner)
    assert found.count_unlabelled(Labels.count(found.label_counts.elements())) == 0
    assert not list(first.folder.glob("unlabelled*"))
    with pytest.raises(LukeTasksError, match="cannot be written: Permission denied; give another folder"):
        cached({**NER, "max_sequence_length": 50}, ner)


def test_sizes_are_arrays_of_int64(cached: Cached, ner: Path) -> None:
    assert all(column.dtype == np.int64 for column in cached(NER, ner).features.sizes)  # type: ignore[attr-defined]
