"""The command line as a whole: what it loads, what it prints where, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from luke_tasks import __version__
from luke_tasks.__main__ import command_modules, main
from luke_tasks.commands import train
from luke_tasks.experiment import read_config
from tests.config_case import BASE, faults_of, keep_to_names, write_base

ROOT = Path(__file__).parents[1]
HELP = """
import sys
from luke_tasks.__main__ import command_modules, main
for arguments in ([], *([name] for name in command_modules())):
    try:
        main([*arguments, "--help"])
    except SystemExit as stop:
        assert stop.code == 0
heavy = {"torch", "transformers", "numpy", "tokenizers", "accelerate", "huggingface_hub", "_jsonnet", "rich"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a valid config in it."""
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    keep_to_names(monkeypatch)
    return tmp_path


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, in the working directory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


# -- help -----------------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    done = process("-c", HELP)
    assert done.returncode == 0, f"loaded: {done.stderr}"
    assert done.stderr == ""
    for name in command_modules():
        assert f"usage: allennlp {name} " in done.stdout


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for name, module in command_modules().items():
        assert re.search(rf"^    {name}\s", printed, re.MULTILINE)
        assert module.__doc__


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"luke-tasks {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trian", "base.json"], "invalid choice: 'trian'"),
        (["train", "base.json"], "the following arguments are required: -s/--serialization-dir"),
        (["train", "base.json", "-s", "run", "-f", "-r"], "not allowed with argument -f/--force"),
        (["predict", "a", "b", "--batch-size", "x"], "argument --batch-size: invalid int value: 'x'"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


# -- errors ---------------------------------------------------------------------------------------------------------


def test_only_the_faults_are_printed() -> None:
    done = process("-m", "luke_tasks", "train", "base.json", "-s", "run", "-o", '{"trainer.num_epochs": 0, "foo": 1}')
    assert (done.returncode, done.stdout) == (2, "")
    foo, epochs = done.stderr.splitlines()
    assert foo.startswith("foo: unknown key (known: dataset_reader, ")
    assert epochs == "trainer.num_epochs: expected a positive integer, found 0"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "base.json", "-s", "run", "-o", '{"trainer.num_epochs": 0}', "--debug"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):\n")
    assert printed.endswith("ConfigError: trainer.num_epochs: expected a positive integer, found 0\n")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (OSError(28, "No space left on device", "run/model.tar.gz"), 1, "run/model.tar.gz: No space left on device"),
        (OSError(5, "Input/output error"), 1, "Input/output error"),
        (OSError("cannot do this"), 1, "cannot do this"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_of_the_system(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(train, "run", fail)
    assert main(["train", "base.json", "-s", "run"]) == status
    assert capsys.readouterr().err.splitlines() == [line]


def test_output_that_no_one_reads() -> None:
    code = (
        "import sys\nfrom luke_tasks import __main__\nfrom luke_tasks.commands import train\n"
        "def run(args):\n    for _ in range(100000): print('x' * 100)\n    return 0\n"
        "train.run = run\nsys.exit(__main__.main(['train', 'base.json', '-s', 'run']))"
    )
    shell = f'{sys.executable} -c "$CODE" | head -n 1; exit ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CODE": code}
    done = subprocess.run(["bash", "-c", shell], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_on_several_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults_of(capsys, "base.json", "--node-rank", "1") == [
        "--node-rank 1: goes with distributed.num_nodes in the config; under torchrun, give --node-rank to torchrun"
    ]


# -- packages of the user's own -------------------------------------------------------------------------------------

OWN = """
from typing import ClassVar
from luke_tasks.heads.head import Head
from luke_tasks.readers.reader import Reader
from luke_tasks.registry import PositiveInt

@Reader.register("own_lines")
class OwnReader(Reader):
    task = "own"
    def __init__(self, *, columns: PositiveInt = 2) -> None: ...

@Head.register("own_head")
class OwnHead(Head):
    tasks = ("own",)
    metric_names = ("accuracy",)
    def __init__(self, *, size: PositiveInt) -> None: ...
"""
OWN_CONFIG = {
    **BASE,
    "dataset_reader": {"type": "own_lines"},
    "model": {"encoder": BASE["model"]["encoder"], "head": {"type": "own_head", "size": 3}},
    "trainer": {"optimizer": "adamw", "validation_metric": "+accuracy"},
}


@pytest.fixture
def own(folder: Path) -> str:
    """The name of a package in the working directory, new in each test. `own.json` uses its classes."""
    name = f"own_{folder.name}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("", encoding="utf-8")
    (folder / name / "lines.py").write_text(OWN, encoding="utf-8")
    (folder / "own.json").write_text(json.dumps(OWN_CONFIG), encoding="utf-8")
    return name


def test_classes_of_a_package_are_used_by_name(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "brought in with --include-package" in faults_of(capsys, "own.json")[0]
    resolved = read_config("own.json", include_packages=[own]).resolved
    assert resolved["dataset_reader"] == {"type": "own_lines", "columns": 2}
    assert resolved["model"]["head"] == {"type": "own_head", "size": 3}


def test_packages_of_the_plugins_file(own: str) -> None:
    Path(".allennlp_plugins").write_text(f"{own}\n", encoding="utf-8")
    assert read_config("own.json").resolved["model"]["head"]["type"] == "own_head"


def test_faults_in_the_use_of_own_classes(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = '{"dataset_reader.columns": 0, "model.head.sise": 1, "trainer.validation_metric": "+acuracy"}'
    assert faults_of(capsys, "own.json", "--include-package", own, "-o", overrides) == [
        "dataset_reader.columns: expected a positive integer, found 0",
        "model.head.sise: unknown for OwnHead; did you mean size?",
        'trainer.validation_metric: the head "own_head" computes no "acuracy"; did you mean accuracy? '
        "(computed: accuracy, loss)",
    ]
    overrides = '{"dataset_reader": {"type": "conll_span", "columns": 1}, "validation_dataset_reader": "conll_span"}'
    assert faults_of(capsys, "own.json", "--include-package", own, "-o", overrides) == [
        "dataset_reader.columns: unknown for ConllSpanReader (known: max_sequence_length, max_entity_length, "
        "max_mention_length, iob_scheme, encoding, context, span_attention)",
        'dataset_reader.type: "conll_span" reads examples of ner, but the head "own_head" learns own',
        'validation_dataset_reader.type: "conll_span" reads examples of ner, but the head "own_head" learns own',
    ]


def test_a_name_of_ours_is_taken(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(own, "lines.py")
    path.write_text(OWN.replace('"own_head"', '"ner"'), encoding="utf-8")
    (line,) = faults_of(capsys, "own.json", "--include-package", own)
    assert line.startswith(f"--include-package: importing '{own}' failed at ")
    assert line.endswith(
        f"ValueError: {own}.lines.OwnHead cannot be registered as Head 'ner': luke_tasks.heads.ner.NerHead has this "
        "name; choose another"
    )


def test_a_class_that_lacks_what_it_must_say(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(own, "lines.py").write_text(OWN.replace('    task = "own"\n', ""), encoding="utf-8")
    assert faults_of(capsys, "own.json", "--include-package", own) == [
        f'{own}.lines.OwnReader: registered as "own_lines", but the class says no `task = ...`'
    ]


def test_a_package_that_cannot_be_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken_own.py").write_text("import json\n\nraise RuntimeError('not today')\n", encoding="utf-8")
    assert faults_of(capsys, "base.json", "--include-package", "broken_own", "--include-package", "no_own") == [
        f"--include-package: importing 'broken_own' failed at {folder}/broken_own.py:3: RuntimeError: not today",
        f"--include-package: there is no package 'no_own' in {folder} or among the installed ones; give its name as in "
        "`import NAME`, from the folder that holds it",
    ]
    assert main(["train", "base.json", "-s", "run", "--include-package", "broken_own", "--debug"]) == 2
    printed = capsys.readouterr().err
    assert "\nRuntimeError: not today\n" in printed
    assert printed.startswith("Traceback")
