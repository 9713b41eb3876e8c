"""What Prometheus reads at `/metrics`: requests, their time, batches, queues and errors, by model."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """A registry of one server's own, so that several in a process do not meet."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        of_model = ("model",)
        self.requests = Counter("luke_tasks_requests", "Requests for predictions by HTTP status; 499: the client left",
                                ("model", "status"), registry=own)  # fmt: skip
        self.inputs = Counter("luke_tasks_inputs", "Inputs of these requests: answered, refused or failed",
                              ("model", "outcome"), registry=own)  # fmt: skip
        self.seconds = Histogram("luke_tasks_request_seconds", "From a request to its answer", of_model,
                                 registry=own, buckets=_SECONDS)  # fmt: skip
        self.batch_windows = Histogram("luke_tasks_batch_windows", "Windows of a batch", of_model, registry=own,
                                       buckets=_WINDOWS)  # fmt: skip
        self.batch_seconds = Histogram("luke_tasks_batch_seconds", "The model's time for a batch", of_model,
                                       registry=own, buckets=_SECONDS)  # fmt: skip
        self.in_flight = Gauge(
            "luke_tasks_requests_in_flight", "Requests that have no answer yet", of_model, registry=own
        )
        self.queue = Gauge("luke_tasks_queue_length", "Inputs that wait", of_model, registry=own)

    def watch_queue(self, model: str, length: Callable[[], int]) -> None:
        """Ask `length` whenever the metrics are read."""
        self.queue.labels(model).set_function(length)

    def count_batch(self, model: str, num_windows: int, seconds: float) -> None:
        """A batch was run."""
        self.batch_windows.labels(model).observe(num_windows)
        self.batch_seconds.labels(model).observe(seconds)

    def count_request(self, model: str, status: int, seconds: float) -> None:
        """A request has its answer."""
        self.requests.labels(model, str(status)).inc()
        self.seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)
