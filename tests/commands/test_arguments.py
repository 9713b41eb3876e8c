"""What `evaluate` and `predict` refuse before they load a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from luke_tasks.__main__ import main
from luke_tasks.commands.evaluate import output_names
from luke_tasks.errors import LukeTasksError

NO_ARCHIVE = "model.tar.gz: no such archive; expected a model.tar.gz or the directory of a run"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with two data files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("Paris B-LOC\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("evaluate model.tar.gz a.txt", NO_ARCHIVE),
        ("evaluate model.tar.gz nope.txt", "nope.txt: no such file; expected a data file"),
        ("evaluate model.tar.gz a.txt,.", ".: is a directory; expected a data file"),
        ("evaluate model.tar.gz ,", "no file to score on; name one, or several with commas between"),
        ("evaluate model.tar.gz a.txt --batch-size 0", "--batch-size: expected a positive number, found 0"),
        ("evaluate model.tar.gz a.txt --output-file out/m.json",
         "out/m.json: cannot be written, for there is no directory out"),
        ("evaluate model.tar.gz a.txt --predictions-output-file .",
         ".: is a directory; expected the name of a file to write"),
        ("evaluate model.tar.gz a.txt,b.txt --output-file m.json",
         "2 input file(s) need as many output files, found 1: m.json"),
        ("predict model.tar.gz a.txt", NO_ARCHIVE),
        ("predict model.tar.gz nope.txt", "nope.txt: no such file; expected a file of lines, or - for standard input"),
        ("predict model.tar.gz .", NO_ARCHIVE),
        ("predict model.tar.gz *.json", "*.json: matches no file; expected a file of lines, or - for standard input"),
        ("predict model.tar.gz a.txt --batch-size -3", "--batch-size: expected a positive number, found -3"),
        ("evaluate model.tar.gz a.txt --max-tokens 0", "--max-tokens: expected a positive number, found 0"),
        ("predict model.tar.gz a.txt --max-tokens -1", "--max-tokens: expected a positive number, found -1"),
        ("predict model.tar.gz a.txt --output-file out/p.jsonl",
         "out/p.jsonl: cannot be written, for there is no directory out"),
        ("predict model.tar.gz - --use-dataset-reader", "--use-dataset-reader reads a file, not standard input"),
    ],
)  # fmt: skip
def test_refused(arguments: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.splitlines()) == ("", [line])


def test_output_names() -> None:
    inputs = ["data/a.txt", "b.tar.txt"]
    assert output_names(None, inputs, False, ".outputs") == [None, None]
    assert output_names("x,y", inputs, False, ".outputs") == ["x", "y"]
    assert output_names(None, inputs, True, ".preds") == ["data/a.preds", "b.tar.preds"]
    with pytest.raises(LukeTasksError):
        output_names("x,y,z", inputs, False, ".outputs")
