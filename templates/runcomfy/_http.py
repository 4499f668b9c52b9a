"""Exchanges with the API: sends one `Request`, gives one `Response` or raises a `TransportFailure`.

Nothing here decides: no retry, no redirect, no cookie, no reading of what an answer means. What it does promise: an
exchange ends within the request's timeout whatever the server does (in the sync client, the system's look-up of a
host's name comes on top), a failure says whether a byte of the request may have left, and no traceback leads to the
token.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpcore

from . import __version__
from ._blot import blotted_body
from ._connections import UNSENT, Backend, deadline
from ._errors import ConfigurationError
from ._frames import bare
from ._http_types import Once, Request, Response, TransportFailure
from ._network import Address, Network, address_of, network_of, pool_of
from ._settings import Settings, Token

USER_AGENT = f"runcomfy-python/{__version__}"
_CLOSED = "this client was closed during the call"
_MOST_AT_ONCE = 128
"""How many exchanges an async client has at once."""
_PIECE = 256 * 1024

ConnectionT = TypeVar("ConnectionT", bound=httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface)
Watch = Callable[[Once], Callable[[str, dict[str, Any]], object]]
"""Makes what httpcore tells of each step of an exchange."""


class Http:
    """The connections of a sync client; any number of threads may send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bases = _bases(settings, _connections)
        self._closed = False

    def send(self, request: Request) -> Response:
        """Send one request and read its answer.

        Raises:
            TransportFailure: no usable answer came in time.
            ConfigurationError: the client was closed meanwhile.
        """
        once, handled, is_whole = request.once or Once(), sys.exception(), False
        if self._closed:
            raise ConfigurationError(_CLOSED)
        base = self._bases[request.is_below_account_url]
        connection, expired = base.connections.take()
        reset = deadline.set(monotonic() + request.timeout)
        try:
            for other in expired:
                other.close()
            answer = connection.handle_request(base.request(request, request.body, _watch))
            answer.read()
            answer.close()
            is_whole = True
            if answer.extensions["network_stream"].get_extra_info(UNSENT):
                raise TransportFailure("the server sent an answer before it was asked", sent=False)
            return _response(answer, self._settings.token)
        except Exception as error:
            bare(error, handled, self._settings.token.blotted)
            raise _failure(error, request, once, closed=self._closed) from error
        except BaseException as interruption:
            bare(interruption, handled)
            raise
        finally:
            deadline.reset(reset)
            # A connection may look idle where its last exchange was interrupted. The client may be closed meanwhile.
            if not is_whole or self._closed or not base.connections.give_back(connection):
                base.connections.drop(connection)
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for base in self._bases:
            for connection in base.connections.all():
                connection.close()


class AsyncHttp:
    """The connections of an async client; any number of tasks of one event loop may send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bases = _bases(settings, _async_connections)
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._closed = False

    async def send(self, request: Request) -> Response:
        """As `Http.send`. Beyond a number of exchanges at once, the next ones wait for their turn."""
        if request.once is None:  # what waits for its turn within its timeout
            return await self._exchange(request, Once(), self._turns)
        async with self._turns:  # a submit that waited would have less time for its answer, and be unknown
            return await self._exchange(request, request.once, nullcontext())

    async def _exchange(self, request: Request, once: Once, turn: AbstractAsyncContextManager[None]) -> Response:
        handled, is_whole = sys.exception(), False
        base = self._bases[request.is_below_account_url]
        connection: httpcore.AsyncConnectionInterface | None = None
        try:
            async with asyncio.timeout(request.timeout if request.timeout <= TIMEOUT_MAX else None), turn:
                if self._closed:
                    raise ConfigurationError(_CLOSED)
                connection, expired = base.connections.take()
                for other in expired:
                    await other.aclose()
                sent = base.request(request, _in_pieces(request.body), _watch_async)
                answer = await connection.handle_async_request(sent)
                await answer.aread()
                await answer.aclose()
                is_whole = True
                return _response(answer, self._settings.token)
        except ConfigurationError:
            raise
        except asyncio.CancelledError as interruption:
            bare(interruption, handled)
            raise
        except Exception as error:
            bare(error, handled, self._settings.token.blotted)
            raise _failure(error, request, once, closed=self._closed) from error
        finally:
            is_usable = is_whole and not self._closed
            if connection is not None and not (is_usable and base.connections.give_back(connection)):
                base.connections.drop(connection)
                await connection.aclose()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for base in self._bases:
            for connection in base.connections.all():
                await connection.aclose()


class _Connections(Generic[ConnectionT]):
    """The connections to one origin, each in the hands of one exchange at a time.

    A pool of httpcore looks through all its connections for each request, and loses count of them where an exchange is
    cancelled. Here it makes the connections, and no more.
    """

    def __init__(self, new: Callable[[], ConnectionT]) -> None:
        self._new = new
        self._lock = Lock()
        self._idle: deque[ConnectionT] = deque()
        self._all: set[ConnectionT] = set()

    def take(self) -> tuple[ConnectionT, list[ConnectionT]]:
        """A connection that nobody else has; and those that have been idle for too long, which are to be closed."""
        expired: list[ConnectionT] = []
        with self._lock:
            while len(self._idle) > 1 and self._idle[0].has_expired():
                expired.append(self._idle.popleft())
            while self._idle:
                has_expired = self._idle[-1].has_expired()  # before it is taken: Ctrl-C may come meanwhile
                last_used = self._idle.pop()  # so that those that are not needed expire
                if not has_expired:
                    break
                expired.append(last_used)
            else:
                last_used = self._new()
                self._all.add(last_used)
            self._all.difference_update(expired)
        return last_used, expired

    def give_back(self, connection: ConnectionT) -> bool:
        """Let the next exchange have it, if it can be used again."""
        if not connection.is_idle() or connection.is_closed():
            return False
        with self._lock:
            self._idle.append(connection)
        return True

    def drop(self, connection: ConnectionT) -> None:
        """Forget one that is closed."""
        with self._lock:
            self._all.discard(connection)

    def all(self) -> list[ConnectionT]:
        """All that are open, in the middle of an exchange or not."""
        with self._lock:
            return list(self._all)


class _Base(Generic[ConnectionT]):
    """A base URL: what every request below it has in common, and the connections to its origin."""

    def __init__(self, address: Address, settings: Settings, connections: _Connections[ConnectionT]) -> None:
        self.connections = connections
        self._address = address
        self._token = settings.token
        headers = {
            "Host": self._address.netloc.decode(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Connection": "keep-alive",
            "User-Agent": USER_AGENT,
        }
        given = {name.lower() for name in settings.headers}
        own = [(name, value) for name, value in headers.items() if name.lower() not in given]
        self._headers = [(name.encode(), value.encode()) for name, value in (*own, *settings.headers.items())]

    def request(self, request: Request, body: bytes | AsyncIterator[bytes] | None, watch: Watch) -> httpcore.Request:
        """A request as it is sent, with the token, which no frame of this package has among its variables for long."""
        scheme, host, port, path = self._address
        headers = [*self._headers, (b"Authorization", f"Bearer {self._token.reveal()}".encode())]
        if request.body is not None:
            headers.append((b"Content-Type", b"application/json"))
        if request.method != "GET":
            headers.append((b"Content-Length", b"%d" % len(request.body or b"")))
        # The whole exchange has a deadline of its own. httpcore forgets a connection that is cancelled while it is
        # opened, so that opening one (a connection, then TLS) has to time out by itself.
        extensions: dict[str, Any] = {"timeout": {"connect": min(10.0, request.timeout / 2)}}
        if request.once:
            extensions["trace"] = watch(request.once)
        url = httpcore.URL(scheme=scheme, host=host, port=port, target=b"%b/%b" % (path, request.path.encode()))
        return httpcore.Request(request.method, url, headers=headers, content=body, extensions=extensions)


def _bases(
    settings: Settings, connections: Callable[[httpcore.Origin, Network], _Connections[ConnectionT]]
) -> tuple[_Base[ConnectionT], _Base[ConnectionT]]:
    """The base URL and the account URL; where these have one origin, they share its connections."""
    made: dict[tuple[object, ...], _Connections[ConnectionT]] = {}
    bases = []
    for url in (settings.base_url, settings.account_url):
        scheme, netloc, *_ = urlsplit(url)
        address = address_of(url)
        place = address[:3]
        if place not in made:
            network = network_of(scheme, netloc, settings.verify, settings.proxy)
            made[place] = connections(address.origin, network)
        bases.append(_Base(address, settings, made[place]))
    base, account = bases
    return base, account


def _connections(origin: httpcore.Origin, network: Network) -> _Connections[httpcore.ConnectionInterface]:
    pool = pool_of(network, Backend())
    return _Connections(lambda: pool.create_connection(origin))


def _async_connections(origin: httpcore.Origin, network: Network) -> _Connections[httpcore.AsyncConnectionInterface]:
    kind: type[httpcore.AsyncConnectionPool] = httpcore.AsyncConnectionPool
    if not network.is_direct:
        kind = httpcore.AsyncSOCKSProxy if network.is_socks else httpcore.AsyncHTTPProxy
    pool = kind(**network.options())
    return _Connections(lambda: pool.create_connection(origin))


def _watch(once: Once) -> Callable[[str, dict[str, Any]], None]:
    """Tell `once` when a request is handed to a connection; what a proxy is asked before is no part of it."""

    def see(event: str, information: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and information["request"].method != b"CONNECT":
            once.leave()

    return see


def _watch_async(once: Once) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    see = _watch(once)

    async def see_async(event: str, information: dict[str, Any]) -> None:
        see(event, information)

    return see_async


def _in_pieces(body: bytes | None) -> bytes | AsyncIterator[bytes] | None:
    """A long body piece by piece: asyncio would copy all of it that the network does not take at once."""
    if body is None or len(body) <= _PIECE:
        return body

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]

    return pieces()


def _response(answer: httpcore.Response, token: Token) -> Response:
    """The answer, which was read; a server that repeats the token, as some error pages do, is not quoted with it."""
    body = answer.content
    retry_after: str | None = None
    encodings: list[tuple[bytes, bytes]] = []
    for name, value in answer.headers:
        match name.lower():
            case b"retry-after":
                retry_after = value.decode("latin-1")
            case b"content-encoding":
                encodings.append((name, value))
    if encodings:
        import httpx  # which knows every encoding that is installed

        body = httpx.Response(answer.status, headers=encodings, content=body).content
    if not token.may_be_in(body):
        return Response(answer.status, body, retry_after)
    cleaned = blotted_body(body, token.blotted)
    # Where nothing is escaped as JSON does, the texts in it stand in the body as they are.
    is_settled = cleaned == body and b"\\" not in body and b"\0" not in body
    return Response(answer.status, cleaned, retry_after, None if is_settled else token.blotted)


def _failure(error: Exception, request: Request, once: Once, *, closed: bool) -> Exception:
    if isinstance(error, TransportFailure):
        return error
    if closed and not once.sent:
        return ConfigurationError(_CLOSED)
    late = f"no answer within {request.timeout:g} s" if isinstance(error, TimeoutError) else ""
    return TransportFailure(words_of(error, late), sent=once.sent)


def words_of(error: Exception, otherwise: str = "") -> str:
    """An error of the network, in words: `otherwise` where it has none of its own."""
    return f"{type(error).__name__}: {str(error) or otherwise}".removesuffix(": ")
