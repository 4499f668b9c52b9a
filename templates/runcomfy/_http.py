"""The only module that knows httpx: sends one `Request`, gives one `Response` or raises a `TransportFailure`.

Nothing here decides: no retry, no redirect, no reading of what an answer means. What it does promise: an exchange
ends within the request's timeout whatever the server does, a failure says whether a byte of the request may have
left, and no traceback leads to the token.
"""

import asyncio
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from ipaddress import ip_address
from math import inf
from pathlib import Path
from socket import SHUT_RDWR
from threading import TIMEOUT_MAX
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore  # httpx's own transport layer: it comes with httpx, which pins its major version
import httpx

from . import __version__
from ._errors import ConfigurationError
from ._http_types import Request, Response, TransportFailure
from ._settings import Settings

ErrorT = TypeVar("ErrorT", bound=BaseException)

_CHUNK = 16 * 1024
_POOLS = 32
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4)
"""Of each of the async client's pools."""

_deadline: ContextVar[float] = ContextVar("deadline", default=inf)
"""When the exchange that runs in this thread has to end, on the monotonic clock."""


class Http:
    """The connections of a sync client; any number of threads may send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring(settings):
            self._transport = _Transport(settings)
            self._client = httpx.Client(transport=self._transport, **_options(settings))

    def send(self, request: Request) -> Response:
        """Send one request and read its answer.

        Raises:
            TransportFailure: no usable answer came in time.
            ConfigurationError: the client was closed meanwhile.
        """
        watch = _Watch()
        reset = _deadline.set(monotonic() + request.timeout)
        try:
            return _response(self._client.request(**_arguments(self._settings, request, watch.see)))
        except Exception as error:
            raise _failure(error, request, watch, closed=self._client.is_closed) from _bare(error)
        except BaseException as interruption:
            _bare(interruption)
            raise
        finally:
            _deadline.reset(reset)
            if self._client.is_closed:  # since this exchange began, which may have opened one more connection
                self._transport.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class AsyncHttp:
    """The connections of an async client; any number of tasks of one event loop may send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring(settings):
            self._transport = _Pools(settings)
            self._client = httpx.AsyncClient(transport=self._transport, **_options(settings))

    async def send(self, request: Request) -> Response:
        """As `Http.send`."""
        watch = _Watch()
        try:
            async with asyncio.timeout(request.timeout if request.timeout <= TIMEOUT_MAX else None):
                return _response(await self._client.request(**_arguments(self._settings, request, watch.see_async)))
        except Exception as error:
            raise _failure(error, request, watch, closed=self._client.is_closed) from _bare(error)
        except BaseException as interruption:
            _bare(interruption)
            raise
        finally:
            if self._client.is_closed:  # since this exchange began, which may have opened one more connection
                await self._transport.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class _Watch:
    """Sees whether a byte of a request may have left: from the moment at which it is handed to a connection.

    What a proxy is asked before, to open a tunnel, is no part of the request.
    """

    sent = False

    def see(self, event: str, information: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and information["request"].method != b"CONNECT":
            self.sent = True

    async def see_async(self, event: str, information: dict[str, Any]) -> None:
        self.see(event, information)


def _arguments(settings: Settings, request: Request, trace: Callable[[str, dict[str, Any]], object]) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": f"{settings.base_url}/{request.path}",
        "content": request.body,
        # The whole exchange has a deadline of its own. httpcore forgets a connection that is cancelled while it is
        # opened, so that opening one (a connection, then TLS) has to time out by itself.
        "timeout": httpx.Timeout(None, connect=min(10.0, request.timeout / 2)),
        "headers": {"Content-Type": "application/json"} if request.body is not None else {},
        "extensions": {"trace": trace} if request.body is not None else {},  # of a read, nobody needs to know
    }


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "auth": _Bearer(settings),
        "headers": {"Accept": "application/json", "User-Agent": f"runcomfy-python/{__version__}", **settings.headers},
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


def _response(response: httpx.Response) -> Response:
    return Response(response.status_code, dict(response.headers), response.content)


def _failure(error: Exception, request: Request, watch: _Watch, *, closed: bool) -> Exception:
    if closed and not watch.sent:
        return ConfigurationError("this client was closed during the call")
    text = str(error) or (f"no answer within {request.timeout:g} s" if isinstance(error, TimeoutError) else "")
    return TransportFailure(f"{type(error).__name__}: {text}".removesuffix(": "), sent=watch.sent)


def _bare(error: ErrorT) -> ErrorT:
    """An exception without the frames that it and its causes came through: their variables hold the token."""
    found: list[BaseException | None] = [error]
    for link in found:
        if link is not None and link.__traceback__ is not None:
            link.__traceback__ = None
            found += [link.__cause__, link.__context__]
    return error


@contextmanager
def _configuring(settings: Settings) -> Iterator[None]:
    try:
        _ = httpx.URL(settings.base_url).host  # fails where the host has no form that can be looked up
        yield
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"base_url, proxy or verify: {error}") from error


def _certificates(settings: Settings) -> ssl.SSLContext:
    """How to check certificates: the argument, then ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, then certifi's bundle."""
    if not isinstance(settings.verify, Path):
        return httpx.create_ssl_context(verify=settings.verify)
    is_folder = settings.verify.is_dir()
    return ssl.create_default_context(
        cafile=None if is_folder else settings.verify, capath=settings.verify if is_folder else None
    )


def _proxy(settings: Settings) -> httpx.Proxy | None:
    """The proxy to use: the argument, then that of the environment, which cannot reach a sandbox on this machine."""
    proxy = settings.proxy
    if proxy is None:
        parts = urlsplit(settings.origin)
        if _is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
            return None
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all")
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


class _Pools(httpx.AsyncBaseTransport):
    """Many small connection pools instead of a big one, whose work grows with the square of its connections."""

    def __init__(self, settings: Settings) -> None:
        certificates, proxy = _certificates(settings), _proxy(settings)
        self._pools = [
            httpx.AsyncHTTPTransport(verify=certificates, proxy=proxy, limits=_LIMITS) for _ in range(_POOLS)
        ]
        self._busy = [0] * _POOLS

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        least = min(range(_POOLS), key=self._busy.__getitem__)
        self._busy[least] += 1
        try:
            return await self._pools[least].handle_async_request(request)
        finally:
            self._busy[least] -= 1

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


class _Transport(httpx.BaseTransport):
    """What httpx's own transport does, on connections that keep to the deadline of the exchange."""

    def __init__(self, settings: Settings) -> None:
        proxy = _proxy(settings)
        options: dict[str, Any] = {
            "ssl_context": _certificates(settings),
            "max_connections": None,
            "max_keepalive_connections": 20,
            "keepalive_expiry": 5.0,
            "network_backend": _Backend(),
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
        assert isinstance(response.stream, Iterable)
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


class _Backend(httpcore.NetworkBackend):
    """Opens connections that keep to the deadline of the exchange that uses them.

    The timeouts of a socket start anew with every byte, so that a server that sends one now and then is never late.
    """

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _CHUNK):
            self._stream.write(buffer[start : start + _CHUNK], _left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        with suppress(OSError):  # wakes a thread that still reads, where another one closes the client
            self._stream.get_extra_info("socket").shutdown(SHUT_RDWR)
        self._stream.close()


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    """Seconds until the deadline, and no more than `timeout`; None where there is neither."""
    left = min(_deadline.get() - monotonic(), inf if timeout is None else timeout)
    if left <= 0:
        raise late("the time for the request is up")
    return left if left <= TIMEOUT_MAX else None
