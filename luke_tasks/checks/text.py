"""The report of `check` as a terminal shows it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luke_tasks.errors import printable

_MOST_FAULTS = 20  # shown of a file
_MOST_LABELS = 20  # rows
_LABEL_WIDTH = 30
_LENGTHS = {
    "words_per_sentence": "words a sentence",
    "words_per_example": "words an example",
    "word_pieces_per_window": "word pieces a window",
    "entities_per_window": "entities a window",
}
_COUNTS = ("examples", "sentences", "words", "windows", "word_pieces", "entities")


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """All of it, faults first; a blank line between its parts."""
    sets = report["sets"]
    parts = [list(_fault_lines(found)) for found in sets.values()]
    if not any(parts):
        parts.append(["no fault in the config or the data"])
    parts += [[title, *(f"  {line}" for line in report[title])] for title in ("warnings", "notes") if report[title]]
    parts.append(list(table(["", *sets], list(_rows(list(sets.values()))))))
    parts.append(list(_dropped_lines(sets)))
    if report["estimate"] is not None:
        parts.append(list(estimate_lines(report["estimate"])))
    for number, part in enumerate(filter(None, parts)):
        yield from ([""] if number else [])
        yield from part


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns two spaces apart, the first to the left, the others to the right; a row of one cell is a title."""
    widths = [max(len(row[index]) for row in [head, *rows] if len(row) == len(head)) for index in range(len(head))]
    for row in [head, *rows]:
        first, *others = row
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=False))
        yield "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip()


def estimate_lines(estimate: Mapping[str, Any]) -> Iterator[str]:
    """Of what a run will take."""
    all_, trained = estimate["parameters"], estimate["trained_parameters"]
    yield f"estimate ({estimate['device']}, {estimate['precision']}, one process)"
    yield f"  parameters  {all_:,}" + (f", of which {trained:,} are trained" if trained < all_ else "")
    yield f"  an epoch    {estimate['batches']:,} batches; {estimate['optimizer_steps']:,} steps in all epochs"
    if estimate["memory"] is None:
        yield "  the encoder's shape is not known: no estimate of memory and time"
        return
    memory = ", ".join(f"{name} {size(value)}" for name, value in estimate["memory"].items())
    yield f"  memory      {size(estimate['memory_bytes'])}: {memory}"
    epoch, number = estimate["epoch_seconds"], estimate["num_epochs"]
    yield f"  time        {duration(epoch)} an epoch, {duration(epoch * number)} for {number}"
    rate = estimate["matrix_flops_per_second"] / 1e9
    yield f"              {estimate['epoch_flops']:.2e} FLOP an epoch; measured here: {rate:,.0f} GFLOP/s"


def size(number: float) -> str:
    """Bytes in decimal units."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """In the unit that suits, to two places: all of it is an estimate."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _fault_lines(found: Mapping[str, Any]) -> Iterator[str]:
    faults = found["faults"]
    if not faults:
        return
    yield f"{found['path']}: {len(faults):,} fault{'s' if len(faults) > 1 else ''}"
    yield from (f"  {fault}" for fault in faults[:_MOST_FAULTS])
    if len(faults) > _MOST_FAULTS:
        yield f"  ... and {len(faults) - _MOST_FAULTS:,} more (--json lists all)"
    if len(faults) > max(_MOST_FAULTS, found["sentences"] or found["examples"]):
        yield ("  (more faults than data without: perhaps the file has another form than dataset_reader expects; "
               f"`luke-tasks init --train {shlex.quote(found['path'])}` tells, and can write it anew)")  # fmt: skip
    if not found["is_whole"] and found["examples"]:
        yield "  (here reading ended: what follows in the file was not looked at)"


def _rows(sets: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for key in _COUNTS:
        if any(found[key] for found in sets):
            yield [key.replace("_", " "), *(f"{found[key]:,}" for found in sets)]
    yield ["padding in batches", *(f"{found['padding_share']:.0%}" for found in sets)]
    longest = dict.fromkeys(found["max_sequence_length"] for found in sets)
    shown = " or ".join(map(str, longest))
    full = [_share(found["full_windows"], found["windows"]) for found in sets]
    yield [f"windows of full length ({shown})", *full]
    of_documents = any(found["sentences"] for found in sets)
    for key, name in _LENGTHS.items():
        if key == "words_per_example" and of_documents:
            continue
        if any(found["lengths"][key].get("max") for found in sets):
            for quantile in ("p50", "p90", "p99", "max"):
                first = f"{name}, {quantile}" if quantile == "p50" else f"{'':{len(name)}}  {quantile}"
                yield [first, *(_number(found["lengths"][key].get(quantile)) for found in sets)]
    names = list(dict.fromkeys(name for found in sets for name in found["labels"]))
    if names:
        yield ["labels"]
    for name in names[:_MOST_LABELS]:
        yield [f"  {_short(name)}", *(f"{found['labels'].get(name, 0):,}" for found in sets)]
    if len(names) > _MOST_LABELS:
        rest = names[_MOST_LABELS:]
        yield [
            f"  {len(rest)} more labels",
            *(f"{sum(found['labels'].get(name, 0) for name in rest):,}" for found in sets),
        ]


def _dropped_lines(sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not any(found["dropped"] for found in sets.values()):
        return
    yield "cut or left out by the config's limits"
    for name, found in sets.items():
        for dropped in found["dropped"]:
            share = f" ({_percent(dropped['share'])} of {dropped['of']:,})" if dropped["of"] else ""
            yield f"  {name}: {dropped['count']:,}{share} {dropped['what']}"


def _share(part: int, total: int) -> str:
    return _percent(part / total) if total else "-"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _LABEL_WIDTH else shown[: _LABEL_WIDTH - 3] + "..."
