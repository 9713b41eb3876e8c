"""Configs of studio-ousia/luke's examples: what they become, what trains, and what is a fault under the old keys."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.__main__ import main
from luke_tasks.config import load_config
from luke_tasks.errors import ConfigError, PluginError
from luke_tasks.experiment import read_config
from luke_tasks.experiment_config import check_config
from luke_tasks.interop.upstream_config import is_upstream, translate
from luke_tasks.interop.upstream_keys import RULES, markdown_table
from tests.interop.archives import tokenizer_of, typing_config

ROOT = Path(__file__).parents[2]
UPSTREAM = Path(__file__).parent / "upstream"
KINDS = ("baseline", "luke", "entity_aware")


@pytest.fixture
def published_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the original's README, and what the test files ask for besides."""
    (tmp_path / "data.txt").write_text("{}", encoding="utf-8")
    for name in ("TRAIN_DATA_PATH", "VALIDATION_DATA_PATH", "MENTION_CANDIDATES"):
        monkeypatch.setenv(name, str(tmp_path / "data.txt"))
    monkeypatch.setenv("TRANSFORMERS_MODEL_NAME", "studio-ousia/luke-base")
    monkeypatch.setenv("DATASET", "tacred")


# -- the published configs ------------------------------------------------------------------------------------------


def own_config(task: str, kind: str, data: str) -> dict[str, Any]:
    """The same experiment, written by hand with this project's keys."""
    luke = kind != "baseline"
    encoder: dict[str, Any] = {"type": "transformer"}
    if luke:
        encoder = {"type": "luke", "use_entity_aware_attention": kind == "entity_aware"}
    trainer: dict[str, Any] = {
        "cuda_device": -1, "patience": 3, "checkpointer": {"keep_most_recent_by_count": 1},
        "optimizer": {"type": "adamw", "lr": 1e-5, "weight_decay": 0.01,
                      "parameter_groups": [[["bias", "LayerNorm.weight"], {"weight_decay": 0}]]},
        "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_ratio": 0.06},
    }  # fmt: skip
    config: dict[str, Any] = {
        "train_data_path": data, "validation_data_path": data, "random_seed": 0, "numpy_seed": 0, "pytorch_seed": 0,
        "model": {"encoder": {**encoder, "pretrained": "studio-ousia/luke-base"}}, "trainer": trainer,
    }  # fmt: skip
    if task == "ner":
        config["dataset_reader"] = {"type": "conll_span", "iob_scheme": "iob2"}
        config["model"]["head"] = {"type": "ner", "features": "token+entity" if luke else "token"}
        trainer |= {"num_epochs": 5, "num_gradient_accumulation_steps": 4, "validation_metric": "+f1", "grad_norm": 5}
        config["data_loader"] = {"batch_size": 2, "shuffle": True}
    if task == "entity_typing":
        config["dataset_reader"] = {"type": "entity_typing"}
        config["model"]["head"] = {"type": "entity_typing", "features": "entity" if luke else "token"}
        trainer |= {"num_epochs": 3, "validation_metric": "+micro_fscore"}
        trainer["optimizer"] |= {"betas": [0.9, 0.98], "eps": 1e-6}
        config["data_loader"] = {"batch_size": 4, "shuffle": True}
    if task == "relation_classification":
        config["dataset_reader"] = {"type": "relation_classification", "dataset": "tacred", "restore_brackets": False}
        config["model"]["head"] = {"type": "relation_classifier", "features": "entity" if luke else "token"}
        trainer |= {"num_epochs": 5, "num_gradient_accumulation_steps": 8, "validation_metric": "+micro_fscore"}
        config["data_loader"] = {"batch_size": 4, "shuffle": True}
    if task == "squad":
        config["dataset_reader"] = {"type": "transformers_squad"}
        if luke:
            linker = {"type": "json", "mention_candidate_json_file_paths": {"en-en": data}}
            config["dataset_reader"]["wiki_entity_linker"] = linker
        config["model"]["head"] = {"type": "transformers_qa"}
        trainer |= {"num_epochs": 2, "num_gradient_accumulation_steps": 16, "validation_metric": "-loss",
                    "grad_norm": 5}  # fmt: skip
        trainer["optimizer"] |= {"lr": 2e-5}
        config["data_loader"] = {"batch_size": 2, "shuffle": True}
        config["validation_data_loader"] = {"batch_size": 2}
    return config


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["ner", "entity_typing", "relation_classification", "squad"])
@pytest.mark.usefixtures("published_environment")
def test_a_published_config_is_the_same_experiment_as_one_written_here(
    task: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIND", kind)
    old = read_config(UPSTREAM / f"{task}.jsonnet", include_packages=["examples"])
    new = check_config(own_config(task, kind, str(tmp_path / "data.txt")), (), (), for_training=True)
    names = [plain(config.resolved) for config in (old, new)]
    assert names[0] == names[1]


def plain(resolved: dict[str, Any]) -> dict[str, Any]:
    """Two registered names of one class are the same."""
    text = json.dumps(resolved)
    return json.loads(text.replace("custom_linear_with_warmup", "linear_with_warmup"))  # type: ignore[no-any-return]


@pytest.mark.usefixtures("published_environment")
def test_each_translated_key_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("KIND", "luke")
    with caplog.at_level(logging.INFO, logger="luke_tasks"):
        read_config(UPSTREAM / "relation_classification.jsonnet", include_packages=["examples"])
    lines = [record.getMessage().strip() for record in caplog.records]
    assert lines[:3] == [
        "--include-package examples: not imported; the classes of studio-ousia/luke's examples are built in, under the "
        "same names",
        "a config of studio-ousia/luke's examples, read as one of luke-tasks (MIGRATING.md):",
        "dataset_reader.restore_brackets: false, as the original's default is",
    ]
    for line in (
        "model.feature_extractor.embedder.model_name → model.encoder.pretrained",
        "model.feature_extractor.type → model.head.features",
        "dataset_reader.tokenizer.add_special_tokens: left out; the readers add them",
    ):
        assert line in lines
    assert not any(line.startswith("trainer") for line in lines)  # nothing changed there


LUKE_EXAMPLES = os.environ.get("LUKE_EXAMPLES", "")


@pytest.mark.skipif(not LUKE_EXAMPLES, reason="LUKE_EXAMPLES names no `examples` folder of studio-ousia/luke")
@pytest.mark.usefixtures("published_environment")
def test_the_published_files_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, unchanged, from the folder above `examples`, as the original's README says."""
    files = [path for path in sorted(Path(LUKE_EXAMPLES).resolve().rglob("configs*/*.jsonnet"))]
    assert len(files) >= 12
    candidates = "examples/reading_comprehension/mention_candidates/squad/train-dev-v1.1.json"
    (tmp_path / candidates).parent.mkdir(parents=True)
    (tmp_path / candidates).write_text("{}", encoding="utf-8")
    (tmp_path / "examples" / "ner").mkdir()
    (tmp_path / "examples" / "ner" / "reader.py").touch()  # by this the package is known
    monkeypatch.chdir(tmp_path)
    for path in files:
        config = read_config(path, include_packages=["examples"])
        assert config.resolved["model"]["encoder"]["pretrained"] == "studio-ousia/luke-base", path
        aware = config.resolved["model"]["encoder"].get("use_entity_aware_attention")
        assert aware == ({"transformers": None, "transformers_luke": False}.get(path.stem, True)), path


def test_an_old_config_trains(
    tiny_luke_dir: Path, ner_files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end, with the original's command line; what it leaves is in this project's form."""
    variables = {"TRANSFORMERS_MODEL_NAME": str(tiny_luke_dir), "TRAIN_DATA_PATH": ner_files["train"],
                 "VALIDATION_DATA_PATH": ner_files["valid"], "KIND": "entity_aware"}  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    overrides = {"trainer.num_epochs": 1, "dataset_reader.max_sequence_length": 64, "model.encoder.dropout": 0.0,
                 "dataset_reader.max_mention_length": 4}  # fmt: skip
    run_dir = tmp_path / "results" / "ner"
    arguments = [str(UPSTREAM / "ner.jsonnet"), "-s", str(run_dir), "--include-package", "examples"]
    assert main(["train", *arguments, "-o", json.dumps(overrides)]) == 0
    written = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    assert not is_upstream(written)
    assert written["model"]["encoder"]["dropout"] == 0.0
    assert main(["evaluate", str(run_dir / "model.tar.gz"), ner_files["valid"], "--include-package", "examples"]) == 0


# -- AllenNLP's wider keys ------------------------------------------------------------------------------------------


def translated(**changes: Any) -> dict[str, Any]:
    """The typing config with sections changed, without fault, in this project's form."""
    translation = translate({**typing_config("luke"), **changes})
    assert translation.faults == []
    assert translation.values is not None
    return translation.values


def test_batches_of_allennlp() -> None:
    loader = {"type": "multiprocess", "num_workers": 2, "max_instances_in_memory": 100,
              "batch_sampler": {"type": "bucket", "batch_size": 8, "sorting_keys": ["word_ids"], "padding_noise": 0.1,
                                "drop_last": True}}  # fmt: skip
    values = translated(data_loader=loader, validation_data_loader={"shuffle": False})
    assert values["data_loader"] == {"batch_size": 8, "shuffle": True, "bucket": True, "drop_last": True}
    assert values["validation_data_loader"] == {"shuffle": False, "batch_size": 1}  # AllenNLP's default


def test_training_of_allennlp() -> None:
    trainer = {
        "type": "gradient_descent", "validation_metric": ["+micro_fscore"], "grad_norm": False, "no_grad": [],
        "use_amp": True, "run_confidence_checks": False, "enable_default_callbacks": False,
        "checkpointer": {"type": "default", "keep_most_recent_by_count": 0, "save_completed_epochs": True},
        "optimizer": {"type": "huggingface_adamw", "lr": 2e-5, "correct_bias": True},
        "learning_rate_scheduler": "linear_with_warmup",
        "callbacks": ["console_logger", "tensorboard",
                      {"type": "wandb", "project": "luke", "summary_interval": 50, "watch_model": False}],
    }  # fmt: skip
    values = translated(trainer=trainer, distributed={"cuda_devices": [1]}, batch_weight_key="")
    assert values["trainer"] == {
        "validation_metric": "+micro_fscore", "grad_norm": None, "use_amp": True,
        "checkpointer": {"keep_most_recent_by_count": 1},
        "optimizer": {"type": "huggingface_adamw", "lr": 2e-5, "weight_decay": 0.0},
        "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 100},
        "callbacks": [{"type": "tensorboard"}, {"type": "wandb", "project": "luke", "log_every_num_steps": 50}],
    }  # fmt: skip
    assert values["distributed"] == {"cuda_devices": [1]}
    assert "batch_weight_key" not in values


def test_defaults_of_the_original_are_filled_in() -> None:
    values = translated(trainer={"optimizer": {"type": "adamw"}})
    assert values["trainer"]["optimizer"]["lr"] == 0.001
    ignored = translate({"model": {"type": "relation_classifier", "ignored_labels": None}, "dataset_reader": {}}).values
    assert ignored is not None and ignored["model"]["head"]["ignored_labels"] == ["no_relation"]
    config = typing_config("luke")
    del config["model"]["feature_extractor"]["embedder"]["use_entity_aware_attention"]
    assert translated(model=config["model"])["model"]["encoder"]["use_entity_aware_attention"] is False


def test_the_tokenizer_of_another_checkpoint() -> None:
    reader = {"type": "entity_typing", **tokenizer_of("other", add_special_tokens=True)}
    assert translated(dataset_reader=reader)["tokenizer"] == "other"
    assert "tokenizer" not in translated()


def test_own_keys_lie_over_the_old_ones() -> None:
    model = {**typing_config("luke")["model"], "encoder": {"attention": "eager", "pretrained": "folder"}}
    values = translated(model=model, tokenizer="mine")
    assert values["tokenizer"] == "mine"
    assert values["model"]["encoder"] == {
        "type": "luke", "pretrained": "folder", "use_entity_aware_attention": True, "attention": "eager",
    }  # fmt: skip


def test_configs_of_this_project_are_left_alone() -> None:
    config = {"model": {"type": "encoder_head", "encoder": {"pretrained": "x"}, "head": {"type": "ner"}},
              "dataset_reader": {"type": "mine", "tokenizer": {"type": "words"}}}  # fmt: skip
    assert not is_upstream(config)
    assert translate(config).values is config


# -- faults ---------------------------------------------------------------------------------------------------------


def faults(tmp_path: Path, config: dict[str, Any]) -> list[str]:
    for name in ("train", "dev"):
        (tmp_path / name).touch()
    config = {**config, "train_data_path": str(tmp_path / "train"), "validation_data_path": str(tmp_path / "dev")}
    config["trainer"] = {"optimizer": {"type": "adamw"}, **config.get("new_trainer", {})}
    config.pop("new_trainer", None)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_config(path)
    return [str(fault) for fault in error.value.faults]


def test_every_fault_under_its_old_path(tmp_path: Path) -> None:
    config = typing_config("luke")
    config["dataset_reader"]["tokenizer"] |= {"add_special_tokens": False, "model_nam": "x"}
    config["dataset_reader"]["token_indexers"]["tokens"]["model_name"] = "other"
    config["dataset_reader"]["token_indexers"]["characters"] = {"type": "single_id"}
    config["dataset_reader"]["use_entities"] = True
    config["model"]["dropout"] = "a tenth"
    config["model"]["initializer"] = {"regexes": []}
    config["model"]["feature_extractor"]["encoder"] = {"type": "lstm"}
    config["model"]["feature_extractor"]["feature_type"] = "entity_end"
    embedder = config["model"]["feature_extractor"]["embedder"]
    embedder |= {"train_parameters": False, "use_entity_aware_attention": "yes"}
    del embedder["model_name"]
    config["data_loader"] = {"batch_size": 4, "batch_sampler": {"type": "max_tokens_sampler", "max_tokens": 9}}
    config["new_trainer"] = {"no_grad": ["embedder"], "momentum": 1, "validation_metric": ["+f1", "-loss"]}
    found = faults(tmp_path, config)
    expected = [
        r"dataset_reader.tokenizer.add_special_tokens: expected true, found false; the readers add them",
        r'dataset_reader.token_indexers.tokens.model_name: "other" goes against dataset_reader.tokenizer.model_name, '
        r'which is "luke"; give the same',
        r"dataset_reader.tokenizer.model_nam: unknown in a config of studio-ousia/luke's examples; did you mean "
        r"model_name\?",
        r"dataset_reader.token_indexers.characters.type: unknown in a config of studio-ousia/luke's examples",
        r"dataset_reader.use_entities: unknown for EntityTypingReader.*",
        r'model.feature_extractor.encoder: expected null, found {"type": "lstm"}; no layers between .*',
        r"model.feature_extractor.embedder.train_parameters: expected true, found false; a parameter group freezes .*",
        r"model.initializer.regexes: unknown in a config of studio-ousia/luke's examples",
        r"model.feature_extractor.embedder.model_name: missing for LukeEncoder; expected a string",
        r'model.feature_extractor.embedder.use_entity_aware_attention: expected true or false, found "yes"',
        r'model.feature_extractor.feature_type: expected one of "entity_start", .*, found "entity_end"',
        r'model.dropout: expected a number between 0 and 1, found "a tenth"',
        r'data_loader.batch_sampler.type: expected "bucket", found "max_tokens_sampler"',
        r"data_loader.batch_sampler.max_tokens: unknown in a config of .* \(known: type, batch_size, .*",
        r'trainer.validation_metric: expected one metric, found \["\+f1", "-loss"\]; one metric, no list',
        r'trainer.no_grad: expected null or \[\], found \["embedder"\]; parameter groups freeze: .*',
        r"trainer.momentum: unknown.*",
    ]
    unmatched = [line for line in found if not any(re.fullmatch(pattern, line) for pattern in expected)]
    missing = [pattern for pattern in expected if not any(re.fullmatch(pattern, line) for line in found)]
    assert (unmatched, missing) == ([], [])
    assert len(found) == len(expected)


def test_unknown_models(tmp_path: Path) -> None:
    config = typing_config("luke")
    config["model"]["type"] = "entity_typer"
    assert faults(tmp_path, config) == [
        'model.type: "entity_typer" is no model of studio-ousia/luke\'s examples; did you mean entity_typing? (known: '
        "span_ner, entity_typing, relation_classifier, transformers_qa); no other model of AllenNLP is read here"
    ]


def test_words_that_would_each_get_special_tokens(tmp_path: Path) -> None:
    """AllenNLP's tokenizer adds them by default, and then no word of NER is what it was."""
    config = typing_config("luke")
    config["model"]["type"] = "span_ner"
    config["dataset_reader"] = {"type": "conll_span", **tokenizer_of("luke", add_special_tokens=False)}
    del config["dataset_reader"]["tokenizer"]["add_special_tokens"]
    assert faults(tmp_path, config) == [
        "dataset_reader.tokenizer.add_special_tokens: expected false, found true; the readers add them"
    ]


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = (
        [found for key, item in value.items() for found in places(item, (*path, key))] if type(value) is dict else []
    )
    return [path, *inner] if path else inner


@pytest.mark.parametrize("junk", [None, "x", 3, True, [], {}, [{}], {"type": []}, {"type": {}}], ids=repr)
def test_any_value_anywhere_is_a_fault_or_fine(junk: Any) -> None:
    """Never a traceback: each key of an old config in turn is something else."""
    loader = {"batch_sampler": {"type": "bucket", "batch_size": 8}}
    trainer = {
        "validation_metric": "+f1",
        "optimizer": {"type": "adamw"},
        "callbacks": [],
        "checkpointer": {"type": "default"},
    }
    base = {
        **typing_config("luke"),
        "data_loader": loader,
        "trainer": trainer,
        "distributed": {"cuda_devices": [0]},
        "vocabulary": {"type": "from_instances", "min_count": {}},
        "train_data_path": str(UPSTREAM / "ner.jsonnet"),
    }
    for path in places(base):
        config = json.loads(json.dumps(base))
        section = config
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = junk
        for for_training in (True, False):
            try:
                checked = check_config(config, (), (), for_training=for_training)
            except ConfigError as error:
                assert error.faults and all(fault.message for fault in error.faults), path
            else:
                assert checked.resolved["model"]["head"]["type"], path


def test_several_gpus(tmp_path: Path) -> None:
    """They stay as they are; another way to bring processes together has its own name here."""
    several = {"cuda_devices": [0, 1], "ddp_accelerator": {"type": "fairscale_fsdp"}}
    (found,) = faults(tmp_path, {**typing_config("luke"), "distributed": several})
    assert found.startswith("distributed.ddp_accelerator: expected ")
    assert found.endswith('; here it is `distributed.strategy`, "ddp" or "fsdp"')
    assert translated(distributed={"cuda_devices": [0, 1]})["distributed"] == {"cuda_devices": [0, 1]}


def test_variables_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["TRANSFORMERS_MODEL_NAME", "TRAIN_DATA_PATH", "VALIDATION_DATA_PATH", "DATASET"]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIND", "luke")
    with pytest.raises(ConfigError) as error:
        read_config(UPSTREAM / "relation_classification.jsonnet")
    assert sorted(re.findall(r"environment variable (\w+) is not set", str(error.value))) == sorted(names)
    assert len(error.value.faults) == len(names)


# -- --include-package ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("published_environment")
def test_the_originals_package_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is there: it needs AllenNLP."""
    monkeypatch.setenv("KIND", "luke")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "examples", raising=False)
    for name in ("__init__.py", "ner/__init__.py", "ner/reader.py"):
        (tmp_path / "examples" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "examples" / name).write_text("raise SystemExit('imported')\n", encoding="utf-8")
    read_config(UPSTREAM / "ner.jsonnet", include_packages=["examples", "examples.ner", "allennlp_models"])
    with pytest.raises(PluginError, match="there is no package 'exampels'"):
        read_config(UPSTREAM / "ner.jsonnet", include_packages=["exampels"])


@pytest.mark.usefixtures("published_environment")
def test_a_package_of_ones_own_may_bear_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND", "luke")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "examples", raising=False)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "__init__.py").write_text("raise ValueError('mine')\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"importing 'examples' failed at .*: ValueError: mine"):
        read_config(UPSTREAM / "ner.jsonnet", include_packages=["examples"])


# -- convert-config -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.jsonnet", "new.json"])
@pytest.mark.usefixtures("published_environment")
def test_convert_config(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIND", "entity_aware")
    old, new = UPSTREAM / "squad.jsonnet", tmp_path / name
    assert main(["convert-config", str(old), str(new), "--include-package", "examples"]) == 0
    assert "model.embedder.token_embedders.tokens.model_name → model.encoder.pretrained" in capsys.readouterr().err
    text = new.read_text(encoding="utf-8")
    assert text.startswith("{" if name == "new.json" else "// squad.jsonnet of studio-ousia/luke's examples")
    assert not is_upstream(load_config(new).values)
    assert read_config(new).resolved == read_config(old).resolved


@pytest.mark.usefixtures("published_environment")
def test_convert_config_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIND", "luke")
    old, new = str(UPSTREAM / "ner.jsonnet"), tmp_path / "new.jsonnet"
    new.write_text("precious", encoding="utf-8")
    assert main(["convert-config", old, str(new)]) == 2
    assert capsys.readouterr().err == f"{new}: is there already; -f replaces it\n"
    assert new.read_text(encoding="utf-8") == "precious"
    assert main(["convert-config", old, str(new), "-f"]) == 0
    capsys.readouterr()
    assert main(["convert-config", str(new), str(tmp_path / "newer.jsonnet")]) == 2
    assert capsys.readouterr().err == (
        f"{new}: no config of studio-ousia/luke's examples (its model has no feature_extractor or embedder): it needs "
        "no conversion\n"
    )
    assert main(["convert-config", old, str(tmp_path / "a"), "-o", '{"model.dropout": 2}']) == 2
    assert capsys.readouterr().err == "model.dropout: expected a number between 0 and 1, found 2\n"
    assert not (tmp_path / "a").exists()


# -- documentation --------------------------------------------------------------------------------------------------


def test_migrating_shows_the_table() -> None:
    text = (ROOT / "MIGRATING.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- keys -->\n")[2].partition("<!-- end of keys -->")[0]
    assert shown == markdown_table(), "copy what luke_tasks.interop.upstream_keys.markdown_table() gives"


def test_every_rule_says_why_it_leaves_out() -> None:
    assert [rule.old for rule in RULES if rule.new is None and not rule.why] == []
