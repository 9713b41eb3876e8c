"""The cases of a run: its best model run over the validation data, and what came of it stored beside the run.

`report_predictions.jsonl` in the run's directory holds a line that says what it was made from, then a case a line. A
later report reads it, unless weights, data, config or version are others by then.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from luke_tasks import __version__
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import file_sha256, replacing
from luke_tasks.mistakes.cases import Case, cases_of, is_known

logger = logging.getLogger(__name__)
CACHE_NAME = "report_predictions.jsonl"
WEIGHTS_NAME = "best.safetensors"


@dataclass
class Answers:
    """What a run's model does on a file.

    Args:
        data: the file.
        data_key: of its content.
        task: the reader's.
        scores: as `evaluate` prints them.
        cases: in the order of the file; none where the task's errors cannot be shown.
    """

    data: str
    data_key: str
    task: str
    scores: dict[str, float]
    cases: list[Case] = field(default_factory=list)


def answers_of(run_dir: Path, data: str, args: argparse.Namespace) -> Answers:
    """The stored answers of a run on the file `data`, or else new ones, which are stored.

    Args:
        args: the flags of a command that loads a model and runs it in batches; see `commands/_arguments.py`.
    Raises:
        ArchiveError, CheckpointError, DataError: the model or the file cannot be read.
    """
    key = {"version": __version__, "weights": _sha256(run_dir / WEIGHTS_NAME), "data": _sha256(Path(data)),
           "config": _sha256(run_dir / "config.json"), "precision": args.precision}  # fmt: skip
    cache = run_dir / CACHE_NAME
    stored = _read(cache, key)
    if stored is not None:
        logger.info("%s: answers on %s are taken from %s", run_dir, data, cache.name)
        stored.data = data
        return stored
    answers = _predict(run_dir, data, key["data"], args)
    try:
        _write(cache, key, answers)
    except OSError as error:
        logger.warning("%s: cannot be written (%s); the next report runs the model again", cache, error.strerror)
    return answers


def validation_file(run_dir: Path, config: dict[str, Any], given: str | None) -> str | None:
    """The file to answer: `given`, or the validation data of the config; None: it has none.

    Raises:
        DataError: the file is not there.
    """
    name = given or config.get("validation_data_path")
    if name is not None and not Path(name).is_file():
        source = "--data" if given else f"{run_dir}/config.json: validation_data_path"
        raise DataError(f"{source}: {name}: no such file; name the data with --data FILE, or leave the errors "
                        "out with --no-predictions")  # fmt: skip
    return name


def _predict(run_dir: Path, data: str, data_key: str, args: argparse.Namespace) -> Answers:
    from luke_tasks.predictor import Predictor
    from luke_tasks.trained import load_trained

    logger.info("%s: running its best model on %s", run_dir, data)
    trained = load_trained(run_dir, include_packages=args.include_package)
    predictor = Predictor.for_evaluation(trained, batch_size=args.batch_size, max_tokens=args.max_tokens,
                                         cuda_device=args.cuda_device, precision=args.precision)  # fmt: skip
    evaluation = predictor.evaluate(data)
    task = trained.reader.task
    pairs = zip(evaluation.examples, evaluation.predictions, strict=True)
    cases = [case for example, prediction in pairs for case in cases_of(task, example, prediction)]
    if not is_known(task):
        logger.warning("%s: the errors of the task %r cannot be shown; the report has the scores only", run_dir, task)
    return Answers(data, data_key, task, evaluation.scores, cases)


def _write(path: Path, key: dict[str, str], answers: Answers) -> None:
    head = {"made_from": key, "task": answers.task, "scores": answers.scores, "cases": len(answers.cases)}
    lines: Iterable[dict[str, Any]] = (head, *(asdict(case) for case in answers.cases))
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _read(path: Path, key: dict[str, str]) -> Answers | None:
    """What the file holds, if it was made from `key` and is whole."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # not splitlines(): U+2028 stands within lines
        head, *rest = [json.loads(line) for line in lines]
        if head["made_from"] != key or head["cases"] != len(rest):
            return None
        return Answers("", key["data"], head["task"], head["scores"], [Case(**line) for line in rest])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s: is not as it was written (%s); it is made again", path, error)
        return None


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise LukeTasksError(f"{path}: cannot be read: {error.strerror}") from None
