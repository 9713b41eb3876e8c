"""Each wrong file gets one line: where, what was seen, what was expected, what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luke_tasks.data.labels import Labels
from luke_tasks.errors import DataError
from tests.readers.letters import reader
from tests.readers.test_read import FOUR, TAGS, WORDS, tagged

MEND = "mend the tag, or set dataset_reader.iob_scheme to the file's scheme"
TAG = "expected O, or B-, I-, E- or S- and a type as in B-PER, in the last column"
COLUMNS = "expected at least 2 columns (the word, ..., its tag) separated by tabs or spaces"
NAMES = 'expected a name such as "utf-8", "utf-16" or "ISO-8859-1"'
ENCODING = """give the file's encoding as dataset_reader.encoding, for instance "ISO-8859-1\""""


def message(path: Path, content: str | bytes | None = None, **options: object) -> str:
    """What reading and encoding the file says, `{path}` standing for it."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(DataError) as raised:
        reader(**options).read_encoded(path)
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            FOUR.replace("NNP I-NP I-PER", "I-NP I-PER"),
            "FILE:8: expected 4 columns separated by spaces as in line 3, found 3: 'Blackburn I-NP I-PER'",
            id="a column missing",
        ),
        pytest.param(
            FOUR.replace("rejects", "rejects it"),
            "FILE:4: expected 4 columns separated by spaces as in line 3, found 5: 'rejects it VBZ B-VP O'",
            id="a column too many",
        ),
        pytest.param(
            "a\tO\nb O\n",
            "FILE:2: expected 2 columns separated by tabs as in line 1, found 1: 'b O'",
            id="spaces among tabs",
        ),
        pytest.param(
            "a\t\nb\tO\n",
            f"FILE:1: {COLUMNS}, found 1: 'a\\t'",
            id="no tag",
        ),
        pytest.param(
            "\n\nEU\nrejects\n",
            f"FILE:3: {COLUMNS}, found 1: 'EU'",
            id="one column",
        ),
        pytest.param(
            "a\tO\n\tB-PER\n",
            "FILE:2: expected a word in the first column, found nothing: '\\tB-PER'",
            id="no word",
        ),
        pytest.param("x" * 100, f"FILE:1: {COLUMNS}, found 1: '{'x' * 80}'", id="a long line is shown in part"),
        pytest.param("a PER\n", f"FILE:1: unknown tag 'PER': {TAG}", id="no prefix"),
        pytest.param("a O\nb B_PER\n", f"FILE:2: unknown tag 'B_PER': {TAG}", id="underscore"),
        pytest.param("a O-PER\n", f"FILE:1: unknown tag 'O-PER': {TAG}", id="O with a type"),
        pytest.param("a B-\n", f"FILE:1: unknown tag 'B-': {TAG}", id="empty type"),
        pytest.param("a B\n", f"FILE:1: unknown tag 'B': {TAG}", id="prefix alone"),
        pytest.param("a b-PER\n", f"FILE:1: unknown tag 'b-PER': {TAG}", id="lower case"),
        pytest.param("a o\n", f"FILE:1: unknown tag 'o': {TAG}", id="lower case o"),
        pytest.param("a B-O\n", f"FILE:1: unknown tag 'B-O': {TAG}", id="a type named O"),
        pytest.param("a 0\n", f"FILE:1: unknown tag '0': {TAG}", id="zero"),
        pytest.param("", "FILE: the file is empty", id="empty"),
        pytest.param(" \n\r\n\t\n", "FILE: the file is empty", id="blank lines"),
        pytest.param(
            "\ufeff\n", "FILE: holds no sentence, only blank or -DOCSTART- lines", id="a byte order mark alone"
        ),
        pytest.param(
            "-DOCSTART- -X- O O\n\n-DOCSTART- -X- O O\n",
            "FILE: holds no sentence, only blank or -DOCSTART- lines",
            id="only -DOCSTART-",
        ),
        pytest.param(
            "a O\nMüller B-PER\n".encode("latin-1"), f"FILE:2: byte 0xfc is not utf-8; {ENCODING}", id="Latin-1"
        ),
        pytest.param(
            "a O\n".encode("utf-16"),
            'FILE:1: begins as UTF-16 does, not utf-8; set dataset_reader.encoding to "utf-16", or save the file as '
            "UTF-8",
            id="UTF-16",
        ),
        pytest.param(
            "a O\n".encode("utf-16-le"),
            "FILE:1: holds a zero byte, so it is not utf-8 text; if it is UTF-16, set dataset_reader.encoding to "
            '"utf-16-le" or "utf-16-be"',
            id="UTF-16 without mark",
        ),
        pytest.param(
            "a O\nb\0 O\n",
            "FILE:2: holds a zero byte, so it is not utf-8 text; if it is UTF-16, set dataset_reader.encoding to "
            '"utf-16-le" or "utf-16-be"',
            id="a zero byte",
        ),
    ],
)
def test_files(content: str | bytes, expected: str, tmp_path: Path) -> None:
    assert message(tmp_path / "f.txt", content) == expected


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        pytest.param("O I-PER", "iob2", f"FILE:2: 'I-PER' follows O, but in IOB2 an entity begins with 'B-PER'; {MEND}",
                     id="inside without begin"),
        pytest.param("I-PER O", "iob2", "FILE:1: 'I-PER' follows the start of the sentence, but in IOB2 an entity "
                     f"begins with 'B-PER'; {MEND}", id="inside at the start"),
        pytest.param("B-PER I-LOC", "iob2", "FILE:2: 'I-LOC' follows B-PER, but in IOB2 an entity begins with 'B-LOC'; "
                     f"{MEND}", id="type change"),
        pytest.param("B-PER O", "bioes", "FILE:1: 'B-PER' is not closed: in BIOES an entity ends with 'E-PER' or is "
                     f"'S-PER'; {MEND}", id="unclosed"),
        pytest.param("O B-PER", "bioes", "FILE:2: 'B-PER' is not closed: in BIOES an entity ends with 'E-PER' or is "
                     f"'S-PER'; {MEND}", id="unclosed at the end"),
        pytest.param("B-PER I-PER S-PER", "bioes", "FILE:2: 'I-PER' is not closed: in BIOES an entity ends with "
                     f"'E-PER' or is 'S-PER'; {MEND}", id="unclosed before another"),
        pytest.param("O E-PER", "bioes", "FILE:2: 'E-PER' follows O, but in BIOES an entity begins with 'B-PER'; "
                     f"{MEND}", id="end without begin"),
        pytest.param("O L-PER", "bioes", "FILE:2: 'L-PER' follows O, but in BIOES an entity begins with 'B-PER'; "
                     f"{MEND}", id="as it is written"),
        pytest.param("S-PER I-PER", "bioes", "FILE:2: 'I-PER' follows S-PER, but in BIOES an entity begins with "
                     f"'B-PER'; {MEND}", id="inside after single"),
        pytest.param("B-PER S-PER", "iob2", "FILE:2: tag 'S-PER' does not exist in IOB2, which has B-PER I-PER and O; "
                     "set dataset_reader.iob_scheme to the file's scheme", id="BIOES under IOB2"),
        pytest.param("B-PER I-PER", "io", "FILE:1: tag 'B-PER' does not exist in IO, which has I-PER and O; set "
                     "dataset_reader.iob_scheme to the file's scheme", id="IOB2 under IO"),
        pytest.param("U-PER", "iob1", "FILE:1: tag 'U-PER' does not exist in IOB1, which has B-PER I-PER and O; set "
                     "dataset_reader.iob_scheme to the file's scheme", id="BILOU under IOB1"),
        pytest.param("O B-PER O I-PER", "detect", "FILE:4: 'I-PER' begins an entity as in IOB1, but FILE:2 begins one "
                     "with 'B-PER' as in IOB2; mend the tags, or set dataset_reader.iob_scheme", id="mixed"),
        pytest.param("I-PER O E-LOC", "detect", "FILE:1: 'I-PER' follows the start of the sentence, but in BIOES an "
                     f"entity begins with 'B-PER'; {MEND}", id="mixed with BIOES"),
    ],
)  # fmt: skip
def test_tags(tags: str, scheme: str, expected: str, tmp_path: Path) -> None:
    words = ["w"] * len(tags.split())
    assert message(tmp_path / "f.txt", tagged(words, tags), iob_scheme=scheme) == expected


def test_the_same_tags_are_fine_where_they_belong(tmp_path: Path) -> None:
    """IOB1 opens an entity with `I-`, also at a change of type."""
    path = tmp_path / "f.txt"
    path.write_text("a I-PER\nb I-LOC\nc B-LOC\n", encoding="utf-8")
    (example,) = reader(iob_scheme="iob1").read(path)
    assert [(e.start, e.end, e.label) for e in example.entities or ()] == [(0, 1, "PER"), (1, 2, "LOC"), (2, 3, "LOC")]


def test_paths(tmp_path: Path) -> None:
    assert message(tmp_path) == "FILE: is a directory; expected a data file"
    assert message(tmp_path / "none.txt") == "FILE: no such file"
    assert message(tmp_path / ("x" * 300)) == "FILE: cannot be read: File name too long"
    (tmp_path / "f.txt").write_text("a O\n", encoding="utf-8")
    assert message(tmp_path / "f.txt" / "g.txt") == "FILE: cannot be read: Not a directory"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_permission(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a O\n", encoding="utf-8")
    path.chmod(0)
    assert message(path) == "FILE: cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-9", f"FILE: dataset_reader.encoding: unknown encoding 'utf-9'; {NAMES}"),
        ("base64", f"FILE: dataset_reader.encoding: unknown encoding 'base64'; {NAMES}"),
        ("", f"FILE: dataset_reader.encoding: unknown encoding ''; {NAMES}"),
        ("ascii", f"FILE:2: byte 0xc3 is not ascii; {ENCODING}"),
    ],
)
def test_encodings(encoding: str, expected: str, tmp_path: Path) -> None:
    assert message(tmp_path / "f.txt", "a O\né O\nbc O\n", encoding=encoding) == expected


def test_an_encoding_that_only_refuses(tmp_path: Path) -> None:
    text = message(tmp_path / "f.txt", "a O\n", encoding="undefined")
    assert text.startswith("FILE: cannot be read as undefined: ")


def test_half_a_character(tmp_path: Path) -> None:
    text = message(tmp_path / "f.txt", b"a+2AA- O\n", encoding="utf-7")
    assert text.startswith("FILE: cannot be read as utf-7: ")


def test_a_label_the_model_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a O\n\nb B-PER\nc O\nd B-CITY\n", encoding="utf-8")
    _, windows = reader().read_encoded(path)
    labels = Labels(["O", "PER"])
    assert windows[0].targets(labels) is not None
    with pytest.raises(DataError) as raised:
        windows[1].targets(labels)
    assert str(raised.value) == (
        f"{path}:5: label 'CITY' is not among the model's: O, PER; rename or remove it in the data, or train with it"
    )


# -- whatever the bytes are -----------------------------------------------------------------------------------------

VALID = [FOUR, *(tagged(WORDS, tags) for tags in TAGS.values()), "a\tO\nb\tB-PER\n"]
SNIPPETS = [b"\n", b"\r", b"\t", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"-DOCSTART-", b"B-PER", b"I-", b"E-LOC",
            b"S-A", b"\xe2\x80\xa8", b"O", b"\xf0\x9f\x98\x80"]  # fmt: skip


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(VALID)).encode("utf-8")
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8)))
        data = data[:start] + draw(st.sampled_from([b"", *SNIPPETS])) + data[end:]
    return data


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(
    data=st.one_of(st.binary(max_size=60), mutated_files()),
    scheme=st.sampled_from(["detect", "iob1", "iob2", "io", "bioes"]),
    encoding=st.sampled_from(["utf-8", "ISO-8859-1", "utf-16", "utf-7", "cp1252", "shift_jis"]),
)
def test_any_file_is_read_or_refused(
    data: bytes, scheme: str, encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    own = reader(iob_scheme=scheme, encoding=encoding, max_sequence_length=12, max_entity_length=4)
    try:
        examples, windows = own.read_encoded(path)
    except DataError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert all(example.words and all(example.words) for example in examples)
        labels = Labels.count(label for example in examples for label in own.labels_of(example))
        assert all(window.targets(labels) is not None for window in windows)
