"""Bulk prediction in this process: what is cut, skipped, redone, refused."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.bulk import predict_files
from luke_tasks.bulk.shards import find_files, plan
from luke_tasks.bulk.worker import Job, Worker
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.training.run_lock import run_lock
from tests.bulk.conftest import alike, lines, plain, predict, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with three input files."""
    monkeypatch.chdir(tmp_path)
    Path("corpus/sub").mkdir(parents=True)
    Path("corpus/a.txt").write_text(lines(25), encoding="utf-8")
    Path("corpus/sub/b.txt").write_text("\n" + lines(3, "Paris"), encoding="utf-8")
    records = [{"id": f"r{index}", "words": ["Barack", "Obama", str(index)]} for index in range(4)]
    Path("corpus/c.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    Path("corpus/.hidden").write_text("no input", encoding="utf-8")


def test_a_folder_then_the_same_again(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("corpus", "--output-dir", "out", "--shard-size", "10")
    expected = plain(archive, capsys, "corpus")
    of_a, of_b = [f"corpus/a.txt:{n}" for n in range(1, 26)], [f"corpus/sub/b.txt:{n}" for n in (2, 3, 4)]
    assert expected.keys() == {*of_a, *of_b, "r0", "r1", "r2", "r3"}
    assert any(record["entities"] for record in expected.values())

    assert predict(archive, *run) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "5 shard(s): 5 done, 0 finished before and skipped, 0 failed; 32 records in " in printed.err
    out = Path("out")
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.jsonl")) == [
        *(f"a.txt.part-0000{part}.jsonl" for part in (1, 2, 3)), "c.jsonl.jsonl", "sub/b.txt.jsonl",
    ]  # fmt: skip
    alike(read(out), expected)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert len(written) == 10  # an output and a manifest a shard, nothing else

    assert predict(archive, *run) == 0
    assert "5 shard(s): 0 done, 5 finished before and skipped, 0 failed; 0 records" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == written

    # A line of the second part is another, an output is cut short, a file is new: these three are redone.
    Path("corpus/a.txt").write_text(lines(25).replace("by 15 runs", "by 16 runs"), encoding="utf-8")
    os.truncate(out / "c.jsonl.jsonl", 20)
    Path("corpus/d.txt").write_text(lines(1), encoding="utf-8")
    expected = plain(archive, capsys, "corpus")
    assert predict(archive, *run, "--batch-size", "3") == 0
    assert "6 shard(s): 3 done, 3 finished before and skipped, 0 failed; 15 records" in capsys.readouterr().err
    alike(read(out), expected)
    assert (out / "a.txt.part-00001.jsonl").stat().st_mtime_ns == written[out / "a.txt.part-00001.jsonl"]

    # Other options redo all; parts that are no more are deleted.
    assert predict(archive, *run[:3], "-o", '{"dataset_reader.max_mention_length": 2}') == 0
    printed = capsys.readouterr()
    assert "3 output(s) of parts that are no more were deleted" in printed.err
    assert "4 shard(s): 4 done, 0 finished before and skipped" in printed.err
    assert read(out).keys() == expected.keys()


def test_a_bad_line(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines(25)
    Path("corpus/a.txt").write_text(text.replace("London beat Phil Simmons by 14", '{"text": '), encoding="utf-8")
    assert predict(archive, "corpus/a.txt", "corpus/c.jsonl", "--output-dir", "out", "--shard-size", "10") == 1
    printed = capsys.readouterr().err.splitlines()
    assert "4 shard(s): 3 done, 0 finished before and skipped, 1 failed; 19 records in " in printed[-2]
    assert printed[-1].startswith("error: corpus/a.txt part 2 (from line 11): failed: corpus/a.txt:14: no valid JSON ")
    assert not Path("out/a.txt.part-00002.jsonl").exists()
    Path("corpus/a.txt").write_text(text, encoding="utf-8")
    assert predict(archive, "corpus/a.txt", "corpus/c.jsonl", "--output-dir", "out", "--shard-size", "10") == 0
    assert "4 shard(s): 1 done, 3 finished before and skipped, 0 failed; 10 records" in capsys.readouterr().err


def test_the_format_of_the_dataset(archive: str, ner_files: dict[str, str]) -> None:
    assert predict(archive, ner_files["valid"], "--output-dir", "out", "--use-dataset-reader", "--shard-size", "2") == 0
    reader = luke_tasks.load(archive, cuda_device=-1).reader
    assert list(read(Path("out"))) == [example.id for example in reader.read(ner_files["valid"])]


def test_a_broken_archive(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(archive).read_bytes()
    Path("broken.tar.gz").write_bytes(data[: len(data) // 2])
    assert predict("broken.tar.gz", "corpus", "--output-dir", "out") == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(f"{Path('broken.tar.gz').absolute()}: not a readable model")
    )
    assert [path for path in Path("out").rglob("*") if path.is_file()] == []


def test_from_python(archive: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(4), encoding="utf-8")
    summary = predict_files(archive, [tmp_path / "a.txt"], tmp_path / "out", lines_per_shard=2, cuda_device=-1)
    assert (summary.done, summary.skipped, summary.failed, summary.records) == (2, 0, {}, 4)
    made = json.loads((tmp_path / "out" / "a.txt.part-00002.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert (made["input"]["first_line"], made["records"]) == (3, 2)


def test_two_runs_into_one_folder(archive: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(2), encoding="utf-8")
    (tmp_path / "out").mkdir()
    with (
        run_lock(tmp_path / "out"),
        pytest.raises(LukeTasksError, match=f"process {os.getpid()} on .* is writing .* another --output-dir$"),
    ):
        predict_files(archive, [tmp_path / "a.txt"], tmp_path / "out", cuda_device=-1)
    assert predict_files(archive, [tmp_path / "a.txt"], tmp_path / "out", cuda_device=-1).done == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("- --output-dir out", "standard input cannot be cut into shards; --output-dir goes with files"),
        ("corpus --output-dir out --output-file x", "--output-file and --output-dir: give one of them"),
        ("corpus --ray", "--ray goes with --output-dir, where the predictions are written"),
        ("corpus --output-dir out --workers 2", "--workers goes with --ray"),
        ("corpus --output-dir out --ray --workers 0", "workers: expected a positive number, found 0"),
        ("corpus --output-dir out --shard-size 0", "lines per shard: expected a positive number, found 0"),
        ("corpus --output-dir out --retries -1", "retries: expected 0 or more, found -1"),
        ("corpus --output-dir corpus/a.txt/x", "corpus/a.txt/x: cannot be a folder of predictions, for corpus/a.txt is "
         "a file"),
        ("corpus/*.csv --output-dir out", "corpus/*.csv: matches no file; expected a file, a folder, or a pattern as "
         "'corpus/*.txt'"),
        ("corpus --output-dir out", "model.tar.gz: no such archive; expected a model.tar.gz or the directory of a run"),
    ],
)  # fmt: skip
def test_refused(arguments: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "model.tar.gz", *arguments.split()]) == 2
    assert capsys.readouterr().err.splitlines() == [line]
    assert not Path("out").exists()


def test_ray_is_missing(archive: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["predict", archive, "corpus", "--output-dir", "out", "--ray"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("pip install 'luke-tasks[ray]'")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_no_cluster_answers(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", archive, "corpus", "--output-dir", "out", "--ray-address", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("127.0.0.1:1: no Ray cluster answers there: ")


def test_files_patterns_and_outputs() -> None:
    out = Path("corpus/out")
    out.mkdir()
    (out / "a.txt.jsonl").write_text("", encoding="utf-8")

    def found(*inputs: str) -> list[tuple[str, str]]:
        return [(file.name, file.output_name) for file in find_files(inputs, "a file", apart_from=out)]

    every = [("corpus/a.txt", "a.txt"), ("corpus/c.jsonl", "c.jsonl"), ("corpus/sub/b.txt", "sub/b.txt")]
    assert found("corpus") == every
    assert found("corpus/sub/b.txt") == [("corpus/sub/b.txt", "b.txt")]
    assert found("corpus/**/*.txt") == [every[0], every[2]]
    assert found("corpus/a.txt", "./corpus/*.txt") == every[:1]
    Path("a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(LukeTasksError, match=r"^a.txt and corpus/a.txt would both be written to "):
        plan(find_files(["a.txt", "corpus/a.txt"], "a file"), out, 10)
    os.mkfifo("pipe")
    with pytest.raises(DataError, match=r"^pipe: is no plain file"):
        plan(find_files(["pipe"], "a file"), out, 10)


def test_shards_are_the_file() -> None:
    shards = plan(find_files(["corpus"], "a file"), Path("out"), 10)
    of_a = [shard for shard in shards if shard.name == "corpus/a.txt"]
    assert [(shard.part, shard.first_line) for shard in of_a] == [(1, 1), (2, 11), (3, 21)]
    assert b"".join(line for shard in of_a for line in shard.lines()) == Path("corpus/a.txt").read_bytes()
    for shard in shards:
        shard.check_unchanged()
    with Path("corpus/c.jsonl").open("a", encoding="utf-8") as file:
        file.write("more\n")
    for shard in shards:
        if shard.name == "corpus/c.jsonl":
            with pytest.raises(DataError, match=r"^corpus/c.jsonl: the file changed while it was worked on"):
                shard.check_unchanged()


def test_what_a_worker_reports(archive: str) -> None:
    Path("out").mkdir()
    (shard,) = plan(find_files(["corpus/c.jsonl"], "a file"), Path("out"), 10)
    job = Job(archive=archive, made_by={}, overrides="", include_packages=(), weights_file=None, batch_size=None,
              max_tokens=None, cuda_device=-1, precision="fp32", use_dataset_reader=False, retries=1,
              folder=os.getcwd(), marker="out")  # fmt: skip
    worker = Worker(job)
    shard.tries.write_text("begun\nbegun\n", encoding="utf-8")
    died = worker(shard)
    assert died.error == "its worker died in each of 2 tries, while it loaded the model: killed, or out of memory"
    assert died.exit_status == 1
    shard.tries.write_text("begun\nloaded\n", encoding="utf-8")  # one try is left
    assert (worker(shard).error, worker(shard).records) == ("", 4)
    Path(shard.output).parent.joinpath("c.jsonl.jsonl.partial").mkdir()  # which no try can write to
    failed = worker(shard)
    assert failed.exit_status == 0
    assert failed.error.endswith("c.jsonl.jsonl.partial: Is a directory (tried 2 times)")
    elsewhere = Worker(Job(**{**job.__dict__, "marker": "nowhere/mark"}))(shard)
    assert (elsewhere.exit_status, elsewhere.error.startswith("nowhere: the output folder is not there on ")) == (
        2,
        True,
    )
