"""Connections of the sync client, each step of which ends at the deadline of the exchange that it serves.

The timeouts of a socket start anew with every byte, so that a server that sends one now and then is never late.
"""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from math import inf
from socket import SHUT_RDWR, SOCK_STREAM, getaddrinfo
from threading import TIMEOUT_MAX
from time import monotonic
from typing import Any

import httpcore  # httpx's own transport layer: it comes with httpx, which pins its major version

deadline: ContextVar[float] = ContextVar("deadline", default=inf)
"""When the exchange that runs in this thread has to end, on the monotonic clock."""

_CHUNK = 16 * 1024


class Backend(httpcore.NetworkBackend):
    """What httpcore opens connections with."""

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
        failure: Exception | None = None
        for *_, address in getaddrinfo(host, port, type=SOCK_STREAM):  # one by one: each would get the whole timeout
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._backend.connect_tcp(str(address[0]), port, left, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")


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
    left = min(deadline.get() - monotonic(), inf if timeout is None else timeout)
    if left <= 0:
        raise late("the time for the request is up")
    return left if left <= TIMEOUT_MAX else None
