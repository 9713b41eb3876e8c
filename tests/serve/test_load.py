"""`scripts/benchmark.py serve`: its requests are answered as a loop answers them. No figure is looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from benchmarks import serving
from benchmarks.options import Options


def test_clients_at_the_same_time(
    server: str, archives: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad requests are refused, clients leave, and every other answer is right."""

    @contextmanager
    def running(archive: str, device: int) -> Iterator[str]:
        yield f"{server}/api/ner"

    monkeypatch.setattr(serving, "_server", running)
    monkeypatch.setattr(serving, "_PATIENCE_SECONDS", 1e-4)
    options = Options(folder=tmp_path, archive=archives["ner"], examples=20, repeats=1)
    (table,) = serving.serve(options)
    cases = [(record["requests"], record["refused"], record["left"], record["wrong"]) for record in table.records]
    assert cases == [(20, 0, 0, 0)] * 4 + [(16, 2, 2, 0)]
    assert len(table.markdown().splitlines()) == 2 + 5
