"""A stand-in for W&B's server on the loopback: as much GraphQL as `wandb sweep` and `wandb agent` ask for.

It keeps the sweep it is given, hands one agent the runs it was told to, then tells it to exit.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT, SWEEP = "tester", "luke", "fakesweep"


class FakeWandb:
    """What the server was told, and what it is to tell.

    Args:
        runs: the parameters of each run the agent is to make; run N has the id `runN`.
    """

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs
        self.sweep: str | None = None  # its YAML
        self.handed = 0
        self.states: list[dict[str, bool]] = []  # which runs the agent says are going on, at each of its heartbeats
        self.unknown: list[str] = []
        self.url = ""

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The `data` of an answer."""
        project = {"id": "p", "name": PROJECT, "entity": {"id": "e", "name": ENTITY}}
        if "upsertSweep" in query:
            self.sweep = variables["config"]
            return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}
        if "sweep(sweepName" in query:
            sweep = {"id": "s", "name": SWEEP, "state": "RUNNING", "config": self.sweep, "runs": {"edges": []}}
            return {"project": {**project, "sweep": sweep}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "agent"}}}
        if "agentHeartbeat" in query:
            self.states.append(json.loads(variables["runState"]))
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(self.commands())}}
        if "viewer" in query:
            return {"viewer": {"id": "v", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}
        self.unknown.append(query)
        return {}

    def commands(self) -> list[dict[str, Any]]:
        """The next run, once the one before is over; then the end."""
        if any(self.states[-1].values()):
            return []
        self.handed += 1
        if self.handed > len(self.runs):
            return [{"type": "exit"}]
        args = {name: {"value": value} for name, value in self.runs[self.handed - 1].items()}
        return [{"type": "run", "run_id": f"run{self.handed - 1}", "program": "luke-tasks", "args": args}]


@contextmanager
def serving(fake: FakeWandb) -> Iterator[FakeWandb]:
    """`fake` at a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.path == "/graphql"  # the client also sends figures of its own use
            asked = json.loads(text) if known else {}
            answer = {"data": fake.answer(asked["query"], asked.get("variables") or {})} if known else {}
            body = json.dumps(answer).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
