"""What passes between the decisions and the network: plain values, no httpx.

A *flow* is a generator that holds the decisions of one operation. It yields what to do next (send a `Request`,
`Pause`, `Await` what another thread does) and is sent the `Response` or the result; what goes wrong meanwhile is
thrown into it, a failed exchange as a `TransportFailure`. The sync and the async client each drive the same flows
with a loop of their own, so every decision stands once.
"""

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from time import time
from typing import Any, Generic, TypeVar

from ._blot import Blotted

T = TypeVar("T")


class Once:
    """Whether and when a request that must not be sent twice was sent, and whether it may still be."""

    def __init__(self) -> None:
        self.sent = False
        self.sent_at = 0.0
        self.withdrawn = False

    def leave(self) -> None:
        """The first byte is about to be sent.

        Raises:
            TransportFailure: the request was withdrawn meanwhile.
        """
        self.sent_at = time()
        self.sent = True  # before the look at withdrawn: whoever withdraws it looks in the opposite order
        if self.withdrawn:
            self.sent = False
            raise TransportFailure("withdrawn before anything was sent", sent=False)

    def withdraw(self) -> bool:
        """Let it not be sent any more; False where it was."""
        self.withdrawn = True
        return not self.sent


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    `path` is below the base URL, or below the account URL, and already percent-encoded, as is its query; `timeout`
    bounds the whole exchange, in seconds.
    """

    method: str
    path: str
    timeout: float
    body: bytes | None = None
    once: Once | None = None
    is_below_account_url: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait `seconds` before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Go on once something that another thread does is done; its result is sent, or its exception thrown.

    After so many seconds, a `TimeoutError` is thrown instead; the other thread goes on.
    """

    future: Future[Any]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer with its whole body, without the token."""

    status: int
    body: bytes
    retry_after: str | None = None
    """Its header of that name."""
    blotted: Blotted | None = None
    """Takes the token out of each text that is decoded from the body; None where it cannot be in any."""


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """An HTTP answer whose body is still to come: as sent, so that it may be encoded. Header names are in lower case.

    Taking the next chunk raises a `TransportFailure` where the body ends too early.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class TransportFailure(Exception):
    """No usable answer came. `sent` is False where it is certain that no byte of the request left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


Step = Request | Pause | Await
Flow = Generator[Step, Any, T]


def exchange(request: Request) -> Flow[Response]:
    """Send one request and return its answer."""
    response: Response = yield request
    return response


class Settled(Generic[T]):
    """What is there already, in the place of a future, which costs much more to make."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


Pending = Future[T] | Settled[T]


def awaited(pending: Pending[T], seconds: float | None = None) -> Flow[T]:
    """Return the result of what another thread does, if it does it in time."""
    if isinstance(pending, Settled):
        return pending.value
    result: T = yield Await(pending, seconds)
    return result
