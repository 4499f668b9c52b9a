"""What the arguments of a request ask of the files that come of it, however their schema spells it."""

import re
from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from typing import Any

LARGEST = 4096
"""The most pixels a side."""
MOST_FILES = 8
_RATIO = re.compile(r"(\d{1,4})[:_/](\d{1,4})$")
_PIXELS = re.compile(r"(\d{2,5})\s*[x*×]\s*(\d{2,5})$", re.IGNORECASE)
_RESOLUTION = re.compile(r"(\d{1,4})\s*([pk])$", re.IGNORECASE)
_SIZES = ("image_size", "size", "resolution")


def text(arguments: dict[str, Any]) -> str:
    """What is to be seen, as text that can be encoded."""
    found = next((arguments[key] for key in ("prompt", "text", "tags") if arguments.get(key)), "no prompt")
    return str(found).encode(errors="replace").decode()


def image_size(arguments: dict[str, Any]) -> tuple[int, int]:
    """Width and height of an image in pixels: ``"2k"`` is its longer side, ``"720p"`` its shorter one.

    >>> image_size({"aspect_ratio": "16:9"}), image_size({"width": 512, "height": 768}), image_size({})
    ((1024, 576), (512, 768), (1024, 1024))
    >>> image_size({"resolution": "2K", "aspect_ratio": "4:3"}), image_size({"image_size": "portrait_16_9"})
    ((2048, 1536), (576, 1024))
    """
    if size := _pixels(arguments):
        return size
    ratio = _ratio(arguments) or (1, 1)
    number, unit = _resolution(arguments) or (1, "k")
    if unit == "p":
        return _scaled(ratio, number * max(ratio) / min(ratio))
    longer = min(number * 1024, LARGEST)
    return _scaled(ratio, longer - longer % max(ratio) or longer)  # exactly of this ratio, where that can be


def video_size(arguments: dict[str, Any]) -> tuple[int, int]:
    """Width and height of a video in pixels, both even: ``"720p"`` is its shorter side, ``"4k"`` stands for 2160.

    >>> video_size({}), video_size({"resolution": "480p", "aspect_ratio": "9:16"}), video_size({"resolution": "4k"})
    ((1280, 720), (480, 852), (3840, 2160))
    """
    size = _pixels(arguments)
    if size is None:
        ratio = _ratio(arguments) or (16, 9)
        number, unit = _resolution(arguments) or (720, "p")
        size = _scaled(ratio, number * (540 if unit == "k" else 1) * max(ratio) / min(ratio))
    width, height = (max(16, side - side % 2) for side in size)
    return width, height


def seconds(arguments: dict[str, Any], keys: Iterable[str], otherwise: float, most: float) -> float:
    """How long a file is to be: the first of these arguments that is a number above 0; a tenth of a second at least.

    >>> [seconds({"duration": value}, ["duration"], 5, 60) for value in (8, "7.5", "6s", "auto", -1, 1e-9, 1e9)]
    [8.0, 7.5, 6.0, 5, 5, 0.1, 60]
    """
    return max(0.1, min(next(_positive(arguments, keys), otherwise), most))


def count(arguments: dict[str, Any]) -> int:
    """How many files there are to be.

    >>> count({"num_images": 3}), count({"n": "2"}), count({"n": 100}), count({"n": 0})
    (3, 2, 8, 1)
    """
    asked = next(_positive(arguments, ("num_images", "n", "num_outputs", "batch_size")), 1)
    return max(1, int(min(asked, MOST_FILES)))


def sample_rate(arguments: dict[str, Any], usable: Collection[float], otherwise: int) -> int:
    """Samples a second."""
    asked = next(_positive(arguments, ["sample_rate"]), otherwise)
    return int(asked) if asked in usable else otherwise


def word(arguments: dict[str, Any], key: str) -> str:
    """One of the words of an enum, in lower case."""
    return str(arguments.get(key, "")).strip().lower()


def _positive(arguments: dict[str, Any], keys: Iterable[str]) -> Iterator[float]:
    return (number for key in keys if (number := _number(arguments.get(key))) > 0)


def _number(value: Any) -> float:
    """A number, also from a string, with the unit of seconds or without; 0 where it is none."""
    try:
        number = 0.0 if isinstance(value, bool) else float(value.removesuffix("s") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if isfinite(number) else 0.0


def _pixels(arguments: dict[str, Any]) -> tuple[int, int] | None:
    """The size where it is told in pixels and can be had."""
    asked = [(arguments.get("width"), arguments.get("height"))]
    for value in map(arguments.get, _SIZES):
        if isinstance(value, dict):
            asked.append((value.get("width"), value.get("height")))
        elif match := _PIXELS.search(str(value).strip()):
            asked.append((match[1], match[2]))
    sizes = ((int(_number(width)), int(_number(height))) for width, height in asked)
    return next((size for size in sizes if 0 < min(size) <= max(size) <= LARGEST), None)


def _ratio(arguments: dict[str, Any]) -> tuple[int, int] | None:
    """Width to height, in whole numbers."""
    for key in ("aspect_ratio", "ratio", *_SIZES):
        value = word(arguments, key)
        match = _RATIO.search(value)
        across, down = (int(match[1]), int(match[2])) if match else (0, 0)
        if across and down:
            if value.startswith("portrait"):
                across, down = min(across, down), max(across, down)
            return across, down
    return None


def _resolution(arguments: dict[str, Any]) -> tuple[int, str] | None:
    """``(720, "p")`` or ``(2, "k")``."""
    for key in _SIZES:
        if (match := _RESOLUTION.search(word(arguments, key))) and int(match[1]) > 0:
            return int(match[1]), match[2]
    return None


def _scaled(ratio: tuple[int, int], longer: float) -> tuple[int, int]:
    """Width and height of this ratio and this longer side, as far as it may be so long."""
    longer = min(longer, LARGEST)
    width, height = (max(1, round(longer * side / max(ratio))) for side in ratio)
    return width, height
