"""How a text from a schema becomes Python: as a literal or as a docstring, never in any other way."""

import json
import re
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import ucd_3_2_0

_WIDTH = 100
# Spelled out: str.isprintable() knows other characters in each version of Python, and the output must not depend on it.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\udfff\ufeff\ufff9-\ufffb]"
)


def literal(value: object) -> str:
    """A Python literal of a string, number, boolean or None."""
    return ascii(value) if isinstance(value, str) and not (is_known(value) and value.isprintable()) else repr(value)


def escaped(text: str) -> str:
    """A text for a terminal: its line breaks, and characters that steer or cannot be printed, are spelled out."""
    return _UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def json_document(value: object) -> str:
    """The text of a JSON file, in the letters that people read."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Half a surrogate pair has no UTF-8, but JSON has a way to write it.
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text) + "\n"


def is_text(text: str) -> bool:
    """Whether UTF-8 has all of it: half a surrogate pair cannot be sent."""
    return not re.search("[\ud800-\udfff]", text)


def is_printable(text: str) -> bool:
    """Whether all of a text can be seen."""
    return not _UNPRINTABLE.search(text)


def is_known(text: str) -> bool:
    """Whether every version of Python has the same opinion of all the characters of a text.

    The characters of Unicode 3.2 keep their properties for ever, and Python knows which they are.
    """
    return text.isascii() or all(ucd_3_2_0.category(character) != "Cn" for character in text)


class Section(NamedTuple):
    """A heading with named entries, such as ``Args:``."""

    heading: str
    entries: Sequence[tuple[str, str]]


def docstring(*blocks: str | Section) -> str:
    """A triple-quoted docstring, wrapped; its lines are not indented yet.

    Whatever the texts hold (quotes, backslashes, control characters, half a surrogate pair) ends up as text.
    """
    text = "\n\n".join(filter(None, map(_block, blocks))).replace("\\", "\\\\")
    if '"""' in text or text.endswith('"'):
        text = text.replace('"', '\\"')
    return f'"""{text}\n"""' if "\n" in text else f'"""{text}"""'


def _block(block: str | Section) -> str:
    if isinstance(block, str):
        return _wrapped(block, "", "")
    entries = (_wrapped(f"{name}: {text}", " " * 4, " " * 8) for name, text in block.entries)
    return "\n".join((f"{block.heading}:", *entries)) if block.entries else ""


@lru_cache(maxsize=4096)  # most models share most of their fields
def _wrapped(text: str, first: str, further: str) -> str:
    printable = _UNPRINTABLE.sub(" ", text)
    lines = textwrap.wrap(
        printable,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)
