"""How many equal inputs came before, in a file: a map without an end is not to fill the memory."""

import sqlite3
from threading import Lock

_COUNT = """
    INSERT INTO seen VALUES (?, 1) ON CONFLICT (input) DO UPDATE SET times = times + 1 RETURNING times
"""


class Occurrences:
    """Counts equal inputs; any number of threads may ask. To be closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None

    def before(self, key: str) -> int:
        """How many inputs with this key came before this one."""
        with self._lock:
            if self._database is None:
                # SQLite keeps a database without a name in a file that goes with it, and little of it in memory.
                self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
                self._database.execute("CREATE TABLE seen (input TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID")
            times: int = self._database.execute(_COUNT, [key]).fetchone()[0]
        return times - 1

    def close(self) -> None:
        """Forget all."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
