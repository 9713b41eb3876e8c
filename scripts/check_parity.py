"""Hold this project against `transformers` and the original: a table of the largest differences found.

python scripts/check_parity.py

It runs the parity tests and notes how far apart the numbers are that they compare: each head beside its class of
`transformers`, checkpoints read and written, each published config beside the same experiment written here, and each
golden archive of the original (where `../shared/peer/golden` is). With the variable LUKE_EXAMPLES naming the `examples`
folder of studio-ousia/luke, its files are read too. Exit status 1 when a row is over its bound, or could not be
found out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
CONFIGS = "Published configs, beside ones written here"
GROUPS = {  # heading → the tests below it
    "Heads, beside `transformers`": ["tests/parity/test_transformers_heads.py"],
    "Checkpoints of Hugging Face, read": ["tests/interop/test_huggingface_load.py"],
    "Checkpoints of Hugging Face, written": ["tests/exports/test_huggingface.py"],
    "ONNX": ["tests/exports/test_onnx.py"],
    CONFIGS: ["tests/interop/test_upstream_config.py::"
        "test_a_published_config_is_the_same_experiment_as_one_written_here",
        "tests/interop/test_upstream_config.py::test_the_published_files_themselves"],
    "Golden archives of the original": ["tests/parity/test_golden_archives.py"],
}  # fmt: skip
COMPARERS: list[tuple[Any, str]] = [(np.testing, "assert_allclose"), (torch.testing, "assert_close")]


class Differences:
    """A plugin of pytest: the largest difference among the numbers that each test compares."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float | None]] = []  # test, outcome, difference
        self._largest: float | None = None

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._largest = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":  # a fixture may fail, too
            self.rows.append((report.nodeid.partition("::")[2], report.outcome, self._largest))

    def noting(self, compare: Callable[..., None]) -> Callable[..., None]:
        """`compare`, which also notes the difference of its first two arguments."""

        def noted(found: Any, expected: Any, *args: Any, **options: Any) -> None:
            with torch.inference_mode():
                pair = [np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, dtype=np.float64)
                        for value in (found, expected)]  # fmt: skip
            if pair[0].size and pair[0].shape == pair[1].shape:
                self._largest = max(self._largest or 0.0, float(np.abs(pair[0] - pair[1]).max()))
            compare(found, expected, *args, **options)

        return noted


def main() -> int:
    """Run each group, print its rows."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    failed = False
    for heading, tests in GROUPS.items():
        differences = Differences()
        originals = [getattr(module, name) for module, name in COMPARERS]
        for (module, name), original in zip(COMPARERS, originals, strict=True):
            setattr(module, name, differences.noting(original))
        try:
            options = ["-q", "--no-header", "--no-summary", "-p", "no:terminalreporter"]
            status = pytest.main([*options, *tests], [differences])
        finally:
            for (module, name), original in zip(COMPARERS, originals, strict=True):
                setattr(module, name, original)
        print(f"\n{heading}\n\n| what is compared | largest difference | within its bound |\n|---|--:|---|")
        for test, outcome, largest in differences.rows:
            if largest is None and outcome == "passed" and heading != CONFIGS:
                continue  # compares no numbers
            shown = ("equal" if outcome == "passed" else "") if largest is None else f"{largest:.1e}"
            said = {"passed": "yes", "failed": "NO", "skipped": "not run"}[outcome]
            print(f"| {test.removeprefix('test_').replace('_', ' ')} | {shown} | {said} |", flush=True)
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            print(f"| pytest has not run these tests: {pytest.ExitCode(status).name} | | NO |", flush=True)
        failed = failed or status != pytest.ExitCode.OK
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
