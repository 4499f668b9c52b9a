"""The token, taken out of what a server says: it may repeat it as it is, or escaped as JSON, URLs and HTML do."""

import json
import re
from collections.abc import Callable
from typing import Any

SIGNS = "\\%&"
"""What the escapes begin with: a text without any has a secret in the open, or not at all."""

Blotted = Callable[[str], str]
"""A text without the secret."""


def forms_of(secret: str) -> re.Pattern[str]:
    """An expression for all forms of a secret of printable ASCII characters.

    The backslashes and percent signs of a text that was escaped again and again are part of it. Their number is
    bounded, so that the time stays proportional to the length of the text.
    """
    return re.compile("".join(map(_forms, re.sub(r"\\+", r"\\", secret))))


def _forms(character: str) -> str:
    number = ord(character)
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:02x}")
    plain, again = re.escape(character), f"(?:25){{0,3}}{digits}"
    # It begins with one literal, as all forms do: else the search is slow.
    escaped = rf"\\\\{{0,7}}+(?:{plain}|u00{digits}|u0025{again})"
    if character == "\\":  # as many as there are
        plain = escaped = r"\\\\{0,63}+(?:u005[cC])?"
    return f"(?:{plain}|{escaped}|%{again}|&#(?:0{{0,4}}{number}|[xX]0{{0,4}}{digits});)"


def blotted_body(body: bytes, blotted: Blotted) -> bytes:
    """A text in UTF-8, or in whatever else JSON may be in, without the secret; all else in it stays as it is."""
    encoding = json.detect_encoding(body)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    text = body.decode(encoding, errors)
    return body if (without := blotted(text)) == text else without.encode(encoding, errors)


def blotted_value(value: Any, blotted: Blotted) -> Any:
    """A JSON value, changed in place, without the secret in any of its texts, keys included."""
    whole = [value]
    to_do: list[Any] = [whole]
    while to_do:  # no recursion: JSON may be nested deeper than calls can be
        part = to_do.pop()
        if isinstance(part, dict):
            items = [(blotted(key), item) for key, item in part.items()]
            part.clear()
            part.update(items)
        for place, item in list(part.items() if isinstance(part, dict) else enumerate(part)):
            if isinstance(item, str):
                part[place] = blotted(item)
            elif isinstance(item, dict | list):
                to_do.append(item)
    return whole[0]
