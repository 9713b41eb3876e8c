"""Imported once, by the process from which the others are forked: a small training there loads all that theirs need."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import torch

from luke_tasks.__main__ import main
from tests.conftest import write_ner_config, write_ner_files
from tests.tiny import tiny_luke

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
    folder = Path(name)
    files = write_ner_files(folder)
    config = write_ner_config(folder, tiny_luke(folder / "luke"), files)
    with contextlib.redirect_stdout(io.StringIO()):
        main(["train", str(config), "-s", str(folder / "run"), "-o", json.dumps({"trainer.num_epochs": 1})])
        main(["evaluate", str(folder / "run"), files["valid"]])
