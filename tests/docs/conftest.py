"""The processes and the encoder that the pages' blocks run with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

from luke_tasks.data.hub import checkpoint_dir
from tests.conftest import ROOT
from tests.docs.forks import write_programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the PATH; what is in it runs in forks of a process that has imported torch already."""
    folder = tmp_path_factory.mktemp("programs") / "bin"
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has room for some 100 letters
        address = Path(short) / "socket"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        server = subprocess.Popen([sys.executable, "-m", "tests.docs.forks", str(address)], cwd=ROOT, env=environment,
                                  stdout=subprocess.PIPE, text=True)  # fmt: skip
        try:
            assert server.stdout and server.stdout.readline() == "ready\n"
            write_programs(folder, address)
            yield folder
        finally:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def tiny_minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 1 layer and 16 numbers a word, random, with the tokenizer of the embedded model."""
    folder = tmp_path_factory.mktemp("minilm")
    source = checkpoint_dir("embedded:minilm", weights=False)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(source / name, folder)
    content = json.loads((source / "config.json").read_text(encoding="utf-8"))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**{**content, **sizes})).save_pretrained(folder)
    return folder
