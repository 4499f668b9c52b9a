"""How long to wait before asking again, in seconds."""

from math import sqrt
from random import random

_LONGEST = 5.0


def poll_interval(elapsed: float) -> float:
    """Pause before the next look at a job that has been waited for `elapsed` seconds.

    Short at first and longer later, so that a fast job is not kept waiting and a slow one is not asked all the time.

    >>> poll_interval(0), poll_interval(100), poll_interval(10_000)
    (0.25, 1.5, 5.0)
    """
    return min(_LONGEST, max(0.25, 0.15 * sqrt(elapsed)))


def backoff(failures: int, retry_after: str | None = None) -> float:
    """Pause after the `failures`-th failed read in a row: doubling, with jitter.

    A server's ``Retry-After`` is obeyed, up to 30 seconds.
    """
    if retry_after is not None and retry_after.strip().isdecimal():
        return min(30.0, float(retry_after))
    return min(_LONGEST, 0.25 * 2.0 ** min(failures - 1, 10)) * (0.5 + 0.5 * random())
