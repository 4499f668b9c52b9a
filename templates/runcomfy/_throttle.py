"""When the submits of a map may be sent, once the API has refused some of them for overload. Times are in seconds."""

from math import inf
from threading import Lock
from typing import NamedTuple

from ._pace import backoff

_FIRST, _WIDEST, _NARROWEST = 0.1, 2.0, 0.01
"""The space between two submits: after the first refusal, at most, and what is as good as none."""
_SHRINKS = 0.75


class Turn(NamedTuple):
    """Whether a submit may be sent."""

    pause: float
    """How long to wait before asking again; 0 where the turn has come, and with this is taken."""
    era: int
    """How many slow-downs there had been."""


class Throttle:
    """Slows all submits of a map together; any number of threads may share it.

    After a refusal nothing is sent for a while, and then one submit after the other with some space between them, which
    shrinks with each success. What was sent before a slow-down tells nothing of the slower pace: a hundred refusals of
    submits that were on their way together count as one.

    All moments are on one monotonic clock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._era = 0
        self._next = -inf
        self._space = 0.0
        self._in_a_row = 0

    def turn(self, now: float) -> Turn:
        """Ask whether a submit may be sent."""
        with self._lock:
            if now < self._next:
                return Turn(self._next - now, self._era)
            self._next = now + self._space
            return Turn(0.0, self._era)

    def refused(self, turn: Turn, now: float, retry_after: float | None) -> None:
        """A submit was refused for overload; the API may have asked for a pause."""
        with self._lock:
            is_news = turn.era == self._era
            if is_news:
                self._era += 1
                self._in_a_row += 1
                self._space = min(_WIDEST, max(_FIRST, 2 * self._space))
            if is_news or retry_after is not None:
                self._next = max(self._next, now + backoff(self._in_a_row, retry_after))

    def accepted(self, turn: Turn) -> None:
        """A submit was accepted."""
        with self._lock:
            if turn.era == self._era:
                self._in_a_row = 0
                self._space = self._space * _SHRINKS if self._space > _NARROWEST else 0.0
