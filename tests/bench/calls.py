"""What a call costs, and how many there can be."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from . import peers
from .figures import Figure, ratio
from .measure import pairs, run
from .servers import server

_PROGRAM = Path(__file__).with_name("jobs.py")
_JOBS, _IN_FLIGHT = 1000, 200


def figures() -> Iterator[Figure]:
    """Run jobs one after the other, and 200 at a time; each is one submit and two reads of a server on this machine."""
    with server() as url:
        for what, measured, target in (("CPU", "cpu", 1.05), ("time", "seconds", None)):
            found = pairs(_each("runcomfy_sync", url, measured), _each("httpx_sync", url, measured), 9)
            yield ratio(f"sync run: submit, status, result ({what} of a job)", "bare httpx", target, found, "ms")

        for client, name in (
            ("fal_async", "fal_client"),
            ("replicate_async", "replicate"),
            ("httpx_async", "bare httpx, one pool"),
        ):
            found = pairs(_jobs_a_second("runcomfy_async", url), _jobs_a_second(client, url), 5)
            what = f"async, {_IN_FLIGHT} in flight (jobs a second)"
            yield ratio(what, name, 3.0, found, "/s", more_is_better=True)


def _each(client: str, url: str, measured: str) -> Callable[[], float]:
    """Milliseconds for one job."""
    return lambda: 1000 / _JOBS * _measured(client, url, 1)[measured]


def _jobs_a_second(client: str, url: str) -> Callable[[], float]:
    return lambda: _JOBS / _measured(client, url, _IN_FLIGHT)["seconds"]


def _measured(client: str, url: str, in_flight: int) -> dict[str, float]:
    python = peers.PYTHON if client in ("fal_async", "replicate_async") else sys.executable
    found: dict[str, float] = json.loads(run([python, _PROGRAM, client, url, _JOBS, in_flight]).output)
    return found
