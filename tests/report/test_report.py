"""`luke-tasks report` on real runs of a tiny model: its page in a browser, what it stores, what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import luke_tasks
from luke_tasks.__main__ import main
from luke_tasks.report import predicting
from luke_tasks.report.page import report_page
from luke_tasks.report.predicting import CACHE_NAME, Answers
from luke_tasks.report.run import Run, names_of, read_run
from luke_tasks.runs import flat
from tests.browser import DESKTOP, PHONE, browser_page, open_file
from tests.conftest import write_ner_config, write_ner_files
from tests.report.samples import spans_case
from tests.training.runs import train

NASTY = "<script>document.title='x'</script>"


@pytest.fixture(scope="module")
def runs(tiny_luke_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on data whose words and labels are HTML."""
    folder = tmp_path_factory.mktemp("runs")
    files = write_ner_files(folder)
    for path in map(Path, files.values()):
        text = path.read_text(encoding="utf-8").replace("Angeles", NASTY).replace("-ORG", "-<b>ORG")
        path.write_text(text, encoding="utf-8")
    config = write_ner_config(folder, tiny_luke_dir, files)
    for name, lr in (("a", 1e-3), ("b", 1e-2)):
        assert train(config, folder / name, overrides={"trainer.optimizer.lr": lr}) == 0
    return [folder / "a", folder / "b"]


@pytest.fixture(scope="module")
def one_page(runs: list[Path]) -> Path:
    assert main(["report", str(runs[0])]) == 0
    return runs[0] / "report.html"


@pytest.fixture(scope="module")
def two_page(runs: list[Path]) -> Path:
    output = runs[0].parent / "both.html"
    assert main(["report", *map(str, runs), "--output", str(output)]) == 0
    return output


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_one_run_in_a_browser(one_page: Path, size: tuple[int, int]) -> None:
    with browser_page(size) as page:
        open_file(page, one_page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.title() == "Run a"
        assert page.locator("h2").all_inner_texts() == [
            "Summary",
            "Curves",
            "Labels",
            "Errors",
            "Config",
            "Environment",
        ]
        assert page.locator("svg").count() >= 3
        cards = page.locator(".error:visible")
        every = cards.count()
        assert every > 0 and NASTY in page.inner_text("main")
        kinds = page.locator("#kind option").evaluate_all("all => all.map(one => one.value)")
        page.select_option("#kind", kinds[1])
        shown = cards.count()
        assert 0 < shown <= every
        assert all(kinds[1] in text for text in page.locator(".error:visible header").all_inner_texts())
        page.select_option("#kind", "")
        page.select_option("#label", "<b>ORG")
        assert all("<b>ORG" in text for text in cards.all_inner_texts()) and 0 < cards.count() <= every
        page.select_option("#label", "")
        page.fill("#words", "no such words")
        assert cards.count() == 0 and page.inner_text("#count") == f"0 of {every} shown"
        page.fill("#words", "leicestershire BEAT")
        assert cards.count() == 1
        page.fill("#words", "")
        assert cards.count() == every and page.inner_text("#count") == ""


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_two_runs_in_a_browser(two_page: Path, size: tuple[int, int]) -> None:
    with browser_page(size) as page:
        open_file(page, two_page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.title() == "2 runs: a, b"
        differences = page.locator("#settings-that-differ tbody tr").all_inner_texts()
        assert [line.split("\t") for line in differences] == [["trainer.optimizer.lr", "0.001", "0.01"]]
        cards = page.locator(".error:visible")
        every, found = cards.count(), 0
        for choice in ("only 0", "only 1", "all 2"):
            page.select_option("#who", choice)
            found += cards.count()
            rights = page.locator(".error:visible .right").count()
            assert rights == (0 if choice == "all 2" else cards.count())
        assert found == every > 0


def test_the_table_of_labels_is_the_score(one_page: Path, runs: list[Path]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text(encoding="utf-8"))
    text = one_page.read_text(encoding="utf-8")
    for label in ("PER", "LOC"):
        cells = "".join(f'<td class="n">{metrics[f"best_validation_{name}-{label}"]:.3f}</td>'
                        for name in ("precision", "recall", "f1"))  # fmt: skip
        assert f"<td>{label}</td>{cells}" in text


def test_the_model_runs_once(runs: list[Path], one_page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    (copy / "report.html").unlink()
    calls: list[Any] = []

    def predict(*args: Any) -> Answers:
        calls.append(args)
        return Answers("f", "key", "ner", {}, [spans_case("Ada", [[0, 3, "PER"]], [])])

    monkeypatch.setattr(predicting, "_predict", predict)
    assert main(["report", str(copy)]) == 0
    assert not calls and (copy / "report.html").read_text("utf-8") == one_page.read_text("utf-8").replace(
        str(runs[0]), str(copy)
    ).replace("Run a", "Run copy").replace(">a</th>", ">copy</th>")
    weights = copy / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert main(["report", str(copy)]) == 0 and len(calls) == 1
    (copy / CACHE_NAME).write_text("[]\n", encoding="utf-8")
    assert main(["report", str(copy)]) == 0 and len(calls) == 2
    assert "is made again" in capsys.readouterr().err


def test_without_the_model(runs: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    assert main(["report", str(runs[0]), "--no-predictions", "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert "<svg" in text and 'id="errors"' not in text and 'id="labels"' not in text


def test_a_run_without_any_epoch(runs: list[Path], tmp_path: Path) -> None:
    shutil.copy(runs[0] / "config.json", tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No epoch is over yet" in text and "not finished" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such directory; expected the directory of a run (-s of train)"),
        (["config.json"], "config.json: is a file; expected the directory of a run (-s of train)"),
        (["."], ".: has no config.json; expected the directory of a run (-s of train)"),
        (["RUN", "--errors", "-1"], "--errors: expected 0 or more, found -1"),
        (["RUN", "--data", "x", "--no-predictions"], "--data and --no-predictions: give one of them"),
        (["RUN", "--data", "x"], "--data: x: no such file; name the data with --data FILE, or leave the errors out "
                                 "with --no-predictions"),
        (["RUN", "--output", "RUN/config.json"], "RUN/config.json: is read by this command and would be replaced; "
                                                 "choose another name to write"),
        (["RUN", "--output", "no/page.html"], "no/page.html: cannot be written, for there is no directory no"),
    ],
)  # fmt: skip
def test_wrong_requests(
    arguments: list[str], message: str, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "config.json":
        Path("config.json").write_text("{}", encoding="utf-8")
    assert main(["report", *(one.replace("RUN", str(runs[0])) for one in arguments)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == message.replace("RUN", str(runs[0]))


def test_a_folder_of_runs_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 2
    assert f"; these are in it: {tmp_path}/a, {tmp_path}/b\n" in capsys.readouterr().err


def test_five_thousand_sentences_stay_small(runs: list[Path], tmp_path: Path) -> None:
    text = "Ada Lo left Acme in Rome, and said that nobody had asked her to stay any longer than that. " * 2
    gold, predicted = [[0, 6, "PER"], [12, 16, "ORG"]], [(0, 3, "PER")]
    cases = [spans_case(text, gold, predicted, f"f:{number}") for number in range(5000)]
    run = replace(read_run(runs[0], "a"), answers=Answers("f", "key", "ner", {}, cases))
    page = report_page([run], most_errors=500)
    assert "5,000 of 5,000 sentences with an error" in page and "4,500 more are not" in page
    assert page.count('class="error"') == 500 and len(page) < 1_000_000
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with browser_page() as browser:
        open_file(browser, tmp_path / "page.html")
        milliseconds = browser.evaluate("""() => {
            const begun = performance.now(), field = document.getElementById("words");
            field.value = "nothing"; field.dispatchEvent(new Event("input"));
            return performance.now() - begun; }""")
        assert browser.locator(".error:visible").count() == 0 and milliseconds < 2000


def test_steps_and_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"trainer": {"validation_metric": "+f1"}}', encoding="utf-8")
    events = [
        {"event": "start", "time": "2026-01-01T01:00:00Z", "total_steps": 20, "num_epochs": 2},
        {"event": "start", "time": "2026-01-01T02:00:00Z", "total_steps": 20, "num_epochs": 2},
        {"event": "step", "epoch": 0, "step": 5, "loss": 1.0, "lr": 0.1},
        {"event": "step", "epoch": 0, "step": 6, "loss": None, "lr": 0.1, "skipped": "loss is nan"},
        {"event": "epoch", "words_per_second": 100.0},
        {"event": "end", "reason": "error", "message": "no <room>\u2028"},
    ]
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"event": "st']), encoding="utf-8")
    run = read_run(tmp_path, "a")
    assert (run.step_curve("loss"), run.step_curve("lr")) == ([(0.5, 1.0)], [(0.5, 0.1), (0.6, 0.1)])
    assert (run.status, run.words_per_second, run.main_metric) == ("error", 100.0, "f1")
    page = report_page([run], most_errors=0)
    assert "Learning rate" in page and "no &lt;room&gt;" in page
    assert "<td>begun</td><td>2026-01-01T01" in page and "<td>gone on with</td><td>2026-01-01T02" in page


def test_names_tell_runs_apart() -> None:
    assert names_of([Path("x/a"), Path("x/b")]) == ["a", "b"]
    assert names_of([Path("/x/a/run"), Path("/x/b/run")]) == ["a/run", "b/run"]


def test_flat() -> None:
    config = {"a": {"b": [1, {"c": 2}]}, "d": [], "e": {}, "f": [1, 2]}
    assert dict(flat(config)) == {"a.b.0": 1, "a.b.1.c": 2, "d": [], "e": {}, "f": [1, 2]}


def test_runs_of_other_forms_are_refused(runs: list[Path]) -> None:
    run: Run = read_run(runs[0], "a")
    spans = Answers("f", "k", "ner", {}, [spans_case("Ada", [], [])])
    label = Answers("f", "k", "x", {}, [replace(spans.cases[0], form="label", gold="a", prediction={"label": "a"})])
    with pytest.raises(Exception, match=r"answer in different forms \(spans, label\)"):
        report_page([replace(run, answers=spans), replace(run, name="b", answers=label)], most_errors=9)


def test_predictions_as_a_page_and_in_a_notebook(runs: list[Path], tmp_path: Path, capsys: Any) -> None:
    lines, page = tmp_path / "lines.txt", tmp_path / "page.html"
    lines.write_text("Barack left <b>London.\nHe won.\n", encoding="utf-8")
    assert main(["predict", str(runs[0]), str(lines), "--html", str(page)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2 and f"predictions shown in {page}: 2" in printed.err
    text = page.read_text(encoding="utf-8")
    assert text.count("<article>") == 2 and "&lt;b&gt;" in text and "<b>London" not in text
    ner = luke_tasks.load(runs[0], cuda_device=-1)
    one, many = ner("Barack left London."), ner(["Barack left London.", "He won."])
    assert many[0] == one and one.fragment() in one._repr_html_() and many._repr_html_().count('class="lt"') == 2
    assert main(["predict", str(runs[0]), str(lines), "--html", str(page), "--output-dir", str(tmp_path / "d")]) == 2
    assert "--html and --output-dir: give one of them" in capsys.readouterr().err
    for flag in ("--html", "--output-file"):
        assert main(["predict", str(runs[0]), str(lines), flag, str(lines)]) == 2
        assert "is read by this command and would be replaced" in capsys.readouterr().err
    assert lines.read_text(encoding="utf-8").startswith("Barack")
    assert main(["predict", str(runs[0]), str(lines), "--html", str(page), "--output-file", str(page)]) == 2
    assert "--html and --output-file: both are " in capsys.readouterr().err


def test_stored_answers_keep_all_signs(tmp_path: Path) -> None:
    answers = Answers("", "k", "ner", {"f1": 0.5}, [spans_case("Ada\u2028Lo\x85", [], [])])
    predicting._write(tmp_path / "answers", {"data": "k"}, answers)
    assert predicting._read(tmp_path / "answers", {"data": "k"}) == answers
