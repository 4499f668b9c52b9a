"""The decisions themselves, without any I/O: what a flow asks to do next."""

import pytest
from runcomfy import APIConnectionError, WaitTimeoutError
from runcomfy._book import MemoryBook
from runcomfy._http_types import Pause, Request, Response
from runcomfy._pace import Deadline, Durations
from runcomfy._requests import JobFlows
from runcomfy._wait import Wait


def job() -> JobFlows:
    return JobFlows("r1", None, 60.0, MemoryBook().find("r1"))


def wait(seconds: float, interval: float | None = None) -> Wait:
    return Wait(job(), None, seconds, interval, None, Durations())


def test_a_pause_leaves_time_for_a_last_look_before_the_deadline() -> None:
    flow = wait(10.0).next_change()

    first = next(flow)
    second = flow.send(Response(503, b"", retry_after="30"))

    assert isinstance(first, Request)
    assert (first.method, first.path) == ("GET", "requests/r1/status")
    assert 9 < first.timeout <= 10
    assert isinstance(second, Pause)
    assert 8 < second.seconds <= 9


def test_nothing_is_sent_after_the_deadline() -> None:
    flow = job().read("status", Deadline(-1.0))

    with pytest.raises(APIConnectionError, match="no time left"):
        next(flow)


def test_a_server_that_never_ends_a_job_is_asked_until_the_deadline_and_no_longer() -> None:
    with pytest.raises(WaitTimeoutError, match="its state could not be read"):
        next(wait(1e-9, interval=0.0).next_change())
