"""A ledger's database as one process has it open."""

import atexit
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar
from weakref import WeakSet

from sqlalchemy import Connection

from ._errors import LedgerError
from ._ledger_database import BUSY, Database
from ._ledger_writer import Writer

T = TypeVar("T")

_BEFORE_READING = BUSY
"""Seconds that what is still to be written may take before it is read."""
_AT_EXIT = 10.0
"""Seconds that what is still to be written may take at the end of the program."""

logger = logging.getLogger(__package__)


class Store:
    """The open database of one process.

    Args:
        database: The path of an SQLite file, which is made if need be, or a URL of SQLAlchemy's.

    Raises:
        ConfigurationError: it is neither, or the driver is not installed.
        LedgerError: it cannot be opened.
    """

    def __init__(self, database: str) -> None:
        self._process = os.getpid()
        self._database = Database(database)
        self._writer = Writer(self._database.transaction)
        _stores.add(self)

    def write(self, operation: Callable[[Connection], T], *, patient: bool = False) -> "Future[T]":
        """Do something in a transaction that no other one, of any process, overlaps.

        It may be done more than once, where the database does not say that it was done. What it raises itself has to
        come before it has written anything: others may share its transaction.

        Args:
            operation: What to do.
            patient: Whether to try again for a minute while the database is gone, locked or full. Patient operations
                keep their order; others may come before them.

        Returns:
            What it returns, once that is on the disk.

        Raises:
            LedgerError: the database cannot be written.
        """
        self._check_process()
        return self._writer.write(operation, patient=patient)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with, which sees all that this process has written. A fork waits for its end.

        Raises:
            LedgerError: the database cannot be read, or not be written in time.
        """
        self.flush(_BEFORE_READING)
        with self._database.connect() as connection:
            yield connection

    def flush(self, seconds: float) -> None:
        """Wait until all is written that is to be, or failed.

        Raises:
            LedgerError: it is not, after that time.
        """
        self._check_process()
        left = self._writer.flush(seconds)
        if left:
            raise LedgerError(
                f"ledger {self._database.name}: {left} changes of this process could not be written within"
                f" {seconds:g} seconds"
            )

    def close(self) -> None:
        """Write what is to be written, and close the connections."""
        self.finish(BUSY)
        self._database.close()

    def finish(self, seconds: float) -> None:
        """As `flush`, for those who want nothing of it: what is not written is only logged."""
        try:
            self.flush(seconds)
        except LedgerError as error:
            logger.error("%s", error)

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise LedgerError(
                f"ledger {self._database.name}: this was begun by the process that this one was forked from; begin anew"
            )


_stores: WeakSet[Store] = WeakSet()


@atexit.register
def _write_what_is_left() -> None:
    end = monotonic() + _AT_EXIT
    for store in list(_stores):
        store.finish(max(end - monotonic(), 0.0))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stores.clear)
