"""Break trainings in every way the tests know, and at many more moments: a table of the faults and what came of them.

    python scripts/check_faults.py [--kills 50] [--signals 20] [--file-operations 1] [--seed N] > table.md

A tiny LUKE is trained over and over, each time broken off at another moment and taken up with `--recover`; it must end
with the weights, steps and metrics of a run that was left alone, bit for bit, and `evaluate` must give a result at once
or say that no epoch is finished. `--file-operations N` takes every N-th of the moments just before a file is opened,
made, renamed, linked or removed (0: none). All other faults are the tests' (`tests/faults/`), counted here. Exit status
1 when an outcome is not as it must be.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tests.conftest import write_ner_config, write_ner_files  # noqa: E402
from tests.faults.harness import (  # noqa: E402
    Ended,
    Moment,
    Run,
    assert_same_run,
    evaluation_fault,
    note_events,
    note_phases,
)
from tests.faults.test_killed import OVERRIDES  # noqa: E402
from tests.tiny import tiny_luke  # noqa: E402

HEADINGS = {  # file of tests → the fault
    "test_killed": "SIGKILL, aimed (half-written weights, optimizer, labels, archive; between two renames)",
    "test_signals": "SIGINT, SIGTERM, aimed (step, validation, last checkpoint, reading, archive; twice; helpers)",
    "test_disk": "Full disk, lost rights, directory removed, clock moved back",
    "test_numbers": "NaN or infinite loss or gradients (`raise`, `skip`)",
    "test_memory": "Out of memory; `auto_batch_size`",
    "test_lock": "Two processes, one directory",
    "test_callbacks": "Callback raises, exits or hangs; wandb's server does not answer",
    "test_distributed": "A process of several is killed",
}


@dataclass
class Row:
    """A line of the table."""

    fault: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        good = "as it must be" if not self.failures else f"{len(self.failures)} NOT: {'; '.join(self.failures[:3])}"
        notes = ", ".join(f"{name} {count}" for name, count in self.notes.most_common())
        return f"| {self.fault} | {self.tried} | {good}{f' ({notes})' if notes else ''} |"


@dataclass
class Bench:
    """What the trainings are made from, and the one left alone."""

    folder: Path
    config: Path
    valid: str
    whole: Run
    seconds: float  # that it takes
    operations: list[str]  # on files of the run, in order

    def run(self, name: str) -> Run:
        """A training like it."""
        return Run(self.config, self.folder / name, OVERRIDES)

    def outcome(self, run: Run, row: Row) -> None:
        """Evaluate and recover a run that was broken off, and note how that went."""
        row.tried += 1
        begun = run.run_dir.exists() and any(run.run_dir.iterdir())
        fault = evaluation_fault(run.evaluate(self.valid)) if begun else None
        if fault is not None:
            row.failures.append(f"evaluate: {fault}")
        recovered: Ended = run.recover()
        if recovered.status != 0:
            row.failures.append(f"recover: status {recovered.status}: {recovered.last_line}")
            return
        try:
            assert_same_run(run.run_dir, self.whole.run_dir)
        except AssertionError as error:
            row.failures.append(f"another result: {error}")


def make_bench(folder: Path) -> Bench:
    """Train the run that is left alone, three times: for the operations, for the weights, and for the time it takes."""
    files = write_ner_files(folder)
    config = write_ner_config(folder, tiny_luke(folder / "luke"), files)
    noted = Run(config, folder / "noted", OVERRIDES)
    operations = folder / "operations.txt"
    must(noted.start(setup=functools.partial(note_events, noted.run_dir, operations)).wait())
    whole = Run(config, folder / "whole", OVERRIDES)
    must(whole.start().wait())
    began = time.monotonic()
    must(Run(config, folder / "timed", OVERRIDES).start().wait())
    seconds = time.monotonic() - began
    lines = operations.read_text(encoding="utf-8").splitlines()
    return Bench(folder, config, files["valid"], whole, seconds, lines)


def must(ended: Ended) -> None:
    """Raises SystemExit when a run that nothing breaks does not end well."""
    if ended.status != 0:
        raise SystemExit(f"a run left alone ended with status {ended.status}:\n{ended.errors}")


def at_random(bench: Bench, row: Row, signum: int, times: int, expected: int, chance: random.Random) -> Row:
    """Send a signal at random moments of a run."""
    phase_file = bench.folder / "phase.txt"
    while row.tried < times:
        run = bench.run(f"{row.tried}_{signum}_{chance.randrange(10**9)}")
        phase_file.write_bytes(b"start     ")
        command = run.start(setup=functools.partial(note_phases, phase_file))
        time.sleep(chance.uniform(0, bench.seconds))
        if command.is_running:
            command.signal(signum)
        ended = command.wait()
        if ended.status == 0:
            continue  # it was faster than the signal
        if ended.status not in (expected, -signum):
            row.failures.append(f"status {ended.status}: {ended.last_line}")
        row.notes[phase_file.read_text(encoding="utf-8").strip()] += 1
        bench.outcome(run, row)
        print(f"{row.tried}/{times}: {row}", file=sys.stderr)
    return row


def at_operations(bench: Bench, every: int) -> Row:
    """Kill a run just before each `every`-th operation on its files."""
    row = Row("SIGKILL just before an operation on a file of the run")
    for number in range(1, len(bench.operations) + 1, every):
        run = bench.run(f"operation_{number}")
        killed = run.start(setup=functools.partial(Moment("*", "*", number), run.run_dir)).wait()
        if killed.status != -signal.SIGKILL:
            row.failures.append(f"operation {number}: status {killed.status}: {killed.last_line}")
            continue
        failures = len(row.failures)
        bench.outcome(run, row)
        if len(row.failures) > failures:
            row.failures[-1] = f"before `{bench.operations[number - 1]}`: {row.failures[-1]}"
        print(f"{number}/{len(bench.operations)}: {row}", file=sys.stderr)
    row.notes[f"of {len(bench.operations)} in a run; every"] = every
    return row


class Count:
    """A pytest plugin that counts the tests of each file."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest for each phase of a test."""
        if report.when != "call" and report.passed:
            return
        name = Path(report.location[0]).stem
        row = self.rows.setdefault(name, Row(HEADINGS.get(name, name)))
        if report.skipped:
            row.notes["skipped"] += 1
            return
        row.tried += 1
        if report.failed:
            row.failures.append(report.location[2])


def from_tests() -> Iterator[Row]:
    """Run the tests of faults, those marked slow too."""
    count = Count()
    pytest.main(["-q", "-m", "not gpu", "-p", "no:cacheprovider", "--no-header", "--tb=no",
                 str(ROOT / "tests" / "faults")], plugins=[count])  # fmt: skip
    yield from count.rows.values()


def main() -> int:
    """Break, recover, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="SIGKILLs at random moments")
    parser.add_argument("--signals", type=int, default=20, metavar="N", help="SIGTERMs, and SIGINTs, the same")
    parser.add_argument("--file-operations", type=int, default=1, metavar="N", help="every N-th; 0: none")
    parser.add_argument("--no-tests", action="store_true", help="leave out what the tests do")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments (default: another each time)")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="check_faults_") as folder:
        bench = make_bench(Path(folder))
        for signum, times, expected in ((signal.SIGKILL, args.kills, -9), (signal.SIGTERM, args.signals, 143),
                                        (signal.SIGINT, args.signals, 130)):  # fmt: skip
            row = Row(f"{signum.name} at a random moment")
            rows.append(at_random(bench, row, signum, times, expected, chance))
        if args.file_operations:
            rows.append(at_operations(bench, args.file_operations))
    if not args.no_tests:
        rows.extend(from_tests())
    print("\n| fault | times tried | outcome |\n|---|---|---|")
    for row in rows:
        print(row)
    return 1 if any(row.failures for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
