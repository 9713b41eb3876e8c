"""Files of one JSON object with the records in an array, as SQuAD and ReCoRD have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luke_tasks.errors import DataError
from luke_tasks.readers.records import json_object_array


def read(path: Path, content: str) -> list[tuple[dict[str, object], str]]:
    path.write_text(content, encoding="utf-8")
    return [(record, where.replace(str(path), "FILE")) for record, where in json_object_array(path, "utf-8", "data")]


def test_records(tmp_path: Path) -> None:
    records = [{"id": 7, "data": [1]}, {"a": {"b": "]}"}}]
    for content in ({"version": "1.0", "data": records}, {"data": records, "more": {"data": [], "x": [1, 2]}}):
        for indent in (None, 2):
            found = read(tmp_path / "f", json.dumps(content, indent=indent) + "\n")
            assert [record for record, _ in found] == records
            assert [where for _, where in found] == ["FILE: record 1 (id 7)", "FILE: record 2"]
    assert read(tmp_path / "f", '{"data": []}') == []


def test_records_come_before_the_rest_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text('{"data": [{"id": 1}, {"id": 2}, oops', encoding="utf-8")
    records = json_object_array(path, "utf-8", "data")
    assert [next(records)[0], next(records)[0]] == [{"id": 1}, {"id": 2}]
    with pytest.raises(DataError, match=r"record 3: no valid JSON \(Expecting value at line 1 column 33\): 'oops'"):
        next(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE: the file is empty"),
        ('\n[{"id": 1}]', 'FILE:2: expected one JSON object with the records in an array, {"data": [...]}, found '
         "'[{\"id\": 1}]'"),
        ("{}", 'FILE: "data" is missing; found no key'),
        ('{"version": 1, "date": []}', "FILE: \"data\" is missing; found 'version', 'date'"),
        ('{"data": {"a": 1}}', 'FILE: "data" must be an array of records, found {"a": 1}'),
        ('{"data": [1]}', "FILE: record 1: expected a JSON object {...}, found 1"),
        ('{"data": [{"id": 3} {"id": 4}]}', "FILE: record 2: no valid JSON (Expecting ',' delimiter at line 1 column "
         "21): '{\"id\": 4}]}'; mend the file there"),
        ('{"data": [{"id": 3}]', "FILE: no valid JSON (Expecting ',' delimiter at line 1 column 21): ''; mend the file "
         "there"),
        ('{"data": [{"id": 3}]} x', "FILE: no valid JSON (Extra data after the object at line 1 column 22): ' x'; mend "
         "the file there"),
        ('{"data" []}', "FILE: no valid JSON (Expecting ':' delimiter at line 1 column 9): '[]}'; mend the file there"),
        ('{1: []}', "FILE: no valid JSON (Expecting a key in double quotes at line 1 column 3): ': []}'; mend the file "
         "there"),
        ('{"data": [],}', "FILE: no valid JSON (Expecting value at line 1 column 13): '}'; mend the file there"),
        ('{"data": [{"a": "\\ud800"}]}', "FILE: record 1: holds half a character (a lone \\ud800 to \\udfff): "
         "'{\"a\": \"\\\\ud800\"}]}'"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read(tmp_path / "f", content)
    assert str(raised.value).replace(str(tmp_path / "f"), "FILE") == message
