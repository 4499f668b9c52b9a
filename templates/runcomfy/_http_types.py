"""What passes between the decisions and the network: plain values, no httpx.

A *flow* is a generator that holds the decisions of one operation. It yields what to do next (send a `Request`, or
`Pause`) and is sent the `Response`; whatever goes wrong meanwhile is thrown into it. The sync and the async client
each drive the same flows with a loop of their own, so every decision stands once.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    `path` is below the base URL and already percent-encoded; `timeout` bounds the whole exchange, in seconds.
    """

    method: str
    path: str
    timeout: float
    body: bytes | None = None
    shielded: bool = False
    """Whether its answer is awaited a little even when the caller is interrupted: it may say what was paid for."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait `seconds` before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer with its whole body; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportFailure(Exception):
    """No usable answer came. `sent` is False where it is certain that no byte of the request left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Interrupted(Exception):
    """Ctrl-C, or the cancellation of the task, came during a shielded request, which ended as `outcome`."""

    def __init__(self, by: BaseException, outcome: Response | TransportFailure) -> None:
        super().__init__(by)
        self.by = by
        self.outcome = outcome


Step = Request | Pause
Flow = Generator[Step, Response | None, T]


def exchange(request: Request) -> Flow[Response]:
    """Send one request and return its answer."""
    response = yield request
    assert response is not None, "a driver answers every request"
    return response
