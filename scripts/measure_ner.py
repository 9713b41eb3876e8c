"""Measure LUKE against the plain baseline on WNUT-17, over seeds: the table of the README.

python scripts/measure_ner.py --data WNUT17_FOLDER --out runs/measure_ner

Each run is `allennlp train` in a process of its own, then `allennlp evaluate` on the test file. A run whose metrics are
there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIGS = {"LUKE, `token+entity`": "wnut17", "`transformer`, `token`": "wnut17_baseline"}


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.conll, dev.conll and test.conll")
    parser.add_argument("--out", type=Path, default=Path("runs/measure_ner"))
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for name, config in CONFIGS.items():
        results = [measure(config, seed, args.data, args.out / f"{config}_seed{seed}") for seed in range(args.seeds)]
        rows.append((name, results))
    print(table(rows))


def measure(config: str, seed: int, data: Path, run_dir: Path) -> dict[str, float]:
    """Train and evaluate once: validation and test F1."""
    result_file = run_dir / "measured.json"
    if not result_file.exists():
        environment = {**os.environ, "TRAIN_DATA_PATH": str(data / "train.conll"),
                       "VALIDATION_DATA_PATH": str(data / "dev.conll")}  # fmt: skip
        seeds = {"random_seed": seed, "numpy_seed": seed, "pytorch_seed": seed}
        allennlp("train", f"configs/ner/{config}.jsonnet", "-s", str(run_dir), "-f", "--file-friendly-logging",
                 "-o", json.dumps(seeds), environment=environment)  # fmt: skip
        test_file = run_dir / "metrics_test.json"
        allennlp("evaluate", str(run_dir / "model.tar.gz"), str(data / "test.conll"), "--output-file", str(test_file),
                 environment=environment)  # fmt: skip
        result = {"validation": read(run_dir / "metrics.json")["best_validation_f1"], "test": read(test_file)["f1"]}
        result_file.write_text(json.dumps(result), encoding="utf-8")
    return read(result_file)


def allennlp(*arguments: str, environment: dict[str, str]) -> None:
    """Run a command of luke-tasks; stop the script when it fails."""
    subprocess.run([sys.executable, "-m", "luke_tasks", *arguments], env=environment, check=True, stdout=sys.stderr)


def read(path: Path) -> dict[str, Any]:
    """The contents of a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def table(rows: list[tuple[str, list[dict[str, float]]]]) -> str:
    """A Markdown table: mean ± standard deviation of F1 over seeds."""
    lines = ["| encoder, features | validation F1 | test F1 |", "|---|--:|--:|"]
    for name, results in rows:
        cells = []
        for key in ("validation", "test"):
            values = [100 * result[key] for result in results]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.1f} ± {spread:.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
