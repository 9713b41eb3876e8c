"""Suites `ner`, `typing`, `relation`, `qa`: a labelled file to its scores, beside a loop over `transformers`' class.

Both sides read the file, make batches, run the model, decode and score. Ours is `evaluate` of
`training/evaluation.py`, for typing and relations in batches by pieces (`--max-tokens`). Theirs goes through the file's
order in batches of as many windows: for typing and relations with LukeTokenizer (entity spans given, padded to the
longest of the batch), for NER and questions with the same windows as ours, since `transformers` has no code for them.
Decoding and scoring are the same code on both sides, so what differs is batches, inputs and the model.

With `--in-parts` each round takes another part of the examples, so that a file of many minutes is evaluated once (what
stands before a part is read again, not encoded); figures are then the sums over the rounds, scores the parts' mean.

Model FLOPs are those of the windows without their padding: a share of the matrix rate falls with padding, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from benchmarks.models import (
    NER_LABELS,
    dtype_of,
    luke_config,
    make_checkpoint,
    our_trained,
    their_inputs,
    their_model,
)
from benchmarks.options import ROOT, Options
from benchmarks.report import THEIRS, Comparison, Table, comparison_table, matrix_rate
from benchmarks.samples import conll_documents, cut_file, long_contexts
from benchmarks.timing import MATRIX, MatrixProduct, Times, interleave
from luke_tasks.data.loader import collate
from luke_tasks.encoder.flops import encoder_flops
from luke_tasks.errors import LukeTasksError
from luke_tasks.heads.head import Window
from luke_tasks.readers.entity_typing import COARSE
from luke_tasks.trained import Trained
from luke_tasks.training.evaluation import Evaluation, Runner, evaluate

Part = tuple[int, int]  # of a file's examples: the first, and the one after the last
NER_WORDS = 512  # word pieces of a window, as in the LUKE paper's CoNLL-2003


@dataclass(frozen=True)
class Task:
    """What distinguishes the suites."""

    name: str
    architecture: str  # theirs
    labels: Sequence[str]
    batch_size: int
    score: str  # the one shown
    result: Callable[[Any], Hashable]  # what of a prediction must be the same on both sides
    reader: dict[str, Any] | None = None  # options laid over those a checkpoint gets
    max_tokens: int | None = None  # of our batches, in place of `batch_size`


def ner(options: Options) -> list[Table]:
    """Documents with all their candidate spans; batches of 2, as the original's config has it."""
    source = options.data or ROOT / "data" / "ner" / "test.txt"
    count = options.documents or 4
    path = cut_file(source, options.folder / "ner.txt", partial(conll_documents, count=count))
    labels = _conll_labels(path)
    task = Task(
        "ner", "LukeForEntitySpanClassification", labels, 2, "f1",
        lambda prediction: tuple((e.word_start, e.word_end, e.label) for e in prediction.entities),
        reader={"max_sequence_length": min(NER_WORDS, options.words or NER_WORDS)},
    )  # fmt: skip
    return [_table(task, path, count, "documents", options)]


def typing(options: Options) -> list[Table]:
    """Open Entity's form: one mention a record, short texts."""
    path = options.data or ROOT / "data" / "entity_typing" / "test.jsonl"
    task = Task("typing", "LukeForEntityClassification", COARSE, 32, "micro_fscore",
                lambda prediction: tuple(tuple(sorted(entity.labels)) for entity in prediction.entities),
                max_tokens=options.max_tokens)  # fmt: skip
    return [_table(task, path, options.examples, "records", options)]


def relation(options: Options) -> list[Table]:
    """TACRED's (`.json`), KBP37's (`.txt`) or plain (`.jsonl`) form: two entities a record, short texts."""
    path = options.data or ROOT / "data" / "relation_classification" / "test.jsonl"
    dataset = {".json": "tacred", ".txt": "kbp37"}.get(path.suffix, "jsonl")
    task = Task("relation", "LukeForEntityPairClassification", _relations(path, dataset), 32, "micro_fscore",
                lambda prediction: prediction.label, reader={"dataset": dataset},
                max_tokens=options.max_tokens)  # fmt: skip
    return [_table(task, path, options.examples, "records", options)]


def qa(options: Options) -> list[Table]:
    """SQuAD's form, windows of 384 pieces. The sample's short paragraphs are joined to contexts that fill one."""
    path = options.data or cut_file(ROOT / "data" / "question_answering" / "test.json", options.folder / "qa.json",
                                    long_contexts)  # fmt: skip
    task = Task("qa", "LukeForQuestionAnswering", (), 8, "f1", lambda prediction: prediction.answer)
    return [_table(task, path, options.examples or 16, "questions", options)]


def _conll_labels(path: Path) -> list[str]:
    """The types of a file: what follows the tags' first two characters."""
    tags = {line.split()[-1] for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.startswith("-DOCSTART")}  # fmt: skip
    return ["O", *sorted({tag[2:] for tag in tags if tag != "O"})] if len(tags) > 1 else list(NER_LABELS)


def _relations(path: Path, dataset: str) -> list[str]:
    from luke_tasks.data.tokenizer import Tokenizer
    from luke_tasks.readers.relation_classification import RelationClassificationReader

    none: Any = None  # examples are read without a tokenizer
    tokenizer: Tokenizer = none
    reader = RelationClassificationReader(tokenizer=tokenizer, dataset=dataset)  # type: ignore[arg-type]
    return sorted({str(example.label) for example in reader.read(path)})


def _table(task: Task, path: Path, count: int | None, what: str, options: Options) -> Table:
    """One row a precision."""
    checkpoint = make_checkpoint(options, task.architecture, task.labels)
    config = luke_config(checkpoint)
    size = options.batch_size or task.batch_size
    rows = []
    for precision in options.precisions:
        overrides = {f"dataset_reader.{key}": value for key, value in (task.reader or {}).items()}
        trained = our_trained(checkpoint, options, **overrides)
        trained.model.to(options.torch_device, dtype_of(precision)).eval()
        theirs = their_model(checkpoint, task.architecture, options).to(dtype_of(precision))
        tokenizer = None
        if task.name in ("typing", "relation"):
            kind = {"typing": "entity_classification", "relation": "entity_pair_classification"}[task.name]
            tokenizer = transformers.LukeTokenizer.from_pretrained(checkpoint, task=kind)
        product = MatrixProduct(dtype_of(precision), options.torch_device, options.matrix_size)
        examples = list(islice(trained.reader.read(path), count))
        times, found, expected = _timed(
            ours=partial(our_evaluation, trained, path, task, options),
            theirs=partial(their_evaluation, trained, theirs, tokenizer, path, size, options),
            product=product, count=len(examples), options=options,
        )  # fmt: skip
        features = trained.reader.encode(examples)
        windows = [(len(feature.word_ids), len(feature.entity_ids)) for feature in features]
        batches = f"batches of {size}"
        if task.max_tokens and not options.batch_size:
            batches = f"ours in batches of {task.max_tokens} tokens, theirs of {size} windows"
        results = [[task.result(prediction) for part in side for prediction in part.predictions]
                   for side in (found, expected)]  # fmt: skip
        score, scores = task.score, [[part.scores[task.score] for part in side] for side in (found, expected)]
        if options.in_parts:
            score = f"mean {score}"
        rows.append(Comparison(
            case=f"{task.name}: {len(results[0])} {what}, {len(windows)} windows, {batches}",
            precision=precision,
            ours=times["ours"], theirs=times[THEIRS], flops=encoder_flops(config, windows),
            matrix_rate=matrix_rate(times, product),
            amount=(sum(feature.num_words for feature in features), "words"),
            difference=sum(ours != their for ours, their in zip(*results, strict=True)), predictions=len(results[0]),
            scores={score: [statistics.mean(side) for side in scores]}, in_parts=options.in_parts,
        ))  # fmt: skip
    return comparison_table(rows)


def _timed(
    *, ours: Callable[[Part], Evaluation], theirs: Callable[[Part], Evaluation], product: MatrixProduct, count: int,
    options: Options,
) -> tuple[Times, list[Evaluation], list[Evaluation]]:  # fmt: skip
    """Seconds of each round, and the evaluations of ours and of theirs that make up the whole file."""
    whole = (0, count)
    if not options.in_parts:
        sides = _Kept(partial(ours, whole)), _Kept(partial(theirs, whole))
        times = interleave({"ours": sides[0], THEIRS: sides[1], MATRIX: product}, repeats=options.repeats,
                           device=options.torch_device)  # fmt: skip
        return times, sides[0].results[-1:], sides[1].results[-1:]
    if count < options.repeats:
        raise LukeTasksError(f"--in-parts: {count} examples are too few for {options.repeats} rounds")
    bounds = [count * number // options.repeats for number in range(options.repeats + 1)]
    for run in (ours, theirs):
        run((0, 1))  # warms up
    times, found, expected = {"ours": [], THEIRS: [], MATRIX: []}, [], []
    for part in pairwise(bounds):
        sides = _Kept(partial(ours, part)), _Kept(partial(theirs, part))
        of_part = interleave({"ours": sides[0], THEIRS: sides[1]}, repeats=1, warm_up=0, device=options.torch_device)
        of_product = interleave({MATRIX: product}, repeats=1, device=options.torch_device)  # warm, after the others
        for name, seconds in {**of_part, **of_product}.items():
            times[name] += seconds
        found += sides[0].results
        expected += sides[1].results
    return times, found, expected


class _Kept:
    """Calls a function and keeps what it gives."""

    def __init__(self, run: Callable[[], Evaluation]) -> None:
        self.run, self.results = run, list[Evaluation]()

    def __call__(self) -> None:
        self.results.append(self.run())


def our_evaluation(trained: Trained, path: Path, task: Task, options: Options, part: Part) -> Evaluation:
    """The scores of a part of the file as `evaluate` computes them."""
    examples = list(islice(trained.reader.read(path), *part))
    features = trained.reader.encode(examples)
    max_tokens = None if options.batch_size else task.max_tokens
    batch_size = options.batch_size or (None if max_tokens else task.batch_size)
    runner = Runner(forward=trained.model, head=trained.model.head, batch_size=batch_size, max_tokens=max_tokens,
                    pad_id=trained.pad_id, device=options.torch_device)  # fmt: skip
    trained.reader.dropped.clear()
    return evaluate(runner, examples, features)


def their_evaluation(
    trained: Trained, model: Any, tokenizer: Any, path: Path, batch_size: int, options: Options, part: Part
) -> Evaluation:
    """The same scores through their model."""
    examples = list(islice(trained.reader.read(path), *part))
    logits = _tokenized if tokenizer is not None else same_windows
    windows: dict[int, list[Window]] = {}
    with torch.inference_mode():
        for example, window in logits(examples, trained, model, tokenizer, batch_size, options):
            windows.setdefault(id(example), []).append(window)
    head = trained.model.head
    metrics, predictions = head.make_metrics(), []
    for example in examples:
        own = windows.get(id(example), [])
        predictions.append(head.decode(example, own))
        head.update_metrics(metrics, example, own, predictions[-1])
    trained.reader.dropped.clear()
    return Evaluation(head.scores(metrics), predictions)


def same_windows(
    examples: list[Any], trained: Trained, model: Any, tokenizer: Any, batch_size: int, options: Options
) -> Iterator[tuple[Any, Window]]:
    """Our reader's windows, padded to the longest of each batch."""
    features = trained.reader.encode(examples)
    spans = "Span" in type(model).__name__
    for start in range(0, len(features), batch_size):
        chosen = features[start : start + batch_size]
        batch = collate(chosen, pad_id=trained.pad_id, labels=None).to(options.torch_device)
        output = model(**their_inputs(batch, spans=spans))
        found = output.logits if spans else torch.stack([output.start_logits, output.end_logits], dim=-1)
        for row, (feature, array) in enumerate(zip(chosen, _arrays(found), strict=True)):
            kept = trained.model.head.window_logits(torch.from_numpy(array)[None], 0, feature)
            yield chosen[row].example, Window(feature, kept.numpy())


def _tokenized(
    examples: list[Any], trained: Trained, model: Any, tokenizer: Any, batch_size: int, options: Options
) -> Iterator[tuple[Any, Window]]:
    """Texts and their entities' characters through LukeTokenizer.

    A text that begins with an entity gets a space before it: as in the original, and here, the first word of an entity
    has one before it wherever it stands.
    """
    mentions: list[tuple[Any, list[Any]]] = []  # an example and the entities of one window
    for example in examples:
        one_each = [[span] for span in example.spans] if hasattr(example, "spans") else [[example.head, example.tail]]
        mentions += [(example, spans) for spans in one_each]
    none: Any = None  # decoding reads the logits alone
    for start in range(0, len(mentions), batch_size):
        chosen = mentions[start : start + batch_size]
        shifts = [int(any(start == 0 for start, _ in spans)) for _, spans in chosen]
        inputs = tokenizer(
            [" " * shift + example.text for (example, _), shift in zip(chosen, shifts, strict=True)],
            entity_spans=[[(first + shift, last + shift) for first, last in spans]
                          for (_, spans), shift in zip(chosen, shifts, strict=True)],
            padding=True, truncation=True, max_length=512, return_tensors="pt",
        )  # fmt: skip
        logits = model(**inputs.to(options.torch_device)).logits
        for (example, _), array in zip(chosen, _arrays(logits), strict=True):
            yield example, Window(none, array)


def _arrays(logits: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return logits.float().cpu().numpy()
