"""Fetches one file into a part file: redirects checked, lengths counted, cut connections resumed where that is safe.

What is resumed is asked for from a little before its end: only a server that says that it is the same content, and
repeats those bytes, is believed. Everything else begins anew.
"""

import logging
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import responses
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from ._background import Stop
from ._download_rules import Refused, Rules, without_secrets
from ._http_types import FileAnswer, TransportFailure
from ._pace import Deadline, backoff, retry_after
from ._part_file import PartFile

if TYPE_CHECKING:
    from ._file_http import FileHttp

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_MOST_FAILURES = 5
"""In a row, without a byte more than before."""
_OVERLAP = 1024
"""How many bytes of what is there are asked for once more."""
_PIECE = 1 << 20
"""How many bytes an encoded body may become at a time."""
_STRONG_TAG = re.compile(r'"[!#-~]*"')
_DATE = re.compile(r"[ -~]+ GMT")
_BASE64 = re.compile(r";base64$", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)", re.IGNORECASE)
_PAGES = ("text/html", "application/xhtml+xml")

logger = logging.getLogger(__package__)


class Failed(Exception):
    """The file cannot be had, and why."""


class _Again(Exception):
    """The file may be had by asking again."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limits:
    """What all files of one call share."""

    rules: Rules
    deadline: Deadline
    max_bytes: int
    """Of each file."""
    stop: Stop

    def check(self, reason: str) -> None:
        """Raise `Failed` after the deadline, with the reason why the file is not there yet; or `Stopped`."""
        self.stop.check()
        if self.deadline.remaining() <= 0:
            raise Failed(f"it was not whole within {self.deadline.seconds:g} s: {reason}")


class Transfer:
    """One file on its way into a part file."""

    def __init__(self, url: str, part: PartFile, limits: Limits) -> None:
        self._url = url
        self._part = part
        self._limits = limits
        self._length: int | None = None
        """Of the whole file, once that is known."""
        self._validator: tuple[str, str] | None = None
        """The header that names this very content, and its value; nothing can be resumed without one."""
        self.media_type = ""
        """As declared."""
        self.received = 0
        """How many bytes had arrived, at most."""

    def unpack(self) -> None:
        """Read the file out of its ``data:`` URL.

        Raises:
            Failed: there is no file in it, or none that is wanted.
            OSError: it cannot be written.
        """
        media_type, _, data = self._url[5:].partition(",")
        content = b""
        try:
            content = unquote_to_bytes(data)
            if _BASE64.search(media_type):
                content = b64decode(content + b"=" * (-len(content) % 4), validate=True)
        except ValueError:
            raise Failed("its data cannot be decoded") from None
        self._accept(media_type, len(content))
        self._receive(iter([content]), len(content))

    def fetch(self, http: "FileHttp") -> None:
        """Fetch the file, however many requests that takes.

        Raises:
            Failed: it cannot be had, or not in time.
            OSError: it cannot be written.
            Stopped: nobody waits for it any more.
        """
        failures, reason = 0, "it was not yet asked for"
        while True:
            self._limits.check(reason)
            before, asked = self.received, None
            try:
                return self._exchange(http)
            except TransportFailure as failure:
                reason = str(failure)
            except _Again as again:
                reason, asked = str(again), again.retry_after
            logger.debug("GET %s: %s", without_secrets(self._url), reason)
            failures = failures + 1 if self.received == before else 0
            if failures == _MOST_FAILURES:
                raise Failed(reason)
            self._limits.stop.pause(self._limits.deadline.cut(backoff(max(1, failures), asked)))

    def _exchange(self, http: "FileHttp") -> None:
        """Ask for the file, or for the rest of it, wherever redirects lead."""
        if self._validator is None:
            self._part.clear()
        start = max(0, self._part.size - _OVERLAP)
        headers = {"Range": f"bytes={start}-", "If-Range": self._validator[1]} if self._validator and start else {}
        try:
            place = self._limits.rules.first(self._url)
            for _ in range(_MOST_REDIRECTS + 1):
                with http.get(place, headers, self._limits.deadline.remaining()) as answer:
                    logger.debug("GET %s: %d", without_secrets(place.url), answer.status)
                    location = answer.headers.get("location")
                    if answer.status not in _REDIRECTS or not location:
                        return self._read(answer, start)
                place = self._limits.rules.redirected(place, location)
        except Refused as refused:
            raise Failed(str(refused)) from None
        raise Failed(f"it was redirected more than {_MOST_REDIRECTS} times")

    def _read(self, answer: FileAnswer, start: int) -> None:
        """Read an answer to a request for the file from `start` on."""
        status, headers = answer.status, answer.headers
        if status == 200:
            self._begin(answer)
        elif status == 206 and start:
            self._resume(answer, start)
        elif status == 416 and start:
            raise self._anew("the server had less than it had sent before")
        elif status in (408, 429) or status >= 500:
            raise _Again(_words(status), retry_after(headers.get("retry-after")))
        else:
            raise Failed(_words(status))

    def _begin(self, answer: FileAnswer) -> None:
        encoding = _encoding(answer.headers)
        length = answer.headers.get("content-length", "")
        self._part.clear()
        # What a Content-Length of an encoded body counts is not the file.
        self._length = int(length) if not encoding and length.isascii() and length.isdecimal() else None
        self._validator = None if encoding else _validator(answer.headers)
        self._accept(answer.headers.get("content-type", ""), self._length or 0)
        self._receive(_decoded(answer.chunks, encoding) if encoding else answer.chunks, self._length)

    def _resume(self, answer: FileAnswer, start: int) -> None:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
        if match is None or int(match[1]) != start or int(match[2]) < start or _encoding(answer.headers):
            raise self._anew("the server sent another part than the one it was asked for")
        end, length = int(match[2]) + 1, int(match[3]) if match[3] else self._length
        if (self._length or length) != length or end > (length or end) or not self._is_same(answer.headers):
            raise self._anew("the file changed meanwhile")
        self._length = length
        self._accept(self.media_type, length or end)
        self._receive(self._rest(answer.chunks, self._part.tail(self._part.size - start)), end)

    def _is_same(self, headers: Mapping[str, str]) -> bool:
        assert self._validator is not None
        name, value = self._validator
        return headers.get(name) == value

    def _rest(self, chunks: Iterator[bytes], overlap: bytes) -> Iterator[bytes]:
        """What follows the bytes that are there already, once they have proved to be the same."""
        for chunk in chunks:
            if chunk[: len(overlap)] != overlap[: len(chunk)]:
                raise self._anew("the file changed meanwhile")
            yield chunk[len(overlap) :]
            overlap = overlap[len(chunk) :]

    def _accept(self, media_type: str, length: int) -> None:
        """Refuse what is no file, or too large a one."""
        self.media_type = media_type
        if media_type.partition(";")[0].strip().lower() in _PAGES:
            raise Failed("it is a web page, and no media")
        if length > self._limits.max_bytes:
            raise Failed(f"it is larger than the {self._limits.max_bytes:,} bytes of max_bytes")

    def _receive(self, chunks: Iterator[bytes], end: int | None) -> None:
        """Write what arrives, up to the length that the file should have then."""
        part, limits = self._part, self._limits
        for chunk in chunks:
            limits.stop.check()
            self._accept(self.media_type, part.size + len(chunk))
            if end is not None and part.size + len(chunk) > end:
                raise self._anew(f"it is longer than the {end:,} bytes announced")
            part.write(chunk)
            self.received = max(self.received, part.size)
        end = self._length or end
        if end is not None and part.size < end:
            raise _Again(f"it ended after {part.size:,} of {end:,} bytes")
        if not part.size:
            raise Failed("it is empty")

    def _anew(self, reason: str) -> _Again:
        """To be raised where nothing of what is there can be trusted."""
        self._validator = None
        return _Again(reason)


def _words(status: int) -> str:
    return f"HTTP {status} {responses.get(status, '')}".strip()


def _encoding(headers: Mapping[str, str]) -> str:
    """How a body is encoded; empty where it is the file itself."""
    encoding = headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def _validator(headers: Mapping[str, str]) -> tuple[str, str] | None:
    for name, form in (("etag", _STRONG_TAG), ("last-modified", _DATE)):
        if form.fullmatch(headers.get(name, "")):
            return name, headers[name]
    return None


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """A body that is encoded though it was asked for as it is."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed(f"its encoding {encoding!r} is not known here")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # tells gzip and zlib apart
    try:
        for chunk in chunks:
            while chunk:
                yield decoder.decompress(chunk, _PIECE)
                chunk = decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as error:
        raise _Again(f"its encoding is damaged: {error}") from None
    if not decoder.eof or decoder.unused_data:
        raise _Again("its encoding does not end where it does")
