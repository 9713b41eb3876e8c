"""The worker of a model: what meets in a batch, and who is harmed by whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")

from luke_tasks.errors import CheckpointError, DataError
from luke_tasks.serve.batching import Job, QueueFull, Worker
from tests.serve.live import FakeModel, fake_worker, wait_until


class Sized(str):
    """A window with a word piece a character."""

    entity_ids = ()

    @property
    def word_ids(self) -> str:
        return self

    @property
    def windows(self) -> list[Sized]:
        return [self]


class SizedModel(FakeModel):
    """Its windows have a size."""

    def __init__(self) -> None:
        super().__init__()
        encode = self.reader.encode
        self.reader.encode = lambda examples: list(map(Sized, encode(examples)))  # type: ignore[method-assign]


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def worker(model: FakeModel) -> Iterator[Worker]:
    made = fake_worker(model)
    yield made
    model.may_run.set()
    made.close(20)
    assert not made.is_alive


def jobs(*texts: str | None) -> list[Job]:
    return [Job({} if text is None else {"text": text}, f"input {number}") for number, text in enumerate(texts)]


def held_up(worker: Worker, model: FakeModel) -> Job:
    """A job that runs, until `model.may_run`."""
    model.may_run.clear()
    first = jobs("first")[0]
    worker.submit([first])
    wait_until(lambda: len(model.batches) > 0)
    return first


def test_inputs_that_wait_run_together(worker: Worker, model: FakeModel) -> None:
    first = held_up(worker, model)
    waiting = jobs("a", "b c", "d", "e")
    worker.submit(waiting)
    assert worker.queue_length == 4
    model.may_run.set()
    assert [job.future.result(20).prediction.text for job in waiting] == ["a:1", "b:1 c:1", "d:1", "e:1"]
    assert first.future.result(20).prediction.text == "first:5"
    assert model.batches == [["first"], ["a", "b", "d", "e"], ["c"]]  # one window of each in turn, four at most


def test_a_long_input_does_not_keep_short_ones_waiting(worker: Worker, model: FakeModel) -> None:
    model.may_run.clear()
    long, short = jobs(" ".join(f"w{number}" for number in range(40)), "short")
    worker.submit([long])
    wait_until(lambda: len(model.batches) == 1)
    worker.submit([short])
    model.may_run.set()
    assert short.future.result(20).prediction.text == "short:5"
    assert len(long.future.result(20).prediction.text.split()) == 40
    assert "short" in model.batches[1]


def test_a_long_input_takes_no_more_tokens_than_there_are_for_a_batch() -> None:
    """Who comes while its batch runs waits for that alone. One window of each input always runs."""
    model = SizedModel()
    worker = fake_worker(model, max_batch_size=8, max_tokens=10)
    long, wide = jobs("aaaa bbbb cccc dddd eeee", "x" * 12)
    worker.submit([long])
    assert long.future.result(20).prediction.text == "aaaa:4 bbbb:4 cccc:4 dddd:4 eeee:4"
    worker.submit([wide])
    assert wide.future.result(20).prediction.text == "x" * 12 + ":12"
    worker.close(20)
    assert [len(batch) for batch in model.batches] == [2, 2, 1, 1]


def test_an_input_waits_for_others_to_fill_its_batch() -> None:
    model = FakeModel()
    worker = fake_worker(model, batch_wait_seconds=30, max_batch_size=2)
    one, other = jobs("one", "other")
    worker.submit([one])
    worker.submit([other])  # which fills it, long before the time is over
    assert other.future.result(20).prediction.text == "other:5"
    assert model.batches == [["one", "other"]]
    worker.close(20)


def test_a_bad_input_fails_alone(worker: Worker, model: FakeModel) -> None:
    """Whether its reader refuses it or its batch breaks."""
    held_up(worker, model)
    good, bad, poison, cut = jobs("good", None, "poison pill", "cut")
    worker.submit([good, bad, poison, cut])
    model.may_run.set()
    assert good.future.result(20).prediction.text == "good:4"
    assert list(good.future.result().warnings) == []
    assert list(cut.future.result(20).warnings) == ["1 texts were cut"]
    assert isinstance(bad.future.exception(20), DataError)
    assert isinstance(poison.future.exception(20), CheckpointError)
    again = jobs("again")
    worker.submit(again)
    assert again[0].future.result(20).prediction.text == "again:5"


def test_a_full_queue_refuses(worker: Worker, model: FakeModel) -> None:
    """All of a request, or none; who has left makes room."""
    held_up(worker, model)
    waiting = jobs(*"abcdefg")
    worker.submit(waiting)
    with pytest.raises(QueueFull) as full:
        worker.submit(jobs("h", "i"))
    assert full.value.seconds >= 1
    assert worker.queue_length == 7
    waiting[0].abandon()
    worker.submit(jobs("h", "i"))
    assert worker.queue_length == 8


def test_what_nobody_waits_for_does_not_run(worker: Worker, model: FakeModel) -> None:
    """Neither what is still queued, nor the rest of what has begun."""
    model.may_run.clear()
    long = jobs(" ".join(f"w{number}" for number in range(40)))[0]
    worker.submit([long])
    wait_until(lambda: len(model.batches) == 1)
    queued, other = jobs("queued", "other")
    worker.submit([queued, other])
    long.abandon()
    queued.abandon()
    model.may_run.set()
    assert other.future.result(20).prediction.text == "other:5"
    assert queued.future.cancelled()
    assert model.batches == [["w0", "w1", "w2", "w3"], ["other"]]
    assert isinstance(long.future.exception(20), TimeoutError)


def test_closing_answers_what_is_queued() -> None:
    model = FakeModel()
    worker = fake_worker(model)
    held_up(worker, model)
    waiting = jobs("a", "b")
    worker.submit(waiting)
    worker.close(0)
    model.may_run.set()
    assert [job.future.result(20).prediction.text for job in waiting] == ["a:1", "b:1"]
    wait_until(lambda: not worker.is_alive)


def test_an_input_without_windows_is_answered(worker: Worker) -> None:
    """An empty text, of NER say."""
    empty = jobs("")
    worker.submit(empty)
    assert empty[0].future.result(20).prediction.text == ""
