"""Bulk prediction on a local Ray with two workers: the same predictions, whatever dies."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bulk.conftest import alike, lines, plain, predict, read

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One Ray for all tests here; `predict` finds it, and leaves it running."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False,
             logging_level=logging.ERROR)  # fmt: skip
    yield
    ray.shutdown()


def test_workers_die(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two workers one is killed once, one at each try of a shard; a line is bad. The rest is as without Ray."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a.txt").write_text(lines(25), encoding="utf-8")
    Path("in/b.jsonl").write_text(
        '{"id": "own", "words": ["Barack", "Obama"]}\n\nParis beat Somerset\n', encoding="utf-8"
    )
    Path("in/bad.txt").write_text(lines(2) + '{"text": 1}\n', encoding="utf-8")
    Path("in/deadly.txt").write_text(lines(2) + "DIE\n", encoding="utf-8")
    Path("in/once.txt").write_text(lines(2) + "DIE-ONCE note\n", encoding="utf-8")
    fragile = ("--include-package", "tests.plugins.fragile", "-o", '{"dataset_reader.type": "test_fragile"}')
    run = ("in", "--output-dir", "out", "--shard-size", "10", *fragile)

    assert predict(archive, *run, "--ray", "--workers", "2", "--retries", "1") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    *_, summary, bad, deadly = printed.err.splitlines()
    assert "7 shard(s): 5 done, 0 finished before and skipped, 2 failed; 30 records in " in summary
    assert bad == 'error: in/bad.txt: failed: in/bad.txt:3: "text" must be a string, found 1'
    assert deadly == ("error: in/deadly.txt: failed: its worker died in each of 2 tries: killed, out of memory, or "
                      "crashed")  # fmt: skip
    died = Path("tries-of-DIE").read_text(encoding="utf-8").split()
    assert len(died) == len(set(died)) == 2  # processes
    assert len(Path("note").read_text(encoding="utf-8").split()) == 2
    assert {path.name for path in Path("out").iterdir() if path.suffix == ".jsonl"} == {
        *(f"a.txt.part-0000{part}.jsonl" for part in (1, 2, 3)), "b.jsonl.jsonl", "once.txt.jsonl",
    }  # fmt: skip
    assert {path.suffix for path in Path("out").iterdir()} == {".json", ".jsonl"}
    by_ray = read(Path("out"))
    alike(by_ray, plain(archive, capsys, "in/a.txt", "in/b.jsonl", "in/once.txt"))
    assert "own" in by_ray and "in/b.jsonl:3" in by_ray

    # What was bad is repaired: only that is done, in this process, and then there is nothing left for Ray.
    Path("in/bad.txt").write_text(lines(3), encoding="utf-8")
    Path("in/deadly.txt").write_text(lines(3), encoding="utf-8")
    capsys.readouterr()
    assert predict(archive, *run) == 0
    assert "7 shard(s): 2 done, 5 finished before and skipped, 0 failed; 6 records in " in capsys.readouterr().err
    assert predict(archive, *run, "--ray") == 0
    assert "7 shard(s): 0 done, 7 finished before and skipped, 0 failed; 0 records in " in capsys.readouterr().err


def test_an_archive_that_cannot_be_loaded(archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(archive).read_bytes()
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(data[: len(data) // 2])
    (tmp_path / "a.txt").write_text(lines(2), encoding="utf-8")
    assert predict(str(broken), str(tmp_path / "a.txt"), "--output-dir", str(tmp_path / "out"), "--ray") == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith(f"{broken}: not a readable model.tar.gz, perhaps cut short or damaged (")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
