"""Tokenizers written as published files: read back, by us and by `transformers`, they give the same ids."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

from luke_tasks.data.sentencepiece import SentencePieceModel
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.exports.huggingface_tokenizer import class_of, write_tokenizer
from luke_tasks.readers.marked_text import MARKER_SOURCES
from tests.data.spm import mluke_files, model_bytes, trained
from tests.tiny import LUKE_ENTITIES, TEXT, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta

TEXTS = [*TEXT, "東京 is Ｆｕｌｌ-width, naïve; ½ of ŁŁ", "  two  spaces and <ent> [MASK] 🙂 ", "don't we'll"]
OPTIONS = {"task": "entity_span_classification", "max_mention_length": 16, "max_entity_length": 128}


def sentencepiece(directory: Path) -> Path:
    return mluke_files(directory, vocab_size=20)


MAKERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "luke": (tiny_luke, "LukeTokenizer"),
    "roberta": (tiny_roberta, "LukeTokenizer"),
    "bert": (tiny_bert, "BertTokenizer"),
    "mluke": (tiny_mluke, "MLukeTokenizer"),
    "sentencepiece": (sentencepiece, "MLukeTokenizer"),
}


def written(tokenizer: Tokenizer, directory: Path, **config: Any) -> Tokenizer:
    """What the files, and a `config.json` as the export writes it, are read as."""
    directory.mkdir()
    write_tokenizer(tokenizer, directory, window=68, options=OPTIONS)
    content = {"model_type": "luke", "vocab_size": tokenizer.num_words, **config}
    (directory / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return Tokenizer.from_pretrained(str(directory))


def archived(tokenizer: Tokenizer, directory: Path) -> Tokenizer:
    """As an archive gives it back."""
    tokenizer.save(directory)
    return Tokenizer.load(directory)


def assert_same(own: Tokenizer, read: Tokenizer) -> None:
    words = [word for text in TEXTS for word in text.split() if word not in MARKER_SOURCES]
    assert read.words_to_pieces(words) == own.words_to_pieces(words)
    assert read.texts_to_pieces(TEXTS) == own.texts_to_pieces(TEXTS)
    assert read.special == own.special
    assert read.entity_vocab == own.entity_vocab
    assert read.num_words == own.num_words
    assert read.pair_layout == own.pair_layout
    assert [read.word_id(marker) for marker in MARKER_SOURCES] == [own.word_id(marker) for marker in MARKER_SOURCES]


@pytest.mark.parametrize("name", list(MAKERS))
def test_read_back(name: str, tmp_path: Path) -> None:
    make, tokenizer_class = MAKERS[name]
    own = archived(Tokenizer.from_pretrained(str(make(tmp_path / name))), tmp_path / "archive")
    own.add_words(MARKER_SOURCES)
    assert class_of(own) == tokenizer_class
    assert_same(own, written(own, tmp_path / "out"))


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_gap_before_the_markers(name: str, tmp_path: Path) -> None:
    """Embedding matrices are often larger than the vocabulary; `transformers` numbers added tokens without a gap."""
    own = Tokenizer.from_pretrained(str(MAKERS[name][0](tmp_path / name)))
    own.num_words += 5
    own.add_words(MARKER_SOURCES)
    assert own.word_id("<ent2>") == own.num_words - 1
    read = written(own, tmp_path / "out")
    assert_same(own, read)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert theirs.convert_tokens_to_ids("<ent2>") == own.word_id("<ent2>")


def test_luke_tokenizer(tmp_path: Path) -> None:
    """The class itself, with the task it was written for, and entities by name."""
    own = Tokenizer.from_pretrained(str(tiny_luke(tmp_path / "luke")))
    written(own, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "added_tokens.json", "config.json", "entity_vocab.json", "merges.txt", "special_tokens_map.json",
        "tokenizer_config.json", "vocab.json",
    ]  # fmt: skip
    for theirs in (transformers.LukeTokenizer.from_pretrained(tmp_path / "out"),
                   transformers.AutoTokenizer.from_pretrained(tmp_path / "out")):  # fmt: skip
        published = transformers.LukeTokenizer.from_pretrained(tmp_path / "luke", task=OPTIONS["task"])
        spans = [(10, 15), (19, 30)]
        inputs = theirs(TEXT[0], entity_spans=spans)
        assert inputs["input_ids"] == published(TEXT[0], entity_spans=spans)["input_ids"]
        assert inputs["entity_ids"] == [2, 2]
        assert len(inputs["entity_position_ids"][0]) == 16
        assert theirs.entity_vocab == LUKE_ENTITIES
        assert (theirs.task, theirs.max_entity_length, theirs.model_max_length) == (OPTIONS["task"], 128, 68)


@pytest.mark.parametrize("name", ["mluke", "sentencepiece"])
def test_mluke_tokenizer(name: str, tmp_path: Path) -> None:
    """`transformers` 5 takes the numbers from `tokenizer.json`; unknown pieces are another matter (see the card)."""
    make, _ = MAKERS[name]
    own = Tokenizer.from_pretrained(str(make(tmp_path / name)))
    written(own, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert type(theirs).__name__ == "MLukeTokenizer"
    text = "Paris" if name == "sentencepiece" else "London is the capital"
    inputs = theirs(text, entity_spans=[(0, len(text))])
    assert inputs["input_ids"][1:-1] == own.texts_to_pieces([text])[0]
    assert inputs["entity_ids"] == [own.entity_vocab["[MASK]"]]


def test_bert_tokenizer(tmp_path: Path) -> None:
    own = Tokenizer.from_pretrained(str(tiny_bert(tmp_path / "bert")))
    own.add_words(MARKER_SOURCES)
    written(own, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in TEXT:
        assert theirs(text, add_special_tokens=False)["input_ids"] == own.texts_to_pieces([text])[0]
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (tmp_path / "bert" / "vocab.txt").read_bytes()


def test_published_files(tmp_path: Path) -> None:
    """A byte-level tokenizer's vocabulary and merges come out as they went in."""
    folder = tiny_luke(tmp_path / "luke")
    written(archived(Tokenizer.from_pretrained(str(folder)), tmp_path / "archive"), tmp_path / "out")
    for name in ("vocab.json", "added_tokens.json", "entity_vocab.json"):
        pair = [json.loads((path / name).read_text(encoding="utf-8")) for path in (folder, tmp_path / "out")]
        assert pair[0] == pair[1], name
    assert (folder / "merges.txt").read_bytes() == (tmp_path / "out" / "merges.txt").read_bytes()


def test_sentencepiece_model(tmp_path: Path) -> None:
    """Made anew from an archive, it is the same model."""
    charsmap = bytes([4, 0, 0, 0, 0, 0, 0, 0])  # a trie of one node: nothing matches
    folder = mluke_files(tmp_path / "mluke", model=model_bytes(normalizer={2: charsmap}))
    written(archived(Tokenizer.from_pretrained(str(folder)), tmp_path / "archive"), tmp_path / "out")
    published, ours = (SentencePieceModel.read(path / "sentencepiece.bpe.model") for path in (folder, tmp_path / "out"))
    assert ours == published
    assert ours.charsmap == charsmap


@pytest.mark.skipif(importlib.util.find_spec("sentencepiece") is None, reason="sentencepiece is not installed")
def test_sentencepiece_reads_it(tmp_path: Path) -> None:
    import sentencepiece  # type: ignore[import-not-found, unused-ignore]

    folder = mluke_files(tmp_path / "mluke", model=trained())
    written(archived(Tokenizer.from_pretrained(str(folder)), tmp_path / "archive"), tmp_path / "out")
    published, ours = (sentencepiece.SentencePieceProcessor(model_file=str(path / "sentencepiece.bpe.model"))
                       for path in (folder, tmp_path / "out"))  # fmt: skip
    for text in TEXTS:
        assert ours.encode(text) == published.encode(text)
        assert ours.encode(text, out_type=str) == published.encode(text, out_type=str)
