"""Measure LUKE against the plain baseline on real data, over seeds: the tables of the README.

python scripts/measure_scores.py TASK --data FOLDER --out runs/measure --seeds 3

| TASK | files in FOLDER | trained on, chosen on, tested on |
|---|---|---|
| wnut17, wnut17_shared | train.conll, dev.conll, test.conll | as the files say |
| ner_sample, which needs no FOLDER | data/ner | as the files say |
| open_entity | train.json, dev.json | 9/10 of train.json, the rest of it, dev.json |
| kbp37 | train-1000.txt (or train.txt), dev.txt | 9/10 of the training file, the rest of it, dev.txt |
| xquad | xquad.en.json | 36 articles, 4 articles, the other 8 |

Each run is `allennlp train` in a process of its own, then `allennlp evaluate` on the test file. A run whose scores are
there already is not made again. The rows without a model are computed from the same files.

`wnut17_shared` and `ner_sample` compare two ways to make windows, and their speeds, in labelled words a second: of
training as the run's log says of each epoch, and of prediction by a loaded model, from reading the test file to its
score. They mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import luke_tasks
from luke_tasks.metrics.answer_text import best, exact_match, f1
from luke_tasks.metrics.relation_f1 import RelationF1
from luke_tasks.metrics.typing_scores import TypingScores
from luke_tasks.readers.entity_typing import COARSE

Scores = dict[str, float]


class Split(NamedTuple):
    """The files a model is trained on, chosen on and tested on."""

    train: Path
    validation: Path
    test: Path


@dataclass(frozen=True)
class Task:
    """A data set: how it is split, which configs are compared, and what is reported."""

    configs: dict[str, str]  # row of the table → config
    split: Callable[[Path, Path], Split]  # from the data's folder, and one to write into
    metrics: dict[str, str]  # column of the table → name of the score
    scale: float = 100.0  # what a score is multiplied by
    without_model: tuple[str, Callable[[Split], Scores]] | None = None  # row of the table, its scores on the test file
    speeds: bool = False  # whether words a second are reported


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, help="the folder that holds the files named above")
    parser.add_argument("--out", type=Path, default=Path("runs/measure"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, metavar="N", help="wnut17, wnut17_shared, ner_sample: only the first "
                        "N of each file, to compare speeds")  # fmt: skip
    args = parser.parse_args()
    task = TASKS[args.task]
    if args.data is None and args.task != "ner_sample":
        parser.error(f"{args.task} needs --data, the folder that holds its files")
    if args.sentences is not None and "ner" not in args.task and "wnut" not in args.task:
        parser.error("--sentences: only of files in columns (wnut17, wnut17_shared, ner_sample)")
    data = args.data or Path("data/ner")
    out = args.out / args.task
    out.mkdir(parents=True, exist_ok=True)
    split = task.split(data, out)
    if args.sentences is not None:
        out = out / f"first_{args.sentences}"
        out.mkdir(exist_ok=True)
        split = Split(*(cut(path, args.sentences, out) for path in split))
    rows = {}
    if task.without_model is not None:
        name, compute = task.without_model
        rows[name] = [compute(split)]
    for name, config in task.configs.items():
        runs = [out / f"{Path(config).name}_seed{seed}" for seed in range(args.seeds)]
        rows[name] = [measure(config, seed, split, run_dir) for seed, run_dir in enumerate(runs)]
        if task.speeds:
            rows[name] = [
                {**scores, **measure_speeds(split, run)} for scores, run in zip(rows[name], runs, strict=True)
            ]
    print(table(rows, task))


def measure(config: str, seed: int, split: Split, run_dir: Path) -> Scores:
    """Train and evaluate once: the scores on the test file."""
    result_file = run_dir / "metrics_test.json"
    if not result_file.exists():
        environment = {**os.environ, "TRAIN_DATA_PATH": str(split.train), "VALIDATION_DATA_PATH": str(split.validation)}
        seeds = {"random_seed": seed, "numpy_seed": seed, "pytorch_seed": seed}
        allennlp("train", f"configs/{config}.jsonnet", "-s", str(run_dir), "-f", "--file-friendly-logging",
                 "-o", json.dumps(seeds), environment=environment)  # fmt: skip
        allennlp("evaluate", str(run_dir / "model.tar.gz"), str(split.test), "--output-file", str(result_file),
                 environment=environment)  # fmt: skip
    scores: Scores = json.loads(result_file.read_text(encoding="utf-8"))
    return scores


def measure_speeds(split: Split, run_dir: Path) -> Scores:
    """Labelled words a second of a finished run, in training and in prediction."""
    result_file = run_dir / "speeds.json"
    if not result_file.exists():
        log = (run_dir / "out.log").read_text(encoding="utf-8")
        epochs = [int(found.replace(",", "")) for found in re.findall(r"; ([\d,]+) words/s\b", log, re.MULTILINE)]
        config = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
        batch_size = (config["validation_data_loader"] or config["data_loader"])["batch_size"]
        predictor = luke_tasks.load(run_dir / "model.tar.gz", batch_size=batch_size)
        words = sum(len(example.words) for example in predictor.reader.read(split.test))
        began = time.monotonic()
        predictor.evaluate(split.test)
        seconds = time.monotonic() - began
        result_file.write_text(json.dumps({"training": statistics.mean(epochs), "prediction": words / seconds}))
    speeds: Scores = json.loads(result_file.read_text(encoding="utf-8"))
    return speeds


def allennlp(*arguments: str, environment: dict[str, str]) -> None:
    """Run a command of luke-tasks; stop the script when it fails."""
    subprocess.run([sys.executable, "-m", "luke_tasks", *arguments], env=environment, check=True, stdout=sys.stderr)


def table(rows: dict[str, list[Scores]], task: Task) -> str:
    """A Markdown table: mean ± standard deviation over seeds."""
    speeds = {"training, words/s": "training", "prediction, words/s": "prediction"} if task.speeds else {}
    columns = [*task.metrics, *speeds]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    for name, results in rows.items():
        cells = []
        for metric in task.metrics.values():
            values = [task.scale * result[metric] for result in results]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        cells += [f"{statistics.mean(result[speed] for result in results):,.0f}" for speed in speeds.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# -- splits ---------------------------------------------------------------------------------------------------------


def cut(path: Path, sentences: int, out: Path) -> Path:
    """A file of the first sentences of a file in columns."""
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
    shorter = out / path.name
    shorter.write_text("\n\n".join(blocks[:sentences]) + "\n", encoding="utf-8")
    return shorter


def split_wnut17(data: Path, out: Path) -> Split:
    """The published split."""
    return Split(data / "train.conll", data / "dev.conll", data / "test.conll")


def split_ner_sample(data: Path, out: Path) -> Split:
    """The split of the project's own sample."""
    return Split(data / "train.txt", data / "valid.txt", data / "test.txt")


def split_open_entity(data: Path, out: Path) -> Split:
    """Every tenth record of the training file is for validation; the published validation file is the test."""
    lines = (data / "train.json").read_text(encoding="utf-8").splitlines(keepends=True)
    return Split(*write_tenth(lines, out / "train.json", out / "valid.json"), data / "dev.json")


def split_kbp37(data: Path, out: Path) -> Split:
    """As Open Entity. A record is the lines up to two blank ones."""
    name = "train.txt" if (data / "train.txt").exists() else "train-1000.txt"
    blocks = (data / name).read_text(encoding="utf-8").strip("\n").split("\n\n\n")
    records = [block + "\n\n\n" for block in blocks]
    return Split(*write_tenth(records, out / "train.txt", out / "valid.txt"), data / "dev.txt")


def write_tenth(records: list[str], train: Path, validation: Path) -> tuple[Path, Path]:
    """Write every tenth record into `validation` and the others into `train`."""
    train.write_text("".join(record for number, record in enumerate(records, 1) if number % 10), encoding="utf-8")
    validation.write_text("".join(records[9::10]), encoding="utf-8")
    return train, validation


def split_xquad(data: Path, out: Path) -> Split:
    """By article, so that no paragraph's neighbour is in another file: 36, 4 and 8, in a fixed random order."""
    content = json.loads((data / "xquad.en.json").read_text(encoding="utf-8"))
    articles = content["data"]
    random.Random(0).shuffle(articles)
    parts = {"train": articles[:36], "valid": articles[36:40], "test": articles[40:]}
    for name, part in parts.items():
        (out / f"{name}.json").write_text(json.dumps({"version": "1.1", "data": part}), encoding="utf-8")
    return Split(*(out / f"{name}.json" for name in parts))


# -- rows without a model -------------------------------------------------------------------------------------------


def most_frequent_type(split: Split) -> Scores:
    """The most frequent of the nine types, for every mention."""
    train, test = ([_coarse_types(line) for line in path.read_text(encoding="utf-8").splitlines()]
                   for path in (split.train, split.test))  # fmt: skip
    always = Counter(chain.from_iterable(train)).most_common(1)[0][0]
    scores = TypingScores()
    for gold in test:
        scores.update(gold=gold, predicted=[always])
    return scores.compute()


def _coarse_types(line: str) -> list[str]:
    return [name for name in json.loads(line)["y_str"] if name in COARSE]


def most_frequent_relation(split: Split) -> Scores:
    """The most frequent relation, for every sentence."""
    train, test = ([line for line in path.read_text(encoding="utf-8").splitlines() if line and "\t" not in line]
                   for path in (split.train, split.test))  # fmt: skip
    always = Counter(label for label in train if label != "no_relation").most_common(1)[0][0]
    scores = RelationF1(ignored=["no_relation"])
    for gold in test:
        scores.update(gold=gold, predicted=always)
    return scores.compute()


def random_span(split: Split) -> Scores:
    """A random stretch of the paragraph's words, as long as a random training answer."""
    chance = random.Random(0)
    lengths = [len(answers[0].split()) for _, answers in _questions(split.train)]
    totals = {"exact_match": 0.0, "f1": 0.0}
    questions = _questions(split.test)
    for context, answers in questions:
        words = context.split()
        length = min(chance.choice(lengths), len(words))
        start = chance.randrange(len(words) - length + 1)
        predicted = " ".join(words[start : start + length])
        totals["exact_match"] += best(exact_match, predicted, answers)
        totals["f1"] += best(f1, predicted, answers)
    return {name: 100 * total / len(questions) for name, total in totals.items()}


def _questions(path: Path) -> list[tuple[str, list[str]]]:
    """Context and gold answers of each question."""
    articles: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["data"]
    return [
        (paragraph["context"], [answer["text"] for answer in question["answers"]])
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


TASKS = {
    "wnut17": Task(
        configs={"LUKE, `token+entity`": "ner/wnut17", "`transformer`, `token`": "ner/wnut17_baseline"},
        split=split_wnut17,
        metrics={"span F1": "f1"},
    ),
    "wnut17_shared": Task(
        configs={'`"document"`': "ner/wnut17_document", '`"shared"`': "ner/wnut17_shared"},
        split=split_wnut17,
        metrics={"span F1": "f1"},
        speeds=True,
    ),
    "ner_sample": Task(
        configs={'`"document"`': "ner/quickstart_document", '`"shared"`': "ner/quickstart_shared"},
        split=split_ner_sample,
        metrics={"span F1": "f1"},
        speeds=True,
    ),
    "open_entity": Task(
        configs={
            "LUKE, `entity`": "entity_typing/open_entity_minilm",
            "`transformer`, `token`": "entity_typing/open_entity_baseline",
        },
        split=split_open_entity,
        metrics={
            "micro F1": "micro_fscore",
            "loose macro F1": "loose_macro_fscore",
            "strict accuracy": "strict_accuracy",
        },
        without_model=("the most frequent type", most_frequent_type),
    ),
    "kbp37": Task(
        configs={
            "LUKE, `entity`": "relation_classification/kbp37_minilm",
            "`transformer`, `token`": "relation_classification/kbp37_baseline",
        },
        split=split_kbp37,
        metrics={"macro F1": "macro_fscore", "micro F1": "micro_fscore", "accuracy": "accuracy"},
        without_model=("the most frequent relation", most_frequent_relation),
    ),
    "xquad": Task(
        configs={
            "LUKE": "question_answering/xquad_minilm",
            "`transformer`": "question_answering/xquad_baseline",
        },
        split=split_xquad,
        metrics={"exact match": "exact_match", "F1": "f1"},
        scale=1.0,
        without_model=("a random span", random_span),
    ),
}


if __name__ == "__main__":
    main()
