"""Answers that no web framework sends: cut off, reset, or byte by byte."""

import asyncio
import socket
import struct
from typing import Any

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


class BrokenAnswer(Response):
    """An answer that is sent only in part, or very slowly."""

    def __init__(self, answer: Response, fault: Fault, transports: Transports) -> None:
        super().__init__()
        self._fault = fault
        self._transports = transports
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self._head = b"HTTP/1.1 %d Status\r\n%s\r\n" % (answer.status_code, head)
        self._body = bytes(answer.body)

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Write to the connection itself, then wait until it is gone, so that uvicorn writes nothing to it."""
        transport = self._transports[scope["client"]]
        if self._fault.drop == "reset":
            linger: Any = transport.get_extra_info("socket")
            linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        for part in self._parts():
            if transport.is_closing():
                break
            transport.write(part)
            await asyncio.sleep(self._fault.drip)
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    def _parts(self) -> list[bytes]:
        sent = {
            "answer": b"",
            "reset": b"",
            "headers": self._head[: len(self._head) // 2],
            "body": self._head + self._body[: len(self._body) // 2],
            None: self._head + self._body,
        }[self._fault.drop]
        return [sent[i : i + 1] for i in range(len(sent))] if self._fault.drip else [sent]
