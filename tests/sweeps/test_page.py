"""The page of a sweep: what it shows, that it asks nothing of the network, and that no text of users becomes code."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.errors import LukeTasksError
from luke_tasks.sweeps.figures import all_figures
from luke_tasks.sweeps.page import page, write_page
from luke_tasks.sweeps.records import ParameterRange, Retrained, SweepResult
from tests.sweeps.results import BATCH, DURATION, F1, LR, SCHEME, result, trial

NASTY = "</script><script>alert('&')</script>\"<b>"


class Parsed(HTMLParser):
    """A page's elements, its tables as lists of rows, and the text of its scripts; every element must be closed."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "h2":
            self.headings.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        here = self.open[-1] if self.open else ""
        if here in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if here == "h2":
            self.headings[-1] += data
        if here == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def figures(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.scripts[0])
        return found


def parsed(sweep: SweepResult) -> Parsed:
    """The page without plotly itself."""
    return Parsed(page(sweep, "/* plotly */"))


@pytest.fixture
def usual() -> SweepResult:
    trials = [
        trial(0, values=[0.80]), trial(1, values=[0.90], **{SCHEME.name: "io"}),
        trial(2, "pruned", [0.3], num_epochs=1), trial(3, "failed", error="epoch 1, step 2: the loss is nan"),
        trial(4, values=[0.85]), trial(5, "running"),
    ]  # fmt: skip
    return result(*trials, importances={"f1": {LR.name: 0.7, BATCH.name: 0.3}}, space={"method": "bayes"})


def test_usual_sweep(usual: SweepResult) -> None:
    shown = parsed(usual)
    assert "6 trials: 3 complete, 1 pruned, 1 failed, 1 running" in shown.text
    assert shown.headings == [
        "Best setting", "Optimisation history: f1", "Parallel coordinates", "Importance for f1", "Slices",
        "Learning curves of the best trials: validation f1", "Learning curves of the best trials: training loss",
        "Trials", "Space",
    ]  # fmt: skip
    best, trials, space = shown.tables
    assert ["f1", "0.9000"] in best and ["dataset_reader.scheme", "io"] in best
    assert trials[0] == ["rank", "trial", "state", "f1", "time", "epochs", "lr", "batch_size", "scheme", "error"]
    assert [row[1] for row in trials[1:]] == ["1", "4", "0", "2", "3", "5"]
    assert trials[5][2:4] == ["failed", ""] and trials[5][-1] == "epoch 1, step 2: the loss is nan"
    assert ["trainer.optimizer.lr", "1e-05 to 0.001, on a logarithmic scale"] in space


def test_every_plot_has_its_place(usual: SweepResult) -> None:
    shown = parsed(usual)
    places = [int(attributes["data-figure"] or -1) for _, attributes in shown.elements if "data-figure" in attributes]
    assert places == list(range(len(shown.figures))) and len(places) == 8  # three slices


def test_plots(usual: SweepResult) -> None:
    figures = {figure.title: figure for figure in all_figures(usual)}
    best, complete, pruned = figures["Optimisation history: f1"].data
    assert (best["x"], best["y"]) == ([0, 1, 4], [0.8, 0.9, 0.9])
    assert (complete["x"], pruned["x"], pruned["y"]) == ([0, 1, 4], [2], [0.3])
    lr, batch, scheme, f1 = figures["Parallel coordinates"].data[0]["dimensions"]
    assert lr["values"] == pytest.approx([-5.0, -4.69897, -3.79588]) and lr["ticktext"][0] == "1e-05"
    assert (batch["values"], f1["values"]) == ([16, 8, 16], [0.8, 0.9, 0.85])
    assert (scheme["values"], scheme["ticktext"]) == ([0, 1, 0], ["iob1", "io"])
    assert figures["Importance for f1"].data[0]["y"] == ["batch_size", "lr"]  # drawn from below: the largest on top
    assert figures["lr and f1"].layout["xaxis"]["type"] == "log"
    assert figures["scheme and f1"].layout["xaxis"]["type"] == "category"
    curves = figures["Learning curves of the best trials: validation f1"].data
    assert [curve["name"] for curve in curves] == ["trial 1", "trial 4", "trial 0", "trial 2 (pruned)"]
    assert (curves[0]["x"], curves[0]["y"]) == ([1, 2], [0.45, 0.9])


def test_best_five_curves() -> None:
    figures = all_figures(result(*(trial(number, values=[number / 10]) for number in range(8))))
    curves = next(figure for figure in figures if figure.title.endswith("validation f1")).data
    assert [curve["name"] for curve in curves] == [f"trial {number}" for number in (7, 6, 5, 4, 3)]


def test_minimised_objective() -> None:
    loss = result(trial(0, values=[0.5]), trial(1, values=[0.7]), trial(2, values=[0.2]), objectives=(DURATION,))
    best = all_figures(loss)[0].data[0]
    assert best["y"] == [0.5, 0.5, 0.2]


def test_several_objectives() -> None:
    sweep = result(trial(0, values=[0.8, 60.0]), trial(1, values=[0.9, 90.0]), trial(2, values=[0.7, 70.0]),
                   objectives=(F1, DURATION), importance_note="too few trials")  # fmt: skip
    shown = parsed(sweep)
    assert "2 trials are beaten by no other in all objectives." in shown.text and "too few trials" in shown.text
    assert [row[:3] for row in shown.tables[0][1:]] == [["1", "0.9000", "90.0000"], ["0", "0.8000", "60.0000"]]
    figures = {figure.title: figure for figure in all_figures(sweep)}
    other, front = figures["Pareto front: f1 and duration"].data
    assert (other["x"], other["y"]) == ([0.7], [70.0])
    assert (sorted(front["x"]), front["name"]) == ([0.8, 0.9], "Pareto front")
    assert {"Optimisation history: f1", "Optimisation history: duration", "lr and duration"} <= figures.keys()


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (result(), "No trial was started."),
        (result(trial(0, "failed", error="no memory"), trial(1, "running")), "No trial has come to its end."),
        (result(trial(0, values=[0.5])), "1 trial: 1 complete"),
        (result(trial(0, values=[float("nan")]), trial(1, values=[0.5])), "2 trials: 2 complete"),
    ],
    ids=["none", "none-finished", "single", "not-a-number"],
)
def test_few_trials(sweep: SweepResult, said: str) -> None:
    shown = parsed(sweep)  # the figures are strict JSON
    assert said in shown.text
    assert "Parallel coordinates" not in shown.headings or len(sweep.complete) > 1


def test_retrained_seeds() -> None:
    runs = [{"best_validation_f1": 0.90, "test_f1": 0.8}, {"best_validation_f1": 0.92, "test_f1": 0.9},
            {"best_validation_f1": 0.94, "test_f1": 0.7}]  # fmt: skip
    retrained = Retrained([0, 1, 2], [Path("a"), Path("b"), Path("c")], runs, [[0.9], [0.92], [0.94]], 1,
                          Path("sweep/model.tar.gz"))  # fmt: skip
    shown = parsed(result(trial(0, values=[0.9]), retrained=retrained))
    table = shown.tables[1]
    assert table[0] == ["metric", "mean ± sd of 3", "seed +0", "seed +1", "seed +2"]
    assert table[1] == ["best_validation_f1", "0.9200 ± 0.02", "0.9000", "0.9200", "0.9400"]
    assert table[2][1] == "0.8000 ± 0.1"
    assert "is that of seed +1, the median of f1" in shown.text


def test_nothing_of_users_is_code() -> None:
    """Names, values, errors and the space are shown as they are: no element and no script comes of them."""
    tied = f"a.{NASTY},b"
    trials = [trial(number, values=[0.5 + number / 10], **{tied: f"{NASTY}{number}"}) for number in range(2)]
    trials.append(trial(2, "failed", error=NASTY))
    plain = result(*trials, space={"x": "y"}, importance_note="z")
    sweep = result(*trials, space={NASTY: NASTY}, importance_note=NASTY)
    sweep.name = NASTY
    for one in (plain, sweep):
        one.parameters = [LR, BATCH, ParameterRange(tied, choices=(f"{NASTY}0", f"{NASTY}1"))]
    shown = parsed(sweep)
    tags = [tag for tag, _ in shown.elements]
    assert tags == [tag for tag, _ in parsed(plain).elements]
    assert tags.count("script") == 3 and "b" not in tags
    assert NASTY in shown.text
    slices = [figure for figure in shown.figures if figure["layout"].get("xaxis", {}).get("type") == "category"]
    assert "<" not in slices[0]["data"][0]["x"][0]  # plotly reads HTML in its texts


def test_written_page_needs_no_network(tmp_path: Path, usual: SweepResult) -> None:
    pytest.importorskip("plotly")
    write_page(usual, tmp_path / "sweep.html")
    text = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    shown = Parsed(text)
    assert not any(key in ("src", "href", "srcset") for _, attributes in shown.elements for key in attributes)
    policy = [attributes["content"] for tag, attributes in shown.elements if "http-equiv" in attributes]
    assert policy and str(policy[0]).startswith("default-src 'none'")
    assert sum("plotly.js v" in script for script in shown.scripts) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.html"]


def test_without_plotly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: SweepResult) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(LukeTasksError, match=r"need plotly; pip install 'luke-tasks\[sweep\]'"):
        write_page(usual, tmp_path / "sweep.html")
    assert not list(tmp_path.iterdir())
