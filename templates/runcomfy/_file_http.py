"""Fetches files, each answer on a connection of its own: they are anywhere, and nothing of a client goes there."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from logging import getLogger
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpcore
import httpx

from ._background import Stop
from ._connections import Backend, EndableBackend, deadline
from ._download_rules import Place, Refused, require_public
from ._http import USER_AGENT, words_of
from ._http_types import FileAnswer, TransportFailure
from ._network import Network, is_loopback, network_of, pool_of

_fetches_a_file: ContextVar[bool] = ContextVar("fetches_a_file", default=False)
getLogger("httpcore.http11").addFilter(lambda _: not _fetches_a_file.get())  # a redirect in it may have a signature


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
        network = network_of(parts.scheme, parts.netloc, self._verify, self._proxy)
        if network.proxy and is_loopback(place.origin.host) and not place.may_be_private:
            raise Refused("it leads to localhost")  # every other name is looked up by the proxy
        backend = EndableBackend(None if network.proxy or place.may_be_private else require_public)
        transport = _Transport(network, backend)
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


def _file_request(url: str, headers: Mapping[str, str], timeout: float) -> httpx.Request:
    # A server that falls silent is given up long before the deadline, so that the rest can be asked for.
    waits = {"connect": min(10.0, timeout / 2), "read": min(60.0, timeout / 4), "write": min(60.0, timeout / 4)}
    own = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": USER_AGENT}
    return httpx.Request("GET", url, headers={**own, **headers}, extensions={"timeout": waits})


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    assert isinstance(response.stream, httpx.SyncByteStream)
    try:
        yield from response.stream
    except Exception as error:
        raise _file_failure(error) from None


def _file_failure(error: Exception) -> TransportFailure:
    """In words without the query of any URL: an error about a header has that header in it."""
    return TransportFailure(re.sub(r"\?\S*", "?…", words_of(error)), sent=True)


class _Transport(httpx.BaseTransport):
    """What httpx's own transport does, on connections that keep to the deadline of the exchange."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self._pool = pool_of(network, backend)

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
