"""Every config we ship is without fault, and builds: reader, data, encoder, head, trainer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from luke_tasks.experiment import build, read_config
from tests.shipped_data import data_for
from tests.tiny import tiny_luke, tiny_roberta

ROOT = Path(__file__).parents[1]
CONFIGS = [path for path in sorted((ROOT / "configs").rglob("*.jsonnet"))
           if not {"lib", "sweeps"} & set(path.relative_to(ROOT / "configs").parts)]  # fmt: skip
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


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By the encoder's type, with room for the windows of all configs."""
    folder = tmp_path_factory.mktemp("checkpoints")
    makers = {"luke": tiny_luke, "transformer": tiny_roberta}
    return {name: str(make(folder / name, max_position_embeddings=600)) for name, make in makers.items()}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_shipped_config_builds(
    path: Path, checkpoints: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tiny checkpoint in place of the published one, on a few examples in the data set's own form."""
    monkeypatch.chdir(ROOT)
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    for source in (ROOT / "configs").rglob("*.*sonnet"):
        for name in EXTERNAL.findall(source.read_text(encoding="utf-8")):
            monkeypatch.setenv(name, str(tmp_path / "empty.json"))
    resolved = read_config(path).resolved
    content, ending = data_for(resolved["dataset_reader"])
    data = tmp_path / f"data{ending}"
    data.write_text(content, encoding="utf-8")
    overrides = {
        "model.encoder.pretrained": checkpoints[resolved["model"]["encoder"]["type"]],
        "train_data_path": str(data),
        "validation_data_path": str(data),
        "data_loader.batch_size": 1,
    }
    experiment = build(read_config(path, overrides=json.dumps(overrides)))
    assert len(experiment.data.features) == len(experiment.data.validation_features) > 0
    assert sum(weight.numel() for weight in experiment.model.head.parameters()) > 0
