"""What tests of faults share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import write_ner_config
from tests.faults.harness import Run


@pytest.fixture(scope="module")
def whole(
    request: pytest.FixtureRequest, tiny_luke_dir: Path, ner_files: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:  # fmt: skip
    """A run that nothing disturbs, with the `OVERRIDES` of the test's module."""
    folder = tmp_path_factory.mktemp("whole")
    run = Run(write_ner_config(folder, tiny_luke_dir, ner_files), folder / "run", request.module.OVERRIDES)
    assert run.start().wait().status == 0
    return run
