"""A server of files that tells the truth, or not: what the tests of downloads fetch from."""

import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Event, Thread
from typing import Any, NamedTuple, Self

from PIL import Image

Answer = Callable[["Exchange"], None]


def picture(size: int = 64) -> bytes:
    """A PNG file of some kilobytes that are nowhere the same."""
    file = BytesIO()
    Image.effect_noise((size, size), 90).convert("RGB").save(file, "PNG", compress_level=0)
    return file.getvalue()


class Asked(NamedTuple):
    """One request as the server received it."""

    path: str
    headers: dict[str, str]


class Exchange(BaseHTTPRequestHandler):
    """One request, and the way to answer it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # as the library wants it
        assert isinstance(self.server, _Server)
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.asked.append(asked)
        answers = self.server.answers[self.path.partition("?")[0]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.close_connection = True
        with suppress(OSError):  # who asked has gone
            answer(self)

    def header(self, name: str) -> str:
        return str(self.headers.get(name, ""))

    def send(self, status: int, headers: dict[str, Any], body: bytes = b"") -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the library wants it
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, list[Answer]] = {}
        super().__init__(("127.0.0.1", 0), Exchange)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a handshake that failed, which is what was tested."""


class FileServer:
    """Answers each path with its next answer; the last one is repeated."""

    def __init__(self, certificates: ssl.SSLContext | None = None) -> None:
        self._server = _Server()
        if certificates is not None:
            self._server.socket = certificates.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        self.asked = self._server.asked
        self.gone = Event()
        """Set by `held` once who waited for it has gone."""

    def put(self, path: str, *answers: Answer) -> str:
        """Say how a path is answered; its URL."""
        self._server.answers[path.partition("?")[0]] = list(answers)
        return f"{self.url}{path}"

    def held(self, content: bytes = b"", length: int = 1_000_000) -> Answer:
        """An answer that begins with some bytes, and then keeps who asked waiting until they leave."""

        def answer(exchange: Exchange) -> None:
            if content:
                exchange.send(200, {"Content-Length": length, "ETag": '"v1"'}, content)
            with suppress(OSError):
                exchange.rfile.read(1)
            self.gone.set()

        return answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _headers(usual: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """The usual headers of an answer, less those that others take the place of; None leaves one out."""
    named = {**usual, **{name.replace("_", "-"): value for name, value in others.items()}}
    return {name: value for name, value in named.items() if value is not None}


def whole(content: bytes, media_type: str | None = "image/png", **headers: Any) -> Answer:
    """All of it, whatever part was asked for."""
    named = _headers({"Content-Type": media_type, "Content-Length": len(content)}, headers)
    return lambda exchange: exchange.send(200, named, content)


def cut(content: bytes, after: int, **headers: Any) -> Answer:
    """As `whole`, with an end too early."""
    named = _headers({"Content-Type": "image/png", "Content-Length": len(content)}, headers)
    return lambda exchange: exchange.send(200, named, content[:after])


def rest(content: bytes, after: int | None = None, **headers: Any) -> Answer:
    """The part that was asked for, as it should be; perhaps with an end too early."""

    def answer(exchange: Exchange) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", exchange.header("Range"))
        assert match is not None
        start, length = int(match[1]), len(content)
        usual = {"Content-Range": f"bytes {start}-{length - 1}/{length}", "Content-Length": length - start}
        exchange.send(206, _headers({**usual, "ETag": '"v1"'}, headers), content[start:after])

    return answer


def status(code: int, body: bytes = b"", **headers: Any) -> Answer:
    """Some status."""
    return lambda exchange: exchange.send(code, _headers({"Content-Length": len(body)}, headers), body)


def redirect(location: str, code: int = 302) -> Answer:
    """Elsewhere."""
    return status(code, Location=location)


def raw(answer: bytes) -> Answer:
    """These very bytes."""

    def send(exchange: Exchange) -> None:
        exchange.wfile.write(answer)

    return send


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n", headers: str = "") -> Answer:
    """A body whose length is not announced, or wrongly."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return raw(f"HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n".encode() + body + end)
