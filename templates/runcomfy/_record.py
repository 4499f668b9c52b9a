"""What is kept of a request or a result: everything but media, and of these the facts."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes

from ._base64_text import BASE64, NEW_LINE, detected, is_words, media_bytes
from ._body import FILE
from ._local_media import FileFacts

_SURELY, _SHORTEST, _WRAPPED = 2048, 64, 32
"""Characters: no text is so long without any punctuation; shorter base64 may be anything; lines are wrapped above."""

_WHOLE = re.compile(rf"\s*({BASE64}(?:\s+{BASE64})*+)\s*", re.ASCII)
_PARAMETER = r";[\w.+-]++(?:=(?:\"[^\"]*\"|[^\";,\s]*))?"
_WHOLE_URI = re.compile(
    rf"\s*data:((?:[\w.+-]+/[\w.+-]+)?(?:{_PARAMETER})*+),(.*)", re.ASCII | re.IGNORECASE | re.DOTALL
)
"""A text that is a ``data:`` URI: what stands before the data, and these."""

# Possessive or bounded quantifiers, none of which begins as what follows: the time is proportional to the length.
_KIND = r"(?:application|audio|font|image|model|text|video)"
_IN_URI = r"[^\s\"<>\\`]*+(?:\\{1,8}/[^\s\"<>\\`]*+)*+"
_MARK = r"\[\d+ bytes, SHA-256 [0-9a-f]{64}\]"
_URI_INSIDE = re.compile(
    # A head ends where another one begins, else a text of many would be read again for each.
    rf"data:(?:(?!data:)[^,\s])*+(?<=;base64),(?P<base64>{BASE64})"
    rf"|(?<![\w-])data:{_KIND}\\{{0,8}}/[\w.+-]++(?:;[\w.-]++(?:=[\w.+-]*+)?)*+(?<!;base64),"
    rf"(?!{_MARK})(?P<text>(?=[^\s\"<>\\`]|\\{{1,8}}/){_IN_URI})",
    re.ASCII | re.IGNORECASE,
)
_SIGN = r"(?:\\{1,8}(?:[bfnrt]|u(?!002[BbFf])[0-9A-Fa-f]{4})|%(?!(?:25){0,3}2[BbFf])[0-9A-Fa-f]{2})"
"""An escape that is no part of base64, though it ends with what may be one."""
_RUN = re.compile(
    rf":(?:\\{{0,8}}/){{2}}{_IN_URI}"  # a URL, which may have anything in it
    rf"|(?:{_SIGN}++|(?<![A-Za-z0-9+/_-]))(?=\S{{{_SHORTEST}}})(?P<base64>{BASE64})"
    rf"|{_SIGN}++",
    re.ASCII,
)
_NEXT_LINE = re.compile(rf"{NEW_LINE}({BASE64})", re.ASCII)


def without_media(value: Any) -> Any:
    """JSON with facts in the place of each file in it, as for a local file; None where it is no JSON.

    In a longer text, and in a key, the data of a file give way to a mark with their size and hash.
    """
    try:
        return json.loads(json.dumps(_replaced(value), allow_nan=False))
    except (ValueError, RecursionError):  # an infinite number, which no request has; nested beyond measure
        return None


def text_without_media(text: str) -> str:
    """A text that may repeat a part of an input, such as that of an error, with a mark in the place of media.

    All long runs that look like base64 count as media, since what is repeated may be cut off at its beginning.
    """
    return _marked(text, lambda run: not is_words(run))


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _replaced(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    if not isinstance(value, str):
        return value
    if uri := _WHOLE_URI.fullmatch(value):
        head, data = uri.groups()
        return _facts(head.partition(";")[0], _content(data, is_base64=head.lower().endswith(";base64")))
    if (whole := _WHOLE.fullmatch(value)) and _is_all_media(whole[1]):
        format_ = detected(whole[1])
        return _facts(format_.media_type if format_ else "", media_bytes(whole[1]))
    return _marked(value, _is_media)


def _key(key: Any) -> Any:
    return _marked(key, _is_media) if isinstance(key, str) else key


def _facts(media_type: str, content: bytes) -> dict[str, Any]:
    return {FILE: FileFacts(sha256(content).hexdigest(), media_type, len(content), None)._asdict()}


def _content(data: str, *, is_base64: bool) -> bytes:
    return media_bytes(data) if is_base64 else unquote_to_bytes(data.encode(errors="surrogatepass"))


def _is_media(run: str) -> bool:
    return detected(run) is not None and not is_words(run)


def _is_all_media(text: str) -> bool:
    """Whether a text that may be base64 is: wrapped, its lines are longer than words."""
    lines = text.split()
    if len(text) < _SHORTEST or any(len(line) < _WRAPPED for line in lines[:-1]):
        return False
    return len(text) >= _SURELY or _is_media(text)


def _marked(text: str, is_media: Callable[[str], bool]) -> str:
    """A text with a mark in the place of each file, and of each run of base64 that is said to be one."""
    text = _cut(text, _URI_INSIDE, lambda _: True)
    return _cut(text, _RUN, lambda run: len(run) >= _SURELY or (len(run) >= _SHORTEST and is_media(run)))


def _cut(text: str, pattern: re.Pattern[str], is_media: Callable[[str], bool]) -> str:
    parts: list[str] = []
    start = at = 0
    while found := pattern.search(text, at):
        at = found.end()
        name = found.lastgroup
        if name is None or not is_media(found[name]):
            continue
        if name == "base64":
            at = _end_of_lines(text, at) if at - found.start(name) >= _WRAPPED else at
        data = text[found.start(name) : at]
        content = _content(data, is_base64=name == "base64")
        parts += [text[start : found.start(name)], f"[{len(content)} bytes, SHA-256 {sha256(content).hexdigest()}]"]
        start = at
    return "".join([*parts, text[start:]])


def _end_of_lines(text: str, at: int) -> int:
    """Where base64 ends whose first line ends here: below may be more lines, of which the last may be short."""
    lines = 0
    while (line := _NEXT_LINE.match(text, at)) and (
        (len(line[1]) >= _WRAPPED and not is_words(line[1])) or (lines and len(line[1]) < _WRAPPED)
    ):
        at = line.end()
        lines += 1
        if len(line[1]) < _WRAPPED or line[1].endswith("="):
            break
    return at
