"""How a map is shown with ``progress=True``: one line for the whole of it."""

from threading import Lock
from time import monotonic

_EACH = 5.0
"""Seconds between two lines at least, where lines stay."""


class Tally:
    """A map as it is shown. Any thread may count.

    Args:
        total: How many inputs there are, where that is known.
        run: The name of the run, if it was given one.
    """

    def __init__(self, total: int | None, run: str | None) -> None:
        self.name = "map" if run is None else f"map {run}"
        self._lock = Lock()
        self._total = total
        self._started = self._told_at = monotonic()
        self._running = self._done = self._failed = 0
        self._cost_usd = 0.0

    def began(self) -> None:
        """An item is being worked on."""
        with self._lock:
            self._running += 1

    def left(self) -> None:
        """An item is worked on no more."""
        with self._lock:
            self._running -= 1

    def counts(self, *, failed: bool, cost_usd: float | None) -> None:
        """An item has a result."""
        with self._lock:
            self._failed += failed
            self._done += not failed
            self._cost_usd += cost_usd or 0.0

    @property
    def seconds(self) -> float:
        """How long the map has lasted."""
        return monotonic() - self._started

    @property
    def state(self) -> str:
        """``"12 of 40 done, 1 failed, 8 running, 0.48 USD"``."""
        parts = [
            f"{self._done} done" if self._total is None else f"{self._done} of {self._total} done",
            f"{self._failed} failed" if self._failed else "",
            f"{self._running} running" if self._running else "",
            f"{self._cost_usd:.6g} USD" if self._cost_usd else "",
        ]
        return ", ".join(filter(None, parts))

    def news(self) -> str | None:
        """The line for a change, at most one in some seconds."""
        with self._lock:
            now = monotonic()
            if now - self._told_at < _EACH:
                return None
            self._told_at = now
        return f"{self.name}: {self.state}, {self.seconds:.1f} s"

    def ended(self, how: str) -> str:
        """The last line."""
        return f"{self.name}: {self.state}; {how} after {self.seconds:.1f} s"
