"""Show where two configs, runs or archives differ: config, metrics, weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from luke_tasks.commands._arguments import add_import_argument
from luke_tasks.commands._colours import Colours
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._tables import fitted
from luke_tasks.errors import printable

if TYPE_CHECKING:
    from luke_tasks.comparison import Side, WeightsDifference

_MOST_TENSORS = 20
_OF_THE_MACHINE = ("_duration", "_memory_MB")  # metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two, and how much is shown."""
    for name in ("first", "second"):
        parser.add_argument(name, help="a config, the directory of a run, a model.tar.gz, or a .safetensors file")
    parser.add_argument("--no-weights", action="store_true", help="leave the weights out, which takes long for many")
    parser.add_argument("--all", action="store_true",
                        help=f"every tensor that differs, and every metric (default: {_MOST_TENSORS} tensors, and the "
                             "metrics that differ)")  # fmt: skip
    parser.add_argument("--exit-code", action="store_true", help="exit status 1 when anything differs")
    add_import_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Compare what both have. Different or not, the exit status is 0, but with --exit-code."""
    log_to_terminal()
    from luke_tasks.comparison import opened, weights_difference
    from luke_tasks.errors import LukeTasksError

    colours = Colours.of_stdout()
    with (
        opened(args.first, args.include_package, args.allow_imports) as first,
        opened(args.second, args.include_package, args.allow_imports) as second,
    ):
        has_config = first.config is not None and second.config is not None
        has_weights = first.weights is not None and second.weights is not None
        if not (has_config or has_weights):
            raise LukeTasksError(f"{args.first} and {args.second}: one is weights, the other has none: there is "
                                 "nothing to compare")  # fmt: skip
        print(colours.red(f"- {printable(args.first)}"))
        print(colours.green(f"+ {printable(args.second)}"))
        differs = _show_config(first, second, colours) if has_config else False
        if first.metrics is not None and second.metrics is not None:
            differs = _show_metrics(first.metrics, second.metrics, colours, every=args.all) or differs
        if first.weights is not None and second.weights is not None and not args.no_weights:
            found = weights_difference(first.weights, second.weights)
            differs = _show_weights(found, colours, every=args.all) or differs
    return 1 if args.exit_code and differs else 0


def _show_config(first: Side, second: Side, colours: Colours) -> bool:
    from luke_tasks.comparison import config_differences

    found = list(config_differences(first.config, second.config))
    print(colours.bold("\nconfig: " + (f"{len(found)} different" if found else "the same")))
    for path, old, new in found:
        print(f"  {printable(path)}")
        print(colours.red(f"    - {_value(old)}"))
        print(colours.green(f"    + {_value(new)}"))
    return bool(found)


def _value(value: Any) -> str:
    import json

    from luke_tasks.comparison import ABSENT

    return "(not there)" if value is ABSENT else printable(json.dumps(value, ensure_ascii=False))


def _show_metrics(first: dict[str, Any], second: dict[str, Any], colours: Colours, *, every: bool) -> bool:
    """Side by side, with the difference of numbers. Time and memory, which no two runs share, count for nothing."""
    names = list(dict.fromkeys([*first, *second]))
    different = [name for name in names
                 if first.get(name) != second.get(name) and not name.endswith(_OF_THE_MACHINE)]  # fmt: skip
    print(colours.bold("\nmetrics: " + (f"{len(different)} different" if different else "the same")))
    rows = [[name, *(_number(side.get(name)) for side in (first, second)), _change(first.get(name), second.get(name))]
            for name in (names if every else different)]  # fmt: skip
    _print_table(["metric", "-", "+", "change"], rows, colours)
    return bool(different)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _change(old: Any, new: Any) -> str:
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    return f"{new - old:+.4g}" if are_numbers else ""


def _show_weights(found: WeightsDifference, colours: Colours, *, every: bool) -> bool:
    lacking = [*found.removed, *found.added, *found.shapes]
    parts = [(found.same, "the same"), (len(found.changed), "changed"), (len(found.shapes), "of another shape"),
             (len(found.removed), "only in the first"), (len(found.added), "only in the second")]  # fmt: skip
    said = ", ".join(f"{number} {what}" for number, what in parts if number) or "none"
    print(colours.bold(f"\nweights: tensors: {said}"))
    for name in found.removed:
        print(colours.red(f"  - {printable(name)}"))
    for name in found.added:
        print(colours.green(f"  + {printable(name)}"))
    for name, old, new in found.shapes:
        print(f"  {printable(name)}: {_shape(old)} → {_shape(new)}")
    shown = found.changed if every else found.changed[:_MOST_TENSORS]
    rows = [[one.name, _shape(one.shape), f"{one.largest:.3g}", f"{one.relative:.3g}"] for one in shown]
    _print_table(["tensor", "shape", "largest difference", "relative norm"], rows, colours)
    if len(shown) < len(found.changed):
        print(f"  and {len(found.changed) - len(shown)} more, which differ less; --all shows them")
    return bool(lacking or found.changed)


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def _print_table(header: list[str], rows: list[list[str]], colours: Colours) -> None:
    if rows:
        heading, *lines = fitted(header, rows, indent="  ")
        print("\n".join([colours.dim(heading), *lines]))
