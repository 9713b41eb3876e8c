"""Every config we ship is without fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from luke_tasks.experiment import read_config

ROOT = Path(__file__).parents[1]
CONFIGS = [path for path in sorted((ROOT / "configs").rglob("*.jsonnet"))
           if "lib" not in path.relative_to(ROOT / "configs").parts]  # fmt: skip
EXTERNAL = re.compile(r"std\.extVar\(\s*[\"'](\w+)[\"']\s*\)")


def test_there_are_some() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_shipped_config(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # data paths are relative to it
    sources = [path, *(ROOT / "configs").rglob("*.libsonnet")]
    for variable in {name for source in sources for name in EXTERNAL.findall(source.read_text(encoding="utf-8"))}:
        file = tmp_path / variable
        file.write_text("", encoding="utf-8")
        monkeypatch.setenv(variable, str(file))
    config = read_config(path)
    assert config.resolved["model"]["encoder"]["pretrained"]
    if path.name.startswith("tacred_"):  # in LUKE's own settings, TACRED's brackets stay as they are
        assert config.resolved["dataset_reader"]["restore_brackets"] is False
    assert re.search(r"^//\s+allennlp train configs/", path.read_text(encoding="utf-8"), re.MULTILINE), "no command"
