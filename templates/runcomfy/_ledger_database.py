"""The database of a ledger, SQLite or PostgreSQL, by SQLAlchemy: how it is opened and written."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from . import _ledger_tables
from ._errors import ConfigurationError, LedgerError
from ._ledger_forks import used

BUSY = 60.0
"""Seconds to wait while others write, or for a server that does not answer."""
_POSTGRESQL_LOCK = 7_786_221
"""A number of our own for the lock under which the tables are made."""
_POSTGRESQL_SETTINGS = {
    "connect_timeout": int(BUSY),
    "keepalives_idle": int(BUSY / 2),
    "keepalives_interval": int(BUSY / 6),
    "keepalives_count": 3,
    "tcp_user_timeout": int(BUSY * 1000),
}
"""So that a machine that is gone is not waited for without end."""
_LIMIT_LOCKS = """
SELECT set_config('lock_timeout', %s, false) FROM pg_settings
WHERE name = 'lock_timeout' AND setting = '0' AND source <> 'client'
"""
"""Not in the options of the connection, which the URL may have its own of."""
_PASSING = tuple(f"SQLITE_{name}" for name in ("BUSY", "CANTOPEN", "FULL", "IOERR", "LOCKED", "PROTOCOL"))


class Database:
    """A database that this process has open, with the tables of a ledger.

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
        self._is_file = url.get_backend_name() == "sqlite"
        self._is_closed = False
        self._engine = _engine(url)
        if self._is_file and "uri" not in url.query:  # a URI may want it not to be made
            with self._told(), self._used():
                _create(str(url.database))
        self._make_tables()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection. A fork waits until it is given back.

        Raises:
            LedgerError: what the database says.
        """
        with self._told(), self._used():
            try:
                with self._engine.connect() as connection:
                    yield connection
            finally:
                if self._is_closed:  # meanwhile; or what becomes of a submit was written down all the same
                    self._engine.pool.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that no other one, of any process, overlaps. As `connect`."""
        with self._transaction() as connection:
            connection.execute(select(_ledger_tables.ledger).with_for_update())
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        with self._used():
            self._engine.pool.dispose()  # and never another pool: connections in use come back to this one

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def _used(self) -> AbstractContextManager[None]:
        return used(self._engine) if self._is_file else nullcontext()

    def _make_tables(self) -> None:
        with self.connect() as connection:
            if _ledger_tables.is_ready(connection):
                return
        if self._is_file:
            with self.connect() as connection, suppress(Exception):  # another process may be about to do the same
                connection.connection.cursor().execute("PRAGMA journal_mode = WAL")  # which no transaction can do
        with self._transaction() as connection:
            if not self._is_file:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
            if not _ledger_tables.is_ready(connection):
                _ledger_tables.prepare(connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let what the database says become a `LedgerError`."""
        try:
            yield
        except SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.name}: {getattr(error, 'orig', None) or error}") from error
        except LedgerError as error:
            raise LedgerError(f"ledger {self.name}: {error}") from None


def is_passing(error: Exception) -> bool:
    """Whether an error of a database may be over soon: it is gone, locked or full."""
    cause = error.__cause__
    code = getattr(getattr(cause, "orig", None), "sqlite_errorname", _PASSING[0])
    return isinstance(cause, OperationalError) and code.startswith(_PASSING)


_creating = Lock()


def _create(path: str) -> None:
    """Make a file that only its owner can read: prompts and signed URLs will be in it. One that is there is left alone.

    One thread at a time: closing a file ends all locks that this process has on it.
    """
    with _creating, suppress(OSError):  # SQLite tells what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _url(database: str) -> URL:
    if "\0" in database:
        raise ConfigurationError("ledger: no path and no URL has a NUL")
    if "://" not in database:
        return URL.create("sqlite", database=str(Path(database).absolute()))
    try:
        url = make_url(database.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):  # the latter for a port; either may quote a password
        raise ConfigurationError("ledger: no path of a file, and no URL of a database") from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"ledger: {backend} is neither SQLite nor PostgreSQL")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigurationError("ledger: a database in memory would not outlast the process; give the path of a file")
    if "@" in (url.host or ""):  # a part of the password, which errors would show as the host
        raise ConfigurationError("ledger: write an @ in a password or a user name as %40")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    settings: dict[str, Any] = {"timeout": BUSY} if is_sqlite else {}
    if url.get_driver_name().startswith("psycopg"):
        settings = _POSTGRESQL_SETTINGS
    try:
        engine = create_engine(
            url,
            connect_args={name: value for name, value in settings.items() if name not in url.query},
            hide_parameters=True,
            pool_pre_ping=not is_sqlite,
            # a stricter one would look at the database as it was before it waited for the lock
            **({} if is_sqlite else {"isolation_level": "READ COMMITTED"}),
        )
    except ImportError as error:
        raise ConfigurationError(f"ledger: no driver ({error}); type: pip install 'psycopg[binary]'") from error
    except SQLAlchemyError as error:
        raise ConfigurationError(f"ledger: {error}") from error
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # else Python's driver begins transactions, when others may have written already
    connection.execute("PRAGMA synchronous = FULL")  # however SQLite was built


def _set_up_postgresql(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute(_LIMIT_LOCKS, [str(int(BUSY * 1000))])
    cursor.close()
    connection.commit()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
