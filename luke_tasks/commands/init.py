"""Write a config for your own data: looks at the files, asks what they do not tell."""

from __future__ import annotations

import argparse
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from luke_tasks.commands._ask import Asker, refuse_missing
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError, listed, printable
from luke_tasks.own_data.formats import MEANINGS, TASKS

if TYPE_CHECKING:
    from luke_tasks.own_data.fit import Fit
    from luke_tasks.own_data.kinds import DataFile

logger = logging.getLogger(__name__)
_MODEL = "embedded:minilm"
_SHARE = 0.1
_SIBLINGS = {"validation": ("validation", "valid", "val", "dev", "development", "testa"), "test": ("test", "testb")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that can be asked."""
    parser.add_argument(
        "--task",
        choices=TASKS,
        metavar="TASK",
        help=f"what is to be learned: {', '.join(TASKS)} (default: what the data look like)",
    )
    parser.add_argument("--train", metavar="FILE", help="training data")
    parser.add_argument("--validation", metavar="FILE", help="data that say which epoch is best")
    parser.add_argument("--test", metavar="FILE", help="data to score the trained model on")
    parser.add_argument("--split", type=float, nargs="?", const=_SHARE, metavar="SHARE",
                        help="without validation data: split off this share of the training data (default 0.1), by "
                             "document or record, into two files beside it")  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help=f"{_MODEL} (small, trains on a CPU), or a folder or hub name "
                        "such as studio-ousia/luke-base")  # fmt: skip
    parser.add_argument(
        "--convert",
        action="store_true",
        help="where no reader takes the files as they stand, write them anew in a form that one does",
    )
    parser.add_argument("--text", metavar="COLUMN", help="of a table: the column of the texts")
    parser.add_argument("--text-pair", metavar="COLUMN", help="of a table: the column of the second texts")
    parser.add_argument("--label", metavar="COLUMN", help="of a table: the column of the labels")
    parser.add_argument("--output", metavar="FILE", help="the config to write (default: TASK.jsonnet)")
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing: take what is guessed")
    parser.add_argument("-f", "--force", action="store_true", help="replace files that are there already")


def run(args: argparse.Namespace) -> int:
    """Look, ask, convert and split where wanted, measure, write."""
    log_to_terminal()
    asker = Asker(args.yes)
    for flag in ("train", "validation", "test", "output"):
        if getattr(args, flag) is not None:
            setattr(args, flag, _path(getattr(args, flag)))
    if args.split is not None and not 0 < args.split < 1:
        raise LukeTasksError(f"--split: expected a share between 0 and 1, such as 0.1, found {args.split:g}")
    if args.split is not None and args.validation is not None:
        raise LukeTasksError("--split and --validation: give one of them: where validation data come from")
    if args.train is None:
        if not asker.can_ask:
            raise LukeTasksError("--train is missing: name the file of your training data")
        args.train = _path(asker.text("Training data, a file", None, _no_file))
    from luke_tasks.own_data.guess import fits_of, unknown
    from luke_tasks.own_data.kinds import look_at
    from luke_tasks.own_data.table_fits import Columns

    file = look_at(args.train)
    columns = Columns(args.text, args.text_pair, args.label)
    fits = fits_of(file, columns)
    if not fits and args.task is None:
        raise unknown(file)
    fit = _chosen_fit(args, asker, file, fits)
    _fill_in(args, asker, fit)
    return _write(args, file, fit, columns)


def _chosen_fit(args: argparse.Namespace, asker: Asker, file: DataFile, fits: list[Fit]) -> Fit:
    """The fit for the task that was given, answered or guessed. Raises when flags are missing and nobody can answer."""
    from luke_tasks.own_data.guess import fit_for

    guess = fits[0].task if fits else None
    if not asker.can_ask and not args.yes:
        named = fit_for(file, fits, args.task) if args.task else fits[0]
        missing = []
        if args.task is None:
            missing.append(f"--task (the data look like {guess})")
        if named.conversion is not None and not args.convert:
            missing.append(f"--convert ({file.path} cannot be read as it stands; it would be written anew: "
                           f"{named.conversion.what})")  # fmt: skip
        if args.validation is None and args.split is None:
            missing.append("--validation FILE, or --split 0.1")
        if args.model is None:
            missing.append(f"--model, such as {_MODEL}")
        refuse_missing(missing)
    if args.task is None:
        assert guess is not None
        if asker.can_ask:
            print(f"{printable(str(file.path))}: {printable(fits[0].seen)}")
        if asker.can_ask:
            print("Tasks: " + ", ".join(f"{task} ({meaning})" for task, meaning in MEANINGS.items()))
        args.task = asker.text("Task", guess, _no_task)
    fit = fit_for(file, fits, args.task)
    if fit is not fits[0] or guess != args.task or not asker.can_ask:
        print(f"{printable(str(file.path))}: {printable(fit.seen)}: {args.task}")
    return fit


def _fill_in(args: argparse.Namespace, asker: Asker, fit: Fit) -> None:
    """Answers for the flags that were not given."""
    if fit.conversion is not None and not args.convert:
        print(f"No reader takes {printable(args.train)} as it stands. It can be written anew: {fit.conversion.what}.")
        if not asker.yes("Convert it"):
            from luke_tasks.own_data.fit import Unreadable
            from luke_tasks.own_data.formats import formats_of

            raise Unreadable(f"nothing is written; {args.task} reads\n{formats_of(args.task)}")
    if args.validation is None and args.split is None:
        found = _sibling(args.train, "validation")
        answer = asker.text("Validation data, a file, or a share of the training data to split off",
                            found or f"{_SHARE}", _no_file_or_share)  # fmt: skip
        if _share(answer) is not None:
            args.split = _share(answer)
        else:
            args.validation = _path(answer)
    if args.test is None and (asker.can_ask or args.yes):
        found = _sibling(args.train, "test")
        answer = asker.text("Test data, a file, or none", found or "none", _no_file_or_none)
        args.test = None if answer == "none" else _path(answer)
    if args.model is None:
        args.model = asker.text("Model: embedded:minilm (small, trains on a CPU), or a folder or hub name such as "
                                "studio-ousia/luke-base", _MODEL)  # fmt: skip
    if args.output is None:
        args.output = asker.text("Config to write", f"{args.task}.jsonnet")
    if Path(args.output).exists() and not args.force and asker.can_ask:
        args.force = asker.yes(f"{args.output} is there already. Replace it")


def _write(args: argparse.Namespace, file: DataFile, fit: Fit, columns: object) -> int:
    from luke_tasks.experiment_config import read_config
    from luke_tasks.files import replacing
    from luke_tasks.own_data.config_text import Data, config_text, run_dir
    from luke_tasks.own_data.measure import Checkpoint, measure
    from luke_tasks.own_data.prepare import Preparation, check_target

    output = Path(args.output)
    check_target(output, force=args.force)
    checkpoint = Checkpoint.find(args.model)
    preparation = Preparation(args.task, fit, columns, force=args.force)  # type: ignore[arg-type]
    with preparation.undone_on_error():
        train, validation, test = preparation.files(file, args.validation, args.split, args.test)
        fit = preparation.settled_fit()
        measures = measure(train, fit.options, checkpoint.tokenizer)
        others = [measure(path, fit.options, None) if path else None for path in (validation, test)]
        for path, other in zip((validation, test), others, strict=True):
            unseen = [name for name in other.labels if name not in measures.labels] if other is not None else []
            if unseen:
                logger.warning("%s: has labels that %s lacks, so nothing can learn them: %s", path, train,
                               printable(listed(unseen, 10)))  # fmt: skip
        numbers = [other.examples if other else 0 for other in others]
        data = Data(str(train), str(validation), str(test) if test else None, measures, *numbers)
        text = config_text(args.output, fit, data, checkpoint)
        with replacing(output) as partial:
            partial.write_text(text, encoding="utf-8")
        read_config(output, include_packages=args.include_package)
    for line in preparation.report:
        print(line)
    print(f"{measures.examples:,} {measures.unit} for training, {numbers[0]:,} for validation"
          + (f", {numbers[1]:,} for testing" if test else ""))  # fmt: skip
    print(f"written: {args.output}\n\nNext:")
    print(f"  luke-tasks check {shlex.quote(args.output)}")
    print(f"  allennlp train {shlex.quote(args.output)} -s {shlex.quote(run_dir(args.output))}")
    return 0


def _sibling(train: str, what: str) -> str | None:
    """A file beside the training data whose name says what it is: `dev.txt` beside `train.txt`."""
    path = Path(train)
    for name in _SIBLINGS[what]:
        other = path.with_name(path.name.replace("train", name))
        if other != path and other.is_file():
            return str(other)
    return None


def _path(name: str) -> str:
    """With the home folder in the place of `~`, which no shell replaces in an answer, nor in `--train=~/x`."""
    return str(Path(name).expanduser()) if name.startswith("~") else name


def _share(answer: str) -> float | None:
    try:
        value = float(answer)
    except ValueError:
        return None
    return value if 0 < value < 1 else None


def _no_task(answer: str) -> str | None:
    return None if answer in TASKS else f"expected one of {', '.join(TASKS)}"


def _no_file(answer: str) -> str | None:
    return None if Path(answer).expanduser().is_file() else f"{answer}: no such file"


def _no_file_or_share(answer: str) -> str | None:
    return None if _share(answer) is not None else _no_file(answer)


def _no_file_or_none(answer: str) -> str | None:
    return None if answer == "none" else _no_file(answer)
