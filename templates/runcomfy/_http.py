"""The only module that knows httpx: sends one `Request`, gives one `Response` or raises a `TransportFailure`.

Nothing here decides: no retry, no redirect, no reading of what an answer means. What it does promise: an exchange
ends within the request's timeout whatever the server does (in the sync client, the system's look-up of a host's name
comes on top), a failure says whether a byte of the request may have left, and no traceback leads to the token.

Files are fetched apart from that, by `FileHttp`: they are anywhere, and nothing of a client goes there.
"""

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cached_property, partial
from importlib.util import find_spec
from ipaddress import ip_address
from logging import getLogger
from pathlib import Path
from threading import TIMEOUT_MAX
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore  # comes with httpx
import httpx

from . import __version__
from ._background import Stop
from ._blot import blotted_body
from ._connections import Backend, EndableBackend, deadline
from ._download_rules import Place, Refused, require_public
from ._errors import ConfigurationError
from ._frames import bare
from ._http_types import FileAnswer, Once, Request, Response, TransportFailure
from ._settings import Settings

_USER_AGENT = f"runcomfy-python/{__version__}"
_CLOSED = "this client was closed during the call"
_POOLS, _PER_POOL = 32, 4
"""How many pools an async client has, and how many connections each."""
_PIECE = 256 * 1024

_Network = tuple[ssl.SSLContext, httpx.Proxy | None]
"""What is needed to connect: how certificates are checked, and the proxy."""

_fetches_a_file: ContextVar[bool] = ContextVar("fetches_a_file", default=False)
getLogger("httpcore.http11").addFilter(lambda _: not _fetches_a_file.get())  # a redirect in it may have a signature


class Http:
    """The connections of a sync client; any number of threads may send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring():
            self._transports = {
                origin: _Transport(*network, Backend()) for origin, network in _networks(settings).items()
            }
            self._client = httpx.Client(**_routes(self._transports), **_options(settings))

    def send(self, request: Request) -> Response:
        """Send one request and read its answer.

        Raises:
            TransportFailure: no usable answer came in time.
            ConfigurationError: the client was closed meanwhile.
        """
        once, handled = request.once or Once(), sys.exception()
        reset = deadline.set(monotonic() + request.timeout)
        try:
            return _response(self._client.request(**_arguments(self._settings, request, _watch(once))), self._settings)
        except Exception as error:
            bare(error, handled, self._settings.token.blotted)
            raise _failure(error, request, once, closed=self._client.is_closed) from error
        except BaseException as interruption:
            bare(interruption, handled)
            raise
        finally:
            deadline.reset(reset)
            if self._client.is_closed:  # since this exchange began, which may have opened one more connection
                for transport in self._transports.values():
                    transport.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class AsyncHttp:
    """The connections of an async client; any number of tasks of one event loop may send.

    They are in many small pools instead of a big one, whose work grows with the square of its connections.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring():
            self._new_pool = partial(_Pool, _networks(settings), _options(settings))
            self._pools = [self._new_pool() for _ in range(_POOLS)]
        self._retired: set[_Pool] = set()
        self._turns = asyncio.Semaphore(_POOLS * _PER_POOL)
        self._closed = False

    async def send(self, request: Request) -> Response:
        """As `Http.send`. Beyond a number of exchanges at once, the next ones wait for their turn."""
        if request.once is None:  # what waits for its turn within its timeout
            return await self._exchange(request, Once(), self._turns)
        async with self._turns:  # a submit that waited would have less time for its answer, and be unknown
            return await self._exchange(request, request.once, nullcontext())

    async def _exchange(self, request: Request, once: Once, turn: AbstractAsyncContextManager[None]) -> Response:
        handled = sys.exception()
        pool: _Pool | None = None
        try:
            async with asyncio.timeout(request.timeout if request.timeout <= TIMEOUT_MAX else None), turn:
                if self._closed:
                    raise ConfigurationError(_CLOSED)
                pool = min(self._pools, key=_Pool.load)
                pool.exchanges += 1
                arguments = _in_pieces(_arguments(self._settings, request, _watch_async(once)))
                return _response(await pool.client.request(**arguments), self._settings)
        except ConfigurationError:
            raise
        except (asyncio.CancelledError, TimeoutError) as error:
            if pool is not None:
                # httpcore loses count of its connections when it is cancelled, until the pool is full of dead ones.
                self._retire(pool)
            bare(error, handled)
            if isinstance(error, TimeoutError):
                raise _failure(error, request, once, closed=self._closed) from error
            raise
        except Exception as error:
            bare(error, handled, self._settings.token.blotted)
            raise _failure(error, request, once, closed=self._closed) from error
        finally:
            if pool is not None:
                pool.exchanges -= 1
                if not pool.exchanges and (pool.retired or self._closed):  # it may have opened one more connection
                    self._retired.discard(pool)
                    await pool.close()

    def _retire(self, pool: "_Pool") -> None:
        """Let a pool end the exchanges that it has, and put a new one in its place."""
        if not pool.retired:
            pool.retired = True
            self._retired.add(pool)
            self._pools[self._pools.index(pool)] = self._new_pool()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for pool in [*self._pools, *self._retired]:
            await pool.close()


class _Pool:
    """A few connections of an async client."""

    def __init__(self, networks: "dict[str, _Network]", options: dict[str, Any]) -> None:
        self.exchanges = 0
        self.retired = False
        limits = httpx.Limits(max_connections=_PER_POOL, max_keepalive_connections=_PER_POOL)
        self._transports = {
            origin: httpx.AsyncHTTPTransport(verify=certificates, proxy=proxy, limits=limits)
            for origin, (certificates, proxy) in networks.items()
        }
        self.client = httpx.AsyncClient(**_routes(self._transports), **options)

    def load(self) -> int:
        return self.exchanges

    async def close(self) -> None:
        await self.client.aclose()
        for transport in self._transports.values():
            await transport.aclose()


class FileHttp:
    """Fetches files, each answer on a connection of its own; any number of threads may fetch.

    What it sends has neither the token nor anything else of a client; and it keeps nothing, such as a cookie.
    """

    def __init__(self, proxy: str | None, verify: bool | ssl.SSLContext | Path, stop: Stop) -> None:
        self._proxy = proxy
        self._verify = verify
        self._stop = stop

    @contextmanager
    def get(self, place: Place, headers: Mapping[str, str], timeout: float) -> Iterator[FileAnswer]:
        """Ask for a file.

        Args:
            place: Which one.
            headers: What to ask beside it.
            timeout: Seconds that the whole exchange may take.

        Raises:
            TransportFailure: no usable answer came in time.
            Refused: the host has an address that is not to be asked.
            Stopped: the work was stopped meanwhile.
            ConfigurationError: the proxy or the certificates cannot be used.
        """
        parts = urlsplit(place.url)
        with _configuring():
            proxy = _proxy(parts.scheme, parts.netloc, self._proxy)
            certificates = self._certificates if parts.scheme == "https" else _unused_certificates()
        if proxy and _is_loopback(place.origin.host) and not place.may_be_private:
            raise Refused("it leads to localhost")  # every other name is looked up by the proxy
        backend = EndableBackend(None if proxy or place.may_be_private else require_public)
        transport = _Transport(certificates, proxy, backend)
        reset, silent = deadline.set(monotonic() + timeout), _fetches_a_file.set(True)
        try:
            with self._stop.waking(backend.end):
                try:
                    response = transport.handle_request(_file_request(place.url, headers, timeout))
                except Refused:
                    raise
                except Exception as error:
                    raise _file_failure(error) from None
                yield FileAnswer(response.status_code, dict(response.headers), _chunks(response))
        finally:
            transport.close()
            backend.end()
            _fetches_a_file.reset(silent)
            deadline.reset(reset)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return _certificates(self._verify)


def _file_request(url: str, headers: Mapping[str, str], timeout: float) -> httpx.Request:
    # A server that falls silent is given up long before the deadline, so that the rest can be asked for.
    waits = {"connect": min(10.0, timeout / 2), "read": min(60.0, timeout / 4), "write": min(60.0, timeout / 4)}
    own = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": _USER_AGENT}
    return httpx.Request("GET", url, headers={**own, **headers}, extensions={"timeout": waits})


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    assert isinstance(response.stream, httpx.SyncByteStream)
    try:
        yield from response.stream
    except Exception as error:
        raise _file_failure(error) from None


def _file_failure(error: Exception) -> TransportFailure:
    """In words without the query of any URL: an error about a header has that header in it."""
    return TransportFailure(re.sub(r"\?\S*", "?…", _words(error)), sent=True)


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


def _arguments(settings: Settings, request: Request, trace: Callable[[str, dict[str, Any]], object]) -> dict[str, Any]:
    base = settings.account_url if request.is_below_account_url else settings.base_url
    return {
        "method": request.method,
        "url": f"{base}/{request.path}",
        "content": request.body,
        # The whole exchange has a deadline of its own. httpcore forgets a connection that is cancelled while it is
        # opened, so that opening one (a connection, then TLS) has to time out by itself.
        "timeout": httpx.Timeout(None, connect=min(10.0, request.timeout / 2)),
        "headers": {"Content-Type": "application/json"} if request.body is not None else {},
        "extensions": {"trace": trace} if request.once else {},
    }


def _in_pieces(arguments: dict[str, Any]) -> dict[str, Any]:
    """A long body piece by piece: asyncio would copy all of it that the network does not take at once."""
    body: bytes | None = arguments["content"]
    if body is None or len(body) <= _PIECE:
        return arguments

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]

    return {**arguments, "content": pieces(), "headers": {**arguments["headers"], "Content-Length": str(len(body))}}


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "auth": _Bearer(settings),
        "headers": {"Accept": "application/json", "User-Agent": _USER_AGENT, **settings.headers},
        "follow_redirects": False,
        "trust_env": False,  # what the environment says of proxies and certificates was read for the transport
    }


class _Bearer(httpx.Auth):
    """Adds the token on the last stretch, so that no frame of this package has it among its variables."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        yield request


def _response(response: httpx.Response, settings: Settings) -> Response:
    """The answer; a server that repeats the token, as some error pages do, is not quoted with it."""
    blotted = settings.token.blotted
    headers = {name: blotted(value) for name, value in response.headers.items()}
    return Response(response.status_code, headers, blotted_body(response.content, blotted), blotted)


def _failure(error: Exception, request: Request, once: Once, *, closed: bool) -> Exception:
    if isinstance(error, TransportFailure):
        return error
    if closed and not once.sent:
        return ConfigurationError(_CLOSED)
    late = f"no answer within {request.timeout:g} s" if isinstance(error, TimeoutError) else ""
    return TransportFailure(_words(error, late), sent=once.sent)


def _words(error: Exception, otherwise: str = "") -> str:
    return f"{type(error).__name__}: {str(error) or otherwise}".removesuffix(": ")


@contextmanager
def _configuring() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, httpx.InvalidURL) as error:
        text = f"base_url, account_url, proxy or verify: {error}"
        raise ConfigurationError(text) from None  # its frames know a password


def _networks(settings: Settings) -> dict[str, _Network]:
    """What the connections to the API need, by origin: that of the base URL first, then that of the account URL."""
    certificates: dict[str, ssl.SSLContext] = {}  # by scheme, since loading the bundle takes its time
    networks: dict[str, _Network] = {}
    for url in (settings.base_url, settings.account_url):
        _ = httpx.URL(url).host  # fails where the host has no form that can be looked up
        scheme, netloc, *_ = urlsplit(url)
        if scheme not in certificates:
            certificates[scheme] = _unused_certificates() if scheme == "http" else _certificates(settings.verify)
        networks[f"{scheme}://{netloc}"] = certificates[scheme], _proxy(scheme, netloc, settings.proxy)
    return networks


def _routes(transports: Mapping[str, httpx.BaseTransport | httpx.AsyncBaseTransport]) -> dict[str, Any]:
    """Which transport is for which URL, as httpx is told: the first one is for all that have none of their own."""
    (_, transport), *others = transports.items()
    return {"transport": transport, "mounts": dict(others)}


def _unused_certificates() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the bundle would take its time


def _certificates(verify: bool | ssl.SSLContext | Path) -> ssl.SSLContext:
    """How to check certificates: the argument, then ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, then certifi's bundle."""
    if not isinstance(verify, Path):
        return httpx.create_ssl_context(verify=verify)
    is_folder = verify.is_dir()
    return ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)


def _proxy(scheme: str, netloc: str, proxy: str | None) -> httpx.Proxy | None:
    """The proxy to use: the argument, then that of the environment, which cannot reach a sandbox on this machine."""
    if proxy is None:
        if _is_loopback(urlsplit(f"//{netloc}").hostname or "") or proxy_bypass(netloc):
            return None
        proxies = getproxies()
        proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy:
        return None
    found = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    if found.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError("proxy: SOCKS needs one more library; type: pip install 'httpx[socks]'")
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Transport(httpx.BaseTransport):
    """What httpx's own transport does, on connections that keep to the deadline of the exchange."""

    def __init__(self, certificates: ssl.SSLContext, proxy: httpx.Proxy | None, backend: Backend) -> None:
        options: dict[str, Any] = {
            "ssl_context": certificates,
            "max_connections": None,
            # No fewer than there are: else httpcore may close one that it has just given to another thread.
            "max_keepalive_connections": None,
            "keepalive_expiry": 5.0,
            "network_backend": backend,
        }
        if proxy is None:
            self._pool = httpcore.ConnectionPool(**options)
        else:
            options |= {"proxy_url": str(proxy.url), "proxy_auth": proxy.raw_auth}
            is_socks = proxy.url.scheme.startswith("socks")
            self._pool = httpcore.SOCKSProxy(**options) if is_socks else httpcore.HTTPProxy(**options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
