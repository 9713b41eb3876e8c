"""Models that AllenNLP 2.10.1 trained with studio-ousia/luke's `examples`: labels and weights of their archives.

Enters: the directory of an unpacked `model.tar.gz`, or a serialization directory: `config.json` with the old keys,
`weights.th` or `best.th`, `vocabulary/`. Leaves: labels, and a model's tensors under the names they have here.

Such an archive holds neither a tokenizer nor the encoder's config: both come from the pretrained checkpoint its config
names. Nothing of it is run: weights are read with `weights_only`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from luke_tasks.data.labels import Labels
from luke_tasks.encoder.weights import read_pickle
from luke_tasks.errors import ArchiveError, CheckpointError
from luke_tasks.interop import upstream_config
from luke_tasks.interop.upstream_keys import ENCODER_WEIGHTS, MODELS, UpstreamModel
from luke_tasks.training import archive

WEIGHTS_NAMES = ("weights.th", "best.th")  # in this order, as AllenNLP looks for them
_PADDING, _UNKNOWN = "@@PADDING@@", "@@UNKNOWN@@"
_NAMESPACE = "labels"
# Never read: the pooler by no head, position ids because transformers makes them anew (it saved them before 4.31).
_UNREAD = re.compile(r"(^|\.)(pooler\..*|position_ids)$")


def is_allennlp(directory: Path) -> bool:
    """Whether AllenNLP made what is in this directory."""
    if any(directory.glob("*.th")):
        return True
    try:
        return upstream_config.is_upstream(archive.read_config(directory / "config.json"))
    except ArchiveError:
        return False


def archive_of(path: Path) -> Path:
    """What to load for `path`: a serialization directory may have kept its weights in its `model.tar.gz` only."""
    packed = path / archive.ARCHIVE_NAME
    has_weights = any((path / name).exists() for name in WEIGHTS_NAMES)
    return packed if path.is_dir() and not has_weights and packed.is_file() and is_allennlp(path) else path


def weights_of(path: Path, directory: Path) -> Path:
    """The weights file in an archive's directory.

    Args:
        path: as the user named it, for messages.
    Raises:
        ArchiveError: it, the config or the vocabulary is missing.
    """
    missing = [name for name in ("config.json", "vocabulary") if not (directory / name).exists()]
    found = [directory / name for name in WEIGHTS_NAMES if (directory / name).is_file()]
    if missing:
        raise ArchiveError(f"{path}: an archive of AllenNLP without {' and '.join(missing)}; it is not complete")
    if not found:
        raise ArchiveError(f"{path}: an archive of AllenNLP without weights: expected {' or '.join(WEIGHTS_NAMES)}, "
                           "which a run has after its first epoch; --weights-file names another file")  # fmt: skip
    return found[0]


def check_config(path: Path, values: dict[str, Any]) -> None:
    """Raises ArchiveError when the config beside AllenNLP's weights is none that the original could have trained."""
    if not upstream_config.is_upstream(values):
        raise ArchiveError(f"{path}: has weights of AllenNLP (.th), but its config.json is no config of "
                           "studio-ousia/luke's examples: its model has no feature_extractor or embedder")  # fmt: skip


@contextmanager
def explained(path: Path, pretrained: str) -> Iterator[None]:
    """What needs the pretrained checkpoint stands in this block: when it cannot be had, the error says what to do."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: takes its tokenizer and the encoder's config.json from the checkpoint {pretrained!r}, which "
            f"cannot be read: {error}; name a folder that holds these files (weights are not needed): "
            """-o '{"model.encoder.pretrained": "FOLDER"}'"""
        ) from None


# -- labels ---------------------------------------------------------------------------------------------------------


def read_labels(directory: Path) -> Labels:
    """The labels of a `vocabulary/` folder, in the order of the classifier's rows.

    A namespace that no pattern of `non_padded_namespaces.txt` names begins with a padding row, which the file of the
    labels leaves out, and holds the unknown label.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    lines = Labels.load(directory).names
    labels = [line.removesuffix("\r") for line in lines]  # as AllenNLP reads files of Windows
    if _is_padded(directory):
        if _UNKNOWN not in labels:
            raise ArchiveError(
                f"{directory / _NAMESPACE}.txt: expected a line {_UNKNOWN}, as non_padded_namespaces.txt does not name "
                f"{_NAMESPACE!r}; the vocabulary is damaged"
            )
        labels.insert(0, _PADDING)
    return Labels(labels)


def _is_padded(directory: Path) -> bool:
    path = directory / "non_padded_namespaces.txt"
    try:
        patterns = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file; the vocabulary is incomplete") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path}: cannot be read: {error}") from None
    suffixes = [pattern[1:] for pattern in patterns if pattern.startswith("*")]
    return _NAMESPACE not in patterns and not any(_NAMESPACE.endswith(suffix) for suffix in suffixes)


# -- weights --------------------------------------------------------------------------------------------------------


def load_weights(model: nn.Module, path: Path, *, model_type: str, encoder_type: str | None) -> None:
    """Put the tensors of a `.th` file into a model built from the same config.

    Args:
        model_type: the model's name in the archive's config.
        encoder_type: the encoder's name here.
    Raises:
        CheckpointError: the file is missing, damaged or no file of tensors; or a tensor is missing, has no place in
            the model, or another shape.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    kind = MODELS[model_type]
    prefixes = _prefixes(kind, encoder_type)
    found: dict[str, Tensor] = {}
    there: dict[str, str] = {}  # name here → name in the file
    for name, tensor in read_pickle(path).items():
        if name.startswith(kind.unused) or _UNREAD.search(name):
            continue
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if prefix is None:
            raise CheckpointError(f"{path}: has {name} {_shape(tensor)}, which the model does not; the file is of "
                                  f"another model than config.json's {model_type!r}")  # fmt: skip
        here = prefixes[prefix] + name.removeprefix(prefix)
        found[here], there[here] = tensor, name
    expected = model.state_dict()
    for here, tensor in expected.items():
        if here not in found:
            wanted = next((old + here.removeprefix(own) for old, own in prefixes.items() if here.startswith(own)), here)
            raise CheckpointError(f"{path}: lacks {wanted} {_shape(tensor)}; the file is incomplete, or of another "
                                  "model")  # fmt: skip
        if found[here].shape != tensor.shape:
            raise CheckpointError(f"{path}: {there[here]} has shape {_shape(found[here])}, but the model's is "
                                  f"{_shape(tensor)}{_hint(here, model)}")  # fmt: skip
    extra = sorted(there[here] for here in found.keys() - expected.keys())
    if extra:
        raise CheckpointError(f"{path}: has {extra[0]}, which the model does not"
                              + (f" ({len(extra)} such tensors)" if len(extra) > 1 else "")
                              + "; the file is of another model, or of other options of the encoder")  # fmt: skip
    model.load_state_dict(found)


def _prefixes(kind: UpstreamModel, encoder_type: str | None) -> dict[str, str]:
    """Prefixes of tensors, there → here."""
    there, here = ENCODER_WEIGHTS.get(encoder_type or "", ENCODER_WEIGHTS["luke"])
    return {
        f"{kind.weights}{there}": f"encoder.{here}",
        **{old: f"head.{own}" for old, own in kind.head_weights.items()},
    }


def _hint(name: str, model: nn.Module) -> str:
    labels = getattr(getattr(model, "head", None), "labels", None)
    if name.startswith("head.") and labels:
        return f"; vocabulary/labels.txt has {len(labels)} labels"
    return "; the pretrained checkpoint is not the one the archive was trained from"


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "()"
