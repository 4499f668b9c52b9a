"""The decisions themselves, without any I/O: what a flow asks to do next."""

from time import monotonic

import pytest
from runcomfy import APIConnectionError, WaitTimeoutError, _pace
from runcomfy._flows import JobFlows, Wait
from runcomfy._http_types import Pause, Request, Response


def test_a_pause_never_reaches_beyond_the_deadline() -> None:
    wait = Wait(JobFlows("r1", None, timeout=60.0), None, wait_timeout=10.0, interval=None)
    flow = wait.next_change()

    first = next(flow)
    second = flow.send(Response(503, {"retry-after": "30"}, b""))

    assert isinstance(first, Request)
    assert (first.method, first.path) == ("GET", "requests/r1/status")
    assert 9 < first.timeout <= 10
    assert isinstance(second, Pause)
    assert 9 < second.seconds <= 10


def test_nothing_is_sent_after_the_deadline() -> None:
    flow = JobFlows("r1", None, timeout=60.0).read("status", monotonic())

    with pytest.raises(APIConnectionError, match="no time left"):
        next(flow)


def test_a_server_that_never_ends_a_job_is_asked_until_the_deadline_and_no_longer() -> None:
    flow = Wait(JobFlows("r1", None, timeout=60.0), None, wait_timeout=1e-9, interval=0.0).next_change()

    with pytest.raises(WaitTimeoutError, match="its state could not be read"):
        next(flow)


@pytest.mark.parametrize(
    ("elapsed", "seconds"), [(0, 0.25), (1, 0.25), (4, 0.3), (100, 1.5), (1111.2, 5.0), (1_000_000, 5.0)]
)
def test_looks_become_rarer_with_time(elapsed: float, seconds: float) -> None:
    assert _pace.poll_interval(elapsed) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("failures", "retry_after", "least", "most"),
    [
        (1, None, 0.125, 0.25),
        (2, None, 0.25, 0.5),
        (3, None, 0.5, 1.0),
        (1000, None, 2.5, 5.0),
        (1, "7", 7.0, 7.0),
        (1, "0", 0.0, 0.0),
        (1, "999", 30.0, 30.0),
        (1, "soon", 0.125, 0.25),
        (1, "²", 0.125, 0.25),
    ],
)
def test_repetitions_back_off_and_obey_the_server(
    failures: int, retry_after: str | None, least: float, most: float
) -> None:
    assert least <= _pace.backoff(failures, retry_after) <= most
