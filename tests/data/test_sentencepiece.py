"""mLUKE's and LUKE-Japanese's SentencePiece models: fairseq's ids, and the pieces that the library itself gives."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Backend

from luke_tasks.data.sentencepiece import Normaliser, SentencePieceModel
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import CheckpointError
from tests.data.spm import PIECES, SIZE, field, mluke_files, model_bytes, trained

SPECIAL_TYPES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]


def failure(folder: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        Tokenizer.from_pretrained(str(folder))
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(folder), "DIR")


# -- ids, by hand ---------------------------------------------------------------------------------------------------


def test_ids_are_fairseqs(tmp_path: Path) -> None:
    """In the model `▁Paris` is piece 3 and `,` piece 10; after <pad> they are 4 and 11, and <mask> comes last."""
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path, vocab_size=SIZE + 4)))
    special = tokenizer.special
    assert (special.cls, special.pad, special.sep, special.unknown, special.mask) == (0, 1, 2, 3, SIZE + 1)
    words = ["Paris", "Paris,", "sa", "x", "<ent>", "<ent2>", "<mask>", "<s>", "[MASK]"]
    assert tokenizer.words_to_pieces(words) == [
        [4], [4, 11], [5, 10, 7], [5, 3], [SIZE + 2], [SIZE + 3], [SIZE + 1], [0], [5, 3],
    ]  # fmt: skip
    assert tokenizer.entity_vocab["ja:日本"] == 3 and tokenizer.entity_vocab["[MASK2]"] == 4


def test_added_tokens_have_the_checkpoints_ids(tmp_path: Path) -> None:
    added = {"<ent2>": SIZE + 3, "<ent>": SIZE + 2, "<mask>": SIZE + 1, "<new>": SIZE + 4}
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path, added=added)))
    assert tokenizer.words_to_pieces(list(added)) == [[id] for id in added.values()]


def test_added_tokens_in_the_tokenizers_config(tmp_path: Path) -> None:
    folder = mluke_files(tmp_path)
    decoder = {0: "<s>", 1: "<pad>", SIZE + 1: "<mask>", SIZE + 2: "<ent>", SIZE + 3: "<ent2>"}
    content = {
        "tokenizer_class": "MLukeTokenizer",
        "added_tokens_decoder": {str(id): {"content": token, "special": True} for id, token in decoder.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = Tokenizer.from_pretrained(str(folder))
    assert tokenizer.words_to_pieces(["<mask>", "<ent>", "<ent2>"]) == [[SIZE + 1], [SIZE + 2], [SIZE + 3]]


def test_no_entity_markers_where_the_checkpoint_has_no_rows_for_them(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path, vocab_size=SIZE + 2)))
    assert tokenizer.words_to_pieces(["<ent>"]) == [[5, 3]]


@pytest.mark.parametrize(("tokenizer_class", "model_type"), [("XLMRobertaTokenizer", "xlm-roberta"), (None, "luke"),
                                                             (None, "xlm-roberta")])  # fmt: skip
def test_other_folders_with_such_a_model(tokenizer_class: str | None, model_type: str, tmp_path: Path) -> None:
    folder = mluke_files(tmp_path, tokenizer_class=tokenizer_class, model_type=model_type)
    tokenizer = Tokenizer.from_pretrained(str(folder))
    assert tokenizer.words_to_pieces(["Paris,"]) == [[4, 11]]
    assert tokenizer.words_to_pieces(["<ent>"]) == ([[SIZE + 2]] if model_type == "luke" else [[5, 3]])
    assert ("en:Japan" in tokenizer.entity_vocab) == (model_type == "luke")


def test_what_transformers_saved_beside_it_is_not_read(tmp_path: Path) -> None:
    folder = mluke_files(tmp_path)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert Tokenizer.from_pretrained(str(folder)).words_to_pieces(["Paris"]) == [[4]]


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path / "a")))
    tokenizer.save(tmp_path / "b")
    loaded = Tokenizer.load(tmp_path / "b")
    words = ["Paris,", " sa ", "Pa  ri", "x\u00a0y", "<ent>", ""]
    assert loaded.words_to_pieces(words) == tokenizer.words_to_pieces(words)
    assert (loaded.special, loaded.entity_vocab) == (tokenizer.special, tokenizer.entity_vocab)


def test_no_word_is_left_empty(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path)))
    assert tokenizer.words_to_pieces([" ", "", "▁"]) == [[3], [3], [3]]


# -- a tokenizer.json ------------------------------------------------------------------------------------------------


def tokenizer_json(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Replace the model of a folder by the `tokenizer.json` it would give, changed."""
    model = folder / "sentencepiece.bpe.model"
    content = json.loads(SentencePieceModel.read(model).backend({"<ent>": SIZE + 2, "<ent2>": SIZE + 3}).to_str())
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    model.unlink()
    return folder


def test_a_tokenizer_json_in_fairseqs_order(tmp_path: Path) -> None:
    folder = tokenizer_json(mluke_files(tmp_path), lambda content: None)
    tokenizer = Tokenizer.from_pretrained(str(folder))
    assert tokenizer.words_to_pieces(["Paris,", "x", "<ent>"]) == [[4, 11], [5, 3], [SIZE + 2]]
    assert (tokenizer.special.mask, tokenizer.special.unknown) == (SIZE + 1, 3)


def rewrite(piece: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        if piece == "order":  # the model's own
            content["model"]["vocab"] = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], *content["model"]["vocab"][4:]]
        content["model"]["unk_id"] = 0

    return change


ADVICE = "transformers 5 writes such files; put the published checkpoint's sentencepiece.bpe.model beside it"


@pytest.mark.parametrize(
    ("what", "found"), [("order", "<unk>, <s>, </s>, ▁Paris"), ("unknown", "<s>, <pad>, </s>, <unk>")]
)
def test_a_tokenizer_json_as_transformers_5_writes_it(what: str, found: str, tmp_path: Path) -> None:
    folder = tokenizer_json(mluke_files(tmp_path), rewrite(what))
    assert failure(folder) == (
        f"DIR/tokenizer.json: begins with the pieces {found} and takes id 0 for unknown ones; mLUKE's begins with <s>, "
        f"<pad>, </s>, <unk> and takes 3. {ADVICE}"
    )


def test_a_tokenizer_json_of_another_kind(tmp_path: Path) -> None:
    folder = tokenizer_json(mluke_files(tmp_path), lambda content: content["model"].clear())
    assert failure(folder).startswith("DIR/tokenizer.json: no tokenizer of an mLUKE, or damaged: ")


def test_a_tokenizer_json_without_mask(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["model"]["vocab"] = [entry for entry in content["model"]["vocab"] if entry[0] != "<mask>"]
        content["added_tokens"] = content["added_tokens"][:4]

    assert failure(tokenizer_json(mluke_files(tmp_path), change)) == "the tokenizer has no <mask> token"


# -- models that are not as they should be --------------------------------------------------------------------------

NOT_AS = "DIR/sentencepiece.bpe.model: not a model as XLM-R's, mLUKE's or LUKE-Japanese's are: "


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (model_bytes(trainer={3: 2}), "a model_type other than unigram"),
        (model_bytes(pieces=[("<s>", 0.0, 3), ("<unk>", 0.0, 2), ("</s>", 0.0, 3), *PIECES]),
         "pieces before the first other than <unk>, <s> and </s>"),
        (model_bytes(pieces=SPECIAL_TYPES), "no piece of text"),
        (model_bytes(pieces=[*SPECIAL_TYPES, *PIECES, ("@", 0.0, 4)]),
         "pieces of other types than text (user-defined, unused or bytes)"),
        (model_bytes(normalizer={3: 0}), "an option against a space before each word (add_dummy_prefix)"),
        (model_bytes(normalizer={4: 0}), "an option to keep needless spaces (remove_extra_whitespaces)"),
        (model_bytes(normalizer={5: 0}), "spaces as they are (escape_whitespaces)"),
        (model_bytes(trainer={3: 1, 24: 1}), "spaces at the end of pieces (treat_whitespace_as_suffix)"),
    ],
)  # fmt: skip
def test_models_that_the_backend_could_not_follow(model: bytes, expected: str, tmp_path: Path) -> None:
    assert failure(mluke_files(tmp_path, model=model)) == NOT_AS + expected


@pytest.mark.parametrize(
    "model",
    [b"\n", b"\x0a\xff\xff", b"\x80", b"\x0b", b"\x0a\x02\x10\x01", field(1, field(2, 1.0)), model_bytes()[:-9],
     model_bytes()[:40], b"", b"version https://git-lfs.github.com/spec/v1"],
)  # fmt: skip
def test_damaged_models(model: bytes, tmp_path: Path) -> None:
    message = failure(mluke_files(tmp_path, model=model))
    assert message.startswith(
        "DIR/sentencepiece.bpe.model: cannot be read as a SentencePiece model, perhaps truncated: "
    )


@pytest.mark.parametrize("charsmap", [b"\x01", b"\x08\0\0\0abc", b"\x03\0\0\0abcdef", b"\0\0\0\0ab"])
def test_damaged_normalisation(charsmap: bytes, tmp_path: Path) -> None:
    message = failure(mluke_files(tmp_path, model=model_bytes(normalizer={2: charsmap})))
    assert message == "DIR/sentencepiece.bpe.model: the normalisation table is truncated"


def test_a_model_and_a_config_of_two_checkpoints(tmp_path: Path) -> None:
    assert failure(mluke_files(tmp_path, vocab_size=SIZE + 1)) == (
        f"DIR/sentencepiece.bpe.model: gives ids up to {SIZE + 1} with the added tokens, but config.json has a "
        f"vocab_size of {SIZE + 1}; they are not of one checkpoint"
    )
    assert failure(mluke_files(tmp_path, added={"<ent>": 500, "<ent2>": 501})) == (
        f"DIR: added token '<ent>' has id 500, expected {SIZE + 2}: <mask> has {SIZE + 1}, and the others follow "
        "without a gap"
    )


def test_without_entities(tmp_path: Path) -> None:
    folder = mluke_files(tmp_path)
    (folder / "entity_vocab.json").unlink()
    assert failure(folder) == (
        "DIR/entity_vocab.json: no such file; it maps entity names to ids, and every LUKE checkpoint has one"
    )
    tokenizer = Tokenizer.from_pretrained(str(folder), special_entities_only=True)
    assert tokenizer.entity_vocab == {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3}


# -- against the library --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library() -> Any:
    return pytest.importorskip("sentencepiece")


def words_to_compare(seed: int) -> list[str]:
    """Every character of the first planes alone and amid letters, and random mixtures of letters and marks."""
    characters = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    marks = [character for character in characters if unicodedata.category(character)[0] == "M"]
    letters = "東京は日本。大阪城ガダムcaféÅngström한국어हिन्दी.,  ▁ｶﾞﾝ\u3000\u00a0…①ﬁﷺ"
    rng = random.Random(seed)
    mixed = [
        "".join(
            rng.choice((rng.choice(letters), rng.choice(letters), rng.choice(characters), rng.choice(marks)))
            for _ in range(rng.randint(1, 8))
        )
        for _ in range(10_000)
    ]
    chosen = [*rng.sample(characters, 8_000), *(f"a{mark}b" for mark in marks)]
    return [*chosen, *mixed, "Paris", "Los Angeles", "ﾄｳｷｮｳ", "Å", "ﷺ", "が", "각", ""]


@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity", "nmt_nfkc_cf"])
def test_pieces_are_the_librarys(rule: str, library: Any, tmp_path: Path) -> None:
    model = trained(rule)
    processor = library.SentencePieceProcessor(model_proto=model)
    tokenizer = Tokenizer.from_pretrained(str(mluke_files(tmp_path, model=model)))
    words = words_to_compare(seed=0)
    # As transformers 4's MLukeTokenizer did: the library's ids, one further on, but <unk> (its 0) is 3.
    expected = [[id + 1 if id else 3 for id in ids] or [3] for ids in processor.encode(words)]
    assert tokenizer.words_to_pieces(words) == expected
    assert tokenizer.special.mask == processor.get_piece_size() + 1


def test_normalisation_is_the_librarys(library: Any, tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(trained())
    normalise = Normaliser(SentencePieceModel.read(tmp_path / "m.model").charsmap)
    processor = library.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    for word in words_to_compare(seed=1):
        assert normalise(word).replace(" ", "▁") == processor.normalize(word).removeprefix("▁")
        assert normalise.aligned(word)[0] == normalise(word)
    assert normalise.aligned(" a…①b") == ("a...1b", [(1, 2), (2, 3), (2, 3), (2, 3), (3, 4), (4, 5)])
    by_hand = {"ｶﾞ": "ガ", "か\u3099": "が", "…": "...", "①": "1", "e\u0301": "é", "ﺳ\u064e": "س\u064e"}
    assert {word: normalise(word) for word in by_hand} == by_hand


def test_transformers_own_save_is_refused(library: Any, tmp_path: Path) -> None:
    """What `MLukeTokenizer.save_pretrained` writes has other ids than the checkpoints' embeddings."""
    import transformers

    folder = mluke_files(tmp_path / "a", model=trained())
    transformers.AutoTokenizer.from_pretrained(str(folder)).save_pretrained(tmp_path / "b")
    for name in ("config.json", "entity_vocab.json"):
        (tmp_path / "b" / name).write_bytes((folder / name).read_bytes())
    saved = Backend.from_file(str(tmp_path / "b" / "tokenizer.json"))
    if saved.token_to_id("<s>") == 0 and saved.token_to_id("<unk>") == 3:
        pytest.skip("this transformers numbers mLUKE's words as the checkpoints do")
    assert failure(tmp_path / "b").endswith(ADVICE)


def test_an_empty_normalisation() -> None:
    normalise = Normaliser(b"")
    assert [normalise(text) for text in ("a", " a  b ", "▁a", "a▁", "", "é…😀")] == [
        "a", "a b", "▁▁a", "a", "", "é…😀",
    ]  # fmt: skip


def test_origins_of_normalised_characters() -> None:
    normalise = Normaliser(b"")
    assert normalise.aligned(" é  b ") == ("é b", [(1, 2), (2, 3), (4, 5)])
    assert normalise.aligned("▁😀▁") == ("▁▁😀", [(0, 0), (0, 1), (1, 2)])
    assert normalise.aligned("  ") == ("", [])
