"""The only module that knows httpx: sends one `Request`, gives one `Response` or a `TransportFailure`.

Nothing here decides: no retry, no redirect, no reading of what an answer means.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from threading import TIMEOUT_MAX
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from . import __version__
from ._errors import ConfigurationError
from ._http_types import Flow, Pause, Request, Response, TransportFailure
from ._settings import Settings

T = TypeVar("T")

# Raised before the request is written to a connection, so that no byte of it can have left.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Http:
    """A connection pool for the sync client."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring(settings):
            self._client = httpx.Client(**_options(settings))

    def drive(self, flow: Flow[T]) -> T:
        """Carry out a flow: send what it asks to send, pause when it asks to pause, return what it returns."""
        answer: Response | None = None
        failure: TransportFailure | None = None
        while True:
            try:
                step = flow.throw(failure) if failure else flow.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result
            answer = failure = None
            if isinstance(step, Pause):
                sleep(step.seconds)
                continue
            try:
                answer = _response(self._client.request(**_arguments(self._settings, step)))
            except httpx.RequestError as error:
                failure = _failure(error)
            except RuntimeError:
                if not self._client.is_closed:
                    raise
                raise ConfigurationError("this client was closed during the call") from None

    def close(self) -> None:
        self._client.close()


class AsyncHttp:
    """A connection pool for the async client."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _configuring(settings):
            self._client = httpx.AsyncClient(**_options(settings))

    async def drive(self, flow: Flow[T]) -> T:
        """As `Http.drive`."""
        answer: Response | None = None
        failure: TransportFailure | None = None
        while True:
            try:
                step = flow.throw(failure) if failure else flow.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result
            answer = failure = None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                answer = _response(await self._client.request(**_arguments(self._settings, step)))
            except httpx.RequestError as error:
                failure = _failure(error)
            except RuntimeError:
                if not self._client.is_closed:
                    raise
                raise ConfigurationError("this client was closed during the call") from None

    async def close(self) -> None:
        await self._client.aclose()


@contextmanager
def _configuring(settings: Settings) -> Iterator[None]:
    try:
        _ = httpx.URL(settings.base_url).host  # fails where the host has no form that can be looked up
        yield
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"base_url, proxy or verify: {error}") from error


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "headers": {"Accept": "application/json", "User-Agent": f"runcomfy-python/{__version__}", **settings.headers},
        "follow_redirects": False,
        "proxy": settings.proxy,
        "verify": _verification(settings.verify),
        # A proxy from the environment cannot reach a sandbox on this machine.
        "trust_env": not _is_loopback(settings.origin),
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
    }


def _verification(verify: bool | ssl.SSLContext | str) -> bool | ssl.SSLContext:
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _arguments(settings: Settings, request: Request) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {settings.token.reveal()}"}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return {
        "method": request.method,
        "url": f"{settings.base_url}/{request.path}",
        "content": request.body,
        "headers": headers,
        "timeout": request.timeout if request.timeout <= TIMEOUT_MAX else None,
    }


def _response(response: httpx.Response) -> Response:
    return Response(response.status_code, dict(response.headers), response.content)


def _failure(error: httpx.RequestError) -> TransportFailure:
    reason = f"{type(error).__name__}: {error}".removesuffix(": ")
    failure = TransportFailure(reason, sent=not isinstance(error, _BEFORE_SENDING))
    failure.__cause__ = error
    return failure
