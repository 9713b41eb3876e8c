"""The config for a newcomer's data: short, self-contained, and each value with its reason beside it."""

from __future__ import annotations

import json
import math
import re
import textwrap
from dataclasses import dataclass
from typing import Any

from luke_tasks.errors import printable
from luke_tasks.own_data.fit import Fit
from luke_tasks.own_data.limits import limits_for
from luke_tasks.own_data.measure import Checkpoint, Measures

_WIDTH = 120
_STEPS = 400  # that a small model needs at least to learn a task at all
_MOST_EPOCHS = 20
_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Recipe:
    """How a task is trained: with the embedded model as the quickstarts are, with a published LUKE as its paper did.

    `batches`: windows of a batch, of the embedded and of a larger model. `steps_of`: batches of a step, of the latter.
    """

    head: dict[str, Any]
    metric: str
    batches: tuple[int, int]
    steps_of: int
    small_lr: float = 2e-4
    lr: float = 1e-5
    epochs: int = 5
    needs_entities: bool = True  # LUKE's own attention, with [MASK] entities


_MENTION = {"features": "entity"}
RECIPES = {
    "ner": Recipe({"type": "ner", "features": "token+entity"}, "+f1", (8, 2), 4),
    "token_classification": Recipe({"type": "token_classification"}, "+f1", (16, 16), 1, needs_entities=False),
    "relation_classification": Recipe({"type": "relation_classifier", **_MENTION}, "+micro_fscore", (16, 4), 8),
    "entity_typing": Recipe({"type": "entity_typing", **_MENTION}, "+micro_fscore", (16, 4), 1, epochs=3),
    "question_answering": Recipe({"type": "transformers_qa"}, "+f1", (8, 4), 12, 3e-4, 1.5e-5, 2),
    "record": Recipe({"type": "entity_span_qa", **_MENTION}, "+exact_match", (16, 4), 8, epochs=2),
    "sequence_classification": Recipe({"type": "sequence_classification"}, "+accuracy", (16, 16), 1,
                                      needs_entities=False),
    "multiple_choice": Recipe({"type": "multiple_choice"}, "+accuracy", (16, 4), 4, needs_entities=False),
    "masked_lm": Recipe({"type": "masked_lm"}, "-loss", (16, 16), 1, epochs=3, needs_entities=False),
}  # fmt: skip
_PROBLEM_METRICS = {"regression": "+pearson", "multi_label_classification": "+micro_fscore"}


@dataclass(frozen=True)
class Data:
    """The files as the config names them, and what was measured in those for training."""

    train: str
    validation: str
    test: str | None
    measures: Measures
    validation_examples: int
    test_examples: int


def config_text(name: str, fit: Fit, data: Data, checkpoint: Checkpoint) -> str:
    """The config as Jsonnet.

    Args:
        name: of the file, for the commands in its header.
    """
    recipe = RECIPES[fit.task]
    lines = [
        f"// {fit.task} on {printable(data.train)}.",
        "// Written by `luke-tasks init`, from what is in the data; change what you like.",
        "//",
        f"//   luke-tasks check {printable(name)}",
        f"//   allennlp train {printable(name)} -s {run_dir(name)}",
        "{",
        *_section("dataset_reader", _reader(fit, data.measures, checkpoint)),
        *_files(data),
        *_section("model", _model(fit, data.measures, checkpoint, recipe)),
        *_section("data_loader", _loader(checkpoint, recipe)),
        *_section("trainer", _trainer(fit, data.measures, checkpoint, recipe)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def run_dir(name: str) -> str:
    """Where the run of a config is kept."""
    return "runs/" + re.sub(r"[^\w.-]", "_", name.rsplit("/", 1)[-1].rsplit(".", 1)[0])


Entries = list[tuple[str, Any, str]]  # key, value, why


def _reader(fit: Fit, measures: Measures, checkpoint: Checkpoint) -> Entries:
    entries: Entries = [(key, value, fit.reasons.get(key, "")) for key, value in fit.options.items()]
    if fit.options.get("encoding"):
        entries = [(key, value, "the files are not UTF-8" if key == "encoding" else why) for key, value, why in entries]
    limits = limits_for(fit.options, measures, checkpoint)
    return entries + [(key, value, why) for key, (value, why) in limits.items()]


def _files(data: Data) -> list[str]:
    unit = data.measures.unit
    lines = [_entry(2, "train_data_path", data.train, f"{data.measures.examples:,} {unit}"),
             _entry(2, "validation_data_path", data.validation, f"{data.validation_examples:,} {unit}")]  # fmt: skip
    if data.test is not None:
        lines.append(_entry(2, "test_data_path", data.test, f"{data.test_examples:,} {unit}"))
        lines.append(_entry(2, "evaluate_on_test", True, "after training, with the best epoch's weights"))
    return lines


def _model(fit: Fit, measures: Measures, checkpoint: Checkpoint, recipe: Recipe) -> Entries:
    encoder: dict[str, Any] = {"type": "luke", "pretrained": checkpoint.name}
    why = "a LUKE begun from all-MiniLM-L6-v2: 22 million parameters, trains on a CPU"
    if checkpoint.is_luke:
        encoder["entities"] = "all" if fit.task == "masked_lm" else "special"
        why = "keeps only [MASK] and its like of LUKE's entities: the task names no others"
        if fit.task == "masked_lm":
            why = "all of LUKE's entities, as all may have to be found"
        if recipe.needs_entities:
            encoder["use_entity_aware_attention"] = True
    elif not checkpoint.is_small:
        why = "a LUKE begun from this checkpoint: its entity parts are new"
    if fit.task == "ner" and checkpoint.is_small:
        encoder["dropout"] = 0.0
    head, label_note = dict(recipe.head), ""
    for option in ("problem_type",):
        if option in fit.options:
            head[option] = fit.options[option]
    if "unanswerable" in fit.reasons:
        head["unanswerable"], label_note = True, f"{fit.reasons['unanswerable']} have no answer"
    elif measures.labels:
        shown = [f"{name} {count:,}" for name, count in measures.labels.most_common(8)]
        more = f" and {len(measures.labels) - 8} more" if len(measures.labels) > 8 else ""
        label_note = f"learns {', '.join(shown)}{more}"
    return [("encoder", encoder, why), ("head", head, label_note)]


def _loader(checkpoint: Checkpoint, recipe: Recipe) -> Entries:
    size = recipe.batches[0 if checkpoint.is_small else 1]
    return [("batch_size", size, "windows"), ("shuffle", True, ""), ("bucket", True, "windows of like length together")]


def _trainer(fit: Fit, measures: Measures, checkpoint: Checkpoint, recipe: Recipe) -> Entries:
    is_small = checkpoint.is_small
    batch = recipe.batches[0] if is_small else recipe.batches[1] * recipe.steps_of
    steps = max(1, math.ceil(measures.examples / batch))
    least = 2 if is_small else recipe.epochs
    epochs = min(_MOST_EPOCHS, max(least, math.ceil(_STEPS / steps)))
    entries: Entries = [("num_epochs", epochs, f"about {steps:,} steps each")]
    if epochs > 5:
        entries.append(("patience", max(3, epochs // 4), "epochs without a better score, after which training stops"))
    if not is_small and recipe.steps_of > 1:
        entries.append(("num_gradient_accumulation_steps", recipe.steps_of, f"batches of a step: {batch} windows"))
    rate = recipe.small_lr if is_small else recipe.lr if checkpoint.is_luke else max(recipe.lr, 2e-5)
    optimizer: dict[str, Any] = {"type": "adamw", "lr": rate}
    if not is_small:
        optimizer |= {"betas": [0.9, 0.98], "eps": 1e-6}
    names = ["bias", "LayerNorm.weight"] + (["layer_norm.weight"] if fit.task == "masked_lm" else [])
    optimizer |= {"weight_decay": 0.01, "parameter_groups": [[names, {"weight_decay": 0}]]}
    warmup = {"type": "linear_with_warmup", "warmup_ratio": 0.1 if is_small else 0.06}
    origin = "as in this project's quickstarts" if is_small else "as published for LUKE"
    metric = _PROBLEM_METRICS.get(fit.options.get("problem_type", ""), recipe.metric)
    if fit.task == "token_classification" and not _are_tags(measures):
        metric = "+accuracy"
    entries += [("optimizer", optimizer, origin), ("learning_rate_scheduler", warmup, "")]
    entries += [("grad_norm", 1.0, "")] if is_small else []
    return [*entries, ("validation_metric", metric, "says which epoch is best")]


def _are_tags(measures: Measures) -> bool:
    return all(re.fullmatch(r"[BIESLU]-.+", name) for name in measures.labels)


def _section(key: str, entries: Entries) -> list[str]:
    return [f"  {key}: {{", *(_entry(4, *entry) for entry in entries), "  },"]


def _entry(indent: int, key: str, value: Any, why: str) -> str:
    """A key with its value, and the reason behind it, or above it where the line would be too long."""
    code = f"{' ' * indent}{key}: {_jsonnet(value)},"
    why = printable(why)
    if not why:
        return code if len(code) <= _WIDTH else _broken(indent, key, value)
    if len(code) + len(why) + 5 <= _WIDTH:
        return f"{code}  // {why}"
    above = textwrap.wrap(why, _WIDTH - indent - 3, break_on_hyphens=False)
    code = code if len(code) <= _WIDTH else _broken(indent, key, value)
    return "\n".join([*(f"{' ' * indent}// {line}" for line in above), code])


def _broken(indent: int, key: str, value: Any) -> str:
    """An object with a key a line."""
    if not isinstance(value, dict):
        return f"{' ' * indent}{key}: {_jsonnet(value)},"
    inner = [f"{' ' * (indent + 2)}{_key(name)}: {_jsonnet(one)}," for name, one in value.items()]
    return "\n".join([f"{' ' * indent}{key}: {{", *inner, f"{' ' * indent}}},"])


def _jsonnet(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)}: {_jsonnet(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_jsonnet, value)) + "]"
    if isinstance(value, float) and 0 < value < 0.001:
        return f"{value:g}".replace("e-0", "e-")
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
