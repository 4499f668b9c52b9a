"""The rules that RunComfy publishes for the files of a media field."""

from collections.abc import Callable, Iterable, Mapping
from operator import ge, gt, le, lt
from typing import NamedTuple

_QUANTITIES = {
    "file_size_mb": "the size in MB",
    "width_pixels": "the width in pixels",
    "height_pixels": "the height in pixels",
    "width/height": "width divided by height",
    "height/width": "height divided by width",
}
_OPERATORS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "<": ("below", lt),
    "<=": ("at most", le),
    ">": ("above", gt),
    ">=": ("at least", ge),
}


class MediaRule(NamedTuple):
    """One rule for the file of a media field, from the ``validations`` of the schema; for a list, for each file of it.

    A file keeps the rule when its quantity is ``<`` (below), ``<=``, ``>`` (above) or ``>=`` the limit.
    """

    quantity: str
    """``"file_size_mb"`` (1 MB is 1,000,000 bytes), ``"width_pixels"``, ``"height_pixels"``, ``"width/height"`` or
    ``"height/width"``."""
    operator: str
    limit: float
    message: str = ""
    """The words that RunComfy has for a file that breaks the rule; may be empty."""


def broken_by_size(size: int, rules: Iterable[MediaRule]) -> list[str]:
    """The rules that a file of so many bytes breaks, in words."""
    return _broken({"file_size_mb": size / 1e6}, rules)


def broken_by_frame(width: int, height: int, rules: Iterable[MediaRule]) -> list[str]:
    """The rules that a picture or a clip of so many pixels breaks, in words."""
    ratios = {"width/height": width / height, "height/width": height / width} if width and height else {}
    return _broken({"width_pixels": width, "height_pixels": height, **ratios}, rules)


def need_frame(rules: Iterable[MediaRule]) -> bool:
    """Whether a file has to be opened to know whether it keeps the rules."""
    return any(rule.quantity != "file_size_mb" for rule in rules)


def _broken(quantities: Mapping[str, float], rules: Iterable[MediaRule]) -> list[str]:
    found = []
    for rule in rules:
        value = quantities.get(rule.quantity)
        word, keeps = _OPERATORS[rule.operator]
        if value is not None and not keeps(value, rule.limit):
            text = f"{_QUANTITIES[rule.quantity]} must be {word} {rule.limit:.10g} and is {value:.10g}"
            found.append(f"{text} ({rule.message})" if rule.message else text)
    return found
