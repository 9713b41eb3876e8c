"""The HTTP side: routes, limits, errors. It never touches a model: `Worker` does, in its own thread.

    POST /api/NAME/predict    one input, or a list of them → a prediction, or a list
    GET  /api/models          what is served, and what it reads
    GET  /health, /metrics    for machines;  /, /docs and /openapi.json for people

An answer to a list has an entry for each input, in order; one that is refused is `{"error": ...}` there and harms none
of the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from luke_tasks import __version__
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.heads.shown import Shown
from luke_tasks.pages.predictions import prediction_html
from luke_tasks.serve.batching import Answer, Job, QueueFull, Worker
from luke_tasks.serve.inputs import Form, read_json
from luke_tasks.serve.metrics import Metrics
from luke_tasks.serve.openapi import describe_predict, docs_page
from luke_tasks.serve.page import CONTENT_POLICY, main_page

logger = logging.getLogger(__name__)
_CLIENT_LEFT = 499  # nginx's number; nobody reads it but the metrics
_READ_ON_BYTES = 1 << 24  # of a body that is too large: who is not read from does not read our answer


@dataclass(frozen=True)
class Limits:
    """Of each request, and of the queue of each model."""

    max_request_bytes: int
    timeout_seconds: float
    max_queue: int


@dataclass(frozen=True)
class Served:
    """A model with its name, what it reads, and the worker that runs it."""

    name: str
    task: str
    archive: str
    labels: Sequence[str]
    form: Form
    worker: Worker

    def describe(self) -> dict[str, Any]:
        """For `/api/models`."""
        return {"name": self.name, "task": self.task, "archive": self.archive, "labels": list(self.labels),
                "predict": f"api/{self.name}/predict", "input": self.form.for_page()}  # fmt: skip


class Refused(Exception):
    """A request that gets no prediction: its status, and one line that says why."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self) -> Response:
        """As JSON."""
        return JSONResponse({"error": str(self)}, self.status, self.headers)


def make_app(models: Sequence[Served], limits: Limits, metrics: Metrics) -> FastAPI:
    """The application. It closes the workers when the server stops, after the requests in flight."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for model in models:
            await asyncio.to_thread(model.worker.close, limits.timeout_seconds)

    app = FastAPI(title="luke-tasks", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan,
                  description="Predictions of trained models.")  # fmt: skip
    app.add_exception_handler(HTTPException, _as_json)
    app.add_exception_handler(RequestValidationError, _as_json)
    app.add_exception_handler(Exception, _as_json)
    for model in models:
        metrics.watch_queue(model.name, lambda worker=model.worker: worker.queue_length)  # type: ignore[misc]
        app.add_api_route(f"/api/{model.name}/predict", _predict_route(model, limits, metrics), methods=["POST"],
                          name=f"predict with {model.name}", **describe_predict(model.form))  # fmt: skip
    by_name = {model.name: model for model in models}
    page = main_page()

    @app.post("/api/{name}/predict", include_in_schema=False)
    async def unknown(name: str) -> Response:
        return Refused(404, f"there is no model {name!r}; served are: {', '.join(by_name)}").response()

    @app.get("/api/models")
    async def list_models() -> dict[str, Any]:
        """The models that are served: their tasks, labels, and what they read."""
        return {"version": __version__, "models": [model.describe() for model in models],
                "limits": {"request_bytes": limits.max_request_bytes, "seconds": limits.timeout_seconds,
                           "inputs": limits.max_queue}}  # fmt: skip

    @app.head("/health", include_in_schema=False)
    @app.get("/health")
    async def health(response: Response) -> dict[str, Any]:
        """200: ready for requests. 503: alive, but a queue is full or a model's thread has died."""
        states = {model.name: _state(model.worker) for model in models}
        is_ready = all(state == "ready" for state in states.values())
        response.status_code = 200 if is_ready else 503
        return {"live": True, "ready": is_ready, "models": states}

    @app.get("/metrics", response_class=Response)
    async def read_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type=metrics.content_type)

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def show_page() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def show_docs(request: Request) -> Response:
        return HTMLResponse(
            docs_page(app.openapi(), str(request.base_url)), headers={"Content-Security-Policy": CONTENT_POLICY}
        )

    @app.get("/favicon.ico", include_in_schema=False)
    async def no_icon() -> Response:
        return Response(status_code=204)

    return app


def _state(worker: Worker) -> str:
    if not worker.is_alive:
        return "its thread has died"
    return "ready" if worker.queue_length < worker.max_queue else "its queue is full"


async def _as_json(request: Request, error: Exception) -> Response:
    """What the framework itself refuses, in the form of our own errors."""
    if isinstance(error, RequestValidationError):
        fault = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"}, 422)
    if not isinstance(error, HTTPException):
        return JSONResponse({"error": f"the server failed ({type(error).__name__}); its log says more"}, 500)
    said = {404: f"no such page: {request.url.path}", 405: f"{request.method} is not possible at {request.url.path}"}
    message = said.get(error.status_code, str(error.detail))
    return JSONResponse({"error": f"{message}; see /docs"}, error.status_code, error.headers)


# -- predictions ------------------------------------------------------------------------------------------------------


def _predict_route(model: Served, limits: Limits, metrics: Metrics) -> Callable[..., Awaitable[Response]]:
    async def predict(request: Request, html: bool = False) -> Response:
        """Predict on one input, or on a list of them.

        With ?html=true each answer is also drawn, as "html".
        """
        began = time.monotonic()
        with metrics.in_flight.labels(model.name).track_inprogress():
            try:
                response = await _predict(model, request, limits, metrics, html, began)
            except Refused as refused:
                response = refused.response()
        metrics.count_request(model.name, response.status_code, time.monotonic() - began)
        return response

    return predict


async def _predict(
    model: Served, request: Request, limits: Limits, metrics: Metrics, html: bool, began: float
) -> Response:
    deadline = began + limits.timeout_seconds
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            body = await _read_body(request, limits.max_request_bytes)
    except TimeoutError:
        raise Refused(408, f"the request was not complete after {limits.timeout_seconds:g} s",
                      {"Connection": "close"}) from None  # fmt: skip
    try:
        value = read_json(body)
    except DataError as error:
        raise Refused(400, str(error)) from None
    is_list = isinstance(value, list)
    values = value if is_list else [value]
    if len(values) > limits.max_queue:
        raise Refused(413, f"{len(values)} inputs in one request; expected at most {limits.max_queue}")
    outcomes = await _answers(model, values, request, deadline, limits.timeout_seconds)
    contents = [_content(model, outcome, html) for outcome in outcomes]
    for outcome, count in Counter(_kind(outcome) for outcome in outcomes).items():
        metrics.inputs.labels(model.name, outcome).inc(count)
    if is_list:
        return JSONResponse(contents)
    return JSONResponse(contents[0], _STATUS[_kind(outcomes[0])])


_STATUS = {"answered": 200, "refused": 422, "failed": 500}


async def _read_body(request: Request, most: int) -> bytes:
    """Raises Refused when it is larger than `most` bytes."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    chunks: list[bytes] = []
    if size <= most or size <= _READ_ON_BYTES:
        received = 0
        try:
            async for chunk in request.stream():
                received += len(chunk)
                if received <= most:
                    chunks.append(chunk)
                elif received > most + _READ_ON_BYTES:
                    break
        except ClientDisconnect:
            raise Refused(_CLIENT_LEFT, "the client left") from None
        size = received
    if size > most:
        raise Refused(413, f"the request has {size:,} bytes; expected at most {most:,} (--max-request-bytes)")
    return b"".join(chunks)


async def _answers(
    model: Served, values: Sequence[Any], request: Request, deadline: float, timeout: float
) -> list[Answer | BaseException]:
    """What became of each input: its answer, or why there is none.

    Raises:
        Refused: the queue is full, the time is over, or the client has left; nothing of it runs on then.
    """
    jobs: list[Job | DataError] = []
    for number, value in enumerate(values):
        where = f"input {number}"
        try:
            jobs.append(Job(model.form.check(value, where, model.worker.model.reader), where))
        except DataError as error:
            jobs.append(error)
    queued = [job for job in jobs if isinstance(job, Job)]
    try:
        model.worker.submit(queued)
    except QueueFull as full:
        raise Refused(503, f"{model.name} is busy: {model.worker.max_queue} inputs may wait; try again in "
                      f"{full.seconds:.0f} s", {"Retry-After": f"{full.seconds:.0f}"}) from None  # fmt: skip
    found = asyncio.gather(*(asyncio.wrap_future(job.future) for job in queued), return_exceptions=True)
    found.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio logs it as never retrieved
    leaving = asyncio.create_task(_until_left(request))
    try:
        either: set[asyncio.Future[Any]] = {found, leaving}
        await asyncio.wait(either, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        if not found.done() and leaving.done():
            raise Refused(_CLIENT_LEFT, "the client left")
        if not found.done():
            raise Refused(504, f"no answer after {timeout:g} s (--timeout); send less text at once, or fewer inputs")
    finally:  # also where the server itself stops the request
        leaving.cancel()
        if not found.done():
            found.cancel()
            for job in queued:
                job.abandon()
    answers = iter(found.result())
    return [next(answers) if isinstance(job, Job) else job for job in jobs]


async def _until_left(request: Request) -> None:
    """Returns when the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _kind(outcome: Answer | BaseException) -> str:
    if isinstance(outcome, Answer):
        return "answered"
    return "refused" if isinstance(outcome, DataError) else "failed"


def _content(model: Served, outcome: Answer | BaseException, html: bool) -> dict[str, Any]:
    """As JSON."""
    if isinstance(outcome, Answer):
        prediction = outcome.prediction
        content: dict[str, Any] = prediction.to_json()
        if outcome.warnings:
            content = {**content, "warnings": list(outcome.warnings)}
        if html:
            is_shown = isinstance(prediction, Shown)
            content = {**content, "html": prediction.fragment() if is_shown else prediction_html(model.task, content)}
        return content
    if isinstance(outcome, LukeTasksError):
        if _kind(outcome) == "failed":
            logger.error("%s: %s", model.name, outcome)
        return {"error": str(outcome)}
    logger.error("%s: an input failed: %r", model.name, outcome, exc_info=outcome)
    return {"error": f"the model failed on this input ({type(outcome).__name__}); the server's log says more"}
