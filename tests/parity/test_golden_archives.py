"""The golden archives as a user loads them: config, labels and weights of AllenNLP, through `evaluate`'s own way.

That windows are the original's too is tested beside this file, task by task.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from luke_tasks.__main__ import main
from luke_tasks.trained import Trained, load_trained
from tests.parity import golden

OVERRIDES = json.dumps({"model.encoder.pretrained": golden.CHECKPOINT})
NER = ("f1", "precision", "recall", "span_accuracy")
TYPING = ("micro_precision", "micro_recall", "micro_fscore")
RELATIONS = ("accuracy", "micro_fscore", "macro_fscore")
QA = ("exact_match", "f1", "per_instance_em", "per_instance_f1", "span_accuracy", "span_start_accuracy",
      "span_end_accuracy")  # fmt: skip
CASES = {
    "ner_wnut": ("{}.txt", NER, {"valid": 197}),
    "entity_typing": ("{}.json", TYPING, {"train": 300, "dev": 100, "test": 100}),
    "relation_classification": ("{}.txt", RELATIONS, {"train": 300, "dev": 100, "test": 97}),
    "reading_comprehension": ("{}-v1.1.json", QA, {"train": 135, "dev": 42}),
}
pytestmark = pytest.mark.skipif(not golden.GOLDEN.is_dir(), reason="../shared/peer/golden is not here")


@pytest.fixture(scope="module")
def archives() -> dict[str, Trained]:
    return {}


@pytest.mark.parametrize(("task", "split"), [(task, split) for task in CASES for split in CASES[task][2]])
def test_logits_and_metrics_are_the_originals(
    task: str, split: str, archives: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(golden.GOLDEN / task)  # the mention candidates' path is relative to it
    if task not in archives:
        archives[task] = load_trained(golden.GOLDEN / task / "serialization", overrides=OVERRIDES)
    trained = archives[task]
    file, names, windows_of = CASES[task]
    decode = trained.model.head.decode
    scores, windows = golden.run(trained.model, trained.reader, golden.GOLDEN / task / "data" / file.format(split))
    trained.model.head.decode = decode  # type: ignore[method-assign]  # `run` has put itself there
    theirs = golden.instances(task, split)
    assert len(windows) == len(theirs) == windows_of[split]
    for number, ((_, logits), instance) in enumerate(zip(windows, theirs, strict=True)):
        np.testing.assert_allclose(logits, instance["raw_logits"], rtol=0, atol=1e-4, err_msg=f"window {number + 1}")
    published = golden.published_metrics(task, split)
    expected = [published[name] for name in names]
    np.testing.assert_allclose([scores[name] for name in names], expected, rtol=0, atol=1e-4, err_msg=str(names))


def test_the_original_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand in the original's README, in the folder the config's paths are relative to."""
    monkeypatch.chdir(golden.GOLDEN)
    arguments = ["entity_typing/serialization/model.tar.gz", "entity_typing/data/test.json", "--include-package",
                 "examples", "--cuda", "-1"]  # fmt: skip
    assert main(["evaluate", *arguments]) == 0
    scores = json.loads(capsys.readouterr().out)
    for name in TYPING:
        assert scores[name] == pytest.approx(golden.published_metrics("entity_typing", "test")[name], abs=1e-4)
    assert main(["predict", *arguments, "--use-dataset-reader"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 100
