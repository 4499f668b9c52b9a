"""What the arguments of a request ask for that its price may depend on, as the fields of RunComfy's models spell it."""

import re
from collections.abc import Mapping
from typing import Any

from ._numbers import finite

_DURATIONS = ("duration", "duration_seconds", "seconds", "video_duration", "audio_duration")
_COUNTS = ("num_images", "number_of_images", "num_videos", "num_outputs", "num_samples", "n", "batch_size")
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)?\s*", re.ASCII | re.IGNORECASE)


def seconds(arguments: Mapping[str, Any]) -> float | None:
    """How long what is made is to be; None where that is not told, or left to the model.

    >>> [seconds({"duration": value}) for value in (5, "8s", "7.5", "auto", 0, -1, None)]
    [5.0, 8.0, 7.5, None, None, None, None]
    """
    asked = _first(arguments, _DURATIONS)
    return None if asked is None else _above_zero(asked)


def count(arguments: Mapping[str, Any]) -> float | None:
    """How many outputs there are to be: 1 where no field says otherwise; None where one says nothing usable.

    >>> count({"num_images": 4}), count({"n": "2"}), count({}), count({"n": 0}), count({"n": 1.5})
    (4.0, 2.0, 1.0, None, None)
    """
    asked = _first(arguments, _COUNTS)
    number = 1.0 if asked is None else _above_zero(asked)
    return number if number is not None and number.is_integer() else None


def _first(arguments: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((arguments[name] for name in names if arguments.get(name) is not None), None)


def _above_zero(value: Any) -> float | None:
    """A number, also from a text such as ``"8s"``."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        value = float(match[1]) if match else None
    number = finite(value)
    return number if number is not None and number > 0 else None
