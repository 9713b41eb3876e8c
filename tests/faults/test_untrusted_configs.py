"""Configs of strangers: where they may import from, and programs that would never end, or take the process along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luke_tasks import jsonnet
from luke_tasks.__main__ import main
from luke_tasks.config import apply_overrides, load_config
from luke_tasks.errors import ConfigError


def fault(path: Path, text: str, **options: list[Path]) -> str:
    """The one fault of a config file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(path, **options)  # type: ignore[arg-type]
    (only,) = raised.value.faults
    assert "\n" not in str(raised.value)
    return str(only)


@pytest.mark.parametrize("kind", ["import", "importstr", "importbin"])
@pytest.mark.parametrize("absolute", [True, False])
def test_imports_from_elsewhere(kind: str, absolute: bool, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"password": 1}', encoding="utf-8")
    name = str(secret) if absolute else "../secret.json"
    said = fault(tmp_path / "mine" / "c.jsonnet", f"{{ a: {kind} '{name}' }}")
    assert "password" not in said
    assert f'couldn\'t open import "{name}": {secret} lies outside of {tmp_path / "mine"}' in said
    assert said.endswith("--allow-imports DIR allows a folder")


def test_a_link_leads_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "inside.json").symlink_to(tmp_path / "secret.json")
    assert "lies outside of" in fault(tmp_path / "mine" / "c.jsonnet", "{ a: import 'inside.json' }")


def test_allowed_folders(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.libsonnet").write_text("{ x: 1 }", encoding="utf-8")
    config = tmp_path / "mine" / "c.jsonnet"
    config.parent.mkdir()
    config.write_text("import '../lib/a.libsonnet'", encoding="utf-8")
    assert load_config(config, allow_imports=[tmp_path / "lib"]).values == {"x": 1}


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", None])
def test_a_projects_own_layout(mark: str | None, tmp_path: Path) -> None:
    """As in ours: configs/ner/x.jsonnet takes ../lib/ner.libsonnet."""
    folder = tmp_path / "project" / ("configs" if mark is None else "experiments")
    (folder / "ner").mkdir(parents=True)
    (folder / "lib").mkdir()
    (folder / "lib" / "a.libsonnet").write_text("{ x: 1 }", encoding="utf-8")
    (folder / "ner" / "c.jsonnet").write_text("import '../lib/a.libsonnet'", encoding="utf-8")
    if mark is not None:
        (tmp_path / "project" / mark).touch()
    assert load_config(folder / "ner" / "c.jsonnet").values == {"x": 1}


def test_home_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dotfiles are often kept in a repository: its folder is everything."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    assert jsonnet.import_folders(tmp_path / "downloads" / "c.jsonnet") == [tmp_path / "downloads"]


def test_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.libsonnet").write_text("{ no_such_key: 1 }", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    config = tmp_path / "mine" / "c.jsonnet"
    config.write_text("import '../a.libsonnet'", encoding="utf-8")
    assert main(["train", str(config), "-s", str(tmp_path / "run")]) == 2
    assert "lies outside of" in capsys.readouterr().err
    assert main(["train", str(config), "-s", str(tmp_path / "run"), "--allow-imports", str(tmp_path)]) == 2
    assert "no_such_key: unknown key" in capsys.readouterr().err


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in fault(tmp_path / "c.jsonnet", "{ a: importstr 'pipe' }")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param("local f(x) = if x == 0 then 0 else f(x + 1) tailstrict; { a: f(1) }",
                     "not evaluated within 2 s; perhaps it never ends", id="endless"),
        pytest.param("{ a: 1" + "+1" * 100_000 + " }", "nested too deeply", id="crashes the evaluator"),
        pytest.param("{ a: std.length(std.makeArray(1000000000, function(i) i)) }",
                     "takes more than 2,048 MB of memory", id="memory"),
    ],
)  # fmt: skip
def test_programs_that_do_not_end_well(
    program: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if expected.startswith("not evaluated"):
        monkeypatch.setattr(jsonnet, "SECONDS", 2)
    assert expected in fault(tmp_path / "c.jsonnet", program)


def test_overrides_that_are_no_text() -> None:
    """Bytes of the command line that are not UTF-8; found by fuzzing."""
    with pytest.raises(ConfigError, match=r"^--overrides: holds bytes that are not UTF-8; write it in UTF-8$"):
        apply_overrides({}, '{"a": "\udcff"}')
