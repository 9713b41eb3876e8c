"""Bulk prediction from beginning to end: find the shards, skip what is finished, do the rest, say what came of it."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from luke_tasks import __version__
from luke_tasks.bulk.ray_workers import RayOptions, outcomes
from luke_tasks.bulk.shards import Shard, find_files, plan, records_if_finished, remove_leftovers
from luke_tasks.bulk.worker import Job, Outcome, Worker
from luke_tasks.errors import ArchiveError, LukeTasksError, PredictionError
from luke_tasks.files import file_sha256
from luke_tasks.training.run_lock import run_lock

logger = logging.getLogger(__name__)
LINES_PER_SHARD = 10_000
RETRIES = 2
_EXPECTED = "a file, a folder, or a pattern as 'corpus/*.txt'"
_ARCHIVE_PARTS = ("config.json", "meta.json", "vocabulary", "tokenizer", "encoder", "best.safetensors")


@dataclass
class Summary:
    """What a run did."""

    done: int = 0  # shards
    skipped: int = 0  # shards, finished by an earlier run
    failed: dict[str, str] = field(default_factory=dict)  # the shard, and why
    records: int = 0  # of the shards done in this run
    seconds: float = 0.0

    def __str__(self) -> str:
        shards = self.done + self.skipped + len(self.failed)
        speed = self.records / self.seconds if self.seconds else 0.0
        return (f"{shards:,} shard(s): {self.done:,} done, {self.skipped:,} finished before and skipped, "
                f"{len(self.failed):,} failed; {self.records:,} records in {self.seconds:.1f} s "
                f"({speed:,.1f} records/s)")  # fmt: skip


def predict_files(
    archive: str | Path, inputs: Sequence[str | Path], output_dir: str | Path, *, overrides: str = "",
    include_packages: Sequence[str] = (), weights_file: str | Path | None = None, batch_size: int | None = None,
    max_tokens: int | None = None, cuda_device: int | None = None, precision: Literal["fp32", "bf16"] = "fp32",
    use_dataset_reader: bool = False, lines_per_shard: int = LINES_PER_SHARD, retries: int = RETRIES,
    ray: RayOptions | None = None,
) -> Summary:  # fmt: skip
    """Predict on files, into one file of JSON lines a shard: `OUTPUT_DIR/NAME.jsonl`, or `NAME.part-00001.jsonl`, ...

    A prediction has the `id` of its record, or `FILE:LINE` where that has none. A shard that an earlier run finished
    with the same archive, input and options is skipped. Options that only set the speed (batches, device, workers) may
    differ.

    Args:
        inputs: files, folders (all files in them) and patterns.
        overrides, weights_file, include_packages: see `load_trained`.
        batch_size, max_tokens, cuda_device, precision: see `Predictor`. With Ray, `cuda_device` is None (a GPU a worker
            where the cluster has some) or -1.
        use_dataset_reader: the files are in the dataset's own format, and not lines of text or JSON; then a file is a
            shard.
        lines_per_shard: a longer file is cut.
        retries: how often a shard is tried again after its worker died, or after an error that may pass.
        ray: work with Ray; None: in this process.
    Returns:
        The counts. Failed shards are named with their error; the others are there all the same.
    Raises:
        LukeTasksError: the request is wrong, the archive cannot be loaded, Ray is missing, or another run writes into
            this folder.
        PredictionError: workers die while they load the model, or the Ray cluster breaks down.
    """
    begun = time.perf_counter()
    output_dir = Path(output_dir)
    _check(output_dir, lines_per_shard, retries, cuda_device, ray)
    shards = plan(find_files([str(name) for name in inputs], _EXPECTED, apart_from=output_dir), output_dir,
                  None if use_dataset_reader else lines_per_shard)  # fmt: skip
    made_by = {
        "luke_tasks": __version__, "archive": _fingerprint(archive), "overrides": overrides.strip(),
        "include_packages": list(include_packages), "precision": precision, "use_dataset_reader": use_dataset_reader,
        "weights_file": _fingerprint(weights_file) if weights_file is not None else None,
    }  # fmt: skip
    open_shards = [shard for shard in shards if records_if_finished(shard, made_by) is None]
    summary = Summary(skipped=len(shards) - len(open_shards))
    logger.info("%d shard(s) of %d file(s)%s", len(shards), len({shard.name for shard in shards}),
                f"; {summary.skipped} finished before and skipped" if summary.skipped else "")  # fmt: skip
    for folder in {Path(shard.output).parent for shard in shards}:
        folder.mkdir(parents=True, exist_ok=True)
    with run_lock(output_dir, "--output-dir") if open_shards else nullcontext():  # two would mix their predictions
        if leftovers := remove_leftovers(shards):
            logger.info("%d output(s) of parts that are no more were deleted", leftovers)
        for shard in open_shards:
            shard.tries.unlink(missing_ok=True)
        if open_shards:
            with tempfile.NamedTemporaryFile(dir=output_dir, prefix=".run-") as marker:
                job = Job(
                    archive=_from_anywhere(archive), made_by=made_by, overrides=overrides,
                    include_packages=tuple(include_packages),
                    weights_file=None if weights_file is None else _from_anywhere(weights_file), batch_size=batch_size,
                    max_tokens=max_tokens, cuda_device=cuda_device, precision=precision,
                    use_dataset_reader=use_dataset_reader, retries=retries, folder=os.getcwd(),
                    marker=str(Path(marker.name).absolute()),
                )  # fmt: skip
                with closing(_here(job, open_shards) if ray is None else outcomes(job, open_shards, ray)) as results:
                    _collect(results, len(open_shards), summary)
    summary.failed = dict(sorted(summary.failed.items()))  # with Ray they come in any order
    summary.seconds = time.perf_counter() - begun
    return summary


def _here(job: Job, shards: Sequence[Shard]) -> Generator[Outcome]:
    """In this process, one after another."""
    worker = Worker(job)
    yield from map(worker, shards)


def _collect(results: Iterator[Outcome], total: int, summary: Summary) -> None:
    """Count what comes, and say it. Raises LukeTasksError when the fault is not with a shard."""
    dropped: dict[str, Counter[str]] = {}
    for number, outcome in enumerate(results, start=1):
        shard = outcome.shard
        if outcome.exit_status:
            raise {1: PredictionError}.get(outcome.exit_status, LukeTasksError)(outcome.error)
        if outcome.error:
            summary.failed[str(shard)] = outcome.error
            logger.warning("[%d/%d] %s: failed", number, total, shard)
            continue
        summary.done += 1
        summary.records += outcome.records
        dropped.setdefault(shard.name, Counter()).update(outcome.dropped)
        logger.info("[%d/%d] %s: %d records in %.1f s", number, total, shard, outcome.records, outcome.seconds)
    for name, counts in dropped.items():
        for what, count in counts.items():
            logger.warning("%s: %d %s", name, count, what)


def _check(
    output_dir: Path, lines_per_shard: int, retries: int, cuda_device: int | None, ray: RayOptions | None
) -> None:
    """Raises LukeTasksError when an option cannot be."""
    if lines_per_shard < 1:
        raise LukeTasksError(f"lines per shard: expected a positive number, found {lines_per_shard}")
    if retries < 0:
        raise LukeTasksError(f"retries: expected 0 or more, found {retries}")
    present = next(path for path in (output_dir, *output_dir.parents) if path.exists())
    if not present.is_dir():
        raise LukeTasksError(f"{output_dir}: cannot be a folder of predictions, for {present} is a file")
    if ray is None:
        return
    if ray.workers is not None and ray.workers < 1:
        raise LukeTasksError(f"workers: expected a positive number, found {ray.workers}")
    if ray.cpus_per_worker < 1:
        raise LukeTasksError(f"CPUs per worker: expected a positive number, found {ray.cpus_per_worker}")
    if cuda_device not in (None, -1):
        raise LukeTasksError(f"cuda_device: Ray chooses the GPU of each worker; leave it out, or give -1 for the CPU, "
                             f"found {cuda_device}")  # fmt: skip


def _fingerprint(name: str | Path) -> str:
    """SHA-256 of what is stored at `name`: a file, or those of a folder that make a model.

    Raises:
        ArchiveError: there is nothing.
    """
    path = Path(name)
    if path.is_file():
        files = [path]
    else:
        if not path.is_dir():
            path = _checkpoint_of_hub(str(name))
        parts = [path / part for part in _ARCHIVE_PARTS] if (path / "best.safetensors").exists() else [path]
        files = sorted(file for part in parts for file in ([part] if part.is_file() else part.rglob("*")))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(f"{file.relative_to(path) if file != path else ''}\0{file.stat().st_size}\0".encode())
            digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def _checkpoint_of_hub(name: str) -> Path:
    from luke_tasks.interop.huggingface_load import find_checkpoint

    directory = find_checkpoint(name)
    if directory is None:
        raise ArchiveError(f"{name}: no such archive; expected a model.tar.gz or the directory of a run")
    return directory


def _from_anywhere(name: str | Path) -> str:
    """An absolute path; what is no path here, a name of the hub, stays as it is."""
    return str(Path(name).absolute()) if Path(name).exists() else str(name)
