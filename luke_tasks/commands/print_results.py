"""Print a table of many runs: their metrics, and the config keys in which they differ."""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._tables import comma_separated, fitted, markdown
from luke_tasks.errors import LukeTasksError, listed, printable

if TYPE_CHECKING:
    from luke_tasks.runs import Run

_MOST_NAMED = 20  # keys in a message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, which columns."""
    parser.add_argument("directories", nargs="+", metavar="DIR", help="folders with runs in them, at any depth")
    parser.add_argument("-k", "--keys", nargs="+", metavar="KEY",
                        help="metrics to show, as metrics.json names them; * stands for anything (default: "
                             "best_validation_ and test_ with each run's validation_metric)")  # fmt: skip
    parser.add_argument("--config-keys", nargs="*", metavar="PATH",
                        help="keys of the config to show, in full or their last words, with * for anything; "
                             "none: no keys (default: those in which the runs differ)")  # fmt: skip
    parser.add_argument("--sort", metavar="COLUMN",
                        help="largest first (of a column whose name ends in loss, smallest first); text from A to Z; "
                             "runs without a value last (default: by path)")  # fmt: skip
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--format", choices=("table", "csv", "json", "markdown"), default="table")


def run(args: argparse.Namespace) -> int:
    """Find, select, sort, print."""
    from luke_tasks.runs import find_runs

    runs = find_runs([Path(name) for name in args.directories])
    if not runs:
        raise LukeTasksError(f"{', '.join(args.directories)}: no run in there; a run is a directory with metrics.json, "
                             "out.log, or config.json and meta.json in it")  # fmt: skip
    metrics = _metric_keys(runs, args.keys)
    keys = _config_keys(runs, args.config_keys)
    records = [_record(one, metrics, keys) for one in runs]
    if args.sort is not None:
        records = _sorted(records, args.sort, args.reverse)
    elif args.reverse:
        records.reverse()
    print("\n".join(_lines(records, keys, args.format)))
    return 0


def _metric_keys(runs: list[Run], patterns: list[str] | None) -> list[str]:
    known = list(dict.fromkeys(key for one in runs for key in one.metrics))
    if patterns is None:
        names = dict.fromkeys(one.main_metric for one in runs if one.main_metric)
        wanted = [f"{prefix}{name}" for name in names for prefix in ("best_validation_", "test_")]
        return [key for key in wanted if key in known]
    found = {pattern: fnmatch.filter(known, pattern) for pattern in patterns}
    _check_found(found, known, "--keys", "metric")
    return list(dict.fromkeys(key for keys in found.values() for key in keys))


def _config_keys(runs: list[Run], patterns: list[str] | None) -> list[str]:
    """Keys of the configs, in the order they stand there."""
    from luke_tasks.runs import flat

    configs = [dict(flat(one.config)) for one in runs if one.config]
    known = list(dict.fromkeys(key for config in configs for key in config))
    if patterns is None:
        return [key for key in known if any(config.get(key) != configs[0].get(key) for config in configs)]
    found = {pattern: fnmatch.filter(known, pattern) or fnmatch.filter(known, f"*.{pattern}") for pattern in patterns}
    _check_found(found, known, "--config-keys", "key of a config")
    return [key for key in known if any(key in keys for keys in found.values())]


def _check_found(found: dict[str, list[str]], known: list[str], flag: str, what: str) -> None:
    for pattern, keys in found.items():
        if not keys:
            near = _nearest(pattern, known)
            there = printable(listed(sorted(known), _MOST_NAMED))
            raise LukeTasksError(f"{flag}: no run has a {what} like {pattern!r}{near or f' (there are {there})'}")


def _record(one: Run, metrics: list[str], keys: list[str]) -> dict[str, Any]:
    from luke_tasks.runs import flat

    config = dict(flat(one.config))
    return {
        "run": str(one.path), "state": one.state, "epochs": one.epochs,
        **{key: one.metrics.get(key) for key in metrics}, **{key: config.get(key) for key in keys},
        "error": one.error,
    }  # fmt: skip


def _sorted(records: list[dict[str, Any]], column: str, reverse: bool) -> list[dict[str, Any]]:
    names = _short_names(list(records[0]))
    column = {short: name for name, short in names.items()}.get(column, column)
    if column not in names:
        ends = [name for name in names if name.endswith((f"_{column}", f".{column}"))]
        near = f"; did you mean {' or '.join(ends)}?" if ends else _nearest(column, [*names, *names.values()])
        raise LukeTasksError(f"--sort: there is no column {column!r}{near} (columns: {', '.join(names)})")
    without = [record for record in records if _is_missing(record[column])]
    rest = [record for record in records if not _is_missing(record[column])]
    are_numbers = all(isinstance(record[column], int | float) for record in rest)
    descends = (are_numbers and not column.endswith("loss")) is not reverse
    rest.sort(key=lambda record: record[column] if are_numbers else _text(record[column]), reverse=descends)
    return rest + without


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _lines(records: list[dict[str, Any]], keys: list[str], form: str) -> list[str]:
    if form == "json":
        nested = [{**{name: value for name, value in record.items() if name not in keys},
                   "config": {key: record[key] for key in keys}} for record in records]  # fmt: skip
        return [json.dumps(nested, indent=2, ensure_ascii=False)]
    names = list(records[0])
    if not any(record["error"] for record in records):
        names.remove("error")
    if form == "csv":
        return comma_separated(names, [[_exact(record[name]) for name in names] for record in records])
    rows = [[_text(record[name]) for name in names] for record in records]
    short = _short_names(names)
    header = [short[name] for name in names]
    if form == "markdown":
        return markdown(header, rows)
    return fitted(header, rows)


def _short_names(names: list[str]) -> dict[str, str]:
    """Full name → its last word, or as many as tell it from all others; none begins with an index of a list."""
    short = {}
    for name in names:
        words = name.split(".")
        endings = [".".join(words[-number:]) for number in range(1, len(words) + 1)]
        alone = (one for one in endings if not one[:1].isdigit()
                 and sum(f".{other}".endswith(f".{one}") for other in names) == 1)  # fmt: skip
        short[name] = next(alone, name)
    return short


def _exact(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    """For eyes: numbers with four digits that count, long texts shortened."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = printable(_exact(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(word: str, known: list[str]) -> str:
    from luke_tasks.schema import nearest

    return nearest(word, known)
