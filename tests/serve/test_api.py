"""The JSON API over HTTP: answers as `predict` gives them, limits, refusals, and what machines ask."""

from __future__ import annotations

import gc
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import luke_tasks
from luke_tasks.serve.inputs import form_of, read_json
from tests.serve.archives import TASKS
from tests.serve.live import FakeModel, fake_app, live, wait_until
from tests.tasks.head_check import assert_alike

NER = {"text": "Barack Obama was born in Honolulu .\nLondon is the capital"}


def post(address: str, name: str, value: Any, **options: Any) -> httpx.Response:
    return httpx.post(f"{address}/api/{name}/predict", json=value, timeout=60, **options)


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_those_of_predict(server: str, archives: dict[str, Path], task: str) -> None:
    """Of one input and of many at once; another batch changes no more than rounding."""
    predictor = luke_tasks.load(archives[task], cuda_device=-1)
    example = form_of(predictor.reader).example
    expected = predictor(example).to_json()
    answer = post(server, task, example)
    assert answer.status_code == 200
    assert_alike({key: value for key, value in answer.json().items() if key != "warnings"}, expected)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: post(server, task, {**example, "id": str(number)}).json(), range(6)))
    assert [one.pop("id") for one in found if "id" in one] == ([str(n) for n in range(6)] if "id" in expected else [])
    for one in found:
        one.pop("warnings", None)
        assert_alike(one, {key: value for key, value in expected.items() if key != "id"})


def test_many_inputs(server: str) -> None:
    """A list for a list; what is refused says so in its place, as `predict` says it."""
    good = {"text": "Barack Obama was born in Honolulu", "head": [0, 12], "tail": [25, 33]}
    inputs = [good, {"text": "London"}, 5, {**good, "head": [0, 99]}, {**good, "id": "last"}]
    answer = post(server, "relation_classification", inputs)
    assert answer.status_code == 200
    first, missing, number, outside, last = answer.json()
    assert first["id"] == "input 0" and last["id"] == "last"
    assert_alike({**first, "id": ""}, {**last, "id": ""})
    assert missing == {"error": 'input 1: "head" is missing; found text'}
    assert number["error"].startswith('input 2: expected a JSON object, such as {"text": "We pay well')
    assert outside == {"error": 'input 3: "head": expected [start, end) in characters, 0 <= start < end <= 33, found '
                       "[0, 99]"}  # fmt: skip
    assert post(server, "relation_classification", []).json() == []
    assert post(server, "ner", "London is the capital").json()["text"] == "London is the capital"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ner", {"txt": "London"}, 'input 0: expected "text" (a string) or "words"'),
        ("ner", {"text": 5}, 'input 0: "text"'),
        ("record", {"query": "x", "passage": "y", "candidates": ["y"]}, 'input 0: "query" must hold "@placeholder"'),
        ("multiple_choice", {"context": "x", "choices": ["one"]}, "input 0: expected two or more choices"),
        ("entity_typing", {"text": "x", "entities": [[0, True]]}, 'input 0: "entities.0": expected [start, end)'),
        ("question_answering", {"question": " ", "context": "x"}, 'input 0: "question" must be a string that is not'),
        (
            "sequence_classification",
            {"text": "x", "entities": [[0, 9]]},
            'input 0: "entities.0": expected [start, end)',
        ),
        ("masked_text", {"text": "\ud800"}, "the body holds half a character"),
    ],
)
def test_a_bad_input_is_told_why(server: str, name: str, value: Any, line: str) -> None:
    answer = httpx.post(f"{server}/api/{name}/predict", content=json.dumps(value), timeout=60)
    assert answer.status_code == (400 if "body" in line else 422)
    assert answer.json()["error"].startswith(line)


@pytest.mark.parametrize("task", TASKS)
def test_any_json_is_answered_or_refused(server: str, archives: dict[str, Path], task: str) -> None:
    """Whatever stands where something else belongs: no input brings down the model, or the others of its request."""
    example = form_of(luke_tasks.load(archives[task], cuda_device=-1).reader).example
    odd: list[Any] = [None, True, -1, 1e400, "", " ", "\u200b", [], [[]], [None], [[0, 10**30]], [[1, 0]], [[0, 1, 5]],
                      {}, {"start": 0}, [{"start": 0, "end": 1}], ["", "x"], [0, 1], "é" * 500]  # fmt: skip
    inputs = [*odd, *({**example, key: value} for key in (*example, "words", "id") for value in odd), example]
    for first in range(0, len(inputs), 60):
        part = inputs[first : first + 60]
        answer = httpx.post(f"{server}/api/{task}/predict", content=json.dumps(part), timeout=120)
        assert answer.status_code == 200
        errors = [one["error"] for one in answer.json() if "error" in one]
        assert all(error.startswith("input ") for error in errors), errors
    assert "error" not in answer.json()[-1]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_no_json(server: str, body: bytes) -> None:
    answer = httpx.post(f"{server}/api/ner/predict", content=body, timeout=60)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_columns_of_the_training_data_are_known(archives: dict[str, Path]) -> None:
    """As in `predict`: a pair under the names that its table has."""
    reader = luke_tasks.load(archives["sequence_classification"], cuda_device=-1).reader
    reader.text, reader.text_pair = "sentence1", "sentence2"  # type: ignore[attr-defined]
    form = form_of(reader)
    assert form.check({"sentence1": "a", "sentence2": "b"}, "input 0", reader)
    assert form.check({"text": "a", "text_pair": ""}, "input 0", reader)
    with pytest.raises(luke_tasks.errors.DataError, match='"text_pair" is missing'):
        form.check({"text": "a"}, "input 0", reader)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_limits_of_a_request() -> None:
    app, _ = fake_app(FakeModel(), max_bytes=100, max_queue=2)
    with live(app) as address:
        assert post(address, "fake", "a" * 98).status_code == 200
        for body in ('"' + "a" * 99 + '"', "a" * 3_000_000, (chunk for chunk in [b"a" * 60, b"a" * 60])):
            refused = httpx.post(f"{address}/api/fake/predict", content=body)  # type: ignore[arg-type]
            assert refused.status_code == 413
            assert re.match(r"the request has [\d,]+ bytes; expected at most 100 ", refused.json()["error"])
        assert post(address, "fake", ["a", "b", "c"]).json() == {"error": "3 inputs in one request; expected at most 2"}
        assert post(address, "fake", ["a", "b"]).json()[1] == {"id": "input 1", "text": "b:1"}


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_json(b'\xef\xbb\xbf"London"') == "London"


def test_a_full_queue_and_the_end_of_patience(caplog: pytest.LogCaptureFixture) -> None:
    model = FakeModel()
    app, worker = fake_app(model, timeout=1, max_queue=1)
    with live(app) as address, ThreadPoolExecutor(2) as pool:
        model.may_run.clear()
        runs = pool.submit(post, address, "fake", "runs")
        wait_until(lambda: len(model.batches) == 1)
        waits = pool.submit(post, address, "fake", "waits")
        wait_until(lambda: worker.queue_length == 1)
        full = post(address, "fake", "one too many")
        assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1
        assert full.json()["error"].startswith("fake is busy: 1 inputs may wait; try again in ")
        assert httpx.get(f"{address}/health").json()["models"] == {"fake": "its queue is full"}
        for late in (runs, waits):
            assert late.result().status_code == 504
            assert late.result().json()["error"].startswith("no answer after 1 s (--timeout)")
        model.may_run.set()
        assert post(address, "fake", "next").json()["text"] == "next:4"
        assert [window for batch in model.batches for window in batch] == ["runs", "next"]
    gc.collect()  # asyncio complains of a forgotten error when it goes
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_a_client_that_leaves_harms_nobody() -> None:
    """What it asked for does not run, and the others of its batch have their answers."""
    model = FakeModel()
    app, worker = fake_app(model)
    with live(app) as address, ThreadPoolExecutor(3) as pool:
        model.may_run.clear()
        first = pool.submit(post, address, "fake", "first")
        wait_until(lambda: len(model.batches) == 1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/api/fake/predict", json="left", timeout=0.2)
        wait_until(lambda: 'requests_total{model="fake",status="499"} 1.0' in httpx.get(f"{address}/metrics").text)
        stays = pool.submit(post, address, "fake", "stays")
        wait_until(lambda: worker.queue_length == 1)
        with socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0)) as half:
            half.sendall(b"POST /api/fake/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        model.may_run.set()
        assert first.result().json()["text"] == "first:5"
        assert stays.result().json()["text"] == "stays:5"
        assert model.batches == [["first"], ["stays"]]


def test_a_request_that_never_ends() -> None:
    app, _ = fake_app(FakeModel(), timeout=0.3)
    with live(app) as address, socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0)) as slow:
        slow.settimeout(20)
        slow.sendall(b"POST /api/fake/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_model_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """500, in our own form; the log has it."""
    model = FakeModel()
    app, _ = fake_app(model)
    with live(app) as address:
        broken = post(address, "fake", "poison")
        assert (broken.status_code, broken.json()) == (500, {"error": "the model's scores are no numbers"})
        assert "fake: the model's scores are no numbers" in caplog.text
        model.decode = lambda example, windows: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        broken = post(address, "fake", "text")
        assert broken.status_code == 500
        assert broken.json()["error"].startswith("the model failed on this input (ZeroDivisionError)")
        assert post(address, "fake", [None, "x"]).json()[0]["error"].startswith("input 0: expected a JSON object")


# -- for machines ------------------------------------------------------------------------------------------------------


def test_models_health_and_metrics(server: str) -> None:
    listed = httpx.get(f"{server}/api/models").json()
    assert [model["name"] for model in listed["models"]] == list(TASKS)
    relation = listed["models"][TASKS.index("relation_classification")]
    assert relation["labels"] == ["born_in", "no_relation"]
    assert relation["input"]["schema"]["required"] == ["head", "tail"]
    health = httpx.get(f"{server}/health")
    assert health.status_code == 200 and health.json()["ready"]
    for page in ("/", "/health"):  # what monitors ask for
        head = httpx.head(f"{server}{page}")
        assert (head.status_code, head.content) == (200, b"")
    assert post(server, "ner", [NER, {}]).status_code == 200
    text = httpx.get(f"{server}/metrics").text
    for line in (r'requests_total{model="ner",status="200"} \d', r'inputs_total{model="ner",outcome="refused"} [1-9]',
                 r'batch_windows_count{model="ner"} [1-9]', r'queue_length{model="ner"} 0.0'):  # fmt: skip
        assert re.search(f"^luke_tasks_{line}", text, re.MULTILINE), line


def test_the_description_of_the_api(server: str) -> None:
    """OpenAPI that names every model, with an example that it answers; a page of it that loads nothing."""
    description = httpx.get(f"{server}/openapi.json").json()
    for task in TASKS:
        operation = description["paths"][f"/api/{task}/predict"]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        assert post(server, task, body["example"]).status_code == 200
        assert {"200", "413", "422", "503", "504"} <= set(operation["responses"])
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate([body["example"]], body["schema"])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**body["example"], next(iter(body["example"])): 5}, body["schema"])
    page = httpx.get(f"{server}/docs").text
    assert f"{server}/api/ner/predict" in page
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)


def test_wrong_addresses(server: str) -> None:
    """Say what there is, as JSON."""
    unknown = post(server, "nix", {})
    assert unknown.status_code == 404
    assert unknown.json()["error"].startswith("there is no model 'nix'; served are: ner, token_classification")
    assert httpx.get(f"{server}/nix").json() == {"error": "no such page: /nix; see /docs"}
    assert httpx.get(f"{server}/api/ner/predict").json()["error"].startswith("GET is not possible at /api/ner/predict")
    assert post(server, "ner", NER, params={"html": "perhaps"}).json()["error"].startswith("query.html: ")


def test_html_of_an_answer_is_escaped(server: str) -> None:
    answer = post(server, "ner", {"text": "<script>alert(1)</script> London"}, params={"html": "true"}).json()
    assert "<script" not in answer["html"] and "&lt;" in answer["html"]
    policy = httpx.get(f"{server}/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "'unsafe-eval'" not in policy
