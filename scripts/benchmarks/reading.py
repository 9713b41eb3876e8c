"""Suite `read`: files to features, in words per second and in memory."""

from __future__ import annotations

import gc
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.options import ROOT, Options
from benchmarks.processes import MEGABYTE, in_own_process, peak_resident, resident
from benchmarks.report import Comparison, Table, comparison_table
from benchmarks.samples import SAMPLES, conll_documents, cut_file
from benchmarks.timing import interleave
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import LukeTasksError
from luke_tasks.readers.conll_span import ConllSpanReader
from luke_tasks.readers.reader import Reader

CONLL = "conll"  # the row of documents, for `--only`
DOCUMENTS = 185  # all of the sample, which has as many words as 100 documents of CoNLL-2003
_COLUMNS = {"reader": "", "file, MB": "file", "words/s": "words_per_second", "kept, MB": "kept", "peak, MB": "peak",
            "peak / kept": "ratio"}  # fmt: skip


def read(options: Options) -> list[Table]:
    """Documents to features beside the tokenizer alone; then every reader's speed and memory on a long file."""
    if options.only not in (None, CONLL, *SAMPLES):
        raise LukeTasksError(f"--only {options.only}: expected one of {', '.join([CONLL, *SAMPLES])}")
    tables = []
    if options.only in (None, CONLL):
        tables.append(comparison_table([documents(options)]))
    names = [name for name in SAMPLES if options.only in (None, name)]
    if names:
        tables.append(_reader_table(names, options))
    return tables


def documents(options: Options) -> Comparison:
    """CoNLL documents to features, beside the time that the Rust tokenizer takes for the same words.

    It gets each sentence as a list of words, all sentences at once. Our tokenizer remembers the pieces of words; each
    round begins with one that remembers nothing.
    """
    source = options.data or ROOT / "data" / "ner" / "train.txt"
    count = options.documents or DOCUMENTS
    path = cut_file(source, options.folder / "read.txt", partial(conll_documents, count=count))
    saved = options.folder / "read_tokenizer"
    if not saved.exists():
        Tokenizer.from_pretrained(options.pretrained, special_entities_only=True).save(saved)
    reader = ConllSpanReader(tokenizer=Tokenizer.load(saved))
    examples = list(reader.read(path))
    sentences = [example.words[first:last] for example in examples for first, last in example.sentences]

    def forget() -> None:
        reader.tokenizer = Tokenizer.load(saved)

    backend = Tokenizer.load(saved).backend
    times = interleave(
        {"ours": lambda: reader.read_encoded(path),
         "backend": lambda: backend.encode_batch(sentences, is_pretokenized=True, add_special_tokens=False)},
        repeats=options.repeats, device=options.torch_device, before_each=forget,
    )  # fmt: skip
    words = sum(len(sentence) for sentence in sentences)
    return Comparison(case=f"{CONLL}: {count} documents, {words:,} words", ours=times["ours"], theirs=times["backend"],
                      beside="the Rust tokenizer alone", amount=(words, "words"))  # fmt: skip


def _reader_table(names: list[str], options: Options) -> Table:
    records = [{"reader": name, **_in_own_process(name, options)} for name in names]
    rows = [[f"`{record['reader']}`", *(_shown(record[key]) for key in list(_COLUMNS.values())[1:])]
            for record in records]  # fmt: skip
    return Table(list(_COLUMNS), rows, records, frozenset(list(_COLUMNS)[1:]))


def _records(options: Options) -> int:
    return options.records or (1_000 if options.size == "small" else 100_000)


def _shown(value: Any) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _in_own_process(name: str, options: Options) -> dict[str, float]:
    """Make the long file, and read it in a fresh process."""
    sample = SAMPLES[name]
    path = options.folder / f"long_{Path(sample.file).name}"
    with path.open("w", encoding="utf-8") as out:
        out.writelines(sample.repeat((ROOT / sample.file).read_text(encoding="utf-8"), _records(options)))
    result: dict[str, float] = in_own_process(
        "read", {"reader": name, "file": str(path), "pretrained": options.pretrained}
    )
    path.unlink()
    return result


def child(job: dict[str, str]) -> dict[str, float]:
    """Megabytes and words per second of reading a file, in this process.

    | column | what |
    |---|---|
    | file | size of the file |
    | kept | what the process holds more than before, once everything is read: the examples and their features |
    | peak | the most of that at any time while reading |
    | peak / kept | 1.0: reading needs no more than what it leaves |
    """
    from luke_tasks.experiment_config import discover_all

    discover_all()
    name, path = job["reader"], Path(job["file"])
    tokenizer = Tokenizer.from_pretrained(job["pretrained"])
    reader = Reader.registered()[name.partition(" ")[0]](tokenizer=tokenizer, **SAMPLES[name].reader)
    tokenizer.add_words(reader.added_words)
    tokenizer.texts_to_pieces(["a"])  # whatever is loaded at the first use
    gc.collect()
    before = resident()
    began = time.perf_counter()
    held = reader.read_encoded(path)
    seconds = time.perf_counter() - began
    peak = peak_resident() - before
    gc.collect()
    kept = resident() - before
    words = sum(feature.num_words for feature in held[1])
    return {"file": path.stat().st_size / MEGABYTE, "words_per_second": words / seconds, "kept": kept, "peak": peak,
            "ratio": peak / kept if kept else math.nan}  # fmt: skip
