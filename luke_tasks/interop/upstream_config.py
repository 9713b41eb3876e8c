"""Configs of studio-ousia/luke's `examples`, and AllenNLP's wider keys in them, put into this project's form.

Enters: plain values, as the Jsonnet gave them. Leaves: plain values that `experiment_config.py` checks, what was
changed, and faults under the old keys. What the keys mean stands in `upstream_keys.py`.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luke_tasks.config import is_unset
from luke_tasks.errors import Fault, describe, join_path
from luke_tasks.interop.upstream_keys import ABSENT, MODELS, OLD_SECTIONS, PLACES, RULES, Rule
from luke_tasks.schema import nearest

logger = logging.getLogger(__name__)

_OLD_MODEL_KEYS = ("feature_extractor", "embedder", "text_field_embedder")
_OLD_READER_KEYS = ("tokenizer", "token_indexers", "transformer_model_name")
_OWN_MODEL_KEYS = ("encoder", "head")  # may stand in an old config too, through --overrides
_SHORT_FORMS = ("trainer.optimizer", "trainer.learning_rate_scheduler", "trainer.checkpointer")  # may be a mere name
# The packages the original takes its classes from → files that tell them from a user's package of the same name.
_ORIGINAL_PACKAGES = {"examples": ("ner/reader.py", "ner/configs"), "allennlp_models": ("rc", "version.py")}


@dataclass
class Translation:
    """A config in this project's form.

    `values` is None where not even the model is known: `faults` say why, or an environment variable is not set.
    """

    values: dict[str, Any] | None
    lines: list[str] = field(default_factory=list)  # what was translated, one key each
    faults: list[Fault] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)  # path here → path in the old config

    def with_later(self, faults: Iterable[Fault]) -> list[Fault]:
        """The translation's faults, then those found in the translated values, under the old keys; each key once."""
        said = {fault.path for fault in self.faults}
        later = [replace(fault, path=self.old_path(fault.path)) for fault in faults]
        return [*self.faults, *(fault for fault in later if fault.path not in said)]

    def log(self) -> None:
        """Say what was translated, a line a key."""
        if self.lines:
            logger.info("a config of studio-ousia/luke's examples, read as one of luke-tasks (MIGRATING.md):")
        for line in self.lines:
            logger.info("  %s", line)

    def old_path(self, path: str) -> str:
        """Where the old config says what stands at `path` here."""
        for new in sorted(self.origins, key=len, reverse=True):
            if path == new or path.startswith(f"{new}."):
                return self.origins[new] + path[len(new) :]
        return path


def is_upstream(values: dict[str, Any]) -> bool:
    """Whether plain values are a config of the original, or of AllenNLP."""
    model, reader = values.get("model"), values.get("dataset_reader")
    if not isinstance(model, dict):
        return False
    if any(key in model for key in _OLD_MODEL_KEYS):
        return True
    old_reader = isinstance(reader, dict) and any(key in reader for key in _OLD_READER_KEYS)
    return "head" not in model and (old_reader or model.get("type") in list(MODELS))


def translate(values: dict[str, Any]) -> Translation:
    """Put an old config into this project's form; any other is left as it is."""
    return _Translator(values).run() if is_upstream(values) else Translation(values)


def without_training(values: dict[str, Any]) -> dict[str, Any]:
    """What an old config says about a trained model: its training is over, and need not be understood here.

    A linker of entities finds what the original's found, for the model has seen nothing else.
    """
    kept = ("dataset_reader", "validation_dataset_reader", "model", "tokenizer")
    loader = values.get("validation_data_loader") or values.get("data_loader")
    loader = loader if isinstance(loader, dict) else {}
    sampler = loader.get("batch_sampler")
    sizes = (loader.get("batch_size"), sampler.get("batch_size") if isinstance(sampler, dict) else None, 32)
    values = copy.deepcopy(values)
    for reader in PLACES["READER"]:
        linker = _get(values, f"{reader}.wiki_entity_linker")
        if isinstance(linker, dict):
            linker.setdefault("require_language", True)
    return {
        **{key: values[key] for key in kept if key in values},
        "train_data_path": str(values.get("train_data_path", "")),
        "data_loader": {"batch_size": next(size for size in sizes if size is not None)},
        "trainer": {"optimizer": {"type": "adamw", "lr": 1e-5}},
    }


def without_original_packages(names: Sequence[str]) -> list[str]:
    """`--include-package` names less the original's own package, whose classes are part of this one."""
    kept = []
    for name in names:
        if name.partition(".")[0] in _ORIGINAL_PACKAGES and not _is_users_own(name.partition(".")[0]):
            logger.info("--include-package %s: not imported; the classes of studio-ousia/luke's examples are built in, "
                        "under the same names", name)  # fmt: skip
        else:
            kept.append(name)
    return kept


def _is_users_own(name: str) -> bool:
    """Whether a package of this name is here that is not the original's."""
    folder = Path.cwd() / name  # where `import_plugins` looks first
    if not folder.is_dir():
        found = importlib.util.find_spec(name)
        folders = found.submodule_search_locations if found is not None else None
        if not folders:
            return found is not None  # a single module is nobody else's
        folder = Path(folders[0])
    return not any((folder / mark).exists() for mark in _ORIGINAL_PACKAGES[name])


# -- translation ----------------------------------------------------------------------------------------------------


class _Translator:
    """One translation: `old` loses what is understood, `new` gains it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.old: dict[str, Any] = copy.deepcopy(values)
        self.new: dict[str, Any] = {}
        self.moves: list[tuple[str, str | None, Any, str]] = []  # old path, new path, value, why
        self.result = Translation(None)

    def run(self) -> Translation:
        own = self._take_own()
        model = self.old["model"].get("type")
        if model not in list(MODELS):
            if not is_unset(model):
                self._refuse_model(model)
            return self.result
        for section in _SHORT_FORMS:
            place = _get(self.old, section)
            if isinstance(place, str) and not is_unset(place):
                _set(self.old, section, {"type": place})
        given = copy.deepcopy(self.old)
        self.places = {**PLACES, "EMBEDDER": (MODELS[model].embedder,)}
        rules = [rule for rule in RULES if not rule.models or model in rule.models]
        for rule in rules:
            for old, new in self._expanded(rule):
                section = _get(given, _parent(old))
                if isinstance(section, dict) and (rule.of is None or section.get("type") == rule.of):
                    self._apply(rule, old, new)
        self._collect_leftovers(rules)
        self._drop_encoders_own()
        self.result.values = _merged(_merged(self.old, self.new), own)
        self.result.lines += [_line(*move) for move in self.moves]
        return self.result

    def _refuse_model(self, model: Any) -> None:
        near = nearest(model, MODELS) if isinstance(model, str) else ""
        self._fault("model.type", f"{describe(model)} is no model of studio-ousia/luke's examples{near} (known: "
                                  f"{', '.join(MODELS)}); no other model of AllenNLP is read here")  # fmt: skip

    def _take_own(self) -> dict[str, Any]:
        """What `--overrides` says with this project's keys; it is laid over the translated config."""
        own: dict[str, Any] = {}
        if isinstance(self.old.get("tokenizer"), str):
            own["tokenizer"] = self.old.pop("tokenizer")
        for key in _OWN_MODEL_KEYS:
            if isinstance(self.old["model"].get(key), dict):
                own.setdefault("model", {})[key] = self.old["model"].pop(key)
        return own

    def _expanded(self, rule: Rule) -> Iterator[tuple[str, str | None]]:
        """The rule's paths, in each of the places that its first word stands for."""
        word, _, rest = rule.old.partition(".")
        if word not in self.places:
            yield rule.old, rule.new
        for place in self.places.get(word, ()):
            new = rule.new
            if new is not None and new.startswith(f"{word}."):
                new = place + new.removeprefix(word)
            yield f"{place}.{rest}", new

    def _apply(self, rule: Rule, old: str, new: str | None) -> None:
        if new is not None:
            self.result.origins.setdefault(new, old)
        section = _get(self.old, _parent(old))
        key = old.rpartition(".")[2]
        if key not in section and new is not None:
            if rule.default is not ABSENT and _get(self.new, new) is ABSENT:
                _set(self.new, new, rule.default)
                self.result.lines.append(f"{new}: {describe(rule.default)}, as the original's default is")
            return
        value = given = section.pop(key, rule.default)
        if value is ABSENT:
            return
        if rule.convert is not None and not is_unset(value):
            try:
                value = rule.convert(value)
            except ValueError as error:
                self._fault(old, f"{error}; {rule.why}" if rule.why else str(error))
                return
        if new is not None:
            before = _get(self.new, new)
            if before is not ABSENT and before != value:
                first = self.result.origins[new]
                self._fault(old, f"{describe(value)} goes against {first}, which is {describe(before)}; give the same")
            _set(self.new, new, value)
        if new != old or value != given:
            self.moves.append((old, new, value, rule.why))

    def _collect_leftovers(self, rules: Iterable[Rule]) -> None:
        """Faults for what no rule has taken out of the sections that only old configs have."""
        known = [old for rule in rules for old, _ in self._expanded(rule)]
        for section in OLD_SECTIONS:
            word, _, rest = section.partition(".")
            for place in self.places.get(word, (word,)):
                path = f"{place}.{rest}" if rest else place
                left = _get(self.old, path)
                for leaf in _leaves(left, path) if left is not ABSENT else ():
                    siblings = [name.rpartition(".")[2] for name in known if _parent(name) == _parent(leaf)]
                    name = leaf.rpartition(".")[2]
                    listed = f" (known: {', '.join(siblings)})" if siblings else ""
                    self._fault(leaf, f"unknown in a config of studio-ousia/luke's examples"
                                      f"{nearest(name, siblings) or listed}")  # fmt: skip
                _remove(self.old, path)
        for section in ("distributed", "vocabulary"):  # nothing of them may be left
            if self.old.get(section) in ({}, None):
                self.old.pop(section, None)

    def _drop_encoders_own(self) -> None:
        """The encoder's own tokenizer and entity vocabulary need not be named."""
        linkers = (f"{reader}.wiki_entity_linker.entity_vocab_path" for reader in PLACES["READER"])
        for path in ("tokenizer", *linkers):
            if _get(self.new, path) == _get(self.new, "model.encoder.pretrained"):
                _remove(self.new, path)
                self.moves = [(old, None if new == path else new, value, why) for old, new, value, why in self.moves]

    def _fault(self, path: str, message: str) -> None:
        self.result.faults.append(Fault(path, message))


def _line(old: str, new: str | None, value: Any, why: str) -> str:
    """What the log says of one key."""
    if new is None:
        return f"{old}: left out; {why}"
    return f"{old} → {new}" if new != old else f"{old}: {describe(value)}"


# -- paths ----------------------------------------------------------------------------------------------------------


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _get(values: Any, path: str) -> Any:
    """The value at a dotted path (`""`: all of it); ABSENT where there is none."""
    for key in path.split(".") if path else ():
        if not isinstance(values, dict) or key not in values:
            return ABSENT
        values = values[key]
    return values


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[key] = value


def _remove(values: dict[str, Any], path: str) -> None:
    section = _get(values, _parent(path))
    if isinstance(section, dict):
        section.pop(path.rpartition(".")[2], None)


def _leaves(value: Any, path: str) -> Iterator[str]:
    """The paths of everything in `value` that is no object; an empty one has none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, join_path(path, key))
    else:
        yield path


def _merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two objects as one, `type` first; where both have a key that is no object, `over` wins."""
    result = dict.fromkeys({"type"} & (values.keys() | over.keys())) | values
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
