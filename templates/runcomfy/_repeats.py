"""How many equal inputs came before, in a file: a map without an end is not to fill the memory."""

import sqlite3
from concurrent.futures import Future
from threading import Lock

_COUNT = """
    INSERT INTO seen VALUES (?, 1) ON CONFLICT (input) DO UPDATE SET times = times + 1 RETURNING times
"""


class Occurrences:
    """Counts equal inputs in the order of the inputs, whoever is ready first; any number of threads may ask.

    Each index is to be counted or skipped, in any order. To be closed.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        self._next = 0
        self._waiting: dict[int, tuple[str, Future[int]] | None] = {}
        """What has come before its turn; None for an index that is skipped."""

    def before(self, index: int, key: str) -> "Future[int]":
        """How many inputs with this key came before this one, once all of these have been counted or skipped."""
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # whoever no longer waits for it keeps nobody else from being counted
        self._take(index, (key, future))
        return future

    def skip(self, index: int) -> None:
        """Leave an input out, unless it has been counted."""
        self._take(index, None)

    def close(self) -> None:
        """Forget all."""
        with self._lock:
            self._waiting.clear()
            if self._database is not None:
                self._database.close()
                self._database = None

    def _take(self, index: int, one: tuple[str, Future[int]] | None) -> None:
        with self._lock:
            if index >= self._next:
                self._waiting.setdefault(index, one)
            while self._next in self._waiting:
                due = self._waiting.pop(self._next)
                self._next += 1
                if due is not None:
                    key, future = due
                    future.set_result(self._count(key))

    def _count(self, key: str) -> int:
        if self._database is None:
            # SQLite keeps a database without a name in a file that goes with it, and little of it in memory.
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._database.execute("CREATE TABLE seen (input TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        times: int = self._database.execute(_COUNT, [key]).fetchone()[0]
        return times - 1
