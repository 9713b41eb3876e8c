"""What a `config.json` may ask for: no code, and no more numbers than the weights beside it hold."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from luke_tasks.data.hub import check_counts, config_entries, read_json
from luke_tasks.encoder.weights import Weights, open_safetensors
from luke_tasks.errors import CheckpointError
from luke_tasks.untrusted import reported

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_LAYERS = ("layers", "n_layer", "blocks", "num_groups")  # within the keys that count them
_PARTS_PER_TENSOR = 20  # modules of a model to tensors of its file: about 1
_FREE_NUMBERS = 1 << 24  # that a model may have beyond: a pooler, tables of places that are computed and not stored
_ATTENTIONS = (None, "eager", "sdpa", "flash_attention_2", "flex_attention")


def check_no_code(content: Mapping[str, Any], path: Path) -> None:
    """Raises CheckpointError when a config of `transformers` would have code fetched from the hub and run, or have
    `transformers` count without end (see `check_counts`)."""
    check_counts(content, path)
    for key, value in config_entries(content):
        if key == "auto_map" and value:
            raise CheckpointError(f"{path}: auto_map: names code of its own, which is never run; use a model that "
                                  "transformers has built in")  # fmt: skip
        if key in ("attn_implementation", "_attn_implementation") and value not in _ATTENTIONS:
            raise CheckpointError(f"{path}: {key}: {value!r} would be fetched and run; remove this key")
        if key in ("quantization_config", "kernel_config") and value:
            raise CheckpointError(f"{path}: {key}: needs packages of its own, and is not read here; use the weights as "
                                  "they were before")  # fmt: skip


def check_size(content: Mapping[str, Any], weights: Weights, path: Path) -> None:
    """Whether the weights can be those of a model that a config describes, before memory is taken for it.

    Raises:
        CheckpointError: it asks for more layers than there are tensors, or for more numbers than all tensors hold.
    """
    for key, value in content.items():
        if any(word in key for word in _LAYERS) and isinstance(value, int) and value > len(weights.names):
            raise CheckpointError(f"{path}: {key}: {value} layers, but {weights.path.name} holds {len(weights.names)} "
                                  "tensors; they are not of one checkpoint")  # fmt: skip
    asked = least_numbers(content)
    if asked > weights.num_elements():
        raise CheckpointError(f"{path}: describes a model of {asked:,} numbers and more, but {weights.path.name} holds "
                              f"{weights.num_elements():,}; they are not of one checkpoint")  # fmt: skip


def least_numbers(content: Mapping[str, Any]) -> int:
    """Weights that a model of BERT's kind has at least: its tables, and attention and feed-forward of its layers."""

    def number(key: str) -> int:
        value = content.get(key)
        return value if isinstance(value, int) and value > 0 else 0

    hidden, layers = number("hidden_size"), max(1, number("num_hidden_layers"))
    narrow = min(hidden, number("embedding_size") or hidden)  # ALBERT's and ELECTRA's tables are narrower
    if content.get("model_type") == "albert":  # whose layers are one
        layers = 1
    tables = narrow * (number("vocab_size") + number("type_vocab_size"))
    entities = number("entity_vocab_size") * (number("entity_emb_size") or hidden)
    if content.get("model_type") == "luke":
        tables += hidden * number("max_position_embeddings")
    return tables + entities + layers * (hidden * hidden + hidden * number("intermediate_size"))


def check_own(encoder_type: str | None, directory: Path, weights: Path) -> None:
    """`check_size` for an archive, whose `encoder/config.json` is built before its weights are read.

    Raises:
        CheckpointError: see `check_size` and `check_no_code`.
    """
    path = directory / "config.json"
    content, stored = read_json(path), Weights(weights, open_safetensors(weights))
    check_size(content, stored, path)
    if encoder_type != "transformer":
        return
    check_no_code(content, path)
    from transformers import AutoConfig

    with reported(lambda reason: CheckpointError(f"{path}: transformers cannot build it: {reason}")):
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        model = build_without_memory(config, stored, path)
    asked = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith("pooler."))
    if asked > stored.num_elements():
        raise CheckpointError(f"{path}: describes a model of {asked:,} numbers, but {weights.name} holds "
                              f"{stored.num_elements():,}; they are not of one checkpoint")  # fmt: skip


def build_without_memory(config: PretrainedConfig, weights: Weights, path: Path) -> nn.Module:
    """The model of a config, without numbers in it, as long as it is not far larger than its weights file.

    Raises:
        CheckpointError: it has far more parts or numbers, whichever of its config's many counts asks for them.
    """
    from torch.nn.modules import module
    from transformers import AutoModel

    parts, numbers = _PARTS_PER_TENSOR * (len(weights.names) + 20), 2 * weights.num_elements() + _FREE_NUMBERS

    def count_part(*_: Any) -> None:
        nonlocal parts
        parts -= 1
        check(parts)

    def count_numbers(_: nn.Module, __: str, tensor: Tensor | None) -> None:
        nonlocal numbers
        numbers -= 0 if tensor is None else tensor.numel()
        check(numbers)

    def check(left: int) -> None:
        if left < 0:
            raise CheckpointError(f"{path}: describes a model far larger than {weights.path.name}, which holds "
                                  f"{len(weights.names)} tensors of {weights.num_elements():,} numbers; they are not "
                                  "of one checkpoint")  # fmt: skip

    with ExitStack() as stack:
        for register, hook in (
            (module.register_module_module_registration_hook, count_part),
            (module.register_module_parameter_registration_hook, count_numbers),
            (module.register_module_buffer_registration_hook, count_numbers),
        ):
            stack.callback(register(hook).remove)
        with torch.device("meta"):  # takes no memory
            model: nn.Module = AutoModel.from_config(config, trust_remote_code=False)
    return model
