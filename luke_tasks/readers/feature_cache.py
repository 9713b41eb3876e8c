"""The cache of features (`data_loader.cache_dir`): a data file is read and encoded once, and mapped from disk after.

A set of data has a folder that bears its key (see `feature_key.py`); whatever has another key has another folder. A
folder appears when it is complete, and its `manifest.json` says how long its files are and their SHA-256: what is not
so is made again. Old folders stay until the user removes them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from luke_tasks.data.labels import Labels
from luke_tasks.data.stored import StoredClass, UnstorableError
from luke_tasks.data.stored_set import EXAMPLES_FILE, FEATURES_FILE, SetWriter, StoredExamples, StoredFeatures
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import file_sha256, is_partial, new_directory, write_json
from luke_tasks.readers.data_set import DataSet, count_labels
from luke_tasks.readers.feature_key import content_digest, digest_of, feature_key
from luke_tasks.readers.reader import Reader
from luke_tasks.spec import Spec

logger = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_EXAMPLES_AT_ONCE = 512  # that are in memory with their windows while the cache is made


@dataclass
class CachedSet(DataSet):
    """A data file in the cache: `examples` and `features` are made of their rows when asked for."""

    folder: Path

    def count_unlabelled(self, labels: Labels) -> int:
        """As in `DataSet`; what was counted once for these labels is remembered beside the rows."""
        note = self.folder / f"unlabelled_{digest_of({'labels': list(labels)})[:16]}.json"
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(note.read_text(encoding="utf-8"))
            if type(known) is int:
                return known
        found = super().count_unlabelled(labels)
        with contextlib.suppress(OSError), _lock(self.folder):  # a cache that others own may be read only
            write_json(note, found)
        return found


def read_cached(reader: Reader, spec: Spec[Reader], path: str | Path, cache_dir: str | Path) -> CachedSet:
    """The features of a data file from the cache in `cache_dir`, made first where they are not there.

    Of two processes that ask for the same ones at once, one makes them and the other waits.

    Args:
        spec: of which `reader` was built.
    Raises:
        DataError: the file cannot be read, holds no example, or changes meanwhile.
        LukeTasksError: the cache cannot be written, or an example cannot be stored.
    """
    key = feature_key(reader, spec, path)
    stem = re.sub(r"[^\w.-]", "_", Path(path).stem)[:60]
    folder = Path(cache_dir) / f"{stem}-{digest_of(key)[:16]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        while True:
            damage = None
            try:
                found = _open(folder, key, path)
                if found is not None:
                    return found
            except _Damaged as error:
                damage = error
            with _lock(folder) as has_waited:
                if has_waited or (folder.exists() and damage is None):
                    continue  # another process has made it meanwhile, or could not
                if damage is not None:
                    logger.warning("%s: the cache is damaged (%s); it is made again", folder, damage)
                    shutil.rmtree(folder)
                _make(folder, key, reader, path)
                made = _open(folder, key, path, is_new=True)
                assert made is not None
                return made
    except UnstorableError as error:
        raise LukeTasksError(f"data_loader.cache_dir: {error}; remove the key to keep the features in memory") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise LukeTasksError(f"data_loader.cache_dir: {folder} cannot be written: {reason}; give another folder, or "
                             "remove the key") from None  # fmt: skip


# -- making ---------------------------------------------------------------------------------------------------------


def _make(folder: Path, key: dict[str, Any], reader: Reader, path: str | Path) -> None:
    """Read and encode the file, some examples at a time, into a new folder."""
    label_counts: Counter[str] = Counter()
    with _removed_on_failure(folder), new_directory(folder) as partial, _kept_messages() as messages:
        with SetWriter(partial) as writer:
            stream = iter(reader.read(path))
            while examples := list(islice(stream, _EXAMPLES_AT_ONCE)):
                writer.add(examples, reader.encode(examples))
                label_counts.update(count_labels(reader, examples))
        if not writer.num_examples:
            raise DataError(f"{path}: the file holds no example")
        reader.report_dropped(path)
        if content_digest(path) != key["content"]:
            raise DataError(f"{path}: was changed while it was read; try again when it is complete")
        files = {name: _file_entry(partial / name) for name in (EXAMPLES_FILE, FEATURES_FILE)}
        write_json(partial / _MANIFEST, {
            "key": key, "files": files, "classes": writer.classes, "num_words": writer.num_words,
            "label_counts": list(label_counts.items()), "messages": messages,
        })  # fmt: skip


@contextlib.contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Leave nothing of a folder that could not be completed: it may be what fills the disk."""
    try:
        yield
    except BaseException:
        for partial in filter(is_partial, folder.parent.glob(f"{folder.name}*")):
            shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def _kept_messages() -> Iterator[list[tuple[int, str]]]:
    """What this package logs in the block, as levels and texts: what was dropped, say, also holds for the cache."""
    messages: list[tuple[int, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append((record.levelno, record.getMessage()))  # type: ignore[method-assign]
    package = logging.getLogger("luke_tasks")
    package.addHandler(handler)
    try:
        yield messages
    finally:
        package.removeHandler(handler)


def _file_entry(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": file_sha256(path)}


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """One process at a time; gives whether it had to wait. The lock of one that is killed is free."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    has_waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        has_waited = True
        logger.info("%s: another process is at this cache: waiting for it", folder)
        lock.acquire()
    try:
        yield has_waited
    finally:
        lock.release()


# -- opening --------------------------------------------------------------------------------------------------------


class _Damaged(Exception):
    """A folder of the cache is not as it was written."""


def _open(folder: Path, key: dict[str, Any], path: str | Path, is_new: bool = False) -> CachedSet | None:
    """The set in a folder; None where there is no folder. Raises _Damaged."""
    if not folder.exists():
        return None
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["key"] != json.loads(json.dumps(key)):
            raise _Damaged(f"{_MANIFEST} is of something else")
        for name, written in manifest["files"].items():
            _check_file(folder / name, written)
        classes = [StoredClass(*stored) for stored in manifest["classes"]]
        examples = StoredExamples(folder, classes)
        features = StoredFeatures(folder, classes, examples)
        counts = Counter({str(label): int(count) for label, count in manifest["label_counts"]})
        messages = [(int(level), str(text)) for level, text in manifest["messages"]]
        num_words = int(manifest["num_words"])
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise _Damaged(str(error)) from None
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Damaged(f"{_MANIFEST}: {type(error).__name__}: {error}") from None
    if not is_new:
        for level, text in messages:
            logger.log(level, "%s", text)
    origin = f"{path}, {'written to' if is_new else 'read from'} the cache {folder}"
    return CachedSet(examples, features, num_words, counts, origin, folder)


def _check_file(path: Path, written: dict[str, Any]) -> None:
    size = path.stat().st_size
    if size != written["size"]:
        raise _Damaged(f"{path.name} has {size:,} bytes, {written['size']:,} were written")
    if file_sha256(path) != written["sha256"]:
        raise _Damaged(f"{path.name} is not what was written")
