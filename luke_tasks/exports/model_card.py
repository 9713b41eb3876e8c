"""The README.md of an exported checkpoint: what it is, how well it does, how it was trained, how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from luke_tasks import __version__
from luke_tasks.exports.huggingface_tokenizer import MLUKE, TAKES_ENTITIES, class_of
from luke_tasks.interop.huggingface import HeadClass

if TYPE_CHECKING:
    from luke_tasks.trained import Trained

_DATA_KEYS = ("train_data_path", "validation_data_path", "test_data_path")
_SCORE_PREFIXES = {"best_validation_": "validation", "test_": "test"}
_TEXT = "Beyoncé lives in Los Angeles."


@dataclass(frozen=True)
class _Example:
    """How a class is asked and how it answers."""

    own_input: dict[str, Any]  # of luke-tasks
    given: str  # Python: what goes to the tokenizer of `transformers`
    answer: str  # Python: reads `outputs`
    call: str = "model(**inputs)"


_EXAMPLES = {
    "LukeForEntitySpanClassification": _Example(
        {"text": _TEXT}, "text, entity_spans=[(0, 7), (17, 28), (0, 28)]",
        "print([model.config.id2label[id] for id in outputs.logits[0].argmax(-1).tolist()])",
    ),
    "LukeForEntityClassification": _Example(
        {"text": _TEXT, "entities": [[0, 7]]}, "text, entity_spans=[(0, 7)]",
        "print({label: outputs.logits[0, id].sigmoid().item() for id, label in model.config.id2label.items()})",
    ),
    "LukeForEntityPairClassification": _Example(
        {"text": _TEXT, "head": [0, 7], "tail": [17, 28]}, "text, entity_spans=[(0, 7), (17, 28)]",
        "print(model.config.id2label[outputs.logits[0].argmax().item()])",
    ),
    "LukeForQuestionAnswering": _Example(
        {"question": "Who lives in Los Angeles?", "context": _TEXT}, '"Who lives in Los Angeles?", text',
        "start, end = outputs.start_logits.argmax(), outputs.end_logits.argmax()\n"
        'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
    ),
    "LukeForSequenceClassification": _Example({"text": _TEXT}, "text", "print(outputs.logits[0].tolist())"),
    "LukeForMultipleChoice": _Example(
        {"context": _TEXT, "choices": ["She lives in California.", "She lives in France."]},
        '[[text, "She lives in California."], [text, "She lives in France."]], padding=True',
        "print(outputs.logits[0].tolist())", "model(**{name: tensor[None] for name, tensor in inputs.items()})",
    ),
    "LukeForMaskedLM": _Example(
        {"text": "Beyoncé lives in <mask> Angeles.", "entities": [[0, 7]]},
        'text.replace("Los", tokenizer.mask_token)',
        'place = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)\n'
        "print(tokenizer.decode(outputs.logits[0, place].topk(5).indices))",
    ),
    "LukeForTokenClassification": _Example(
        {"text": _TEXT}, "text",
        'for piece, label in zip(inputs["input_ids"][0].tolist(), outputs.logits[0].argmax(-1).tolist()):\n'
        "    print(tokenizer.decode([piece]), model.config.id2label[label])  # a word has that of its first piece",
    ),
}  # fmt: skip


def model_card(trained: Trained, kind: HeadClass, *, name: str, metrics: Mapping[str, Any]) -> str:
    """The text.

    Args:
        name: of the checkpoint on the hub, or of its folder.
        metrics: those of the run, as its `metrics.json` has them; empty where they are not known.
    """
    config = without_local_paths(trained.config.resolved)
    base = config["model"]["encoder"]["pretrained"]
    front = ["---", "library_name: transformers", f"pipeline_tag: {kind.pipeline_tag}", "tags:", "- luke",
             f"- {kind.tag}", "- luke-tasks"]  # fmt: skip
    if base.count("/") == 1:
        front.append(f"base_model: {base}")
    front += ["# Add `license:` and `language:`: those of the data and of the base model decide.", "---", ""]
    parts = [
        "\n".join(front),
        f"# {name.rpartition('/')[2]}\n\nA LUKE ([Yamada et al. 2020](https://arxiv.org/abs/2010.01057)) for "
        f"{kind.tag.replace('-', ' ')}, `{kind.name}` in `transformers`, made from `{base}` with luke-tasks "
        f"{__version__}.\n",
        _labels(trained),
        _data(config),
        _scores(metrics),
        _use(trained, kind, name),
        _training(config),
    ]
    return "\n".join(part for part in parts if part)


def read_metrics(archive: Path, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The `metrics.json` of an archive's run: the run's directory, or that of a `model.tar.gz` still lying in it.

    Args:
        resolved: the archive's config; a directory with another one is not its run's.
    """
    folder = archive if archive.is_dir() else archive.parent
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # archives are complete without
        return {}
    return metrics if isinstance(metrics, dict) and (archive.is_dir() or config == resolved) else {}


def without_local_paths(value: Any) -> Any:
    """Plain values whose strings, where they name a file or folder of this machine, are cut to its name."""
    if isinstance(value, dict):
        return {key: without_local_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_local_paths(item) for item in value]
    if isinstance(value, str) and "/" in value and (value[0] in "/.~" or value.count("/") > 1 or Path(value).exists()):
        return PurePath(value).name
    return value


def _labels(trained: Trained) -> str:
    if not trained.labels:
        return ""
    return f"Labels: {', '.join(f'`{label}`' for label in trained.labels)}.\n"


def _data(config: Mapping[str, Any]) -> str:
    rows = [f"| {key.partition('_')[0]} | `{config[key]}` |" for key in _DATA_KEYS if config.get(key)]
    if not rows:
        return ""
    reader = config["dataset_reader"].get("type", "")
    return "\n".join(["## Data\n", f"Read by `{reader}`.\n", "| | file |", "|---|---|", *rows, ""])


def _scores(metrics: Mapping[str, Any]) -> str:
    rows = []
    for key, value in metrics.items():
        for prefix, data in _SCORE_PREFIXES.items():
            if key.startswith(prefix) and isinstance(value, int | float) and not isinstance(value, bool):
                rows.append(f"| {data} | {key.removeprefix(prefix)} | {value:.4f} |")
    if not rows:
        return "## Results\n\nNot recorded; `luke-tasks evaluate` measures them.\n"
    return "\n".join(["## Results\n", "| data | score | value |", "|---|---|---|", *rows, ""])


def _training(config: Mapping[str, Any]) -> str:
    if not config["train_data_path"]:  # a checkpoint of Hugging Face, exported anew
        return ""
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return f"## Training\n\nThe config, paths of files cut to their names:\n\n```json\n{text}\n```\n"


def _use(trained: Trained, kind: HeadClass, name: str) -> str:
    example = _EXAMPLES[kind.name]
    parts = [
        "## Use\n\nWith luke-tasks, which makes the windows the model was trained on:\n\n```python\n"
        f"import luke_tasks\n\nmodel = luke_tasks.load({name!r})\n"
        f"print(model({json.dumps(example.own_input, ensure_ascii=False)}))\n```\n\n"
        f"or `luke-tasks evaluate {name} FILE` and `luke-tasks predict {name} FILE`.\n"
    ]
    tokenizer_class = class_of(trained.reader.tokenizer)
    if tokenizer_class in TAKES_ENTITIES or "entity_spans" not in example.given:
        parts.append(
            "With `transformers`:\n\n```python\n"
            f"import torch\nfrom transformers import AutoTokenizer, {kind.name}\n\n"
            f"tokenizer = AutoTokenizer.from_pretrained({name!r})\nmodel = {kind.name}.from_pretrained({name!r})\n"
            f"text = {json.dumps(_TEXT, ensure_ascii=False)}\n"
            f'inputs = tokenizer({example.given}, return_tensors="pt")\n'
            f"with torch.no_grad():\n    outputs = {example.call}\n{example.answer}\n```\n"
        )
    if kind.name == "LukeForEntitySpanClassification" and len(parts) > 1:
        parts.append("`entity_spans` are the candidates: in earnest, all spans of whole words.\n")
    if tokenizer_class not in TAKES_ENTITIES:
        parts.append(f"In `transformers` its tokenizer is a `{tokenizer_class}`, which takes no `entity_spans`: entity "
                     "ids, their positions and the markers `<ent>` and `<ent2>` must be made by hand.\n")  # fmt: skip
    if tokenizer_class == MLUKE:
        parts.append("`transformers` 5 (5.23 at least) reads `MLukeTokenizer` without SentencePiece's normalisation "
                     "and takes `<s>` for unknown pieces; other texts give the same pieces.\n")  # fmt: skip
    return "\n".join(parts)
