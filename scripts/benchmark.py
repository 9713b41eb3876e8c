"""Measure speed and memory on this machine. Each suite prints its table; nothing here is a test.

python scripts/benchmark.py read [--records 100000] [--pretrained embedded:minilm] [--only NAME]

`read`: for each reader, a file of so many records (the project's sample, repeated) is read and encoded in a process of
its own. Memory is what that process holds more than before it began:

| column | what |
|---|---|
| file | size of the file |
| kept | once everything is read: the examples and their features |
| peak | the most at any time while reading |
| peak / kept | 1.0: reading needs no more than what it leaves |
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6


@dataclass(frozen=True)
class Sample:
    """A reader, and a file of its format that can be made as long as one likes."""

    reader: dict[str, Any]
    file: str
    repeat: Callable[[str, int], Iterator[str]]  # the sample's text and a number of records → pieces of the long file


def lines_repeated(text: str, records: int) -> Iterator[str]:
    """JSON lines, one record a line."""
    lines = text.splitlines(keepends=True)
    for index in range(records):
        yield lines[index % len(lines)]


def sentences_repeated(text: str, records: int) -> Iterator[str]:
    """CoNLL, one sentence a record."""
    sentences = [block + "\n\n" for block in text.strip().split("\n\n")]
    for index in range(records):
        yield sentences[index % len(sentences)]


def tacred_repeated(text: str, records: int) -> Iterator[str]:
    """One JSON array of TACRED's records, made of plain ones; with as much else in each as TACRED has."""
    arrays = []
    for line in text.splitlines():
        record = json.loads(line)
        words = record["text"].split(" ")
        place = dict.fromkeys(("subj_start", "subj_end", "obj_start", "obj_end"), 0)
        others = {f"stanford_{name}": words for name in ("pos", "ner", "head", "deprel")}
        arrays.append(json.dumps({"id": record["id"], "relation": record["label"], "token": words, **place, **others}))
    for index in range(records):
        yield ("[", ", ")[index > 0] + arrays[index % len(arrays)]
    yield "]"


def articles_repeated(text: str, records: int) -> Iterator[str]:
    """SQuAD's and ReCoRD's form, one question a record, with ids of their own. The last article may add a few."""
    articles = json.loads(text)["data"]
    number = 0
    yield '{"version": "1.1", "data": [\n'
    while number < records:
        separator = ", " if number else ""
        article = json.loads(json.dumps(articles[number % len(articles)]))
        for holder in article.get("paragraphs", [article]):
            for question in holder["qas"]:
                question["id"] = str(number)
                number += 1
        yield separator + json.dumps(article) + "\n"
    yield "]}"


TACRED = "relation_classification (tacred)"
SAMPLES = {
    "conll_span": Sample({"max_sequence_length": 256}, "data/ner/train.txt", sentences_repeated),
    "entity_typing": Sample({}, "data/entity_typing/train.jsonl", lines_repeated),
    "relation_classification": Sample({"dataset": "jsonl"}, "data/relation_classification/train.jsonl", lines_repeated),
    TACRED: Sample({"dataset": "tacred"}, "data/relation_classification/train.jsonl", tacred_repeated),
    "record": Sample({}, "data/record/train.json", articles_repeated),
    "transformers_squad": Sample({}, "data/question_answering/train.json", articles_repeated),
}


def main() -> None:
    """Run a suite and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("suite", choices=["read"])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--pretrained", default="embedded:minilm", help="checkpoint whose tokenizer is used")
    parser.add_argument("--only", choices=SAMPLES, help="this reader alone")
    parser.add_argument("--child", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(read_one(args.only, args.child, args.pretrained)))
        return
    print(machine())
    print(f"{args.records:,} records a file, tokenizer of {args.pretrained}\n")
    print("| reader | file, MB | words/s | kept, MB | peak, MB | peak / kept |\n|---|--:|--:|--:|--:|--:|")
    for name in [args.only] if args.only else SAMPLES:
        result = in_own_process(name, args.records, args.pretrained)
        print(f"| `{name}` | {result['file']:.0f} | {result['words_per_second']:,.0f} | {result['kept']:.0f} | "
              f"{result['peak']:.0f} | {result['peak'] / result['kept']:.2f} |", flush=True)  # fmt: skip


def machine() -> str:
    """Processor, versions."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = f"{names[0]}, {len(names)} cores" if names else cpu
    return f"{cpu}; Python {platform.python_version()}, torch {torch.__version__}"


def in_own_process(name: str, records: int, pretrained: str) -> dict[str, float]:
    """Make the long file, and read it in a fresh process."""
    sample = SAMPLES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(sample.file).name
        with path.open("w", encoding="utf-8") as out:
            out.writelines(sample.repeat((ROOT / sample.file).read_text(encoding="utf-8"), records))
        command = [sys.executable, __file__, "read", "--only", name, "--pretrained", pretrained, "--child", str(path)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def read_one(name: str, path: str, pretrained: str) -> dict[str, float]:
    """Megabytes and words per second of reading `path`, in this process."""
    from luke_tasks.data.tokenizer import Tokenizer
    from luke_tasks.experiment_config import discover_all
    from luke_tasks.readers.reader import Reader

    discover_all()
    sample = SAMPLES[name]
    tokenizer = Tokenizer.from_pretrained(pretrained)
    reader = Reader.registered()[name.partition(" ")[0]](tokenizer=tokenizer, **sample.reader)
    tokenizer.add_words(reader.added_words)
    tokenizer.texts_to_pieces(["a"])  # whatever is loaded at the first use
    gc.collect()
    before = resident()
    started = time.perf_counter()
    held = reader.read_encoded(path)
    seconds = time.perf_counter() - started
    peak = peak_resident()
    gc.collect()
    kept = resident()
    words = sum(feature.num_words for feature in held[1])
    return {"file": Path(path).stat().st_size / MEGABYTE, "words_per_second": words / seconds,
            "kept": kept - before, "peak": peak - before}  # fmt: skip


def resident() -> float:
    """Memory of this process now, in megabytes."""
    import psutil

    return float(psutil.Process().memory_info().rss) / MEGABYTE


def peak_resident() -> float:
    """The most memory this process has held so far, in megabytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / MEGABYTE * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
