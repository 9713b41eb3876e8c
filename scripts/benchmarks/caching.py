"""Suite `cache`: a long file held in memory, beside the cache of features (`data_loader.cache_dir`)."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.options import ROOT, Options
from benchmarks.processes import MEGABYTE, in_own_process, peak_resident, resident
from benchmarks.report import Table
from benchmarks.samples import SAMPLES
from luke_tasks.data.labels import Labels
from luke_tasks.data.loader import DataLoader, collate
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import LukeTasksError
from luke_tasks.readers.data_set import read_set
from luke_tasks.readers.feature_cache import read_cached
from luke_tasks.readers.reader import Reader
from luke_tasks.schema import check

READERS = ("relation_classification", "transformers_squad", "conll_span")  # without --only
WAYS = ("in memory", "cache made", "cache read")
_SAMPLED_SECONDS = 0.02
_COLUMNS = {"reader": "", "features": "", "file, MB": "file", "cache, MB": "cache", "start, s": "start",
            "epoch, s": "epoch", "own memory, MB": "own", "peak with mapped pages, MB": "peak"}  # fmt: skip


def cache(options: Options) -> list[Table]:
    """Each way of having the features of a long file, in processes of their own; the last reads what the second made.

    | column | what |
    |---|---|
    | file, cache | size of the data file, and of the cache's folder |
    | start | reading, counting labels, finding windows without label: all that comes before training |
    | epoch | every batch of a shuffled epoch is put together, without a model |
    | own memory | the most that the process held more than before and no file can give back (`RssAnon`) |
    | peak with mapped pages | the most of all that was resident, pages of the cache that the system may drop included |
    """
    if options.only not in (None, *SAMPLES):
        raise LukeTasksError(f"--only {options.only}: expected one of {', '.join(SAMPLES)}")
    records = [record for name in ([options.only] if options.only else READERS) for record in _of_reader(name, options)]
    rows = [[f"`{record['reader']}`", record["features"],
             *(f"{record[key]:,.1f}" for key in list(_COLUMNS.values())[2:])] for record in records]  # fmt: skip
    return [Table(list(_COLUMNS), rows, records, frozenset(list(_COLUMNS)[2:]))]


def _of_reader(name: str, options: Options) -> list[dict[str, Any]]:
    sample, count = SAMPLES[name], options.records or (1_000 if options.size == "small" else 100_000)
    path = options.folder / f"long_{Path(sample.file).name}"
    with path.open("w", encoding="utf-8") as out:
        out.writelines(sample.repeat((ROOT / sample.file).read_text(encoding="utf-8"), count))
    job = {"reader": name, "file": str(path), "pretrained": options.pretrained}
    records = []
    for way in WAYS:
        folder = str(options.folder / "cache") if way != WAYS[0] else None
        records.append({"features": way, **in_own_process("cache", {**job, "folder": folder})})
    path.unlink()
    return records


def child(job: dict[str, Any]) -> dict[str, Any]:
    """One way, in this process."""
    from luke_tasks.experiment_config import discover_all

    discover_all()
    name, path = job["reader"], Path(job["file"])
    tokenizer = Tokenizer.from_pretrained(job["pretrained"])
    spec, _ = check({"type": name.partition(" ")[0], **SAMPLES[name].reader}, Reader)
    reader = spec.build(tokenizer=tokenizer)
    tokenizer.add_words(reader.added_words)
    tokenizer.texts_to_pieces(["a"])  # whatever is loaded at the first use
    gc.collect()
    before = resident()
    with _OwnMemory() as own:
        began = time.perf_counter()
        found = read_set(reader, path) if job["folder"] is None else read_cached(reader, spec, path, job["folder"])
        labels = Labels.count(found.label_counts.elements())
        found.count_unlabelled(labels)
        started = time.perf_counter()
        loader = DataLoader(batch_size=32, shuffle=True, bucket=True)
        for rows in loader.order(found.features, seed=0, epoch=0):
            collate([found.features[row] for row in rows], pad_id=tokenizer.special.pad, labels=labels)
        ended = time.perf_counter()
    folder = getattr(found, "folder", None)
    size = sum(file.stat().st_size for file in folder.iterdir()) if folder else 0
    return {"reader": name, "file": path.stat().st_size / MEGABYTE, "cache": size / MEGABYTE,
            "start": started - began, "epoch": ended - started, "own": own.most - own.before,
            "peak": peak_resident() - before}  # fmt: skip


class _OwnMemory:
    """Looks, in a thread, at what this process holds besides mapped files, in megabytes."""

    def __enter__(self) -> _OwnMemory:
        self.before = self.most = _anonymous()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(_SAMPLED_SECONDS):
            self.most = max(self.most, _anonymous())

    def __exit__(self, *raised: object) -> None:
        self._done.set()
        self._thread.join()
        self.most = max(self.most, _anonymous())


def _anonymous() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resident()
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("RssAnon"))
    return float(line.split()[1]) * 1024 / MEGABYTE  # KiB
