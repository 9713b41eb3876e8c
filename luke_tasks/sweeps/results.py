"""What a sweep writes at its end: the ranked table, and the best setting as a config that `train` accepts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luke_tasks.config import merge_overrides
from luke_tasks.errors import describe
from luke_tasks.experiment_config import check_config
from luke_tasks.files import replacing, write_json
from luke_tasks.sweeps.records import SweepResult, TrialRecord

_MOST_ROWS = 20


def write_tables(result: SweepResult) -> None:
    """`trials.csv` and `trials.json`, best first, in the sweep's directory."""
    rows = result.rows()
    write_json(result.directory / "trials.json", {
        "name": result.name,
        "objectives": [{"name": objective.name, "goal": objective.goal} for objective in result.objectives],
        "importances": result.importances,
        "trials": rows,
    })  # fmt: skip
    with (
        replacing(result.directory / "trials.csv") as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["rank"])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: json.dumps(value) if isinstance(value, (list, dict, bool)) else value
                             for key, value in row.items()})  # fmt: skip


def write_best_config(result: SweepResult, values: dict[str, Any], include_packages: Sequence[str]) -> Path | None:
    """`best.jsonnet`: the complete config of the best trial, which imports nothing; None where no trial is complete.

    Args:
        values: of the config, constants laid over.
    """
    best = result.best()
    if best is None:
        return None
    return write_best_values(result, merge_overrides(values, best.parameters), include_packages)


def write_best_values(result: SweepResult, values: dict[str, Any], include_packages: Sequence[str]) -> Path:
    """The same where `values` are the best trial's already."""
    best, path = result.best(), result.directory / "best.jsonnet"
    assert best is not None
    resolved = check_config(values, [], include_packages, for_training=False).resolved
    lines = [f"Trial {best.number} of the sweep {describe(result.name)}: {scores_of(result, best)}.", ""]
    lines += [f"  {name}: {describe(value)}" for name, value in best.parameters.items()]
    lines += ["", f"  allennlp train {path} -s DIR"]
    comment = "".join(f"// {line}".rstrip() + "\n" for line in lines)
    with replacing(path) as partial:
        partial.write_text(comment + json.dumps(resolved, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def report(result: SweepResult) -> Iterator[str]:
    """What a terminal shows at the end: the table, or the retrained runs when there are some."""
    if result.retrained is not None:
        yield from retrained_lines(result)
    elif result.trials:
        yield from table(result)
        yield from importance_lines(result)


def scores_of(result: SweepResult, trial: TrialRecord) -> str:
    """`f1 0.8312, duration 41.2`."""
    pairs = zip(result.objectives, trial.values, strict=False)
    return ", ".join(f"{objective.name} {number(value)}" for objective, value in pairs) or "no score"


def table(result: SweepResult) -> Iterator[str]:
    """The best trials, as lines for a terminal."""
    searched = [parameter.name for parameter in result.parameters]
    header = ["rank", "trial", "state", *(objective.name for objective in result.objectives), *short_names(searched),
              "time"]  # fmt: skip
    rows = []
    for rank, trial in enumerate(result.ranking()[:_MOST_ROWS], start=1):
        values: list[Any] = [*trial.values] or [""] * len(result.objectives)
        rows.append([
            str(rank), str(trial.number), trial.state, *map(number, values),
            *(number(trial.parameters.get(name, "")) for name in searched), duration(trial.seconds),
        ])  # fmt: skip
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(result.trials) > _MOST_ROWS:
        yield f"... and {len(result.trials) - _MOST_ROWS} more, see {result.directory / 'trials.csv'}"
    for trial in result.trials:
        if trial.error:
            yield f"trial {trial.number} failed: {trial.error}"


def importance_lines(result: SweepResult) -> Iterator[str]:
    """The importances, or why there are none."""
    for name, shares in result.importances.items():
        shown = ", ".join(f"{parameter} {share:.0%}" for parameter, share in shares.items())
        yield f"importance for {name}: {shown}"
    if result.importance_note is not None:
        yield f"importances cannot be said: {result.importance_note}"


def short_names(names: Sequence[str]) -> list[str]:
    """The ends of dotted paths, as long as it takes to tell them apart: `lr`, `batch_size`."""
    paths = [name.split(",")[0].split(".") for name in names]
    lengths = [1] * len(paths)
    while True:
        ends = [".".join(path[-length:]) for path, length in zip(paths, lengths, strict=True)]
        clashes = [index for index, end in enumerate(ends)
                   if ends.count(end) > 1 and lengths[index] < len(paths[index])]  # fmt: skip
        if not clashes:
            return ends
        for index in clashes:
            lengths[index] += 1


def number(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, float):
        return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.3g}"
    return value if isinstance(value, str) else describe(value)


def duration(seconds: float) -> str:
    """`0:41`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def retrained_lines(result: SweepResult) -> Iterator[str]:
    """Mean and spread over the seeds, if the best setting was retrained."""
    retrained = result.retrained
    if retrained is None:
        return
    summary = retrained.summary()
    runs = "run" if len(retrained.seeds) == 1 else "runs"
    yield f"best setting over {len(retrained.seeds)} {runs}, mean ± standard deviation:"
    for name, (mean, deviation) in summary.items():
        if (name.startswith("best_validation_") and "-" not in name) or name.startswith("test_"):
            yield f"  {name} {mean:.4f} ± {deviation:.4f}"
    yield f"the median run's archive: {retrained.archive}"
