"""Runs the blocks of a page in order, in a folder with this project's data, configs and scripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import yaml

from luke_tasks.__main__ import make_parser
from luke_tasks.config import load_config
from luke_tasks.errors import LukeTasksError
from luke_tasks.experiment_config import read_config
from tests.conftest import ROOT
from tests.docs.blocks import Block
from tests.docs.shortened import ADDED, TINY

_SECONDS = 120  # for one block
_PORT = 8000
_OURS = re.compile(
    r"(?:^|[|;&]\s*|\s-m\s+)(?:allennlp|luke-tasks|luke_tasks)\s+(?P<arguments>[a-z][^|;&\n]*)", re.MULTILINE
)
_URL = re.compile(r"https?://127\.0\.0\.1:(\d+)")
_EXTERNAL = re.compile(r"""std\.extVar\(\s*["'](\w+)["']\s*\)""")


class PageError(AssertionError):
    """A block of a page does not do what the page says."""


class Project:
    """A folder like a clone of this project, in which the blocks of one page run.

    Args:
        folder: empty. programs: the folder of `allennlp`, `luke-tasks` and `python` for the PATH.
        checkpoint: a tiny encoder, for blocks marked `tiny`.
    """

    def __init__(self, folder: Path, programs: Path, checkpoint: Path) -> None:
        self.folder = folder
        self.checkpoint = checkpoint
        self.output = ""  # of the block before
        self._servers: list[subprocess.Popen[bytes]] = []
        self._port = _PORT  # of the server that was started last; pages speak of the usual one
        for name in ("data", "configs", "scripts"):
            (folder / name).symlink_to(ROOT / name)
        self._environment = {
            **os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1",
            "COLUMNS": "120", "NO_COLOR": "1",
        }  # fmt: skip

    def run(self, block: Block) -> None:
        """Raises PageError where it fails, or prints other than the page says."""
        if block.mark.file is not None:
            path = self.folder / block.mark.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.mark.skip is not None:
            if block.language == "bash":
                parse_command_lines(block.text)
            return
        if block.mark.printed:
            compare(block.text, self.output)
            return
        run = getattr(self, f"_{block.language or 'nothing'}", None)
        if run is None:
            raise PageError(f"no way to run a block of {block.language or 'no language'!r}: name one, or skip REASON")
        run(block)

    def close(self) -> None:
        """Stop the servers of the page. Raises PageError where one did not end with status 0."""
        for server in self._servers:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
                raise PageError("the server did not end within 20 s of SIGTERM") from None

    def _bash(self, block: Block) -> None:
        parse_command_lines(block.text)
        script = block.text.replace(f"127.0.0.1:{_PORT}", f"127.0.0.1:{self._port}")
        self._execute(["bash", "-euo", "pipefail", "-c", script], block)

    def _console(self, block: Block) -> None:
        """Lines `$ COMMAND`, each with what it prints."""
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            parse_command_lines(command)
            self._execute(["bash", "-euo", "pipefail", "-c", command], block)
            compare(expected, self.output)

    def _python(self, block: Block) -> None:
        self._execute(["python", "-c", block.text], block)

    def _text(self, block: Block) -> None:
        if block.mark.file is None:
            compare(block.text, self.output)

    def _json(self, block: Block) -> None:
        try:
            json.loads(block.text)
        except ValueError:
            for line in block.text.splitlines():
                json.loads(line)

    def _yaml(self, block: Block) -> None:
        yaml.safe_load(block.text)

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _jsonnet(self, block: Block) -> None:
        """A config, or keys of one, laid over another; only evaluated where it is neither."""
        if block.mark.broken:
            return
        text = block.text
        if re.match(r"\s*(//[^\n]*\s+)*\w+\+?:", text):  # keys without the braces around them
            text = f"{{{text}}}"
        if block.mark.over is not None:
            text = f'(import "{block.mark.over}") + {text}'
        place = self.folder / (block.mark.file or "block.jsonnet")
        source = place.with_name(f"checked-{place.name}")
        source.write_text(text, encoding="utf-8")
        for name in _EXTERNAL.findall(text):
            os.environ.setdefault(name, str(ROOT / "README.md"))  # any file that is there
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            values = load_config(source, allow_imports=[str(ROOT / "configs"), str(self.folder)]).values
            if {"model", "trainer", "dataset_reader"} <= values.keys():
                read_config(source, allow_imports=[str(ROOT / "configs"), str(self.folder)])
            elif block.mark.over is not None:
                raise PageError(f"{block.mark.over} is no config")
        except LukeTasksError as error:
            raise PageError(str(error)) from None
        finally:
            os.chdir(here)

    def _execute(self, command: list[str], block: Block) -> None:
        environment = {**self._environment, ADDED: json.dumps(block.mark.flags)}
        if block.mark.tiny:
            environment[TINY] = str(self.checkpoint)
        log = self.folder / f"line-{block.line}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
            if block.mark.serve:
                self._servers.append(process)
                self._port = _wait_for_server(process, log)
                self.output = log.read_text(encoding="utf-8").replace(f":{self._port}/", f":{_PORT}/")
                return
            try:
                status = process.wait(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(timeout=10)
                    os.killpg(process.pid, signal.SIGKILL)
                status = None
        self.output = log.read_text(encoding="utf-8", errors="replace")
        if status != block.mark.fails:
            found = f"not done after {_SECONDS} s" if status is None else f"exit status {status}"
            raise PageError(f"{found}, expected {block.mark.fails}:\n{block.text}\n--- printed:\n{self.output[-3000:]}")


def compare(expected: str, output: str) -> None:
    """Each line of `expected` must be a line of `output`, in order; `...` in it stands for anything.

    Raises PageError with the first that is not.
    """
    lines = iter([line.strip() for line in output.splitlines()])
    for line in filter(None, (line.strip() for line in expected.splitlines())):
        if line == "...":
            continue
        pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("...")))
        if not any(pattern.fullmatch(" ".join(found.split())) for found in lines):
            raise PageError(f"the page says\n  {line}\nwhich was not printed (here). Printed was:\n{output[-3000:]}")


def parse_command_lines(script: str) -> None:
    """Parse each command line of luke-tasks in a script. Raises PageError for one that it does not take."""
    for match in _OURS.finditer(script.replace("\\\n", " ")):
        try:
            words = shlex.split(match["arguments"], comments=True)
        except ValueError:  # a quote that goes on beyond | or ; belongs to a line that is run, or to no skipped one
            continue
        words = words[: next((index for index, word in enumerate(words) if word[0] in "<>"), len(words))]
        try:
            make_parser().parse_args(words)
        except SystemExit as error:
            if error.code:
                raise PageError(f"not a command line of luke-tasks: {match[0].strip()}") from None


def _wait_for_server(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port at which it answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := _URL.search(log.read_text(encoding="utf-8", errors="replace")):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(found[1])), timeout=1):
                return int(found[1])
        time.sleep(0.1)
    raise PageError(f"no server came up:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
