"""Golden ids: what the tokenizers of LUKE, mLUKE and LUKE-Japanese make of awkward texts, ours and `transformers`'.

The vocabularies (`vocabularies.py`) are small enough to check an id by hand. The expected ids are those that
transformers 4.57.6 gave, whose `LukeTokenizer` and `MLukeTokenizer` were still the published Python code (the second
over the `sentencepiece` library). Where transformers 5 gives others, these are written down too, so that the day they
change is seen here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from luke_tasks.data.features import Features
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.entity_typing import EntityTypingReader
from luke_tasks.readers.relation_classification import RelationClassificationReader
from tests.data.vocabularies import JAPANESE_MASK, LUKE_MASK, MLUKE_MASK, luke_files, small_japanese_files
from tests.data.vocabularies import small_mluke_files as mluke_files

MAKERS = {"luke": luke_files, "mluke": mluke_files, "japanese": small_japanese_files}
Inputs = tuple[list[int], list[int], list[list[int]]]  # word ids, entity ids, entity spans

# Text → its word pieces, without the special tokens.
LUKE_TEXTS = {
    "": [],
    "London": [264],
    " London": [265],
    "in London": [266, 265],
    "in  London ": [266, 36, 265, 36],
    "\tin\nin": [13, 266, 14, 266],
    "and Londonand": [101, 274, 265, 101, 274],
    "Beyoncé": [70, 105, 125, 115, 114, 103, 268],
    "Beyonce\u0301": [70, 105, 125, 115, 114, 103, 105, 208, 133],
    "😀": [244, 163, 156, 132],
    "日本": [272, 169, 234, 160, 176],
    "2026 20": [271, 54, 58, 270],
    "London's 'in": [264, 277, 276, 266],
    "<mask>": [279],
}
MLUKE_TEXTS = {
    "": [],
    "London": [5],
    " London": [5],
    "in London": [7, 5],
    "in  London ": [7, 5],
    "\tin\nin": [4, 3, 8, 3, 8],
    "Beyoncé": [4, 13, 12],
    "Beyonce\u0301": [4, 13, 32, 3],
    "😀": [4, 3],
    "日本": [9],
    "日本 in": [9, 7],
    "2026 20": [14, 16, 17, 14],
    "London's 'in": [5, 18, 19, 4, 18, 8],
    "[MASK]": [4, 20, 22, 23, 24, 25, 21],
    "<mask>": [34],
}
JAPANESE_TEXTS = {
    "": [],
    "東京は日本の首都。": [5, 12, 9, 13, 14, 19],
    "東京 は": [5, 4, 12],
    "東京\u3000は": [5, 4, 12],
    "東京\tは\u00a0": [5, 4, 12],
    "Ｔｏｋｙｏ": [26, 21, 22, 23, 21],
    "ｶﾞンダム ガンダム": [4, 15, 4, 15],
    "ｶン": [4, 17, 18],
    "① 1": [25, 25],
    "大阪": [4, 3],
    "😀": [4, 3],
    "[MASK]": [4, 27, 29, 30, 31, 32, 28],
}
# To the words of a text, which stand behind a space.
LUKE_WORDS = {
    "London": [265],
    "in": [267],
    "Beyoncé": [36, 70, 105, 125, 115, 114, 103, 268],
    "😀": [36, 244, 163, 156, 132],
    "日本": [36, 272, 169, 234, 160, 176],
    "2026": [270, 54, 58],
    "'s": [276, 119],
    "<mask>": [279],
}
# Names of special entities are ordinary text, and so is what looks like a marker in a reader's text.
LITERALS = {
    "[MASK]": [95, 81, 69, 87, 79, 97],
    "[MASK] [MASK2]": [95, 81, 69, 87, 79, 97, 36, 95, 81, 69, 87, 79, 54, 97],
}
LUKE_MARKED = {  # published; ours
    "<ent>London<ent2>": ([280, 264, 281], [64, 105, 114, 120, 66, 264, 64, 105, 114, 120, 54, 66]),
    "<ent> London <ent2> in": (
        [280, 265, 36, 281, 267], [64, 105, 114, 120, 66, 265, 36, 64, 105, 114, 120, 54, 66, 267],
    ),
}  # fmt: skip

LUKE_SENTENCE = "Beyoncé in London and in 20"
BEYONCE = [70, 105, 125, 115, 114, 103, 268]  # without a space before it


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def ours(folders: dict[str, Path]) -> dict[str, Tokenizer]:
    return {name: Tokenizer.from_pretrained(str(folder)) for name, folder in folders.items()}


def theirs(folder: Path, **options: Any) -> Any:
    return transformers.AutoTokenizer.from_pretrained(str(folder), **options)


def span(text: str, part: str) -> list[int]:
    return [text.index(part), text.index(part) + len(part)]


def inputs_of(features: Features) -> Inputs:
    return features.word_ids.tolist(), features.entity_ids.tolist(), features.entity_spans.tolist()


def encoded(tokenizer: Any, text: str, *parts: str, **options: Any) -> Inputs:
    """What `transformers` makes of a text and the entities at some parts of it."""
    spans: list[tuple[int, ...]] = [tuple(span(text, part)) for part in parts]
    found = tokenizer(text, entity_spans=spans, **options)
    places = [[place for place in row if place >= 0] for row in found["entity_position_ids"]]
    assert all(row == list(range(row[0], row[-1] + 1)) for row in places)
    return found["input_ids"], found["entity_ids"], [[row[0], row[-1] + 1] for row in places]


def typing(tokenizer: Tokenizer, text: str, mention: str) -> Inputs:
    reader = EntityTypingReader(tokenizer=tokenizer)
    (window,) = reader.encode([reader.parse_input({"text": text, "entities": [span(text, mention)]}, "here")])
    return inputs_of(window)


def relation(tokenizer: Tokenizer, text: str, head: str, tail: str) -> Inputs:
    reader = RelationClassificationReader(tokenizer=tokenizer, dataset="jsonl")
    record = {"text": text, "head": span(text, head), "tail": span(text, tail)}
    (window,) = reader.encode([reader.parse_input(record, "here")])
    return inputs_of(window)


def candidates(tokenizer: Tokenizer, words: list[str]) -> Inputs:
    """NER's windows, where every span is a candidate."""
    reader = ConllSpanReader(tokenizer=tokenizer)
    (window,) = reader.encode([reader.parse_input({"words": words}, "here")])
    return inputs_of(window)


# -- special tokens and entities ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mask"), [("luke", LUKE_MASK), ("mluke", MLUKE_MASK), ("japanese", JAPANESE_MASK)])
def test_special_tokens(name: str, mask: int, ours: dict[str, Tokenizer]) -> None:
    special = ours[name].special
    assert (special.cls, special.pad, special.sep, special.unknown, special.mask) == (0, 1, 2, 3, mask)
    assert [ours[name].word_id(marker) for marker in ("<ent>", "<ent2>")] == [mask + 1, mask + 2]


def test_lukes_special_tokens_in_transformers(folders: dict[str, Path]) -> None:
    tokenizer = theirs(folders["luke"])
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<ent>", "<ent2>"]
    assert tokenizer.convert_tokens_to_ids(names) == [0, 1, 2, 3, 279, 280, 281]


def test_entity_vocabularies(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    luke = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "London": 3, "Beyoncé": 4, "[MASK2]": 5}
    special = {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 3}
    assert ours["luke"].entity_vocab == luke
    assert ours["mluke"].entity_vocab == {**special, "en:London": 4, "ja:ロンドン": 4, "en:Japan": 5}
    assert ours["japanese"].entity_vocab == {**special, "東京": 4, "日本": 5}
    tokenizer = theirs(folders["luke"])
    assert tokenizer.entity_vocab == luke
    found = (tokenizer.entity_pad_token_id, tokenizer.entity_unk_token_id, tokenizer.entity_mask_token_id,
             tokenizer.entity_mask2_token_id)  # fmt: skip
    assert found == (0, 1, 2, 5)


# -- LUKE -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", LUKE_TEXTS)
def test_luke_texts(text: str, ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    assert ours["luke"].texts_to_pieces([text]) == [LUKE_TEXTS[text]]
    assert theirs(folders["luke"])(text)["input_ids"] == [0, *LUKE_TEXTS[text], 2]


@pytest.mark.parametrize("word", LUKE_WORDS)
def test_luke_words(word: str, ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    assert ours["luke"].words_to_pieces([word]) == [LUKE_WORDS[word]]
    assert theirs(folders["luke"], add_prefix_space=True)(word)["input_ids"] == [0, *LUKE_WORDS[word], 2]


@pytest.mark.parametrize("text", LUKE_MARKED)
def test_luke_marked_texts(text: str, ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    published, own = LUKE_MARKED[text]
    assert ours["luke"].texts_to_pieces([text]) == [own]
    assert theirs(folders["luke"])(text)["input_ids"] == [0, *published, 2]
    assert ours["luke"].words_to_pieces(["<ent>", "<ent2>"]) == [[280], [281]]


def test_luke_literals(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    """transformers 5 makes word pieces of the special entities' names, behind the last row of the embeddings."""
    assert ours["luke"].texts_to_pieces(list(LITERALS)) == list(LITERALS.values())
    found = [theirs(folders["luke"])(text)["input_ids"] for text in LITERALS]
    assert found == [[0, 284, 2], [0, 284, 36, 285, 2]], "transformers reads [MASK] in a text otherwise than 5.23 did"


def test_luke_mention(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    tokenizer = theirs(folders["luke"], task="entity_classification")
    expected = ([0, *BEYONCE, 267, 280, 265, 280, 275, 267, 270, 2], [2], [[9, 12]])
    assert typing(ours["luke"], LUKE_SENTENCE, "London") == expected
    assert encoded(tokenizer, LUKE_SENTENCE, "London") == expected
    # At the beginning of a text the original has a space between the marker and the mention.
    tail = [280, 267, 265, 275, 267, 270, 2]
    assert typing(ours["luke"], LUKE_SENTENCE, "Beyoncé") == ([0, 280, 36, *BEYONCE, *tail], [2], [[1, 11]])
    assert encoded(tokenizer, LUKE_SENTENCE, "Beyoncé") == ([0, 280, *BEYONCE, *tail], [2], [[1, 10]])


def test_luke_pair(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    tokenizer = theirs(folders["luke"], task="entity_pair_classification")
    head_first = ([0, *BEYONCE, 267, 280, 265, 280, 275, 267, 281, 270, 281, 2], [2, 5], [[9, 12], [14, 17]])
    tail_first = ([0, *BEYONCE, 267, 281, 265, 281, 275, 267, 280, 270, 280, 2], [2, 5], [[14, 17], [9, 12]])
    for head, tail, expected in (("London", "20", head_first), ("20", "London", tail_first)):
        assert relation(ours["luke"], LUKE_SENTENCE, head, tail) == expected
        assert encoded(tokenizer, LUKE_SENTENCE, head, tail) == expected


def test_luke_spans(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    tokenizer = theirs(folders["luke"], task="entity_span_classification")
    expected = ([0, 36, *BEYONCE, 267, 265, 2], [2] * 6, [[1, 9], [1, 10], [1, 11], [9, 10], [9, 11], [10, 11]])
    assert candidates(ours["luke"], ["Beyoncé", "in", "London"]) == expected
    text = " Beyoncé in London"
    parts = ("Beyoncé", "Beyoncé in", "Beyoncé in London", "in", "in London", "London")
    assert encoded(tokenizer, text, *parts) == expected
    spans = [tuple(span(text, part)) for part in parts]
    found = tokenizer(text, entity_spans=spans)
    assert found["entity_start_positions"] == [1, 1, 1, 9, 9, 10]
    assert found["entity_end_positions"] == [8, 9, 10, 9, 10, 10]  # of the last piece


def test_luke_named_entities(folders: dict[str, Path]) -> None:
    names = ["Beyoncé", "London", "Nobody"]
    found = encoded(theirs(folders["luke"]), LUKE_SENTENCE, "Beyoncé", "London", "20", entities=names)
    assert found == ([0, *BEYONCE, 267, 265, 275, 267, 270, 2], [4, 3, 1], [[1, 8], [9, 10], [12, 13]])


def test_luke_two_texts(ours: dict[str, Tokenizer], folders: dict[str, Path]) -> None:
    expected = [0, 266, 265, 2, 2, 264, 277, 2]
    first, second = ours["luke"].texts_to_pieces(["in London", "London's"])
    pair = ours["luke"].pair(first, second)
    assert (pair.word_ids.tolist(), pair.word_type_ids, pair.second_start) == (expected, None, 5)
    assert theirs(folders["luke"])("in London", "London's")["input_ids"] == expected


# -- mLUKE and LUKE-Japanese ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [*(("mluke", *case) for case in MLUKE_TEXTS.items()), *(("japanese", *case) for case in JAPANESE_TEXTS.items())],
)
def test_sentencepiece_texts(name: str, text: str, expected: list[int], ours: dict[str, Tokenizer]) -> None:
    """Here a text of its own and a word of a text are the same, but no word is without a piece."""
    assert ours[name].texts_to_pieces([text]) == [expected]
    assert ours[name].words_to_pieces([text]) == [expected or [3]]


def test_sentencepiece_markers(ours: dict[str, Tokenizer]) -> None:
    assert ours["mluke"].words_to_pieces(["<ent>London<ent2>"]) == [[35, 5, 36]]
    assert ours["mluke"].texts_to_pieces(["<ent>London"]) == [[4, 30, 32, 28, 33, 31, 6]]
    assert ours["japanese"].words_to_pieces(["<ent>東京<ent2>は"]) == [[34, 5, 35, 4, 12]]


def test_mluke_inputs(ours: dict[str, Tokenizer]) -> None:
    text = "Beyoncé in London 20"
    tokenizer = ours["mluke"]
    assert typing(tokenizer, text, "London") == ([0, 4, 13, 12, 7, 35, 5, 35, 14, 2], [0], [[5, 8]])
    assert typing(tokenizer, text, "Beyoncé") == ([0, 35, 4, 13, 12, 35, 7, 5, 14, 2], [0], [[1, 6]])
    assert relation(tokenizer, text, "Beyoncé", "London") == (
        [0, 35, 4, 13, 12, 35, 7, 36, 5, 36, 14, 2], [0, 3], [[1, 6], [7, 10]]
    )  # fmt: skip
    assert relation(tokenizer, text, "20", "London") == (
        [0, 4, 13, 12, 7, 36, 5, 36, 35, 14, 35, 2], [0, 3], [[8, 11], [5, 8]]
    )  # fmt: skip
    spans = [[1, 4], [1, 5], [1, 6], [4, 5], [4, 6], [5, 6]]
    assert candidates(tokenizer, ["Beyoncé", "in", "London"]) == ([0, 4, 13, 12, 7, 5, 2], [0] * 6, spans)
    pair = tokenizer.pair(*tokenizer.texts_to_pieces([text, text]))
    assert pair.word_ids.tolist() == [0, 4, 13, 12, 7, 5, 14, 2, 2, 4, 13, 12, 7, 5, 14, 2]


def test_japanese_inputs(ours: dict[str, Tokenizer]) -> None:
    text = "東京は日本の首都。"
    tokenizer = ours["japanese"]
    assert typing(tokenizer, text, "日本") == ([0, 5, 12, 34, 4, 9, 34, 4, 13, 14, 19, 2], [0], [[3, 7]])
    assert relation(tokenizer, text, "東京", "日本") == (
        [0, 34, 5, 34, 4, 12, 35, 4, 9, 35, 4, 13, 14, 19, 2], [0, 3], [[1, 4], [6, 10]]
    )  # fmt: skip
    words, ids, spans = candidates(tokenizer, ["東京", "は", "日本", "の", "首都", "。"])
    assert words == [0, 5, 4, 12, 4, 9, 4, 13, 4, 14, 4, 19, 2]
    assert len(ids) == len(spans) == 21 and set(ids) == {0}
    assert [1, 2] in spans and [4, 6] in spans and [8, 10] in spans


# What transformers 5.23 makes of the same files: pieces numbered one too low, <s> as 1, unknown ones as 0, a wrong id
# for <ent2>, the names of entities as word pieces, and no normalisation.
PRESENT_MLUKE = {
    "London": [1, 4, 2],
    "in  London ": [1, 6, 3, 4, 3, 2],
    "Beyonce\u0301": [1, 3, 12, 31, 0, 2],
    "日本": [1, 8, 2],
    "[MASK]": [1, 39, 2],
    "<ent>London<ent2>": [1, 35, 4, 41, 2],
    "<mask>": [1, 34, 2],
}
PRESENT_JAPANESE = {
    "東京は日本の首都。": [1, 4, 11, 8, 12, 13, 18, 2],
    "Ｔｏｋｙｏ": [1, 3, 0, 2],
    "東京\u3000は": [1, 4, 0, 11, 2],
}
CHANGED = (
    "transformers reads mLUKE's files otherwise than 5.23 did. If it now gives the ids of MLUKE_TEXTS and "
    "JAPANESE_TEXTS, compare with them here instead, and see whether luke_tasks/data/sentencepiece.py is still needed"
)


def test_mluke_in_transformers_is_still_wrong(folders: dict[str, Path]) -> None:
    pytest.importorskip("sentencepiece")
    for name, present in (("mluke", PRESENT_MLUKE), ("japanese", PRESENT_JAPANESE)):
        tokenizer = theirs(folders[name])
        assert {text: tokenizer(text)["input_ids"] for text in present} == present, CHANGED
    tokenizer = theirs(folders["mluke"], task="entity_pair_classification")
    found = encoded(tokenizer, "Beyoncé in London 20", "Beyoncé", "London")
    assert found == ([1, 35, 3, 12, 11, 35, 6, 36, 4, 36, 13, 2], [0, 3], [[1, 6], [7, 10]]), CHANGED
