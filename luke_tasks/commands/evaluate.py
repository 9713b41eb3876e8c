"""Score a trained model on files of its dataset's format."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from luke_tasks.commands._arguments import (
    add_archive_arguments,
    add_batch_arguments,
    check_batch_arguments,
    check_input_file,
    check_output_files,
)
from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.commands._start import load_model
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing, write_json

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """AllenNLP's flags."""
    add_archive_arguments(parser)
    parser.add_argument("input_file", help="the file to score on; several with commas between")
    parser.add_argument("--output-file", metavar="FILE", help="write the metrics here as JSON (several files: commas)")
    parser.add_argument("--predictions-output-file", metavar="FILE",
                        help="write the predictions here, one JSON object a line (several files: commas)")  # fmt: skip
    parser.add_argument("--predictions-dir", metavar="DIR",
                        help="write the predictions into this folder as the task's own evaluation script reads them, "
                             "e.g. SQuAD's predictions.json (several files: STEM_predictions.json)")  # fmt: skip
    add_batch_arguments(parser, "windows run at once (default: the config's, where --max-tokens is not given either)")
    parser.add_argument("--auto-names", choices=("NONE", "METRICS", "PREDS", "ALL"), default="NONE",
                        help="name the output files after the input files")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Load, score each file, print."""
    log_to_terminal()
    files = [name.strip() for name in args.input_file.split(",") if name.strip()]
    if not files:
        raise LukeTasksError("no file to score on; name one, or several with commas between")
    metrics_files = output_names(args.output_file, files, args.auto_names in ("METRICS", "ALL"), ".outputs")
    prediction_files = output_names(args.predictions_output_file, files, args.auto_names in ("PREDS", "ALL"), ".preds")
    for name in files:
        check_input_file(name, "a data file")
    check_output_files([*metrics_files, *prediction_files])
    stems = [Path(name).stem for name in files]
    if args.predictions_dir is not None:
        _check_predictions_dir(Path(args.predictions_dir))
    check_batch_arguments(args)
    trained = load_model(args)
    from luke_tasks.predictor import Predictor

    head = trained.model.head
    prediction_names = list(head.prediction_files([])) if args.predictions_dir is not None else []
    if args.predictions_dir is not None and not prediction_names:
        name = trained.config.parts.model.head.type_name
        raise LukeTasksError(f'--predictions-dir: the head "{name}" has no files of its own; --predictions-output-file '
                             "writes its predictions")  # fmt: skip
    if len(files) > 1:
        _check_distinct([f"{stem}_{file_name}" for stem in stems for file_name in prediction_names])
    predictor = Predictor.for_evaluation(
        trained, batch_size=args.batch_size, max_tokens=args.max_tokens, cuda_device=args.cuda_device,
        precision=args.precision,
    )  # fmt: skip
    all_metrics: dict[str, Any] = {}
    for name, metrics_file, predictions_file in zip(files, metrics_files, prediction_files, strict=True):
        evaluation = predictor.evaluate(name)
        stem = Path(name).stem
        prefix = "" if len(files) == 1 else f"{stem}_" if stems.count(stem) == 1 else f"{name}_"
        all_metrics |= {f"{prefix}{key}": value for key, value in evaluation.scores.items()}
        if metrics_file:
            write_json(Path(metrics_file), evaluation.scores)
            logger.info("metrics of %s: %s", name, metrics_file)
        if predictions_file:
            write_lines(Path(predictions_file), (prediction.to_json() for prediction in evaluation.predictions))
            logger.info("predictions on %s: %s", name, predictions_file)
        if args.predictions_dir is not None:
            for file_name, content in head.prediction_files(evaluation.predictions).items():
                path = Path(args.predictions_dir) / (file_name if len(files) == 1 else f"{stem}_{file_name}")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, content)
                logger.info("predictions on %s: %s", name, path)
    print(json.dumps(all_metrics, indent=2, ensure_ascii=False))
    return 0


def _check_predictions_dir(directory: Path) -> None:
    """Raises LukeTasksError when it is no folder and cannot become one, before any work is done for it."""
    present = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not present.is_dir():
        raise LukeTasksError(f"--predictions-dir: {present} is a file; expected a folder")
    if not os.access(present, os.W_OK):
        raise LukeTasksError(f"--predictions-dir: {directory} cannot be written, for {present} allows no new files")


def _check_distinct(names: list[str]) -> None:
    """Raises LukeTasksError when two input files would write the same file into the folder of predictions."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise LukeTasksError(f"--predictions-dir: two input files would write {twice[0]}; evaluate them one by one")


def output_names(given: str | None, inputs: list[str], automatic: bool, suffix: str) -> list[str | None]:
    """One output file for each input: those given, or named after the inputs, or none.

    Raises:
        LukeTasksError: other than one for each input was given.
    """
    if automatic:
        names = [str(Path(name).with_suffix(suffix)) for name in inputs]
    elif given is None:
        return [None] * len(inputs)
    else:
        names = [name for name in given.split(",") if name]
    if len(names) != len(inputs):
        raise LukeTasksError(f"{len(inputs)} input file(s) need as many output files, found {len(names)}: {given}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise LukeTasksError(f"two input files would write the same output file: {', '.join(twice)}; name the output "
                             "files yourself")  # fmt: skip
    return list(names)


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
