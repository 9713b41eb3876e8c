"""Data files read a piece at a time: whatever the size of a piece, it is the file that is read."""

from __future__ import annotations

import json
import random
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.errors import DataError
from luke_tasks.readers import reader
from luke_tasks.readers.json_stream import JsonStream
from luke_tasks.readers.reader import read_text, text_chunks, text_lines
from luke_tasks.readers.records import json_array, json_lines

TEXT = "Beyoncé\r\nlives in\u2028Los Angeles\n\n日本\r𝔘\r\n"
SIZES = [4, 5, 7, 1000]


@pytest.fixture(params=SIZES)
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BYTES_AT_ONCE", request.param)


def write(tmp_path: Path, content: str | bytes) -> Path:
    (tmp_path / "f").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return tmp_path / "f"


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "gb18030"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, TEXT.encode(encoding))
    assert read_text(path, encoding) == TEXT
    lines = re.split(r"\r\n|\r|\n", TEXT)
    assert list(text_lines(path, encoding)) == list(enumerate(lines, start=1))


def test_utf16_without_a_mark_is_little_endian(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, TEXT.encode("utf-16-le")), "UTF16") == TEXT


@pytest.mark.usefixtures("pieces")
def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, "\ufeffa\ufeff"), "utf-8") == "a\ufeff"


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"a\nbcdef\n\nM\xfcller", "utf-8", "FILE:4: byte 0xfc is not utf-8; give the file's encoding as"),
        (b"a\nbcdef\nM\xc3", "utf-8", "FILE:3: byte 0xc3 is not utf-8; give the file's encoding as"),
        ("a\nb\0".encode("utf-16-le"), "utf-8", "FILE:1: holds a zero byte, so it is not utf-8 text; if it is UTF-16"),
        (b"a\nbcdefghi\n\0", "utf-8", "FILE:3: holds a zero byte, so it is not utf-8 text; if it is UTF-16"),
        (b" \n \n      \n\n", "utf-8", "FILE: the file is empty"),
        (b"", "utf-16", "FILE: the file is empty"),
    ],
)
def test_bad_text(tmp_path: Path, content: bytes, encoding: str, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as raised:
        list(text_lines(path, encoding))
    assert str(raised.value).replace(str(path), "FILE").startswith(message)


def any_json(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 3 else 5)
    if kind == 5:
        return [any_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice("abcdéf"): any_json(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [None, rng.random() * 1e-9, rng.choice([-1, 12345, 1.5, 1e22]), True,
            "".join(rng.choices('"\\\u2028é日𝔘 ,]}\n', k=5))][kind]  # fmt: skip


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("key", [None, "data"])
def test_arrays(tmp_path: Path, seed: int, key: str | None) -> None:
    rng = random.Random(seed)
    records = [{"id": index, "x": any_json(rng)} for index in range(rng.randrange(6))]
    content: Any = records
    if key:
        content = {"version": any_json(rng), "n": 1.5e300, key: records, "after": any_json(rng)}
    layout: dict[str, Any] = {"indent": rng.choice([None, 1]), "ensure_ascii": rng.random() < 0.5}
    path = write(tmp_path, f"\n {json.dumps(content, **layout)} \n")
    found = list(json_array(path, "utf-8", key))
    assert [record for record, _ in found] == records
    assert [where for _, where in found] == [f"{path}: record {n + 1} (id {n})" for n in range(len(records))]


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("seed", range(20))
def test_damaged_arrays(tmp_path: Path, seed: int) -> None:
    """The place is the one that `json` names for the whole file."""
    rng = random.Random(seed)
    text = json.dumps([{"id": n, "x": any_json(rng)} for n in range(5)], indent=rng.choice([None, 1]))
    cut = rng.randrange(2, len(text) - 1)
    text = text[:cut] + rng.choice(["", "?", "\n", ",", "{"]) + text[cut + 1 :]
    path = write(tmp_path, text)
    try:
        expected = json.loads(text)
    except json.JSONDecodeError as error:
        with pytest.raises(DataError) as raised:
            list(json_array(path, "utf-8"))
        found = re.search(r"at line (\d+) column (\d+)", str(raised.value))
        if found:
            assert (int(found[1]), int(found[2])) == (error.lineno, error.colno)
        else:  # the array has ended before the file does, or an item is a whole value but no object
            assert "more follows" in str(raised.value) or "expected a JSON object" in str(raised.value)
    else:
        assert [record for record, _ in json_array(path, "utf-8")] == expected


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('[{"a": 1}]\n[{"b": 2}]', None,
         "FILE:2: the JSON has ended, but more follows: '[{\"b\": 2}]'; write one JSON value a file"),
        ('{"a": 1}', None, "FILE:1: expected one JSON array of records, [{...}, {...}], found '{\"a\": 1}'; put the "
         "records into one array"),
        ('[{"a": "\\ud800"}]', None, "FILE: record 1: holds half a character (a lone \\ud800 to \\udfff): "
         "'{\"a\": \"\\\\ud800\"}]'"),
        ("[]", "data", "FILE:1: expected one JSON object {\"data\": [...]}, found '[]'"),
        ('{"a": 1}', "data", 'FILE: "data" is missing; found a'),
        ("\n{}", "data", 'FILE: "data" is missing; found no key'),
        ('{"a": 1,\n"data": {}}', "data", 'FILE:2: "data" must be a JSON array of records, [{...}, {...}], found '
         "'{}}'"),
        ('{"data": [], "data": []}', "data", 'FILE:1: "data" stands in the object twice; keep one of them'),
        ('{"data": []', "data", "FILE: no valid JSON (Expecting ',' delimiter at line 1 column 12): ''; mend the file "
         "there"),
        ('{"a": 1, b: 2}', "data", "FILE: no valid JSON (Expecting a key in double quotes at line 1 column 10): "
         "'b: 2}'; mend the file there"),
    ],
)  # fmt: skip
def test_bad_arrays(tmp_path: Path, text: str, key: str | None, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as raised:
        list(json_array(path, "utf-8", key))
    assert str(raised.value).replace(str(path), "FILE") == message


def test_numbers_that_a_piece_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in range(1, 12):
        monkeypatch.setattr(reader, "_BYTES_AT_ONCE", size)
        stream = JsonStream(write(tmp_path, "[-1.25e+10, 1e5,12 ]"), "utf-8")
        assert [value for value, _ in stream.items("number")] == [-1.25e10, 1e5, 12]


def test_lines_of_other_systems(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\r{"a": 2}\r\n\n{"a": 3}')
    found = [(record["a"], where) for record, where in json_lines(path, "utf-8")]
    assert found == [(1, f"{path}:1"), (2, f"{path}:2"), (3, f"{path}:4")]


@pytest.mark.parametrize("read", [text_chunks, text_lines, json_lines, json_array])
def test_files_are_not_held(tmp_path: Path, read: Any) -> None:
    """Of 20 MB, no more than some pieces of 1 MiB are in memory at a time."""
    line = json.dumps({"x": "y" * 1000})
    lines = [line] * 20_000
    path = write(tmp_path, f"[{','.join(lines)}]" if read is json_array else "\n".join(lines))
    del lines
    tracemalloc.start()
    try:
        for _ in read(path, "utf-8"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
