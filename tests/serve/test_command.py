"""`luke-tasks serve` from the command line: names, wrong requests, and its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from luke_tasks.__main__ import main
from luke_tasks.errors import LukeTasksError
from luke_tasks.serve.server import address_of, bind, is_loopback, named_archives
from tests.serve.live import wait_until


def test_sigterm_lets_requests_in_flight_end(archives: dict[str, Path]) -> None:
    """They have their answers; then the exit status is SIGTERM's."""
    command = [sys.executable, "-m", "luke_tasks", "serve", f"{archives['ner']}", "--name", f"other={archives['ner']}",
               "--port", "0", "--threads", "1", "--batch-wait-ms", "1500", "--cuda-device", "-1"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stderr is not None
    last_resort = threading.Timer(100, process.kill)
    last_resort.start()
    try:
        lines: list[str] = []
        while not lines or not lines[-1].startswith("page: "):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        assert lines[:-1] == [f"{name}: {archives['ner']} (ner)\n" for name in ("ner", "other")]
        found = re.match(r"page: (http://127\.0\.0\.1:\d+)/ ", lines[-1])
        assert found is not None, lines
        address = found[1]
        wait_until(lambda: _answers(address))
        with ThreadPoolExecutor(1) as pool:  # the input waits for others of its batch while the signal comes
            answer = pool.submit(httpx.post, f"{address}/api/ner/predict", json={"text": "London"}, timeout=60)
            metric = 'luke_tasks_requests_in_flight{model="ner"} 1.0'
            wait_until(lambda: metric in httpx.get(f"{address}/metrics").text)
            process.send_signal(signal.SIGTERM)
            assert answer.result().json()["text"] == "London"
        assert process.wait(30) == 143
        assert process.stderr.read().splitlines() == [
            "stopping: no new requests, those in flight get their answers", "interrupted"
        ]  # fmt: skip
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    finally:
        last_resort.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").json()["ready"]  # type: ignore[no-any-return]
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "no archive to serve: give a model.tar.gz or the directory of a run"),
        (["runs/a", "other/runs/a"], "runs/a, other/runs/a would all be called 'a'; name them: --name NAME=ARCHIVE"),
        (["--name", "runs/a"], "--name runs/a: expected NAME=ARCHIVE, the name of letters, digits, dots, - and _"),
        (["--name", "a b=runs/a"], "--name a b=runs/a: expected NAME=ARCHIVE, the name of letters, digits, dots, -"),
        (["x", "--timeout", "nan"], "--timeout: expected a positive number, found nan"),
        (["x", "--max-batch-size", "0"], "--max-batch-size: expected a positive number, found 0"),
        (["x", "--batch-wait-ms", "-1"], "--batch-wait-ms: expected milliseconds from 0 on, found -1.0"),
        (["x", "--port", "65536"], "--port: expected 0 to 65535, found 65536"),
        (["x", "--host", "no.such.host.invalid"], "--host no.such.host.invalid: no such address; give this machine's"),
        (
            ["no/such/archive", "--port", "0"],
            "no/such/archive: no such archive; expected a model.tar.gz or the directory of a run",
        ),
    ],
)
def test_wrong_requests(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 2
    assert capsys.readouterr().err.startswith(line)


def test_without_its_libraries(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "x"]) == 2
    assert capsys.readouterr().err == "serve needs uvicorn: pip install 'luke-tasks[serve]'\n"


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """Is said before a model is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "no/such/archive", "--port", str(port)]) == 2
    expected = f"127.0.0.1:{port}: address already in use; give another address with --host and --port (--port 0: any"
    assert capsys.readouterr().err.startswith(expected)


def test_names() -> None:
    """Of the run's directory, whatever form its archive has."""
    given = ["runs/ner/model.tar.gz", "runs/relations/", "studio-ousia/luke-large-finetuned-conll-2003", "my run"]
    assert list(named_archives(given, ["best=x=y"])) == [
        "ner", "relations", "luke-large-finetuned-conll-2003", "my-run", "best"
    ]  # fmt: skip
    assert named_archives([], ["best=x=y"]) == {"best": "x=y"}
    with pytest.raises(LukeTasksError, match="'ner'"):
        named_archives(["a/ner", "b/ner/model.tar.gz"], [])


def test_addresses() -> None:
    with bind("127.0.0.1", 0) as own, bind("0.0.0.0", 0) as every:
        assert is_loopback(own) and not is_loopback(every)
        assert address_of(every) == f"http://127.0.0.1:{every.getsockname()[1]}"
