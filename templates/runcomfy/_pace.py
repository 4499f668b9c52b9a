"""When to poll a job next, and how long to wait after a failed read. All times are in seconds.

How long a job will take is learned from the latest jobs of its model: until three have finished, the pauses grow with
the age of the job alone; from then on they follow from a log-normal distribution of those durations.
"""

from datetime import UTC, datetime
from math import erfc, exp, log, pi, sqrt
from random import random
from time import monotonic
from typing import NamedTuple

_LONGEST = 5.0
_SHORTEST = 0.1
_LATEST_FIRST_POLL = 10.0
"""However long jobs take: one that fails does so early."""
_REMEMBERED = 50
_ENOUGH = 3
_PRICE_OF_A_POLL = 0.02
"""How many seconds of waiting one request is worth: what the learned intervals balance."""
_ASSUMED_SPREAD, _ASSUMED_WEIGHT = 0.5, 3
"""The spread of log durations before any is known, and how many durations this assumption counts for."""


def cold_interval(age: float) -> float:
    """Time between two polls of a job of `age`, while nothing is known of its model.

    Short at first and longer later, so that a fast job is not kept waiting and a slow one is not asked all the time.

    >>> cold_interval(0), cold_interval(100), cold_interval(10_000)
    (0.25, 1.5, 5.0)
    """
    return min(_LONGEST, max(0.25, 0.15 * sqrt(age)))


class Expectation(NamedTuple):
    """How long jobs of one model take: the logarithm of the seconds is normal with this mean and spread."""

    mean: float
    spread: float

    @property
    def first_poll(self) -> float:
        """The age that all but about 1.4 % of the jobs reach."""
        return exp(self.mean - 2.2 * self.spread)

    def interval(self, age: float) -> float:
        """Time between two polls of a job of `age`: short where it is likely to end, long where it is not.

        With a chance of ending `hazard` per second, an interval costs half of itself in waiting and one request; the
        interval that makes the sum least is ``sqrt(2 * price / hazard)``.
        """
        age = max(age, 1e-3)
        z = (log(age) - self.mean) / self.spread
        if z > 3:  # beyond all that is known, the job's own age says more
            return cold_interval(age)
        surviving = erfc(z / sqrt(2)) / 2
        hazard = exp(-z * z / 2) / sqrt(2 * pi) / (self.spread * age) / surviving
        return min(_LONGEST, max(_SHORTEST, sqrt(2 * _PRICE_OF_A_POLL / hazard))) if hazard else _LONGEST


class Durations:
    """How long the latest finished jobs of each model took. One client's threads may share it."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[float, ...]] = {}

    def record(self, model_id: str, seconds: float) -> None:
        """Remember one job, and forget the oldest of its model."""
        self._latest[model_id] = (*self._latest.get(model_id, ()), max(seconds, 1e-3))[-_REMEMBERED:]

    def expectation(self, model_id: str | None) -> Expectation | None:
        """What to expect of the next job of a model, or None while too few have finished."""
        latest = self._latest.get(model_id or "", ())
        if len(latest) < _ENOUGH:
            return None
        logs = [log(seconds) for seconds in latest]
        mean = sum(logs) / len(logs)
        squares = sum((value - mean) ** 2 for value in logs) + _ASSUMED_WEIGHT * _ASSUMED_SPREAD**2
        return Expectation(mean, sqrt(squares / (len(logs) - 1 + _ASSUMED_WEIGHT) * (1 + 1 / len(logs))))


class Pace:
    """When to poll one job during one wait; from what is seen it also tells how long the job took.

    Args:
        now: When the wait begins, on the monotonic clock, as every other time here.
        accepted_at: When the job was accepted; None for a job that was resumed by its id.
        fixed: The interval that the caller asked for, or None.
        expectation: What is known of the job's model, or None.
        at_once: Whether the first poll is not to wait until the job may have ended, since its states are wanted.
    """

    def __init__(
        self,
        now: float,
        accepted_at: float | None,
        fixed: float | None = None,
        expectation: Expectation | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        self._accepted_at = accepted_at
        self._born = now if accepted_at is None else accepted_at
        self._fixed = fixed
        self._expectation = expectation if fixed is None and accepted_at is not None else None
        self._at_once = at_once
        self._planned = 0.0
        self._asked = 0.0
        self._polled_at: float | None = None
        self._unfinished_at = self._born
        self.duration: float | None = None
        """How long the job took, in seconds; None until its end was seen, or where no poll came near it."""

    def pause(self, now: float) -> float:
        """How long to pause before the next poll, which is taken to follow."""
        self._planned = max(0.0, self._next(now))
        return self._planned

    def _next(self, now: float) -> float:
        if self._polled_at is None:
            if self._at_once or self._expectation is None:
                return 0.0
            return self._born + min(self._expectation.first_poll, _LATEST_FIRST_POLL) - now
        if self._fixed is not None:
            return max(self._asked, self._fixed)
        age = now - self._born
        interval = self._expectation.interval(age) if self._expectation else cold_interval(age)
        return max(self._asked, _SHORTEST, interval - (now - self._polled_at))

    def poll(self, now: float) -> None:
        """A poll begins."""
        self._polled_at = now

    def answered(self, retry_after: float | None) -> None:
        """The server answered, and asked for a pause or not."""
        self._asked = retry_after or 0.0

    def saw(self, now: float, *, done: bool) -> None:
        """A poll showed whether the job has ended."""
        # A gap that nobody planned, such as an outage or a caller who came late, says nothing of the job.
        is_near = now - self._unfinished_at <= 2 * self._planned + 1
        if not done:
            self._unfinished_at = now
        elif is_near and self._accepted_at is not None and self.duration is None:
            self.duration = (now + self._unfinished_at) / 2 - self._accepted_at


class Deadline:
    """The end of an operation that may take some seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds until the end; below zero after it."""
        return self._end - monotonic()

    def within(self, seconds: float) -> "Deadline":
        """The end of a part of it."""
        return Deadline(min(seconds, self.remaining()))

    def cut(self, pause: float) -> float:
        """A pause that ends before the deadline, with enough time for a last poll."""
        remaining = self.remaining()
        reserve = min(1.0, self.seconds / 10)
        return max(0.0, min(pause, remaining - reserve if remaining > reserve else remaining))


def backoff(failures: int, retry_after: float | None = None) -> float:
    """Pause after the `failures`-th failed read in a row: what the server asked for, else doubling, with jitter."""
    if retry_after is not None:
        return retry_after
    return min(_LONGEST, 0.25 * 2.0 ** min(failures - 1, 10)) * (0.5 + 0.5 * random())


def retry_after(value: str | None) -> float | None:
    """Read a ``Retry-After``: seconds or an HTTP date. Kept between 0.25 and 30, whatever the server asks for.

    >>> retry_after("7"), retry_after("0"), retry_after("86400"), retry_after("soon")
    (7.0, 0.25, 30.0, None)
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text)
    else:
        from email.utils import parsedate_to_datetime  # it takes its time to load, and few servers send dates

        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(30.0, max(0.25, seconds))
