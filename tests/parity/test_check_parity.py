"""`scripts/check_parity.py`: whatever goes wrong, it does not report success."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
RUN = """
import sys, check_parity
for path in sys.argv[1:]:
    check_parity.GROUPS = {"Group": [path]}
    print("status", check_parity.main())
"""
HEADER = "\nGroup\n\n| what is compared | largest difference | within its bound |\n|---|--:|---|\n"
# A file of tests → exit status, and the last row.
CASES = {
    "def test_a_head():\n    np.testing.assert_allclose([1, 2.5], [1, 2], atol=1)": (0, "a head | 5.0e-01 | yes"),
    "def test_a_head():\n    np.testing.assert_allclose([2.5], [2])": (1, "a head | 5.0e-01 | NO"),
    "@pytest.fixture\ndef broken():\n    raise OSError\n\n\ndef test_a_head(broken):\n    pass": (1, "a head |  | NO"),
    "import no_such_module": (1, "pytest has not run these tests: INTERRUPTED | | NO"),
    "": (1, "pytest has not run these tests: NO_TESTS_COLLECTED | | NO"),
}


def test_rows(tmp_path: Path) -> None:
    files = [tmp_path / f"test_group{number}.py" for number in range(len(CASES))]
    for path, test in zip(files, CASES, strict=True):
        path.write_text(f"import numpy as np\nimport pytest\n\n{test}\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", RUN, *map(str, files)], cwd=SCRIPTS, capture_output=True, text=True,
                          timeout=120)  # fmt: skip
    assert done.stdout == "".join(f"{HEADER}| {row} |\nstatus {status}\n" for status, row in CASES.values())
