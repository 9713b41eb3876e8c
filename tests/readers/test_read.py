"""`conll_span` on the files there are: columns, separators, line ends, encodings, tagging schemes."""

from __future__ import annotations

from pathlib import Path

import pytest

from luke_tasks.errors import DataError
from luke_tasks.readers.conll_span import NerExample
from luke_tasks.readers.tagging import Span
from tests.readers.letters import reader

FOUR = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

London NNP B-NP B-LOC
"""


def read(path: Path, content: str | bytes, **options: object) -> list[NerExample]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return list(reader(**options).read(path))


def plain(examples: list[NerExample]) -> list[tuple[list[list[str]], list[Span] | None]]:
    """Words of each sentence, and entities, of each document."""
    return [([e.words[start:end] for start, end in e.sentences], e.entities) for e in examples]


EXPECTED = [
    (
        [["EU", "rejects", "German"], ["Peter", "Blackburn"]],
        [Span(0, 1, "ORG"), Span(2, 3, "MISC"), Span(3, 5, "PER")],
    ),
    ([["London"]], [Span(0, 1, "LOC")]),
]


def columns(*chosen: int, separator: str = " ") -> str:
    """FOUR with some of its columns."""
    lines = [line.split() for line in FOUR.split("\n")]
    return "\n".join(separator.join(line[i] for i in chosen) if line else "" for line in lines)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FOUR, id="four columns"),
        pytest.param(columns(0, 1, 3), id="three"),
        pytest.param(columns(0, 3), id="two"),
        pytest.param(columns(0, 1, 2, 3, separator="\t"), id="tabs"),
        pytest.param(columns(0, 3, separator="\t"), id="two, tabs"),
        pytest.param(columns(0, 3, separator="    "), id="several spaces"),
        pytest.param(columns(0, 3, separator=" \t "), id="tabs among spaces"),
        pytest.param(FOUR.replace("rejects VBZ", "rejects\tVBZ"), id="spaces, then a tab"),
        pytest.param(FOUR.replace("\n", "  \n"), id="spaces at line ends"),
        pytest.param(FOUR.replace("EU", "  EU"), id="spaces at a line's beginning"),
        pytest.param(FOUR.replace("\n\n", "\n\n \n\t\n\n"), id="several blank lines"),
        pytest.param("\n\n" + FOUR, id="blank lines first"),
        pytest.param(FOUR.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(FOUR.replace("\n", "\r"), id="CR"),
        pytest.param("\ufeff" + FOUR, id="BOM"),
        pytest.param("\ufeff" + FOUR.replace("\n", "\r\n"), id="BOM and CRLF"),
        pytest.param(FOUR.rstrip("\n"), id="no newline at the end"),
        pytest.param(FOUR.replace("O\n\n", "O\n"), id="no blank line after -DOCSTART-"),
        pytest.param(FOUR.replace("\n\n-DOC", "\n-DOC"), id="no blank line before -DOCSTART-"),
        pytest.param(FOUR.replace("-DOCSTART- -X- -X- O", "-DOCSTART-"), id="-DOCSTART- alone"),
        pytest.param(FOUR.replace("-DOCSTART- -X- -X- O", "-DOCSTART- (1) O"), id="-DOCSTART- with an id"),
    ],
)
def test_all_of_these_are_one_content(content: str, tmp_path: Path) -> None:
    assert plain(read(tmp_path / "a.txt", content)) == EXPECTED


def test_without_docstart_a_file_is_one_document(tmp_path: Path) -> None:
    content = FOUR.replace("-DOCSTART- -X- -X- O\n", "")
    (example,) = read(tmp_path / "a.txt", content)
    assert example.id == "doc0"
    assert example.sentences == [(0, 3), (3, 5), (5, 6)]
    assert example.entities == [Span(0, 1, "ORG"), Span(2, 3, "MISC"), Span(3, 5, "PER"), Span(5, 6, "LOC")]
    assert example.text == "EU rejects German Peter Blackburn London"
    assert [example.text[start:end] for start, end in example.word_offsets] == example.words


def test_documents_are_numbered_and_empty_ones_are_not(tmp_path: Path) -> None:
    examples = read(tmp_path / "a.txt", FOUR.replace("-DOC", "-DOCSTART- O\n\n-DOC"))
    assert [example.id for example in examples] == ["doc0", "doc1"]


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "cp1252", "utf-16", "utf-8"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    (example,) = read(tmp_path / "a.txt", "Müller B-PER\nespañol O\n".encode(encoding), encoding=encoding)
    assert example.words == ["Müller", "español"]


@pytest.mark.parametrize("character", ["\u00a0", "\u2028", "\u0085", "\u3000", "\u200b", "\x0b", "\x1c"])
def test_unicode_spaces_belong_to_the_word(character: str, tmp_path: Path) -> None:
    content = f"a{character}b B-PER\nc O\n{character}d O\nX{character} O\n"
    (example,) = read(tmp_path / "a.txt", content)
    assert example.words == [f"a{character}b", "c", f"{character}d", f"X{character}"]
    assert [example.where(word) for word in range(4)] == [f"{tmp_path}/a.txt:{line}" for line in (1, 2, 3, 4)]


def test_a_space_within_a_word_between_tabs(tmp_path: Path) -> None:
    (example,) = read(tmp_path / "a.txt", "New York\tB-LOC\nis\tO\n")
    assert example.words == ["New York", "is"]


# -- lines in messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n", "-DOCSTART- O\n\n"])
def test_lines(newline: str, end: str, start: str, tmp_path: Path) -> None:
    good = start + "a B-PER\n\nb O\nc B-PER\n\n\nd B-LOC"
    text = (good + end).replace("\n", newline)
    first = start.count("\n") + 1
    examples = read(tmp_path / "a.txt", text)
    assert [examples[0].where(word) for word in range(4)] == [
        f"{tmp_path}/a.txt:{line}" for line in (first, first + 2, first + 3, first + 6)
    ]
    bad = (good[: -len("B-LOC")] + "X-LOC" + end).replace("\n", newline)
    with pytest.raises(DataError, match=rf"^{tmp_path}/a.txt:{first + 6}: unknown tag 'X-LOC'"):
        read(tmp_path / "a.txt", bad)


# -- tagging schemes ------------------------------------------------------------------------------------------------

WORDS = ["John", "Smith", "of", "New", "York", "City", "visited", "Rome", "Paris", "Acme", "Ltd", "Bolt", "Inc", "."]
SPANS = [
    Span(0, 2, "PER"), Span(3, 6, "LOC"), Span(7, 8, "LOC"), Span(8, 9, "LOC"), Span(9, 11, "ORG"),
    Span(11, 13, "ORG"),
]  # fmt: skip
TAGS = {
    "iob1": "I-PER I-PER O I-LOC I-LOC I-LOC O I-LOC B-LOC I-ORG I-ORG B-ORG I-ORG O",
    "iob2": "B-PER I-PER O B-LOC I-LOC I-LOC O B-LOC B-LOC B-ORG I-ORG B-ORG I-ORG O",
    "bioes": "B-PER E-PER O B-LOC I-LOC E-LOC O S-LOC S-LOC B-ORG E-ORG B-ORG E-ORG O",
    "bilou": "B-PER L-PER O B-LOC I-LOC L-LOC O U-LOC U-LOC B-ORG L-ORG B-ORG L-ORG O",
}


def tagged(words: list[str], tags: str) -> str:
    return "".join(f"{word} {tag}\n" for word, tag in zip(words, tags.split(), strict=True))


@pytest.mark.parametrize("scheme", TAGS)
@pytest.mark.parametrize("given", [True, False], ids=["given", "detected"])
def test_schemes_give_the_same_spans(scheme: str, given: bool, tmp_path: Path) -> None:
    name = {"bilou": "bioes"}.get(scheme, scheme) if given else "detect"
    (example,) = read(tmp_path / "a.txt", tagged(WORDS, TAGS[scheme]), iob_scheme=name)
    assert example.entities == SPANS


@pytest.mark.parametrize("scheme", ["io", "detect"])
def test_io_joins_neighbours_of_one_type(scheme: str, tmp_path: Path) -> None:
    tags = TAGS["iob2"].replace("B-", "I-")
    (example,) = read(tmp_path / "a.txt", tagged(WORDS, tags), iob_scheme=scheme)
    assert example.entities == [Span(0, 2, "PER"), Span(3, 6, "LOC"), Span(7, 9, "LOC"), Span(9, 13, "ORG")]


def test_entities_end_with_their_sentence(tmp_path: Path) -> None:
    (example,) = read(tmp_path / "a.txt", "a I-PER\nb I-PER\n\nc I-PER\n", iob_scheme="io")
    assert example.entities == [Span(0, 2, "PER"), Span(2, 3, "PER")]


def test_detection_looks_at_the_whole_file(tmp_path: Path) -> None:
    """The first documents alone would be IOB2; one E- far below makes all of it BIOES."""
    content = "a S-PER\n\nb O\n\n-DOCSTART- O\n\nc B-LOC\nd E-LOC\n"
    first, second = read(tmp_path / "a.txt", content)
    assert (first.entities, second.entities) == ([Span(0, 1, "PER")], [Span(0, 2, "LOC")])


def test_a_file_without_entities(tmp_path: Path) -> None:
    (example,) = read(tmp_path / "a.txt", "a O\nb O\n")
    assert example.entities == []


@pytest.mark.parametrize("label", ["PER", "creative-work", "B", "人", "a.b/c"])
def test_labels_are_whatever_follows_the_prefix(label: str, tmp_path: Path) -> None:
    (example,) = read(tmp_path / "a.txt", f"a B-{label}\nb I-{label}\n")
    assert example.entities == [Span(0, 2, label)]


def test_labels_of_an_example(tmp_path: Path) -> None:
    """`O` once a word comes first in a vocabulary, as in AllenNLP's."""
    (example,) = read(tmp_path / "a.txt", "a B-PER\nb I-PER\nc O\nd B-LOC\n")
    assert list(reader().labels_of(example)) == ["O", "O", "O", "O", "PER", "LOC"]
