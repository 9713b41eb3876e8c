"""A trained model as a checkpoint that the matching class of `transformers` loads, with equal logits.

Enters: what an archive holds. Leaves: a folder in the layout of published checkpoints. `config.json` also says, under
`luke_tasks`, how the reader and the head were configured, so that `evaluate` on the folder makes the same windows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.errors import LukeTasksError
from luke_tasks.exports.huggingface_tokenizer import LUKE, class_of, write_tokenizer
from luke_tasks.exports.output import check_free, written_folder
from luke_tasks.files import write_json
from luke_tasks.heads.head import Head
from luke_tasks.interop.huggingface import BY_HEAD, CONFIG_KEY, HeadClass
from luke_tasks.readers.marked_text import MARKER_SOURCES

if TYPE_CHECKING:
    from luke_tasks.trained import Trained

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of logits, in fp32
_HALF_TOLERANCE = 1e-2  # in fp16: what any model's logits change by in bf16
# What the checkpoint that the model began as says of itself.
_STALE = ("_name_or_path", "torch_dtype", "transformers_version", "id2label", "label2id", "num_labels", "problem_type")


def export(trained: Trained, out: Path, *, card: str, force: bool = False) -> HeadClass:
    """Write the checkpoint to `out`, in one step.

    Args:
        card: the text of its README.md.
        force: replace a checkpoint that is there.
    Raises:
        LukeTasksError: `out` is not free, or no class of `transformers` can express the model.
    """
    kind = head_class(trained)
    check_free(out, force=force)
    encoder, tokenizer = trained.model.encoder, trained.reader.tokenizer
    assert isinstance(encoder, LukeEncoder)
    if class_of(tokenizer) == LUKE and not kind.tied:  # which has the markers in every task
        encoder.add_words(tokenizer.add_words(MARKER_SOURCES))
    tensors = _tensors(trained, kind)
    with written_folder(out) as directory:
        write_json(directory / "config.json", _config(trained, encoder, kind))
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        reader = trained.reader
        options = {name: getattr(reader, name) for name in ("max_entity_length", "max_mention_length")
                   if hasattr(reader, name)}  # fmt: skip
        write_tokenizer(tokenizer, directory, window=encoder.max_word_length,
                        options={"task": kind.tokenizer_task, **options})  # fmt: skip
        (directory / "README.md").write_text(card, encoding="utf-8")
    return kind


def head_class(trained: Trained) -> HeadClass:
    """The class of `transformers` that is the model's. Raises LukeTasksError, naming the reason, when there is none."""
    encoder, head = trained.model.encoder, trained.model.head
    if type(encoder) is not LukeEncoder:
        name = trained.config.parts.model.encoder.type_name
        raise LukeTasksError(f'model.encoder.type "{name}": only the encoder "luke" can be exported to Hugging Face')
    if trained.reader.entity_attention != "all":
        raise LukeTasksError('dataset_reader.context "shared": transformers\' LUKE has no such attention pattern, and '
                             'predicts poorly with weights trained for it; to export, train with "document" or '
                             '"sentence"')  # fmt: skip
    name = Head.name_of(type(head))
    if name not in BY_HEAD:
        raise LukeTasksError(f'model.head.type "{name}": transformers has no class for this head (those it has: '
                             f"{', '.join(BY_HEAD)})")  # fmt: skip
    kind = BY_HEAD[name]
    options = trained.config.resolved["model"]["head"]
    for option, value in kind.fixed.items():
        if options[option] != value:
            raise LukeTasksError(f'model.head.{option} "{options[option]}": transformers\' {kind.name} cannot express '
                                 f'it, only "{value}"')  # fmt: skip
    return kind


def _config(trained: Trained, encoder: LukeEncoder, kind: HeadClass) -> dict[str, Any]:
    """The `config.json`."""
    resolved = trained.config.resolved
    reader = resolved.get("validation_dataset_reader") or resolved["dataset_reader"]
    head = dict(resolved["model"]["head"])
    if "bias" in head:
        head["bias"] = False  # it has become part of the weight, see `fold_bias`
    config = {name: value for name, value in encoder.config.to_json().items() if name not in _STALE}
    for path in _local_files(reader):
        logger.warning("%s: config.json names this file of the reader; who evaluates the checkpoint without it names "
                       "another with -o", path)  # fmt: skip
    config |= {"architectures": [kind.name], "dtype": "float32", CONFIG_KEY: {"dataset_reader": reader, "head": head}}
    labels = list(trained.labels)
    if "problem_type" in head:
        config["problem_type"] = head["problem_type"]
        labels = labels or ["LABEL_0"]  # of a regression: what `transformers` calls its one number
    if labels:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    return dict(sorted(config.items()))


def _local_files(value: Any) -> Iterator[str]:
    """The strings in plain values that name a file here."""
    if isinstance(value, str) and Path(value).is_file():
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _local_files(item)


def _tensors(trained: Trained, kind: HeadClass) -> dict[str, Tensor]:
    """By the names of `transformers`."""
    encoder, head = trained.model.encoder, dict(trained.model.head.state_dict())
    assert isinstance(encoder, LukeEncoder)
    if kind.name == "LukeForEntityPairClassification" and "classifier.bias" in head:
        norm = encoder.get_submodule("encoder.layer")[-1].output.LayerNorm  # type: ignore[index]
        head["classifier.weight"] = fold_bias(head["classifier.weight"], head.pop("classifier.bias"), norm)
    tensors = {f"luke.{name}": tensor for name, tensor in encoder.state_dict().items()} | head
    if kind.name == "LukeForMaskedLM":  # the entities' decoder is tied there, too; the words' is not
        head.setdefault("lm_head.decoder.weight", encoder.embedding_tables().words.clone())
        tensors |= head | {"lm_head.decoder.bias": head["lm_head.bias"].clone()}
    if kind.pooler == "unused" and encoder.pooler is None:  # nothing reads it; without it, `transformers` would warn
        size = encoder.hidden_size
        tensors |= {"luke.pooler.dense.weight": torch.zeros(size, size), "luke.pooler.dense.bias": torch.zeros(size)}
    return {name: tensor.detach().cpu().contiguous().float() for name, tensor in tensors.items()}


def fold_bias(weight: Tensor, bias: Tensor, norm: nn.LayerNorm) -> Tensor:
    """The weight (C, 2D) that gives the same logits without a bias, which the class for pairs does not have.

    An entity's vector comes out of a LayerNorm: h = γ x̂ + β, where the sum of x̂ is 0. So the sum of h/γ is always that
    of β/γ, call it c, and b = b/2c · Σ h/γ of the head + b/2c · Σ h/γ of the tail, whatever the text.

    Raises:
        LukeTasksError: c is so near to 0, or γ in places, that rounding would show, be it in half precision.
    """
    gamma, beta = norm.weight.detach().double(), norm.bias.detach().double()  # (D,)
    ones = torch.cat([1 / gamma, 1 / gamma]) / (2 * (beta / gamma).sum())  # (2D,): times two entity vectors it is 1
    folded = (weight.double() + bias.double()[:, None] * ones).float()
    inner = torch.randn(256, 2, len(gamma), generator=torch.Generator().manual_seed(0)).double()
    inner = inner - inner.mean(-1, keepdim=True)
    entities = (gamma * inner / inner.std(-1, correction=0, keepdim=True) + beta).flatten(1)  # (256, 2D)
    wanted = entities @ weight.double().T + bias.double()
    error = (entities.float() @ folded.T - wanted).abs().max()
    half_error = (entities.half().double() @ folded.half().double().T - wanted).abs().max()
    if not (error < _TOLERANCE and half_error < _HALF_TOLERANCE):  # NaN too
        raise LukeTasksError("model.head.bias: transformers' LukeForEntityPairClassification has no bias, and this one "
                             f"cannot become part of the weight: logits would change by {error:.1g}, in half precision "
                             f'by {half_error:.1g}; train with "bias": false')  # fmt: skip
    return folded
