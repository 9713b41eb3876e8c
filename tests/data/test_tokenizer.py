"""Tokenizers of published checkpoints, word by word; and their own copy in archives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Backend
from transformers import AutoTokenizer

from luke_tasks.data import published_tokenizer, tokenizer
from luke_tasks.data.published_tokenizer import PairLayout
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import ArchiveError, CheckpointError
from tests.data.spm import mluke_files
from tests.tiny import LUKE_ENTITIES, MLUKE_ENTITIES, needs_minilm, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta

SPECIAL_ONLY = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3}
WORDS = ["London", "Beyoncé", "[MASK]", "[MASK2]", "<mask>", "</s>", "日本", "a b", "\x07", "😀", "-", "'s", ""]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("checkpoints")
    made = {"luke": tiny_luke, "roberta": tiny_roberta, "bert": tiny_bert, "mluke": tiny_mluke}
    return {name: make(base / name) for name, make in made.items()}


def load(folder: Path, **options: Any) -> Tokenizer:
    return Tokenizer.from_pretrained(str(folder), **options)


def copy(folder: Path, target: Path, *without: str) -> Path:
    shutil.copytree(folder, target)
    for name in without:
        (target / name).unlink(missing_ok=True)
    return target


def failure(folder: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        load(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(folder), "DIR")


# -- LUKE and RoBERTa -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["luke", "roberta"])
def test_byte_level_words(name: str, folders: dict[str, Path]) -> None:
    """Each word is tokenized with a space before it, as `add_prefix_space` does in the original."""
    own = load(folders[name])
    vocab: dict[str, int] = json.loads((folders[name] / "vocab.json").read_text(encoding="utf-8"))
    pieces = {id: piece for piece, id in vocab.items()}
    for word in ("London", "Beyoncé", "xyz", "日本", "😀"):
        (ids,) = own.words_to_pieces([word])
        text = "".join(pieces[id] for id in ids)
        assert text[0] == "Ġ"
        assert Backend.from_str(own.backend.to_str()).decode(ids).strip() == word
    special = own.special
    assert (special.cls, special.pad, special.sep, special.unknown) == (0, 1, 2, 3)
    assert special.mask == vocab["<mask>"]
    assert own.words_to_pieces(["<mask>"]) == [[special.mask]]


def test_lukes_markers(folders: dict[str, Path]) -> None:
    added = json.loads((folders["luke"] / "added_tokens.json").read_text(encoding="utf-8"))
    assert load(folders["luke"]).words_to_pieces(["<ent>", "<ent2>"]) == [[added["<ent>"]], [added["<ent2>"]]]
    assert all(len(ids) > 1 for ids in load(folders["roberta"]).words_to_pieces(["<ent>", "<ent2>"]))


@pytest.mark.parametrize("name", ["luke", "mluke"])
def test_entity_names_in_a_text_are_ordinary_words(name: str, folders: dict[str, Path]) -> None:
    """transformers 5 makes tokens of them, with ids beyond the embedding matrix; transformers 4 did not."""
    config = json.loads((folders[name] / "config.json").read_text(encoding="utf-8"))
    for ids in load(folders[name]).words_to_pieces(["[MASK]", "[MASK2]", "[PAD]", "[UNK]", "x[MASK]y"]):
        assert len(ids) > 1
        assert max(ids) < config["vocab_size"]


def test_entity_vocabularies(folders: dict[str, Path]) -> None:
    assert load(folders["luke"]).entity_vocab == LUKE_ENTITIES
    assert load(folders["mluke"]).entity_vocab == MLUKE_ENTITIES
    assert load(folders["luke"], special_entities_only=True).entity_vocab == SPECIAL_ONLY
    assert load(folders["roberta"]).entity_vocab == SPECIAL_ONLY
    assert load(folders["bert"]).entity_vocab == SPECIAL_ONLY


def test_a_luke_of_ours_with_special_entities_only(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["luke"], tmp_path / "luke", "entity_vocab.json")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "special_entities_only": True}), encoding="utf-8")
    assert load(folder).entity_vocab == SPECIAL_ONLY


def test_an_entity_vocabulary_that_transformers_saved(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["luke"], tmp_path / "luke", "entity_vocab.json")
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"entity_vocab": LUKE_ENTITIES}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load(folder).entity_vocab == LUKE_ENTITIES


# -- BERT, XLM-R, the embedded model ---------------------------------------------------------------------------------


def test_bert(folders: dict[str, Path]) -> None:
    own = load(folders["bert"])
    lines = (folders["bert"] / "vocab.txt").read_text(encoding="utf-8").split("\n")
    special = own.special
    assert [lines[id] for id in (special.cls, special.sep, special.pad, special.mask, special.unknown)] == [
        "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]",
    ]  # fmt: skip
    lower, upper, mask, control = own.words_to_pieces(["london", "LONDON", "[MASK]", "\x07"])
    assert lower == upper
    assert lines[lower[0]] + "".join(lines[id].removeprefix("##") for id in lower[1:]) == "london"
    assert (mask, control) == ([special.mask], [special.unknown])


def test_xlm_r(folders: dict[str, Path], tmp_path: Path) -> None:
    """A `tokenizer.json` of XLM-R, whose backend `transformers` builds anew: the ids must be the file's."""
    vocab_size = Backend.from_file(str(folders["mluke"] / "tokenizer.json")).get_vocab_size()
    shutil.copy(folders["mluke"] / "tokenizer.json", tmp_path)
    for name, content in {
        "config.json": {"model_type": "xlm-roberta", "vocab_size": vocab_size},
        "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer"},
    }.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    own = load(tmp_path)
    direct = Backend.from_file(str(tmp_path / "tokenizer.json"))
    words = ["London", "Beyoncé", "[MASK]", "日本", "x", "-"]
    expected = [encoding.ids for encoding in direct.encode_batch(words, add_special_tokens=False)]
    assert own.words_to_pieces(words) == expected
    assert (own.special.cls, own.special.pad, own.special.sep, own.special.unknown) == (0, 1, 2, 3)
    assert own.special.mask == direct.token_to_id("<mask>")
    assert own.entity_vocab == SPECIAL_ONLY


@needs_minilm
def test_the_embedded_model() -> None:
    """The ids of BERT's English vocabulary."""
    own = Tokenizer.from_pretrained("embedded:minilm")
    special = own.special
    assert (special.pad, special.unknown, special.cls, special.sep, special.mask) == (0, 100, 101, 102, 103)
    assert own.words_to_pieces(["Paris", "the", "[MASK]"]) == [[3000], [1996], [103]]


# -- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["luke", "roberta", "bert", "mluke"])
def test_a_word_does_not_depend_on_the_others(name: str, folders: dict[str, Path]) -> None:
    together = load(folders[name]).words_to_pieces(WORDS)
    assert together == [load_once(folders[name]).words_to_pieces([word])[0] for word in WORDS]
    assert all(together)  # no word is left empty


_LOADED: dict[Path, Tokenizer] = {}


def load_once(folder: Path) -> Tokenizer:
    return _LOADED.setdefault(folder, load(folder)) if folder not in _LOADED else _LOADED[folder]


def test_words_are_tokenized_once(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    own = load(folders["luke"])
    asked: list[list[str]] = []

    class Counting:
        def encode_batch(self, sequences: list[list[str]], **options: Any) -> Any:
            asked.extend(sequences)
            return backend.encode_batch(sequences, **options)

    backend, own.backend = own.backend, Counting()  # type: ignore[assignment]
    first = own.words_to_pieces(["London", "Paris", "London"])
    assert asked == [["London", "Paris"]]
    assert first[0] == first[2]
    assert own.words_to_pieces(["Paris", "Hawaii"]) == [first[1], *own.words_to_pieces(["Hawaii"])]
    assert asked[1:] == [["Hawaii"]]
    monkeypatch.setattr(tokenizer, "_CACHED_WORDS", 2)  # a stream of new words must not fill the memory
    assert own.words_to_pieces(["London"]) == [first[0]]
    assert asked[-1] == ["London"]


@pytest.mark.parametrize("name", ["luke", "roberta", "bert", "mluke"])
def test_words_learned_in_batches(name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 5 words and sequences of 2, none of which the number of words is a multiple of."""
    expected = load(folders[name]).words_to_pieces(WORDS)
    monkeypatch.setattr(tokenizer, "_BATCH_WORDS", 5)
    monkeypatch.setattr(tokenizer, "_SEQUENCE_WORDS", 2)
    own = load(folders[name])
    own.learn_words(iter(WORDS))
    own.backend = None  # type: ignore[assignment]  # whatever was learned is not tokenized again
    assert own.words_to_pieces(WORDS) == expected


def test_no_words(folders: dict[str, Path]) -> None:
    assert load(folders["luke"]).words_to_pieces([]) == []


# -- in archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["luke", "roberta", "bert", "mluke"])
def test_save_and_load(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    own = load(folders[name])
    own.save(tmp_path / "tokenizer")
    loaded = Tokenizer.load(tmp_path / "tokenizer")
    assert loaded.words_to_pieces(WORDS) == own.words_to_pieces(WORDS)
    assert (loaded.special, loaded.entity_vocab) == (own.special, own.entity_vocab)
    assert sorted(path.name for path in (tmp_path / "tokenizer").iterdir()) == ["special.json", "tokenizer.json"]


def test_an_archives_tokenizer_needs_no_transformers(folders: dict[str, Path], tmp_path: Path) -> None:
    load(folders["luke"]).save(tmp_path / "luke")
    load(mluke_files(tmp_path / "mluke-base")).save(tmp_path / "mluke")
    program = (
        "import sys\nfrom pathlib import Path\nfrom luke_tasks.data.tokenizer import Tokenizer\n"
        f"for name in ('luke', 'mluke'):\n    own = Tokenizer.load(Path({str(tmp_path)!r}, name))\n"
        "    own.words_to_pieces(['London'])\n"
        "print({'transformers', 'torch', 'sentencepiece', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def damage(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / "special.json").read_text(encoding="utf-8"))
        change(content)
        (folder / "special.json").write_text(json.dumps(content), encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (shutil.rmtree, "DIR/special.json: no such file; the tokenizer is incomplete"),
        (lambda folder: (folder / "tokenizer.json").unlink(),
         "DIR/tokenizer.json: no such file; the tokenizer is incomplete"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "DIR: the tokenizer is damaged: Exception: "),
        (lambda folder: (folder / "tokenizer.json").write_bytes(b"\xff"),
         "DIR: the tokenizer is damaged: UnicodeDecodeError: "),
        (lambda folder: (folder / "special.json").write_text("{"), "DIR: the tokenizer is damaged: JSONDecodeError: "),
        (lambda folder: (folder / "special.json").write_text("[]"),
         "DIR: the tokenizer is damaged: ValueError: special.json: expected an object"),
        (damage(lambda content: content["special_tokens"].pop("mask")), "DIR: the tokenizer is damaged: TypeError: "),
        (damage(lambda content: content.pop("special_tokens")), "DIR: the tokenizer is damaged: KeyError: "),
        (damage(lambda content: content["entity_vocab"].pop("[MASK]")),
         "DIR: the tokenizer is damaged: ValueError: no id for the special entities [MASK]"),
        (damage(lambda content: content.update(sentencepiece_charsmap="!")), "DIR: the tokenizer is damaged: Error: "),
        (damage(lambda content: content.update(sentencepiece_charsmap="AQ==")),
         "DIR: the tokenizer is damaged: ValueError: the normalisation table is truncated"),
    ],
)  # fmt: skip
def test_damaged_in_an_archive(
    change: Callable[[Path], object], expected: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    load_once(folders["luke"]).save(tmp_path / "tokenizer")
    change(tmp_path / "tokenizer")
    with pytest.raises(ArchiveError) as raised:
        Tokenizer.load(tmp_path / "tokenizer")
    message = str(raised.value).replace(f"{tmp_path}/tokenizer", "DIR", 1)
    assert message.startswith(expected) and "\n" not in message


# -- checkpoints without one ----------------------------------------------------------------------------------------

FILES = ("vocab.json", "merges.txt", "vocab.txt", "tokenizer.json", "added_tokens.json", "tokenizer_config.json")


@pytest.mark.parametrize("name", ["luke", "roberta", "bert", "mluke"])
def test_no_tokenizer(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers 5 would make up one that knows no word at all."""
    folder = copy(folders[name], tmp_path / "c", *FILES)
    assert failure(folder) == (
        "DIR: holds no tokenizer; expected one of tokenizer.json, vocab.json, vocab.txt, sentencepiece.bpe.model, "
        "spiece.model"
    )


@pytest.mark.parametrize("name", ["luke", "roberta"])
def test_half_a_tokenizer(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders[name], tmp_path / "c", "merges.txt")
    assert failure(folder).startswith("DIR: its tokenizer cannot be loaded: ")


@pytest.mark.parametrize("name", ["luke", "mluke"])
def test_no_entity_vocabulary(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers 5 would number the special entities otherwise than the checkpoint's embeddings."""
    folder = copy(folders[name], tmp_path / "c", "entity_vocab.json")
    assert failure(folder) == (
        "DIR/entity_vocab.json: no such file; it maps entity names to ids, and every LUKE checkpoint has one"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 1}', "\x00"])
@pytest.mark.parametrize("name", ["bert", "mluke"])
def test_a_damaged_tokenizer_json(name: str, content: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders[name], tmp_path / "c")
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    assert failure(folder).startswith("DIR")


def test_a_damaged_vocabulary(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["luke"], tmp_path / "c")
    (folder / "vocab.json").write_text("{", encoding="utf-8")
    assert failure(folder).startswith("DIR: its tokenizer cannot be loaded: ")


def test_a_tokenizer_without_mask(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["bert"], tmp_path / "c", "vocab.txt")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "[CLS]", "pad_token": "[PAD]"}), "utf-8"
    )
    assert failure(folder) == (
        "DIR: its tokenizer has no sep, mask, unknown token; a LUKE, RoBERTa, XLM-R or BERT tokenizer is expected"
    )


def test_a_tokenizer_of_another_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["luke"], tmp_path / "c")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 300}), encoding="utf-8")
    assert failure(folder) == (
        "DIR: the tokenizer's special tokens have ids up to 340, but config.json has a vocab_size of 300; they are not "
        "of one checkpoint"
    )


def test_a_sentencepiece_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CamemBERT's numbering is its own; `transformers` knows it, and needs the library for it."""
    folder = mluke_files(tmp_path, tokenizer_class="CamembertTokenizer", model_type="camembert")
    monkeypatch.setattr(published_tokenizer, "find_spec", lambda name: None)
    assert failure(folder) == (
        "DIR: holds a SentencePiece model but no tokenizer.json; put the published one beside it, or `pip install "
        "sentencepiece`"
    )


# -- texts with entity markers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["luke", "roberta", "bert", "mluke"])
def test_texts_are_those_of_the_published_tokenizer(name: str, folders: dict[str, Path]) -> None:
    """No space is put before the first word, but by SentencePiece; nor is one taken away."""
    from transformers import AutoTokenizer

    texts = ["London is", " London  is ", "", "Beyoncé, 日本\x07", "is\nParis"]
    own = load(folders[name])
    if name == "mluke":  # transformers 5 reads it wrongly: see `_read_mluke_json`
        expected = [own.backend.encode(text, add_special_tokens=False).ids for text in texts]
    else:
        published = AutoTokenizer.from_pretrained(str(folders[name]))
        expected = [published(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert own.texts_to_pieces(texts) == expected
    assert own.texts_to_pieces([]) == []
    assert own.words_to_pieces(["London"]) == load(folders[name]).words_to_pieces(["London"])


def test_sentencepiece_texts_are_normalised_as_words_are(tmp_path: Path) -> None:
    own = load(mluke_files(tmp_path))
    words = own.words_to_pieces(["Paris", "Pari"])
    assert own.texts_to_pieces(["  Paris   Pari ", "Paris Pari"]) == [words[0] + words[1]] * 2


def test_a_piece_for_a_space_alone_stands_where_the_next_one_begins(tmp_path: Path) -> None:
    own = load(mluke_files(tmp_path))
    (pieces,) = own.texts_to_offset_pieces(["Paris  Pari"])
    assert [own.backend.id_to_token(id) for id in pieces.ids] == ["▁Paris", "▁", "P", "a", "r", "i"]
    assert pieces.offsets == [(0, 5), (7, 7), (7, 8), (8, 9), (9, 10), (10, 11)]


def test_a_marker_in_a_text_is_no_marker(folders: dict[str, Path]) -> None:
    own = load(folders["luke"])
    marker = own.word_id("<ent>")
    assert marker is not None
    assert marker not in own.texts_to_pieces(["a<ent>b"])[0]


@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_added_words_are_kept(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    own = load(folders[name])
    size = own.num_words
    sources = own.add_words({"<ent>": "a", "<ent2>": "not a piece"})
    assert sources == [own.backend.token_to_id("a"), own.special.unknown]
    assert own.add_words({"<ent>": "a", "<ent2>": "b"}) == []
    own.save(tmp_path / "tokenizer")
    again = Tokenizer.load(tmp_path / "tokenizer")
    for tokenizer_ in (own, again):
        assert [tokenizer_.word_id(word) for word in ("<ent>", "<ent2>", "a")] == [size, size + 1, sources[0]]
        assert tokenizer_.num_words == size + 2
    assert again.texts_to_pieces(["London is"]) == own.texts_to_pieces(["London is"])


@pytest.mark.parametrize(("make", "layout"), [(tiny_luke, (2, 0)), (tiny_roberta, (2, 0)), (tiny_mluke, (2, 0)),
                                              (tiny_bert, (1, 1))])  # fmt: skip
def test_pair_is_laid_out_as_the_checkpoint_does(make: Any, layout: tuple[int, int], tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    tokenizer = Tokenizer.from_pretrained(str(folder))
    assert (tokenizer.pair_layout.num_separators, tokenizer.pair_layout.second_type) == layout
    first, second = tokenizer.texts_to_pieces(["Who lives ?", "London is."])
    pair = tokenizer.pair(first, second)
    cls, sep = tokenizer.special.cls, tokenizer.special.sep
    assert pair.word_ids.tolist() == [cls, *first, *[sep] * layout[0], *second, sep]
    assert len(pair.word_ids) == len(first) + len(second) + tokenizer.pair_layout.num_special
    assert pair.word_ids[pair.second_start :].tolist() == [*second, sep]
    if layout[1]:
        types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        assert pair.word_type_ids is not None and pair.word_type_ids.tolist() == types
        theirs = AutoTokenizer.from_pretrained(folder)("Who lives ?", "London is.")
        assert (theirs["input_ids"], theirs["token_type_ids"]) == (pair.word_ids.tolist(), types)
    else:
        assert pair.word_type_ids is None
    tokenizer.save(tmp_path / "saved")
    assert Tokenizer.load(tmp_path / "saved").pair_layout == tokenizer.pair_layout


@needs_minilm
def test_the_pair_of_a_tokenizer_that_pads() -> None:
    """all-MiniLM-L6-v2's pads all texts to 128 pieces, of segment 0."""
    assert Tokenizer.from_pretrained("embedded:minilm").pair_layout == PairLayout(num_separators=1, second_type=1)


@pytest.mark.parametrize("make", [tiny_luke, tiny_mluke, tiny_bert])
def test_offsets_are_characters_of_the_text(make: Any, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(make(tmp_path / "model")))
    texts = ["Beyoncé lives in  Los Angeles .", " London  ", "", "日本 is 🇯🇵 in Hawaii."]
    found = tokenizer.texts_to_offset_pieces(texts)
    assert [pieces.ids for pieces in found] == tokenizer.texts_to_pieces(texts)
    for text, pieces in zip(texts, found, strict=True):
        for start, end in pieces.offsets:
            assert 0 <= start <= end <= len(text)
            assert text[start:end] == text[start:end].strip()
        places = {place for start, end in pieces.offsets for place in range(start, end)}
        assert {text[place] for place in range(len(text)) if place not in places} <= {" "}, "every letter has a piece"
