"""How often something has been seen, on the disk: an endless map is not to fill the memory."""

import sqlite3
from contextlib import closing
from typing import Self


class Repeats:
    """Counts equal keys. It is closed by a ``with`` block."""

    def __init__(self) -> None:
        # Without a name, SQLite keeps a file of its own for it, which goes with it, and little of it in memory.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")

    def before(self, key: bytes) -> int:
        """How often this key was counted before; now it is once more."""
        count = "INSERT INTO seen VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1 RETURNING times"
        with closing(self._database.execute(count, [key])) as row:
            times: int = row.fetchone()[0]
        return times - 1

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
