"""Train with a growing learning rate, draw the loss over it, and suggest one."""

from __future__ import annotations

import argparse
import csv
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import add_change_arguments
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import checked_config
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing, write_json

if TYPE_CHECKING:
    from luke_tasks.training.lr_search import Range, Search, Suggestion

logger = logging.getLogger(__name__)
_LOG_FROM = 10.0  # highest loss over lowest, above which a straight axis would hide the valley
_X_LABEL = "learning rate (grey: each step, blue: smoothed)"
_NAMES = ("lr-losses.json", "lr-losses.csv", "lr-losses.svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags."""
    parser.add_argument("config", help="the Jsonnet or JSON file")
    parser.add_argument("-s", "--serialization-dir", required=True, metavar="DIR",
                        help=f"where {', '.join(_NAMES)} are written")  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace those that are in DIR")
    add_change_arguments(parser, '{"data_loader.batch_size": 16}')
    parser.add_argument("--start-lr", type=float, default=1e-5, metavar="LR", help="the first (default 1e-5)")
    parser.add_argument("--end-lr", type=float, default=10.0, metavar="LR", help="the last (default 10)")
    parser.add_argument("--num-batches", type=int, default=100, metavar="N",
                        help="optimizer steps from the first to the last (default 100), each of as many batches as the "
                             "config accumulates")  # fmt: skip
    parser.add_argument("--stopping-factor", type=float, metavar="F",
                        help="stop when the loss is above F times the lowest so far (default: to the end)")  # fmt: skip
    parser.add_argument("--linear", action="store_true",
                        help="grow by equal differences (default: by equal ratios)")  # fmt: skip
    parser.add_argument("--file-friendly-logging", action="store_true", help="plain lines instead of live bars")


def run(args: argparse.Namespace) -> int:
    """Check, train, write, suggest."""
    _check_numbers(args)
    directory = Path(args.serialization_dir)
    _check_directory(directory, force=args.force)
    log_to_terminal()
    config = checked_config(args)
    from luke_tasks import experiment
    from luke_tasks.training.callbacks.progress import ProgressLine
    from luke_tasks.training.lr_search import Range, losses_over, suggest

    built = experiment.build(config)
    rates = Range(args.start_lr, args.end_lr, args.num_batches, args.linear)
    distributed = config.parts.distributed
    num_processes = len(distributed.cuda_devices or [0]) * distributed.num_nodes if distributed is not None else 1
    with ProgressLine("find-lr", rates.num_steps, plain=args.file_friendly_logging) as advance:
        search = losses_over(
            rates, built.trainer, built.model, built.data, seed=config.parts.random_seed, device=built.device,
            num_processes=num_processes, stopping_factor=args.stopping_factor, advance=advance,
        )  # fmt: skip
    if search.stopped is not None:
        logger.info("stopped after %d of %d steps: %s", len(search.points), rates.num_steps, search.stopped)
    found = suggest(search.points)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory, rates, search, found)
    _print(search, found)
    logger.info("written: %s", ", ".join(str(directory / name) for name in _NAMES))
    return 0


def _check_numbers(args: argparse.Namespace) -> None:
    """Raises LukeTasksError for a number that is out of range."""
    for flag, value in (("--start-lr", args.start_lr), ("--end-lr", args.end_lr),
                        ("--stopping-factor", args.stopping_factor)):  # fmt: skip
        if value is not None and not (math.isfinite(value) and value > 0):
            raise LukeTasksError(f"{flag}: expected a number above 0, found {value:g}")
    if args.start_lr >= args.end_lr:
        raise LukeTasksError(f"--start-lr {args.start_lr:g}: expected less than --end-lr, which is {args.end_lr:g}")
    if args.num_batches < 2:
        raise LukeTasksError(f"--num-batches: expected 2 at least, found {args.num_batches}")


def _check_directory(directory: Path, *, force: bool) -> None:
    """Raises LukeTasksError when it is no directory, or holds an earlier result that is not to be replaced."""
    present = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not present.is_dir():
        raise LukeTasksError(f"{present}: is a file; expected a directory for -s")
    there = [name for name in _NAMES if (directory / name).exists()]
    if there and not force:
        raise LukeTasksError(f"{directory}: holds {', '.join(there)} already; -f replaces them, or choose another -s")


def _write(directory: Path, rates: Range, search: Search, found: Suggestion) -> None:
    from luke_tasks.pages.charts import Series, chart_svg

    rows = [{"lr": point.lr, "loss": point.loss, "smoothed": smoothed}
            for point, smoothed in zip(search.points, found.smoothed, strict=True)]  # fmt: skip
    result: dict[str, Any] = {
        "suggested_lr": found.lr, "falls_from": found.falls_from, "lowest": found.lowest, "config_lr": search.config_lr,
        "start_lr": rates.start, "end_lr": rates.end, "num_batches": rates.num_steps, "linear": rates.linear,
        "stopped": search.stopped, "points": rows,
    }  # fmt: skip
    write_json(directory / _NAMES[0], result)
    with replacing(directory / _NAMES[1]) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["lr", "loss", "smoothed"])
        writer.writeheader()
        writer.writerows(rows)
    series = [Series("loss", [(row["lr"], row["loss"]) for row in rows], colour="#8a8f98"),
              Series("smoothed", [(row["lr"], row["smoothed"]) for row in rows], colour="#4c86c6")]  # fmt: skip
    shown = [loss for row in rows for loss in (row["loss"], row["smoothed"]) if math.isfinite(loss)]
    log_y = min(shown, default=0.0) > 0 and max(shown) > _LOG_FROM * min(shown)
    verticals = [(found.lr, f"suggested {found.lr:.2g}")] if found.lr is not None else []
    svg = chart_svg(series, title="loss over learning rate", x_label=_X_LABEL, log_x=True, log_y=log_y,
                    y_label="loss (logarithmic)" if log_y else "loss", verticals=verticals)  # fmt: skip
    svg = svg.replace(">", '><rect width="100%" height="100%" fill="white"/>', 1)  # text is black in a file by itself
    with replacing(directory / _NAMES[2]) as partial:
        partial.write_text(svg + "\n", encoding="utf-8")


def _print(search: Search, found: Suggestion) -> None:
    if found.lr is None:
        print("suggested learning rate: none")
        first, last = search.points[0].lr, search.points[-1].lr
        print(f"  the loss fell nowhere from {first:.2g} to {last:.2g}; try more --num-batches, or another range")
        return
    print(f"suggested learning rate: {found.lr:.2g} (the config has {search.config_lr:.2g})")
    print(f"  the loss began to fall at {found.falls_from:.2g}, fell fastest at {found.lr:.2g} and was lowest at "
          f"{found.lowest:.2g};")  # fmt: skip
    print(f"  measured by straight lines through {found.width} neighbouring points. A suggestion: a schedule with "
          "warm-up bears more,")  # fmt: skip
    print("  long training and large models want less.")
