"""The JSON Schema of the config language: it takes what the check takes, and refuses what the check refuses."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _jsonnet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from luke_tasks.__main__ import main
from luke_tasks.config_reference import Section, reference, undescribed
from luke_tasks.errors import Fault, PluginError
from luke_tasks.experiment_config import ExperimentConfig
from luke_tasks.json_schema import _Definitions, config_schema
from luke_tasks.registry import PositiveInt, Registrable
from luke_tasks.schema import check
from tests.config_case import BASE
from tests.test_schema import JSON, WORDS, Shape, Unresolved, Untyped, laid_in, paths_in
from tests.test_shipped_configs import CONFIGS, EXTERNAL, ROOT


@functools.cache
def validator() -> Draft202012Validator:
    """Of the schema of all our own classes."""
    schema = config_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_every_shipped_config_is_valid() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "configs").rglob("*.*sonnet")]
    variables = {name: "data.txt" for source in sources for name in EXTERNAL.findall(source)}
    for path in CONFIGS:
        values = json.loads(_jsonnet.evaluate_file(str(path), ext_vars=variables))
        errors = [error.message for error in validator().iter_errors(values)]
        assert not errors, path


@functools.cache
def own_sections() -> list[Section]:
    """Of the classes in luke_tasks."""
    return [section for section in reference() if section.cls.__module__.startswith("luke_tasks.")]


def test_every_key_of_our_own_is_described() -> None:
    assert len(own_sections()) > 30
    assert undescribed(own_sections()) == []


def test_reference_says_where_each_section_stands() -> None:
    sections = {(section.path, *section.names[:1]): section for section in reference()}
    assert sections[("",)].cls is ExperimentConfig
    assert sections[("trainer.optimizer.parameter_groups.*.*",)].kind == "GroupOptions"
    adamw = sections["trainer.optimizer", "adamw"]
    assert adamw.names == ("adamw", "huggingface_adamw")
    assert adamw.is_default
    keys = {key.name: key for key in adamw.keys}
    assert (keys["lr"].type_text, keys["lr"].default, keys["lr"].is_required) == ("a number above 0", 1e-5, False)
    luke = {key.name: key for key in sections["model.encoder", "luke"].keys}  # by its `from_pretrained`
    assert next(iter(luke)) == "pretrained"
    assert luke["pretrained"].is_required
    assert "load_weights" not in luke  # the program's to give
    assert luke["dropout"].type_text == "a number between 0 and 1 or null"


@pytest.mark.parametrize(
    ("path", "key", "value", "place", "said"),
    [
        ("trainer", "num_epoch", 3, "trainer", "Additional properties are not allowed ('num_epoch' was unexpected)"),
        ("trainer", "num_epochs", "three", "trainer.num_epochs", "'three' is not of type 'integer'"),
        ("trainer", "num_epochs", 0, "trainer.num_epochs", "0 is less than the minimum of 1"),
        ("trainer.optimizer", "type", "adam", "trainer.optimizer.type",
         "'adam' is not one of ['adamw', 'huggingface_adamw', 'sgd']"),
        ("trainer.optimizer", "type", "sgd", "trainer.optimizer", None),
        ("trainer.optimizer", "momentum", 0.9, "trainer.optimizer",
         "Additional properties are not allowed ('momentum' was unexpected)"),
        ("trainer", "optimizer", "sgd", "trainer.optimizer", "'sgd' is not one of ['adamw', 'huggingface_adamw']"),
        ("trainer", "validation_metric", "f1", "trainer.validation_metric",
         r"'f1' does not match '^[+-][\\s\\S]'"),
        ("dataset_reader", "context", "page", "dataset_reader.context",
         "'page' is not one of ['document', 'sentence', 'shared']"),
        ("data_loader", "batch_size", True, "data_loader.batch_size", "True is not of type 'integer', 'null'"),
        ("model.encoder", "pretrained", None, "model.encoder.pretrained", "None is not of type 'string'"),
    ],
)  # fmt: skip
def test_common_mistakes_are_found(path: str, key: str, value: Any, place: str, said: str | None) -> None:
    values = laid_in(BASE, tuple(path.split(".")), key, value)
    error = best_match(validator().iter_errors(values))
    if said is None:  # sgd takes all of adamw's keys that BASE gives
        assert error is None
    else:
        assert ".".join(map(str, error.absolute_path)) == place
        assert error.message == said
    assert bool(check(values, ExperimentConfig)[1]) is (error is not None)


def test_missing_keys_are_found() -> None:
    for section, key in (("", "train_data_path"), ("model", "head"), ("trainer", "optimizer")):
        values = copy.deepcopy(BASE)
        del (values[section] if section else values)[key]
        assert [error.message for error in validator().iter_errors(values)] == [f"{key!r} is a required property"]


_STRING_AGAINST_CODE = re.compile('(a regular expression|the name of a text encoding.*), found "')


def _without_own_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What classes check between their keys, no schema can say."""
    for section in own_sections():
        if hasattr(section.cls, "config_faults"):
            monkeypatch.setattr(section.cls, "config_faults", lambda values: iter(()))


def _beyond_a_schema(fault: Fault) -> bool:
    return _STRING_AGAINST_CODE.search(fault.message) is not None


def _mutated(data: st.DataObject) -> dict[str, Any]:
    """`BASE`, or its resolved form, with one to three values replaced or added."""
    values: dict[str, Any] = check(BASE, ExperimentConfig)[0].to_json() if data.draw(st.booleans()) else BASE
    sections = list(paths_in(values))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in sections if path]))
        key = data.draw(st.none() | st.sampled_from(KEYS))
        try:
            values = laid_in(values, path, key, data.draw(JSON | st.sampled_from(NEAR)))
        except (KeyError, IndexError, TypeError):  # the place has gone with an earlier change
            continue
    return json.loads(json.dumps(values).replace("\\ue000", ""))  # no marks of variables that are not set


KEYS = [*WORDS, "num_epochs", "warmup_ratio", "momentum", "dropout", "context", "callbacks", "betas"]
NEAR: list[Any] = [0, 1, -1, 0.5, 2.0, "adamw", "sgd", "luke", "transformer", "shared", "linear_with_warmup", [],
                   [0.9, 0.99], [[["a"], {}]], {"type": "sgd", "lr": 0.1}, {"lr": 1}, {"type": "wandb"}]  # fmt: skip


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_schema_and_check_agree(monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    with monkeypatch.context() as patch:
        _without_own_checks(patch)
        values = _mutated(data)
        faults = check(values, ExperimentConfig)[1]
        expected = not [fault for fault in faults if not _beyond_a_schema(fault)]
        assert validator().is_valid(values) is expected, faults


# -- classes of users -----------------------------------------------------------------------------------------------


class Tree(Registrable):
    """Holds others of its kind."""


@Tree.register("node/~%")
class Node(Tree):
    def __init__(self, *, children: list[Tree] | None = None, size: PositiveInt, weights: dict[str, float]) -> None:
        """Nothing is done with them."""


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ({"type": "node/~%", "size": 1, "weights": {}}, Tree),
        ({"type": "node/~%", "size": 1, "weights": {"a": 1}, "children": [{"type": "node/~%"}]}, Tree),
        ({"type": "node/~%", "size": 1, "weights": {"a": "1"}}, Tree),
        ("node/~%", Tree),
        ("circle", Shape),
        ({}, Shape),
        ({"radius": "1"}, Shape),
        ({"type": "polygon", "corners": [[0, 0], [1, 1], [0, 2]], "name": None}, Shape),
        ({"type": "polygon", "corners": [[0, 0, 0], [1, 1], [0, 2]]}, Shape),
        ({"size": {}, "title": "a"}, Untyped),
        ({"title": "a"}, Untyped),
        ({"size": 1, "more": 1}, Untyped),
    ],
)
def test_classes_of_users(value: Any, annotation: Any) -> None:
    definitions = _Definitions()
    schema = {**definitions.of(annotation), "$defs": definitions.found}
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(value) is not bool(check(value, annotation)[1])


def test_annotation_that_means_nothing_is_named() -> None:
    with pytest.raises(PluginError, match=r"tests\.test_schema\.Unresolved: its constructor .*name 'Nowhere'"):
        _Definitions().of(Unresolved)


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with an optimizer, in the working directory; its name is forgotten afterwards."""
    from luke_tasks.training.optimization import Optimizer

    monkeypatch.setattr(Optimizer, "_registry", dict(Optimizer._registry))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "schema_lion.py").write_text(
        "from luke_tasks.training.optimization import SGD, Optimizer\n"
        '@Optimizer.register("lion")\n'
        "class Lion(SGD):\n"
        '    """Lion.\n\n    Args:\n        roar: how loud.\n    """\n'
        "    def __init__(self, *, roar: int = 1) -> None: ...\n",
        encoding="utf-8",
    )
    yield "schema_lion"


def test_command_writes_it_with_own_classes(own_package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--include-package", own_package, "--output", "config.schema.json"]) == 0
    schema = json.loads(Path("config.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["Optimizer.lion"]["properties"]["roar"] == {
        "type": "integer", "default": 1, "description": "how loud.\n\nan integer; default 1"
    }  # fmt: skip
    assert capsys.readouterr().out == ""
    values = laid_in(BASE, ("trainer",), "optimizer", {"type": "lion", "roar": "x"})
    assert [error.message for error in Draft202012Validator(schema).iter_errors(values)] == [
        "'x' is not of type 'integer'"
    ]
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema  # still imported
    assert main(["schema", "--output", "no/such/folder.json"]) == 2
    assert "no directory no/such" in capsys.readouterr().err
