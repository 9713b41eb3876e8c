"""Throw damaged and hostile files at every loader of luke-tasks, and count what comes back.

python scripts/fuzz.py                               100,000 cases over all targets
python scripts/fuzz.py --cases 2000 --only readers tokenizer
python scripts/fuzz.py --case readers:1234           one case again, with its traceback

Of each case a result is wanted, or an error of luke_tasks that says in one line a fault what is wrong. Whatever else
happens is found: another exception, a message that does not help, a crash, a hang, memory beyond a gigabyte. Cases
are made from --seed and their number. Exit status 1 when something was found.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
for folder in (ROOT, ROOT / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything imports the hub's client
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are forked
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main(arguments: list[str] | None = None) -> int:
    """Run the targets and print the table."""
    from fuzzing import runner
    from fuzzing.targets import TARGETS

    parser = _parser(TARGETS)
    args = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    if args.case:
        target, _, number = args.case.partition(":")
        if target not in TARGETS or not number.isdecimal():
            parser.error(f"--case {args.case}: expected TARGET:NUMBER, with a target of {', '.join(TARGETS)}")
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory_folder()) as folder:
            TARGETS[target].prepare(Path(folder))(runner.rng_of(target, args.seed, int(number)))
        print("a result")
        return 0
    names = args.only or list(TARGETS)
    whole = sum(TARGETS[name].share for name in names)
    reports = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory_folder()) as folder:
            cases = max(1, round(args.cases * TARGETS[name].share / whole))
            case = TARGETS[name].prepare(Path(folder))
            reports.append(runner.run(name, case, cases, args.seed, args.seconds))
        print(runner.summary(reports[-1:]).split("\n")[1], file=sys.stderr, flush=True)
    print(runner.summary(reports))
    return 1 if any(report.found for report in reports) else 0


def _memory_folder() -> str | None:
    """A disk in memory, where there is one: cases write many small files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _parser(targets: Mapping[str, object]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000, help="over all targets (default 100000)")
    parser.add_argument("--seconds", type=float, default=3600, help="of a target at most (default 3600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(targets), metavar="TARGET", help=", ".join(targets))
    parser.add_argument("--case", metavar="TARGET:NUMBER", help="run this case alone, and show its traceback")
    return parser


if __name__ == "__main__":
    sys.exit(main())
