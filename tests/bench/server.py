"""A server that answers at once, so that what is measured is the client: ``python server.py`` prints its URL.

It speaks as much of three APIs as a job of each needs: one submit and two reads. No framework: it must not be the
bottleneck.
"""

import asyncio
import json
import re
from itertools import count

_HEAD = re.compile(rb"(GET|POST) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HOST = re.compile(rb"^host: *(\S+)", re.IGNORECASE | re.MULTILINE)
_IMAGE = "https://example.com/image.png"

_ids = count()
_seen: set[str] = set()
"""The predictions of replicate's kind that were asked about once: they are done the second time."""


def answer(method: str, path: str, origin: str) -> dict[str, object]:
    """What one of the three APIs says."""
    name = path.rpartition("/")[2].partition("?")[0]
    if path.startswith("/v1/requests/"):  # RunComfy: /v1/requests/ID/status, then /v1/requests/ID/result
        request_id = path.split("/")[3]
        if name == "status":
            return {"request_id": request_id, "status": "completed"}
        return {"request_id": request_id, "status": "completed", "output": {"image": _IMAGE}}
    if path.startswith("/v1/predictions/"):
        state = "succeeded" if name in _seen else "processing"
        (_seen.discard if name in _seen else _seen.add)(name)
        return _prediction(name, state, origin)
    if method == "POST" and name == "predictions":
        return _prediction(f"{next(_ids)}", "starting", origin)
    if method == "POST" and path.startswith("/v1/models/"):
        return {"request_id": f"{next(_ids)}"}
    if method == "POST":  # fal's queue: POST /app, then status_url, then response_url
        url = f"{origin}{path}/requests/{next(_ids)}"
        return {
            "request_id": "r",
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
            "queue_position": 0,
        }
    if name == "status":
        return {"status": "COMPLETED", "logs": [], "metrics": {}}
    return {"images": [{"url": _IMAGE}]}


def _prediction(request_id: str, state: str, origin: str) -> dict[str, object]:
    return {
        "id": request_id,
        "model": "acme/model",
        "version": "v",
        "status": state,
        "input": {"prompt": "p"},
        "output": [_IMAGE] if state == "succeeded" else None,
        "logs": "",
        "error": None,
        "metrics": None,
        "created_at": "2026-01-01T00:00:00Z",
        "started_at": None,
        "completed_at": None,
        "urls": {"get": f"{origin}/v1/predictions/{request_id}", "cancel": f"{origin}/cancel"},
    }


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while head := _HEAD.match(self._data):
            length = _LENGTH.search(head[3])
            end = head.end() + (int(length[1]) if length else 0)
            if len(self._data) < end:
                return
            self._data = self._data[end:]
            host = _HOST.search(head[3])
            origin = f"http://{host[1].decode()}" if host else ""
            body = json.dumps(answer(head[1].decode(), head[2].decode(), origin)).encode()
            start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self._transport.write(start % len(body) + body)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
