"""Suites `predict` and `start`: single predictions, predictions in bulk, and processes from their beginning."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.evaluating import same_windows
from benchmarks.models import NER_LABELS, make_checkpoint, our_trained, their_model
from benchmarks.options import ROOT, Options
from benchmarks.report import THEIRS, Comparison, Table, comparison_table
from benchmarks.timing import interleave
from luke_tasks.experiment import write_run_files
from luke_tasks.heads.head import Window
from luke_tasks.predictor import Predictor
from luke_tasks.trained import Trained
from luke_tasks.training.archive import BEST_WEIGHTS_NAME, write_archive
from luke_tasks.training.checkpoint import save_weights

ARCHITECTURE = "LukeForEntitySpanClassification"
SENTENCE = "Jordan Whitlock left Chelsea last summer to run the Florence Institute in Norwich."
_TORCH = "import torch"
_MODELS = "from transformers import LukeModel"
_HELP_IMPORTS = """
import sys
sys.argv = ["allennlp", "--help"]
try:
    from luke_tasks.__main__ import main
    main()
finally:
    print("torch" in sys.modules)
"""
_BATCH_SIZE = 32


def predict(options: Options) -> list[Table]:
    """Texts to entities: one at a time, all at once, and cold, from the command line.

    Theirs gets the same windows, a text at a time, or 32 windows at a time in the texts' order. The cold start is
    `allennlp predict` of one sentence; beside it, `python -c "import torch"`.
    """
    texts = sentences(options.examples or 32)
    trained = our_trained(make_checkpoint(options, ARCHITECTURE, NER_LABELS), options)
    theirs = their_model(make_checkpoint(options, ARCHITECTURE, NER_LABELS), ARCHITECTURE, options)
    size = options.batch_size or _BATCH_SIZE
    predictor = Predictor(trained, batch_size=size, cuda_device=0 if options.device == "cuda" else -1)
    singly: dict[str, Callable[[], list[Any]]] = {
        "ours": lambda: [predictor(text) for text in texts],
        THEIRS: lambda: [their_predictions([text], trained, theirs, 1, options)[0] for text in texts],
    }
    in_bulk: dict[str, Callable[[], list[Any]]] = {
        "ours": lambda: predictor(texts),
        THEIRS: lambda: their_predictions(texts, trained, theirs, size, options),
    }
    rows = []
    for case, contenders in (("one text at a time", singly), (f"in bulk, batches of {size}", in_bulk)):
        times = interleave(contenders, repeats=options.repeats, device=options.torch_device)
        found, expected = ([_entities(prediction) for prediction in run()] for run in contenders.values())
        rows.append(Comparison(
            case=f"{len(texts)} texts, {case}", precision="fp32", ours=times["ours"], theirs=times[THEIRS],
            amount=(len(texts), "texts"), predictions=len(texts),
            difference=sum(ours != their for ours, their in zip(found, expected, strict=True)),
        ))  # fmt: skip
    return [comparison_table([*rows, cold(options)])]


def their_predictions(
    texts: Sequence[str], trained: Trained, model: Any, batch_size: int, options: Options
) -> list[Any]:
    """A loop over their model, with our words, windows and decoding."""
    examples = [trained.reader.parse_input({"text": text}, f"input {number}") for number, text in enumerate(texts)]
    windows: dict[int, list[Window]] = {}
    with torch.inference_mode():
        for example, window in same_windows(examples, trained, model, None, batch_size, options):
            windows.setdefault(id(example), []).append(window)
    return [trained.model.head.decode(example, windows.get(id(example), [])) for example in examples]


def cold(options: Options) -> Comparison:
    """`allennlp predict` of one sentence in a fresh process."""
    archive = options.archive or make_archive(options)
    lines = options.folder / "sentence.txt"
    lines.write_text(SENTENCE + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "luke_tasks", "predict", str(archive), str(lines), "--cuda-device",
               "0" if options.device == "cuda" else "-1"]  # fmt: skip
    times = interleave({"ours": partial(run_process, command), _TORCH: partial(run_python, _TORCH)},
                       repeats=options.repeats, device=options.torch_device)  # fmt: skip
    return Comparison(case="`allennlp predict`, one sentence, cold", ours=times["ours"], theirs=times[_TORCH],
                      beside=f"`{_TORCH}`")  # fmt: skip


def make_archive(options: Options) -> Path:
    """A `model.tar.gz` as training leaves it, of the quickstart's size, with random weights."""
    size = "small" if options.size == "small" else "minilm"
    trained = our_trained(make_checkpoint(options, ARCHITECTURE, NER_LABELS, size=size), options)
    run = options.folder / "run"
    write_run_files(run, trained.config, trained.reader.tokenizer, trained.labels, trained.model.encoder)
    save_weights(trained.model, run / BEST_WEIGHTS_NAME)
    return write_archive(run)


def start(options: Options) -> list[Table]:
    """`allennlp --help` in a fresh process, beside what imports alone take."""
    contenders = {"ours": partial(run_process, [sys.executable, "-m", "luke_tasks", "--help"]),
                  _TORCH: partial(run_python, _TORCH), _MODELS: partial(run_python, _MODELS)}  # fmt: skip
    times = interleave(contenders, repeats=options.repeats, device=options.torch_device)
    imported = "imports torch" if help_imports_torch() else "no torch imported"
    return [comparison_table([
        Comparison(case=f"`allennlp --help` ({imported})", ours=times["ours"], theirs=times[beside],
                   beside=f"`{beside}`")
        for beside in (_TORCH, _MODELS)
    ])]  # fmt: skip


def help_imports_torch() -> bool:
    """Whether printing the help loads torch."""
    return run_python(_HELP_IMPORTS).splitlines()[-1] == "True"


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    return run_process([sys.executable, "-c", code])


def run_process(command: Sequence[str]) -> str:
    """The standard output of a process that must succeed; it finds `luke_tasks` here where it is not installed."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def sentences(count: int) -> list[str]:
    """The first sentences of the NER sample."""
    blocks = (ROOT / "data" / "ner" / "test.txt").read_text(encoding="utf-8").split("\n\n")
    sentences = [block for block in blocks if block.strip() and not block.startswith("-DOCSTART")]
    return [" ".join(line.split(" ")[0] for line in block.splitlines()) for block in sentences[:count]]


def _entities(prediction: Any) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.label) for entity in prediction.entities]
