"""A ledger's database: SQLite or PostgreSQL, by SQLAlchemy.

All writing of a process is done by one thread, which puts whatever has come up meanwhile into one transaction: many
submits at once wait for one write to the disk, and an event loop for none.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from . import _ledger_tables
from ._errors import ConfigurationError, LedgerError, RunComfyError

T = TypeVar("T")

_MOST_AT_ONCE = 500
_IDLE = 2.0
"""Seconds without work after which the writing thread ends."""
_BUSY = 60.0
"""Seconds to wait while other processes write."""
_AT_EXIT = 10.0
"""Seconds that what is still to be written may take at the end of the program."""
_POSTGRESQL_LOCK = 7_786_221
"""A number of our own for the lock under which the tables are made."""


class _Operation(NamedTuple):
    write: Callable[[Connection], Any]
    future: Future[Any]


class Store:
    """The open database of one process.

    Args:
        database: The path of an SQLite file, which is made if need be, or a URL of SQLAlchemy's.

    Raises:
        ConfigurationError: it is neither, or the driver is not installed.
        LedgerError: it cannot be opened.
    """

    def __init__(self, database: str) -> None:
        url = _url(database)
        self.name = url.database if url.host is None else f"{url.host}/{url.database}"
        """How errors name it; without what may be a password."""
        self._queue: SimpleQueue[_Operation] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._waiting = 0
        self._engine = _engine(url)
        with self._told():
            _make_tables(self._engine)
        _stores.add(self)

    def write(self, operation: Callable[[Connection], T]) -> "Future[T]":
        """Do something in a transaction that no other one, of any process, overlaps.

        It may be done twice, the first time without effect. What it raises itself has to come before it has written
        anything: others may share its transaction.

        Returns:
            What it returns, once that is on the disk. Operations are done in the order of the calls.

        Raises:
            LedgerError: the database cannot be written.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # nobody who no longer waits for it keeps it from being done
        with self._lock:
            self._waiting += 1
            self._queue.put(_Operation(operation, future))
            if self._thread is None:
                thread = Thread(target=self._write_all, name="runcomfy-ledger", daemon=True)
                with suppress(RuntimeError):  # there may be no more threads, or no more time for one
                    thread.start()
                    self._thread = thread
            is_alone = self._thread is None
        if is_alone:
            self._write_all()
        return future

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with, which sees all that this process has written.

        Raises:
            LedgerError: the database cannot be read.
        """
        self.flush()
        with self._told(), self._engine.connect() as connection:
            yield connection

    def flush(self, seconds: float = _BUSY) -> None:
        """Wait until all is written that is to be."""
        if self._waiting:
            with suppress(LedgerError, TimeoutError):  # whoever wanted it to be written is told
                self.write(lambda _: None).result(seconds)

    def close(self) -> None:
        """Write what is to be written, and close the connections."""
        self.flush()
        self._engine.dispose()

    def _write_all(self) -> None:
        """Write whatever comes up, until nothing has for a while."""
        while True:
            batch: list[_Operation] = []
            with suppress(Empty):
                batch.append(self._queue.get(timeout=0 if self._thread is None else _IDLE))
                while len(batch) < _MOST_AT_ONCE:
                    batch.append(self._queue.get_nowait())
            if batch:
                self._commit(batch)
            with self._lock:
                self._waiting -= len(batch)
                if self._queue.empty() and (self._thread is None or not batch):
                    self._thread = None
                    return

    def _commit(self, batch: list[_Operation]) -> None:
        outcomes: list[Any] = []
        try:
            with self._told(), self._engine.connect() as connection:
                connection = connection.execution_options(writes=True)
                with connection.begin():
                    connection.execute(select(_ledger_tables.ledger).with_for_update())
                    outcomes += [_outcome(operation, connection) for operation in batch]
        except Exception as error:
            if len(batch) > 1:  # it may be the fault of one of them
                for operation in batch:
                    self._commit([operation])
                return
            outcomes = [error]
        for operation, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                operation.future.set_exception(outcome)
            else:
                operation.future.set_result(outcome)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let what the database says become a `LedgerError`."""
        try:
            yield
        except SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.name}: {getattr(error, 'orig', None) or error}") from error
        except LedgerError as error:
            raise LedgerError(f"ledger {self.name}: {error}") from None


def _outcome(operation: _Operation, connection: Connection) -> Any:
    try:
        return operation.write(connection)
    except RunComfyError as refusal:
        return refusal


def _url(database: str) -> URL:
    if "://" not in database:
        return URL.create("sqlite", database=str(Path(database).absolute()))
    try:
        url = make_url(database.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise ConfigurationError("ledger: no path of a file, and no URL of a database") from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"ledger: {backend} is neither SQLite nor PostgreSQL")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigurationError("ledger: a database in memory would not outlast the process; give the path of a file")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            url,
            connect_args={"timeout": _BUSY} if is_sqlite else {},
            hide_parameters=True,
            pool_pre_ping=not is_sqlite,
        )
    except ImportError as error:
        raise ConfigurationError(f"ledger: no driver ({error}); type: pip install 'psycopg[binary]'") from error
    except SQLAlchemyError as error:
        raise ConfigurationError(f"ledger: {error}") from error
    if is_sqlite:
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    return engine


def _leave_transactions_to_us(connection: Any, _: object) -> None:
    """Else Python's driver would begin a transaction with the first change, when others may have written already."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        if _ledger_tables.is_ready(connection):
            return
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection, suppress(Exception):  # another process may be about to do the same
            connection.connection.cursor().execute("PRAGMA journal_mode = WAL")  # which no transaction can do
    with engine.connect() as connection:
        connection = connection.execution_options(writes=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
            if not _ledger_tables.is_ready(connection):
                _ledger_tables.prepare(connection)


_stores: WeakSet[Store] = WeakSet()


@atexit.register
def _write_what_is_left() -> None:
    for store in list(_stores):
        store.flush(_AT_EXIT)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stores.clear)
