"""Processes that need not import torch: a server that has imported it forks one for each command line.

`python -m tests.docs.forks SOCKET` is the server. `write_programs(folder, socket)` puts `allennlp`, `luke-tasks` and
`python` into a folder for the PATH: each hands its arguments, folder, environment and standard files to the server,
passes on SIGINT and SIGTERM, and ends as the forked process does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({socket!r})
request = dict(program=os.path.basename(sys.argv[0]), arguments=sys.argv[1:], folder=os.getcwd())
request["environment"] = dict(os.environ)
request = json.dumps(request).encode()
socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(request)
pid = int.from_bytes(connection.recv(8), "big")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
sys.exit(connection.recv(1)[0])
"""


def write_programs(folder: Path, address: Path) -> None:
    """The programs that ask the server at `address`."""
    folder.mkdir(parents=True)
    for name in ("allennlp", "luke-tasks", "python", "python3"):
        program = folder / name
        program.write_text(_CLIENT.format(python=sys.executable, socket=str(address)), encoding="utf-8")
        program.chmod(0o755)


def serve(address: str) -> NoReturn:
    """Answer requests until killed."""
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401

    import luke_tasks.predictor  # noqa: F401
    import tests.faults.preloaded  # noqa: F401  which trains and evaluates once

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    gc.collect()
    gc.freeze()  # else each fork copies what its garbage collector looks at
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            listener.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    """Fork the process that was asked for, tell its id, wait for it, tell its exit status."""
    header, files, _, _ = socket.recv_fds(connection, 8, 3)
    size, data = int.from_bytes(header, "big"), b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(data), files)
    for file in files:
        os.close(file)
    connection.sendall(pid.to_bytes(8, "big"))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Do the work of the program that was asked for, in this process."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    status = 0
    try:
        arguments = request["arguments"]
        if request["program"].startswith("python") and arguments[:2] != ["-m", "luke_tasks"]:
            _run(arguments)
        else:
            sys.exit(_run_command(arguments if arguments[:1] != ["-m"] else arguments[2:]))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)


def _run_command(arguments: list[str]) -> int:
    """What `luke-tasks ARGUMENTS` does; the exit status."""
    from luke_tasks.__main__ import main
    from tests.docs.shortened import shortened

    sys.argv = ["luke-tasks", *shortened(arguments)]
    return main()


def _run(arguments: list[str]) -> None:
    """What `python ARGUMENTS` does, for `-m MODULE`, `-c TEXT`, `-` and a file."""
    kind = arguments[0] if arguments else "-"
    if kind == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif kind in ("-c", "-"):
        sys.argv = arguments
        sys.path.insert(0, os.getcwd())
        text = arguments[1] if kind == "-c" else sys.stdin.read()
        exec(compile(text, "<snippet>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(kind).resolve().parent))
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
