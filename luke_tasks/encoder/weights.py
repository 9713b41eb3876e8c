"""Weights files of published checkpoints, read without running code: safetensors or pickles, whole or in shards.

Enters: a folder. Leaves: its tensors by the encoder's names for them.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from luke_tasks.data.hub import read_json
from luke_tasks.errors import CheckpointError, listed
from luke_tasks.untrusted import reason_of, reported

PREFIXES = ("luke.", "roberta.", "bert.")  # what a checkpoint saved with a task head puts before the encoder's names


class Weights:
    """The tensors of a checkpoint by the encoder's names for them; each is read when asked for.

    Names lose the prefix of checkpoints saved with a task head, and LayerNorm's `gamma` and `beta` become `weight` and
    `bias`, as they are called since 2019.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Any]) -> None:
        self.path = path
        self._published = {_encoder_name(name): name for name in tensors}
        self._tensors = tensors  # published name → Tensor, or a safetensors slice
        self._used: set[str] = set()

    @classmethod
    def open(cls, directory: Path) -> Weights:
        """Find a folder's weights: safetensors before pickles, and whole files before shards."""
        for name, read in (("model.safetensors", open_safetensors), ("pytorch_model.bin", read_pickle)):
            path, index = directory / name, directory / f"{name}.index.json"
            if path.exists():
                return cls(path, read(path))
            if index.exists():
                return cls(index, _open_shards(index, read))
        raise CheckpointError(f"{directory}: holds no weights; expected model.safetensors or pytorch_model.bin")

    @property
    def names(self) -> set[str]:
        return set(self._published)

    def num_elements(self) -> int:
        """Numbers in all tensors."""
        shapes = (
            source.shape if isinstance(source, Tensor) else source.get_shape() for source in self._tensors.values()
        )
        return sum(math.prod(shape) for shape in shapes)

    def require(self, wanted: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        """Check that each source is there in its shape, from name → (source, shape)."""
        missing = sorted({source for source, _ in wanted.values() if source not in self._published})
        if missing:
            raise CheckpointError(f"{self.path}: missing tensors: {listed(missing, 8)}")
        for source, shape in wanted.values():
            tensor = self._tensors[self._published[source]]
            found = tuple(tensor.shape if isinstance(tensor, Tensor) else tensor.get_shape())
            if found != tuple(shape):
                raise CheckpointError(
                    f"{self.path}: {source}: found shape {_shape(found)}, expected {_shape(shape)} from config.json"
                )

    def read(self, name: str) -> Tensor:
        """A copy in fp32, so that nothing refers to the file afterwards."""
        with reported(lambda reason: CheckpointError(f"{self.path}: {name} cannot be read: {reason}")):
            tensor: Tensor = self._source(name)[:].to(torch.float32, copy=True)
        return tensor

    def rows(self, name: str, ids: list[int]) -> Tensor:
        """Some rows of a table, without reading the others."""
        source = self._source(name)
        count = source.shape[0] if isinstance(source, Tensor) else source.get_shape()[0]
        beyond = [row for row in ids if not 0 <= row < count]
        if beyond:
            raise CheckpointError(f"{self.path}: {name} has {count} rows, but a special entity has id {beyond[0]}")
        return torch.cat([source[row : row + 1].to(torch.float32, copy=True) for row in ids])

    def unused(self) -> set[str]:
        """Published names of the tensors that nothing has read."""
        return set(self._tensors) - self._used

    def _source(self, name: str) -> Any:
        published = self._published[name]
        self._used.add(published)
        return self._tensors[published]


def _encoder_name(published: str) -> str:
    for prefix in PREFIXES:
        published = published.removeprefix(prefix)
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", published))


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def open_safetensors(path: Path) -> dict[str, Any]:
    """Slices by name, of which nothing is read yet. Raises CheckpointError where it is no such file."""
    try:
        file = safe_open(path, framework="pt")
        return {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors, perhaps truncated: {reason_of(error)}") from None


def read_pickle(path: Path) -> dict[str, Any]:
    """Tensors only: `weights_only` refuses a file that would run code."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_stored_zip(path))
    except CheckpointError:
        raise
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: refused: it holds objects other than tensors, which could run code when read, or is truncated"
        ) from None
    except Exception as error:  # a damaged pickle makes the unpickler fail in any way
        raise CheckpointError(
            f"{path}: cannot be read as PyTorch weights, perhaps truncated: {reason_of(error)}"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected tensors by name, found {type(content).__name__}")
    tensors = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    odd = next((name for name, tensor in tensors.items() if not is_plain(tensor)), None)
    if odd is not None:
        raise CheckpointError(f"{path}: {odd}: expected a plain tensor of numbers, found a sparse, quantised or "
                              "repeated one")  # fmt: skip
    return tensors


def is_plain(tensor: Tensor) -> bool:
    """Whether its numbers are all there, each in a place of its own: a tensor can claim billions over one."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def is_stored_zip(path: Path) -> bool:
    """Whether it is `torch.save`'s newer form. Raises CheckpointError where it is compressed: that could be a bomb."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise CheckpointError(f"{path}: refused: its records are compressed, which torch.save never does")
    return True


def _open_shards(index: Path, read: Any) -> dict[str, Any]:
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise CheckpointError(f"{index}: expected a 'weight_map' from tensor names to files")
    tensors: dict[str, Any] = {}
    for file in sorted(set(files.values())):
        path = index.parent / file
        if Path(file).name != file:
            raise CheckpointError(f"{index}: names the file {file!r}; expected one in the same folder")
        if not path.exists():
            raise CheckpointError(f"{path}: no such file; {index.name} names it")
        tensors.update(read(path))
    return tensors
