"""Connections for threads, each step of which ends at the deadline of the exchange that it serves.

The timeouts of a socket start anew with every byte, so that a server that sends one now and then is never late.
"""

import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial
from math import inf
from socket import SHUT_RDWR, SOCK_STREAM, getaddrinfo, socket
from threading import TIMEOUT_MAX, Lock, Thread
from time import monotonic
from typing import Any

import httpcore  # httpx's own transport layer: it comes with httpx, which pins its major version

deadline: ContextVar[float] = ContextVar("deadline", default=inf)
"""When the exchange that runs in this thread has to end, on the monotonic clock."""

UNSENT = "unsent"
"""What a connection is asked: whether its request was answered, by what came before, and never sent."""
_CHUNK = 16 * 1024


class Backend(httpcore.NetworkBackend):
    """What httpcore opens connections with.

    Args:
        permit: Called with each address before a connection to it is opened, and raises where there is to be none: a
            name may lead to another address whenever it is looked up.
    """

    def __init__(self, permit: Callable[[str], object] | None = None) -> None:
        self._backend = httpcore.SyncBackend()
        self._permit = permit

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
            if self._permit is not None:
                self._permit(str(address[0]))
            try:
                return _Stream(self._backend.connect_tcp(str(address[0]), port, left, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")


class EndableBackend(Backend):
    """For the connections of one exchange, which another thread may end whatever the exchange waits for."""

    def __init__(self, permit: Callable[[str], object] | None = None) -> None:
        super().__init__(permit)
        self._lock = Lock()
        self._opening: Future[httpcore.NetworkStream] = Future()
        self._handles: list[socket] = []
        self._ended = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """As `Backend.connect_tcp`, in a thread that is left behind if need be: nothing wakes a look-up of a name."""
        left = _left(None, httpcore.ConnectTimeout)
        with self._lock:
            self._opening = opening = Future[httpcore.NetworkStream]()
        connect = partial(super().connect_tcp, host, port, timeout, local_address, socket_options)
        thread = Thread(
            target=copy_context().run, args=[_fulfil, opening, connect], name="runcomfy-connect", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # there may be no more threads
            _fulfil(opening, connect)
        with suppress(CancelledError, TimeoutError):
            opening.exception(left)
        opening.cancel()  # unless it is there by now
        try:
            stream = opening.result()
        except CancelledError:
            raise httpcore.ConnectTimeout("the time for the request is up") from None
        try:
            self._watch(stream.get_extra_info("socket"))
        except BaseException:
            stream.close()
            raise
        return stream

    def _watch(self, connection: socket) -> None:
        with self._lock:
            if self._ended:
                raise httpcore.ConnectError("the exchange was ended")
            self._handles.append(connection.dup())  # of its own, since TLS takes the other over during its handshake

    def end(self) -> None:
        """End the connections, those that are being opened too. May be called more than once."""
        with self._lock:
            self._ended = True
            self._opening.cancel()
            while self._handles:
                handle = self._handles.pop()
                with suppress(OSError):
                    handle.shutdown(SHUT_RDWR)
                handle.close()


def _fulfil(opening: "Future[httpcore.NetworkStream]", connect: Callable[[], httpcore.NetworkStream]) -> None:
    try:
        stream = connect()
    except BaseException as error:
        with suppress(InvalidStateError):
            opening.set_exception(error)
        return
    try:
        opening.set_result(stream)
    except InvalidStateError:  # nobody waits for it any more
        stream.close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._held = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._held:
            # As httpcore does: who no longer reads what is sent may have said why.
            with suppress(httpcore.WriteError):
                self._flush(timeout)
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send, at the latest when an answer is read: so that the head of a request and its body go out together."""
        if len(self._held) + len(buffer) <= _CHUNK:
            self._held += buffer
            return
        self._flush(timeout)
        for start in range(0, len(buffer), _CHUNK):
            self._stream.write(buffer[start : start + _CHUNK], _left(timeout, httpcore.WriteTimeout))

    def _flush(self, timeout: float | None) -> None:
        held, self._held = self._held, b""
        self._stream.write(held, _left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        if info == UNSENT:
            return bool(self._held)
        if info == "is_readable" and self._held:  # so that the connection is not used again
            return True
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
