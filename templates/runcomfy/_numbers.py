"""Numbers in answers of the API, which may be anything."""

from math import isfinite
from typing import Any


def finite(value: Any) -> float | None:
    """A number that is one: neither a bool, nor infinite, nor beyond all floats; else None.

    >>> [finite(value) for value in (7, -0.5, True, "7", float("nan"), 10**400, None)]
    [7.0, -0.5, None, None, None, None, None]
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer may have any number of digits
        return None
    return number if isfinite(number) else None


def dollars(value: Any) -> float | None:
    """A price or a cost, 0 or more; else None.

    >>> [dollars(value) for value in (0, 0.04, -0.01, True)]
    [0.0, 0.04, None, None]
    """
    number = finite(value)
    return number if number is not None and number >= 0 else None
