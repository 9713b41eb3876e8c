"""What works on the shards: a process's model, and the file of predictions it writes for each.

The same object serves without Ray and as Ray Data's actor.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luke_tasks.bulk.shards import Shard, write_manifest
from luke_tasks.errors import LukeTasksError
from luke_tasks.files import replacing

if TYPE_CHECKING:
    from luke_tasks.predictor import Predictor

_OF_A_FILE = 512  # inputs that are read before the first of them is answered: windows of like length run together
SAME_PATHS = "the archive, the inputs and the output folder must have the same paths on all nodes"
_BEGUN, _LOADED = "begun\n", "loaded\n"


@dataclass(frozen=True)
class Job:
    """What every worker is told; see `predict_files`."""

    archive: str
    made_by: dict[str, Any]  # goes into the manifests
    overrides: str
    include_packages: tuple[str, ...]
    weights_file: str | None
    batch_size: int | None
    max_tokens: int | None
    cuda_device: int | None
    precision: Any
    use_dataset_reader: bool
    retries: int
    folder: str  # from which relative paths in the archive's config, and packages, are found
    marker: str  # a file in the output folder


@dataclass
class Outcome:
    """What became of a shard."""

    shard: Shard
    records: int = 0
    seconds: float = 0.0
    error: str = ""  # "": it is done
    exit_status: int = 0  # not 0: the fault lies not with the shard, and the whole run ends with this status
    dropped: dict[str, int] = field(default_factory=dict)  # what the reader left out, and how often

    def to_json(self) -> str:
        """For the way from a worker to the driver."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """The reverse of `to_json`."""
        values = json.loads(text)
        return cls(**{**values, "shard": Shard(**values["shard"])})


class Worker:
    """Predicts shards, one call each. The model is loaded at the first call, and stays."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._predictor: Predictor | None = None

    def __call__(self, shard: Shard) -> Outcome:
        """Predict a shard into its output, and try again after what may pass (a full disk, a GPU without memory).

        A try that its process does not survive is known from the file `shard.tries`, which the next process finds.
        A fault of the data, or of the request, is reported at once.
        """
        job = self.job
        if not Path(job.marker).exists():
            message = (
                f"{Path(job.marker).parent}: the output folder is not there on {socket.gethostname()}; " + SAME_PATHS
            )
            return Outcome(shard, error=message, exit_status=2)
        failure = ""
        for _ in range(job.retries + 1):
            try:
                earlier = shard.tries.read_text(encoding="utf-8") if shard.tries.exists() else ""
                if earlier.count(_BEGUN) > job.retries:
                    break
                return self._try(shard)
            except LukeTasksError as error:
                shard.clean_up()
                return Outcome(shard, error=str(error), exit_status=0 if self._predictor else error.exit_status)
            except Exception as error:  # of the system, of torch, of a user's package
                failure = _shown(error)
        shard.clean_up()
        number = job.retries + 1
        if failure:
            message = f"{failure} (tried {number} times)" if number > 1 else failure
            return Outcome(shard, error=message, exit_status=0 if self._predictor else 1)
        message = f"its worker died in each of {number} tries" if number > 1 else "its worker died"
        if earlier.endswith(_LOADED):
            return Outcome(shard, error=f"{message}: killed, out of memory, or crashed")
        return Outcome(shard, error=f"{message}, while it loaded the model: killed, or out of memory", exit_status=1)

    def _try(self, shard: Shard) -> Outcome:
        begun = time.perf_counter()
        with shard.tries.open("a", encoding="utf-8") as notes:
            notes.write(_BEGUN)
            notes.flush()
            predictor = self._predictor = self._predictor or self._load()
            notes.write(_LOADED)
        shard.manifest.unlink(missing_ok=True)  # what is there now is of other inputs or options
        Path(shard.output).unlink(missing_ok=True)
        reader = predictor.reader
        reader.dropped.clear()
        records = 0
        with replacing(Path(shard.output)) as partial:
            with partial.open("w", encoding="utf-8") as out:
                at_once = max(_OF_A_FILE, self.job.batch_size or 0)
                places: deque[str] = deque()  # of the examples that are read and not answered yet
                for _, prediction in predictor.predict_examples(self._examples(shard, places), at_once=at_once):
                    # A user's own head may give no id.
                    record = {"id": places.popleft(), **prediction.to_json()}
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
                    records += 1
            shard.check_unchanged()
        write_manifest(shard, self.job.made_by, records)
        shard.tries.unlink()
        return Outcome(shard, records, time.perf_counter() - begun, dropped=dict(reader.dropped))

    def _examples(self, shard: Shard, places: deque[str]) -> Iterator[Any]:
        """The examples of a shard; where each stands is added to `places`."""
        from luke_tasks.readers.raw_lines import parse_lines

        assert self._predictor is not None
        reader = self._predictor.reader
        if self.job.use_dataset_reader:
            # By its own name, which is in ids and messages; on another node perhaps only its full path leads there.
            name = shard.name if Path(shard.name).exists() else shard.path
            for number, example in enumerate(reader.read(name), start=1):
                places.append(f"{shard.name}: record {number}")
                yield example
            return
        for number, line in enumerate(shard.lines(), start=shard.first_line):
            for example in parse_lines(reader, [line], shard.name, number):
                places.append(f"{shard.name}:{number}")
                yield example

    def _load(self) -> Predictor:
        from luke_tasks.predictor import Predictor
        from luke_tasks.trained import load_trained

        job = self.job
        if Path(job.folder).is_dir():
            os.chdir(job.folder)
        trained = load_trained(job.archive, overrides=job.overrides, include_packages=job.include_packages,
                               weights_file=job.weights_file)  # fmt: skip
        return Predictor(trained, batch_size=job.batch_size, max_tokens=job.max_tokens, cuda_device=job.cuda_device,
                         precision=job.precision)  # fmt: skip


def _shown(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]
