"""`export`: what it asks for, what it leaves, and what goes to the hub."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from tests.interop.checkpoints import NER, fine_tuned


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that needs no training."""
    return fine_tuned(tmp_path_factory.mktemp("checkpoint") / "ner", NER)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["export", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


# -- the folder -------------------------------------------------------------------------------------------------------


def test_occupied_folder(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = [str(checkpoint), str(out), "--to", "huggingface"]
    assert main(["export", *arguments]) == 0  # an empty one is as good as none
    (out / "old").touch()
    written = (out / "config.json").read_bytes()
    assert refusal(capsys, *arguments) == (
        f"{out}: the directory is not empty; -f replaces the export in it, or choose another"
    )
    (out / "config.json").write_text("{}", encoding="utf-8")
    assert main(["export", *arguments, "-f"]) == 0
    assert (out / "config.json").read_bytes() == written
    assert not (out / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("format", ["lite", "onnx"])
def test_less_onto_itself(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str) -> None:
    """-f replaces an export, but never the only copy of what is exported."""
    shutil.copytree(checkpoint, tmp_path / "ner")
    source = tmp_path / "ner" / ".." / "ner"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert refusal(capsys, str(source), str(tmp_path / "ner"), "--to", format, "-f") == (
        f"{tmp_path / 'ner'}: holds {source} itself, which is not replaced by less; choose another folder"
    )
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_something_else_in_the_folder(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").touch()
    arguments = [str(checkpoint), str(tmp_path), "--to", "huggingface", "-f"]
    assert refusal(capsys, *arguments) == (
        f"{tmp_path}: does not look like an export (neither tokenizer_config.json nor model.onnx is in it), and is not "
        "replaced; choose another"
    )
    file = tmp_path / "thesis.tex"
    assert refusal(capsys, str(checkpoint), str(file), "--to", "huggingface") == (
        f"{file}: is a file; expected a folder to write to"
    )
    assert file.exists()


def test_onto_itself(checkpoint: Path, tmp_path: Path) -> None:
    """What is read stands in memory before it is replaced."""
    for source, flag in ((checkpoint, []), (tmp_path / "out", ["-f"])):
        assert main(["export", str(source), str(tmp_path / "out"), "--to", "huggingface", *flag]) == 0
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > 1000


# -- the arguments ----------------------------------------------------------------------------------------------------


def test_no_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.tar.gz"
    assert refusal(capsys, str(path), str(tmp_path / "out"), "--to", "huggingface").startswith(
        f"{path}: no such archive; expected "
    )


def test_format(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["export", str(checkpoint), str(tmp_path / "out"), "--to", "paper"])
    assert raised.value.code == 2
    assert "invalid choice: 'paper'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["me/../you", "-model", "a/b/c"])
def test_repo_name(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Seen before anything is written."""
    message = refusal(capsys, str(checkpoint), str(tmp_path / "out"), "--to", "huggingface", f"--push-to-hub={name}")
    assert message.startswith(f"--push-to-hub {name!r}: no name the hub could have: ")
    assert not (tmp_path / "out").exists()


def test_private_alone(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(checkpoint), str(tmp_path / "out"), "--to", "huggingface", "--private"]
    assert refusal(capsys, *arguments) == "--private goes with --push-to-hub REPO"


# -- the hub ----------------------------------------------------------------------------------------------------------


class FakeHub(ThreadingHTTPServer):
    """As much of the hub as an upload of small files needs, on this machine."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status  # of the answer when a repository is asked for
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str | None] = set()
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens.add(self.headers.get("Authorization"))
        self.server.requests.append(("POST", self.path))
        address = f"http://127.0.0.1:{self.server.server_port}/someone/tiny-luke"
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            answer: dict[str, Any] = {"url": address, "name": "someone/tiny-luke", "id": "someone/tiny-luke"}
            return self.answer(self.server.status, answer if self.server.status == 200 else {"error": "Not yours"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if self.path == "/api/models/someone/tiny-luke/preupload/main":
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for file in json.loads(body)["files"]]  # fmt: skip
            return self.answer(200, {"files": files})
        if self.path.startswith("/api/models/someone/tiny-luke/commit/main"):
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    self.server.files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            return self.answer(200, {"commitUrl": f"{address}/commit/1234", "commitOid": "1234", "success": True})
        return self.answer(404, {"error": f"no {self.path}"})

    def do_GET(self) -> None:
        self.server.requests.append(("GET", self.path))
        if self.server.status == 200:
            self.answer(200, {"id": "someone/tiny-luke", "sha": "1234", "siblings": []})
        else:
            self.answer(404, {"error": "Repository not found"})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status != 200:
            self.send_header("X-Error-Message", content["error"])
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Not on the terminal."""


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[FakeHub]:
    server = FakeHub(getattr(request, "param", 200))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def push(checkpoint: Path, folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's client reads its address once."""
    environment = {
        **os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_test",
        "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    command = [sys.executable, "-m", "luke_tasks", "export", str(checkpoint), str(folder / "out"), "--to",
               "huggingface", "--push-to-hub", "someone/tiny-luke", "--private"]  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_push_to_hub(checkpoint: Path, tmp_path: Path, hub: FakeHub) -> None:
    done = push(checkpoint, tmp_path, f"http://127.0.0.1:{hub.server_port}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"http://127.0.0.1:{hub.server_port}/someone/tiny-luke/commit/1234"
    assert len(hub.created) == 1
    assert hub.created[0]["name"] == "tiny-luke" and hub.created[0]["organization"] == "someone"
    assert hub.created[0].get("private") is True or hub.created[0].get("visibility") == "private"
    assert hub.tokens == {"Bearer hf_test"}
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert hub.files == written
    assert b"luke_tasks.load('someone/tiny-luke')" in written["README.md"]


@pytest.mark.parametrize("hub", [403], indirect=True)
def test_refused_by_the_hub(checkpoint: Path, tmp_path: Path, hub: FakeHub) -> None:
    done = push(checkpoint, tmp_path, f"http://127.0.0.1:{hub.server_port}")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"{tmp_path / 'out'}: is written, but the hub has not taken it as someone/tiny-luke: ")
    assert "Traceback" not in done.stderr
    assert hub.files == {}
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_no_hub(checkpoint: Path, tmp_path: Path) -> None:
    done = push(checkpoint, tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"{tmp_path / 'out'}: is written, but the hub has not taken it as someone/tiny-luke: ")
