"""Answers with files: whole, a range of them, or what a fault makes of that."""

import asyncio
import re
from collections.abc import AsyncIterator
from math import ceil

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ._faults import Fault
from ._media import File

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BLOCK = 65_536
_OTHER_BYTES = bytes(255 - byte for byte in range(256))


def answer(file: File, request: Request, fault: Fault | None) -> Response:
    """The answer to a GET or a HEAD of a file; what else goes wrong with it is for others to do."""
    headers = {"Accept-Ranges": "bytes", "ETag": file.etag}
    if fault is not None and fault.file == "endless":
        length = 0 if request.method == "HEAD" else fault.length
        return StreamingResponse(_endless(file.content, length), 200, headers, file.media_type)
    lie = fault.ranges if fault is not None else None
    part = _asked(request, file) if lie != "ignored" else None
    if part is None:
        return Response(file.content, 200, headers, file.media_type)
    size = len(file.content)
    if not part:
        return Response(None, 416, {**headers, "Content-Range": f"bytes */{size}"})
    content = file.content[part.start : part.stop]
    if lie == "wrong_bytes":
        content = content.translate(_OTHER_BYTES)
    by = int(lie == "wrong_header")
    headers["Content-Range"] = f"bytes {part.start + by}-{part.stop - 1 + by}/{size + by}"
    return Response(content, 206, headers, file.media_type)


def _asked(request: Request, file: File) -> range | None:
    """The one range that is asked for; None for the whole file, empty where it has no such bytes."""
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if request.method != "GET" or asked is None or request.headers.get("if-range", file.etag) != file.etag:
        return None
    size = len(file.content)
    first, last = asked.groups()
    if not first:
        return range(max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


async def _endless(content: bytes, length: int | None) -> AsyncIterator[bytes]:
    """The file over and over, until so many bytes were sent or the client hangs up."""
    block = content * ceil(_BLOCK / len(content))
    sent = 0
    while length is None or sent < length:
        yield block if length is None else block[: length - sent]
        sent += len(block)
        await asyncio.sleep(0)  # else nobody would see that the client has hung up
