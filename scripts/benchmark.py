"""Measure speed and memory of luke-tasks on this machine, beside `transformers`' LUKE. Nothing here is a test.

python scripts/benchmark.py encoder train-step memory
python scripts/benchmark.py all --device cuda --size luke-large --windows 16 --json results.json

What is compared runs in turn (ours, theirs, ours, theirs, ...) in one process, on the same random weights and the same
batches, and the table gives medians and ratios. docs/benchmarks.md describes each suite, and has results. Nothing is
downloaded.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
for folder in (ROOT, ROOT / "scripts"):  # luke_tasks where it is not installed, and the package of the suites
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything imports the hub's client

if TYPE_CHECKING:
    from benchmarks.report import Table

SUITES = {  # name → module and function
    "attention": "encoding:attention",
    "encoder": "encoding:encoder",
    "train-step": "training:train_step",
    "memory": "training:memory",
    "read": "reading:read",
    "cache": "caching:cache",
    "ner": "evaluating:ner",
    "typing": "evaluating:typing",
    "relation": "evaluating:relation",
    "qa": "evaluating:qa",
    "predict": "predicting:predict",
    "start": "predicting:start",
    "serve": "serving:serve",
}
CHILDREN = {
    "memory": "training:child",
    "read": "reading:child",
    "cache": "caching:child",
}  # suites that measure in processes of their own
LEAST_REPEATS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run suites and print their tables. Gives the exit status."""
    args = _parser().parse_args(arguments)
    if args.child:
        print(json.dumps(_function(CHILDREN[args.suites[0]])(json.loads(args.child))))
        return 0
    if args.repeats < LEAST_REPEATS:
        print(f"--repeats {args.repeats}: expected at least {LEAST_REPEATS}, for a median to mean something",
              file=sys.stderr)  # fmt: skip
        return 2
    from luke_tasks.errors import LukeTasksError

    try:
        _check(args)
        names = list(SUITES) if "all" in args.suites else list(dict.fromkeys(args.suites))
        with tempfile.TemporaryDirectory(prefix="luke-benchmark-") as folder:
            _run(names, args, Path(folder), shlex.join(arguments if arguments is not None else sys.argv[1:]))
    except LukeTasksError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def _run(names: list[str], args: argparse.Namespace, folder: Path, arguments: str) -> None:
    """Each suite's tables as soon as they are there; the files are written anew after each suite."""
    from benchmarks.options import PRECISIONS, Options

    precisions = tuple(precision for precision in PRECISIONS if args.dtype in (precision, "both"))
    given = {key: value for key, value in vars(args).items() if key in Options.__dataclass_fields__}
    options = Options(folder=folder, precisions=precisions, **given)
    found = machine(args.device)
    command = f"python scripts/benchmark.py {arguments}"
    lines = ["; ".join(f"{name} {value}" for name, value in found.items()), "", f"    {command}", ""]
    results: dict[str, Any] = {}
    print("\n".join(lines), flush=True)
    for name in names:
        tables: list[Table] = _function(SUITES[name])(options)
        text = [f"### {name}", "", *(table.markdown() + "\n" for table in tables)]
        print("\n".join(text), flush=True)
        lines += text
        results[name] = [record for table in tables for record in table.records]
        if args.json:
            content = {"machine": found, "command": command, "suites": results}
            args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if args.markdown:
            args.markdown.write_text("\n".join(lines), encoding="utf-8")


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    add = parser.add_argument
    add("suites", nargs="+", choices=[*SUITES, "all"], metavar="SUITE", help=f"{', '.join(SUITES)}, or all")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--dtype", choices=["fp32", "bf16", "both"], default="both")
    add("--size", choices=["luke-base", "luke-large", "minilm", "small"], default="luke-base",
        help="of the model; small is for a look at every suite in seconds")  # fmt: skip
    add("--repeats", type=int, default=LEAST_REPEATS, metavar="N", help="timed rounds (default and least: 5)")
    add("--windows", type=int, metavar="N", help="attention, encoder, train-step, memory: windows of the batch")
    add("--words", type=int, metavar="N", help="the same suites: word pieces of a window")
    add("--entities", type=int, metavar="N", help="the same suites: entities of a window")
    add("--batch-size", type=int, metavar="N", help="ner, typing, relation, qa, predict: windows run at once")
    add("--max-tokens", type=int, default=2048, metavar="N", help="typing, relation: word pieces and entities ours "
        "runs at once, padding included, where --batch-size is not given (default 2048)")  # fmt: skip
    add("--documents", type=int, metavar="N", help="ner (default 4), read (default 185): documents of the NER file")
    add("--examples", type=int, metavar="N", help="typing, relation, qa, predict, serve: examples of the "
        "file")  # fmt: skip
    add("--in-parts", action="store_true", help="ner, typing, relation, qa: each round evaluates another part of the "
        "file, which is gone through once; figures are sums, not medians")  # fmt: skip
    add("--data", type=Path, metavar="FILE", help="read, ner, typing, relation, qa: a file instead of the sample; it "
        "may serve one of these suites only")  # fmt: skip
    add("--archive", type=Path, metavar="ARCHIVE", help="predict: the archive for the cold start; serve: the model "
        "(NER); instead of a random one of the quickstart's size")  # fmt: skip
    add(
        "--records",
        type=int,
        metavar="N",
        help="read, cache: records of each long file (default 100,000; small: 1,000)",
    )
    add(
        "--pretrained",
        default="embedded:minilm",
        metavar="NAME",
        help="read, cache: checkpoint whose tokenizer is used",
    )
    add("--only", metavar="READER", help="read, cache: this reader alone")
    add("--matrix-size", type=int, metavar="N", help="rows of the matrices whose product gives the machine's rate")
    add("--json", type=Path, metavar="FILE", help="write every number of every round")
    add("--markdown", type=Path, metavar="FILE", help="write what is printed")
    add("--child", metavar="JSON", help=argparse.SUPPRESS)
    return parser


def _check(args: argparse.Namespace) -> None:
    """Raises LukeTasksError where a request cannot be met."""
    from luke_tasks.errors import LukeTasksError

    if args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise LukeTasksError("--device cuda: torch sees no GPU here; leave the option out to measure on the CPU")
    with_data = {"read", "ner", "typing", "relation", "qa"}.intersection(list(SUITES) if "all" in args.suites
                                                                         else args.suites)  # fmt: skip
    if args.data is not None:
        if not args.data.is_file():
            raise LukeTasksError(f"--data {args.data}: no such file")
        if len(with_data) > 1 and with_data != {"read", "ner"}:
            raise LukeTasksError(f"--data: one file cannot serve {', '.join(sorted(with_data))}; run them one by one")
    for name in (
        "windows",
        "words",
        "entities",
        "batch_size",
        "max_tokens",
        "documents",
        "examples",
        "records",
        "matrix_size",
    ):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise LukeTasksError(f"--{name.replace('_', '-')} {value}: expected at least 1")


def machine(device: str) -> dict[str, str]:
    """What the figures depend on: processor or GPU, memory, versions, threads, number formats."""
    import psutil
    import torch
    import transformers

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    found = {
        "CPU": f"{cpu}, {os.cpu_count()} cores ({torch.get_num_threads()} threads)",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if device == "cuda":
        found["GPU"] = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
        found["fp32 matrix products"] = f"{torch.get_float32_matmul_precision()} (TF32 where it is not highest)"
    return found


if __name__ == "__main__":
    logging.getLogger("luke_tasks").setLevel(logging.ERROR)  # what readers report once a file would come every round
    sys.exit(main())
