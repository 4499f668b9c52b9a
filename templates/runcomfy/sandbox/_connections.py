"""Answers that no web framework sends: cut off, reset, byte by byte, or longer or shorter than they say."""

import asyncio
import socket
import struct
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ._faults import Fault

Transports = dict[tuple[str, int] | None, asyncio.Transport]


def protocol(transports: Transports) -> type[H11Protocol]:
    """Uvicorn's protocol for HTTP/1.1, which keeps its open connections where `BrokenAnswer` finds them."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
            super().connection_made(transport)
            transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol


class Server(uvicorn.Server):
    """A server that closes all of its connections when it stops, whatever is being sent over them."""

    def __init__(self, config: uvicorn.Config, transports: Transports) -> None:
        super().__init__(config)
        self._transports = transports

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for transport in list(self._transports.values()):
            transport.abort()
        await super().shutdown(sockets)


class BrokenAnswer(Response):
    """An answer that is sent only in part, very slowly, or with another length than its own."""

    def __init__(self, answer: Response, fault: Fault, transports: Transports) -> None:
        super().__init__()
        self._answer = answer
        self._fault = fault
        self._transports = transports

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Write to the connection itself, then wait until it is gone, so that uvicorn writes nothing to it."""
        transport = self._transports[scope["client"]]
        if self._fault.drop == "reset":
            linger: Any = transport.get_extra_info("socket")
            linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        for part in self._parts(has_body=scope["method"] != "HEAD"):
            if transport.is_closing():
                break
            transport.write(part)
            await asyncio.sleep(self._fault.drip)
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    def _parts(self, *, has_body: bool) -> list[bytes]:
        body = bytes(self._answer.body) if has_body else b""
        headers, before, after = self._answer.raw_headers, b"", b""
        if body and "content-length" not in self._answer.headers:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
            before, after = b"%x\r\n" % len(body), b"\r\n0\r\n\r\n"
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        head = b"HTTP/1.1 %d Status\r\n%s\r\n" % (self._answer.status_code, lines)
        match self._fault.drop:
            case None:
                sent = head + before + body + after
            case "answer" | "reset":
                sent = b""
            case "headers":
                sent = head[: len(head) // 2]
            case "body":
                sent = head + before + body[: len(body) // 2]
            case int(count):
                sent = head + before + body[:count]
        return [sent[i : i + 1] for i in range(len(sent))] if self._fault.drip else [sent]
