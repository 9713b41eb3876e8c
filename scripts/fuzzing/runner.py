"""Runs cases in a process of their own, watched from outside: a crash, a hang or a blow-up ends a case, not the run."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from luke_tasks.errors import LukeTasksError

Case = Callable[[random.Random], None]
SECONDS = 20.0  # of one case, on a busy machine
MEGABYTES = 1024  # that one case may take
LONGEST_LINE = 2000  # characters of a message
_START_SECONDS = 60.0


@dataclass
class Report:
    """What became of a target's cases."""

    target: str
    cases: int = 0
    results: int = 0
    errors: int = 0  # of luke_tasks, with a clear line
    seconds: float = 0.0
    found: dict[str, tuple[int, int]] = field(default_factory=dict)  # what → first case, how many


def run(target: str, case: Case, cases: int, seed: int, seconds: float) -> Report:
    """Try the cases 0 to `cases`, or as many as `seconds` allow."""
    report = Report(target)
    began = time.monotonic()
    context: Any = multiprocessing.get_context("fork")
    while report.cases < cases and time.monotonic() - began < seconds:
        ours, theirs = context.Pipe(duplex=False)
        deadline = seconds - (time.monotonic() - began)
        worker = context.Process(target=_work, args=(target, case, report.cases, cases, seed, deadline, theirs))
        worker.start()
        theirs.close()
        fault = _watch(report, ours, worker)
        if fault:
            report.cases += 1
            _note(report, fault, report.cases - 1)
    report.seconds = time.monotonic() - began
    return report


def _watch(report: Report, worker_says: Connection, worker: Any) -> str:
    """Take what the worker reports until it ends; why the case in hand ended it, or nothing."""
    patience = _START_SECONDS
    while True:
        if not worker_says.poll(patience):
            worker.kill()
            worker.join()
            return f"hang: no end within {SECONDS:.0f} s"
        patience = SECONDS
        try:
            outcome, what = worker_says.recv()
        except EOFError:
            worker.join()
            code = worker.exitcode
            return "" if code == 0 else f"crash: signal {-code}" if code < 0 else f"crash: exit status {code}"
        if outcome == "begun":
            continue
        report.cases += 1
        report.results += outcome == "result"
        report.errors += outcome == "error"
        if outcome == "found":
            _note(report, what, report.cases - 1)


def _note(report: Report, what: str, number: int) -> None:
    first, count = report.found.get(what, (number, 0))
    report.found[what] = (first, count + 1)


def _work(target: str, case: Case, first: int, last: int, seed: int, seconds: float, parent: Connection) -> None:
    began = time.monotonic()
    silence = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # what libraries print, as a panic's backtrace
        os.dup2(silence, descriptor)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + 4 * MEGABYTES * 2**20  # address space: threads and mapped files take much, and use little
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent.send(("begun", ""))
    highest = _resident()
    for number in range(first, last):
        outcome = one(case, rng_of(target, seed, number))
        now = _resident()
        if now - highest > MEGABYTES:
            outcome = ("found", f"memory: {MEGABYTES} MB and more")
        highest = max(highest, now)
        parent.send(outcome)
        if time.monotonic() - began > seconds:
            break
    parent.close()
    os._exit(0)  # without what a damaged library might do at the end


def one(case: Case, rng: random.Random) -> tuple[str, str]:
    """The outcome of one case: `result`, `error`, or `found` with what is wrong."""
    try:
        case(rng)
    except LukeTasksError as error:
        fault = unclear(error)
        return ("found", f"message: {fault}: {_place(error)}") if fault else ("error", "")
    except BaseException as error:
        return "found", f"{type(error).__name__}: {_place(error)}"
    return "result", ""


def rng_of(target: str, seed: int, number: int) -> random.Random:
    """What a case is drawn from."""
    return random.Random(f"{seed}:{target}:{number}")


def unclear(error: LukeTasksError) -> str:
    """Why a message would not help the one who reads it; empty when it would."""
    text = str(error)
    lines = text.split("\n")
    faults = getattr(error, "faults", None)
    bad = {
        character
        for line in lines
        for character in line
        if not character.isprintable() and character not in "\u200c\u200d"
    }
    if not text.strip():
        return "empty"
    if len(lines) > (len(faults) if faults is not None else 1):
        return "more lines than faults"
    if bad:
        return f"unprintable {min(bad)!r}"
    if any(len(line) > LONGEST_LINE for line in lines):
        return "a line too long"
    if " object at 0x" in text or "Traceback" in text:
        return "of a library's inside"
    if any(line.endswith((": ", ": None", "()")) or not line for line in lines):
        return "says no reason"
    return ""


def _place(error: BaseException) -> str:
    """The last place in luke_tasks that an error went through, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}luke_tasks{os.sep}" in frame.filename]
    last = (own[-1] if own else frames[-1], frames[-1])
    return " ← ".join(dict.fromkeys(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last))


def _resident() -> int:
    """The most memory this process has had, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(used // (2**20 if sys.platform == "darwin" else 1024))


def summary(reports: list[Report]) -> str:
    """The table, and what was found."""
    lines = [f"{'target':32} {'cases':>8} {'results':>8} {'errors':>8} {'found':>6} {'cases/s':>8}"]
    total: Counter[str] = Counter()
    for report in reports:
        rate = report.cases / max(report.seconds, 1e-9)
        lines.append(f"{report.target:32} {report.cases:8,} {report.results:8,} {report.errors:8,} "
                     f"{len(report.found):6} {rate:8.0f}")  # fmt: skip
        total.update(cases=report.cases, results=report.results, errors=report.errors, found=len(report.found))
    lines.append(f"{'all':32} {total['cases']:8,} {total['results']:8,} {total['errors']:8,} {total['found']:6}")
    for report in reports:
        for what, (first, count) in sorted(report.found.items(), key=lambda item: -item[1][1]):
            lines.append(f"{report.target}:{first}  {what}  ({count} cases)")
    return "\n".join(lines)
