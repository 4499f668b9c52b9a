r"""Base64 as it stands in texts: in either alphabet, and escaped as JSON and URLs do: ``\/``, ``\u002B``, ``%2B``."""

import re
from base64 import b64decode

from ._formats import HEAD, Format, detect

# No two parts begin alike, and all quantifiers are possessive or bounded: a match takes time in proportion to its
# length.
BASE64 = (
    r"(?:[A-Za-z0-9+/_-]++|\\{1,8}(?:/|u002[BbFf])|%(?:25){0,3}2[BbFf])++(?:=|\\{1,8}u003[Dd]|%(?:25){0,3}3[Dd]){0,2}+"
)
"""One line of it."""
NEW_LINE = r"[ \t]{0,8}+(?:[\r\n]|\\{1,8}[nr]){1,4}+[ \t]{0,8}+"
"""What may stand between two lines."""

_ESCAPED = re.compile(r"(?:\\{1,8}u00|%(?:25){0,3})(2[BbFf]|3[Dd])|\\{1,8}(?:[nrt]|(?=/))|\s")
_STANDARD = str.maketrans("-_", "+/")

_WORD = r"(?:[A-Z]?[a-z]{2,}+|[A-Z]{1,20}+|\d++)"
_WORDS = re.compile(
    rf"(?:[+/_%=\\-]|(?:[0-9a-f]{{1,128}}+|[0-9A-F]{{1,128}}+|[A-Z]?[a-z]++\d*+|[a-z]?{_WORD}*+)(?<=[A-Za-z0-9])(?![A-Za-z0-9]))++"
)
_PATH = re.compile(r"/{1,2}[a-z][a-z0-9]{2,}[/_-]")


def is_words(run: str) -> bool:
    """Whether a run is words, numbers, hashes or UUIDs, as a path or the name of a model is.

    Base64 of anything but long stretches of one byte changes between capitals, small letters and digits all the time.
    """
    return bool(_WORDS.fullmatch(run) or _PATH.match(run))


def detected(run: str) -> Format | None:
    """The format of the file whose base64 this is, or begins with; None where it is not known."""
    head = _unescaped(run[: 2 * HEAD])
    return detect(b64decode(head[: len(head) // 4 * 4]))


def media_bytes(data: str) -> bytes:
    """What is encoded; the text itself where it cannot be decoded."""
    try:
        try:
            return b64decode(data, validate=True)
        except ValueError:
            text = _unescaped(data)
            return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return data.encode(errors="surrogatepass")


def _unescaped(data: str) -> str:
    """As `b64decode` takes it, but for the padding."""
    return _ESCAPED.sub(lambda sign: chr(int(sign[1], 16)) if sign[1] else "", data).translate(_STANDARD).rstrip("=")
