"""Suite `serve`: requests to `luke-tasks serve` from clients at the same time, beside a loop of single predictions.

Server and clients share the machine, so the clients' own work counts against the server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.options import ROOT, Options
from benchmarks.predicting import make_archive, sentences
from benchmarks.report import Table

_CLIENTS = (1, 8, 32)
_BAD = {"words": "no list of words"}
_PATIENCE_SECONDS = 0.05  # of the clients that leave
_HEADER = ("case", "requests/s", "p50", "p99", "refused", "left", "wrong answers")


@dataclass
class Load:
    """What came of the requests of one case, all rounds together."""

    case: str
    rates: list[float] = field(default_factory=list)  # answered requests a second, of each round
    seconds: list[float] = field(default_factory=list)  # of each answered request
    refused: int = 0
    left: int = 0
    wrong: int = 0  # answers other than the loop's

    def record(self) -> dict[str, Any]:
        """For JSON."""
        p50, p99 = (1000 * float(np.percentile(self.seconds, share)) for share in (50, 99))
        return {"case": self.case, "requests_per_second": float(np.median(self.rates)), "rates": self.rates,
                "p50_ms": p50, "p99_ms": p99, "requests": len(self.seconds), "refused": self.refused,
                "left": self.left, "wrong": self.wrong}  # fmt: skip


def serve(options: Options) -> list[Table]:
    """A loop of single predictions in this process; 1, 8 and 32 clients; and 32, of whose requests a tenth is bad and
    another tenth comes from clients that leave."""
    import httpx  # noqa: F401  before anything is started

    import luke_tasks

    texts = sentences(options.examples or 100)
    archive = options.archive or make_archive(options)
    device = 0 if options.device == "cuda" else -1
    predictor = luke_tasks.load(archive, cuda_device=device)
    expected = [_entities(prediction.to_json()) for prediction in predictor(texts)]
    loop = Load("a loop of single predictions")
    loads = {clients: Load(f"{clients} client{'s' if clients > 1 else ''}") for clients in _CLIENTS}
    mixed = Load(f"{_CLIENTS[-1]} clients, with bad requests and clients that leave")
    with _server(str(archive), device) as address:
        asyncio.run(_send(address, texts, expected, Load("warm-up"), clients=_CLIENTS[-1], mixed=False))
        for _ in range(options.repeats):
            _run_loop(predictor, texts, loop)
            for clients, load in loads.items():
                asyncio.run(_send(address, texts, expected, load, clients=clients, mixed=False))
            asyncio.run(_send(address, texts, expected, mixed, clients=_CLIENTS[-1], mixed=True))
    records = [load.record() for load in (loop, *loads.values(), mixed)]
    return [Table(_HEADER, [_row(record) for record in records], records, frozenset(_HEADER[1:]))]


def _run_loop(predictor: Any, texts: Sequence[str], load: Load) -> None:
    began = time.perf_counter()
    for text in texts:
        before = time.perf_counter()
        predictor(text)
        load.seconds.append(time.perf_counter() - before)
    load.rates.append(len(texts) / (time.perf_counter() - began))


async def _send(
    address: str, texts: Sequence[str], expected: Sequence[Any], load: Load, *, clients: int, mixed: bool
) -> None:
    """Each text once, by clients that each send their next request when they have the answer."""
    import httpx

    numbers = iter(range(len(texts)))
    answered = len(load.seconds)

    async def client() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=120) as connection:
            for number in numbers:
                if mixed and number % 10 == 3:
                    answer = await connection.post("predict", json=_BAD)
                    load.refused += answer.status_code == 422
                elif mixed and number % 10 == 7:
                    try:
                        await connection.post("predict", json=texts[number], timeout=_PATIENCE_SECONDS)
                    except httpx.TimeoutException:
                        load.left += 1
                else:
                    before = time.perf_counter()
                    answer = await connection.post("predict", json=texts[number])
                    load.seconds.append(time.perf_counter() - before)
                    load.wrong += answer.status_code != 200 or _entities(answer.json()) != expected[number]

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    load.rates.append((len(load.seconds) - answered) / (time.perf_counter() - began))


@contextmanager
def _server(archive: str, device: int) -> Iterator[str]:
    """The address of its model's part of the API, while it runs in a process of its own."""
    command = [sys.executable, "-m", "luke_tasks", "serve", "--name", f"model={archive}", "--port", "0",
               "--cuda-device", str(device)]  # fmt: skip
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("page: "):
                yield line.split()[1] + "api/model"
                return
        raise RuntimeError(f"{' '.join(command)}: {''.join(said)}")
    finally:
        process.terminate()
        process.communicate()


def _entities(prediction: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [(one["start"], one["end"], one["label"]) for one in prediction["entities"]]


def _row(record: dict[str, Any]) -> list[str]:
    return [record["case"], f"{record['requests_per_second']:.1f}", f"{record['p50_ms']:.0f} ms",
            f"{record['p99_ms']:.0f} ms", *(str(record[key] or "") for key in ("refused", "left")),
            f"{record['wrong']} of {record['requests']}"]  # fmt: skip
