"""The tables of a ledger."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Inspector,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn

from ._book import Amounts, amounts
from ._errors import LedgerError

VERSION = 1
"""Of what the tables mean. A ledger of an older one gets the tables and columns that it lacks, so that a new column
has to take nulls; a ledger of a newer one is refused."""

_metadata = MetaData()

ledger = Table(
    "runcomfy_ledger",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
"""One row, which is locked while anything is written."""

jobs = Table(
    "runcomfy_jobs",
    _metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, index=True),
    Column("base_url", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("payload_sha256", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("run", Text),
    Column("occurrence", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("submitted_at", Double),
    Column("ended_at", Double),
    Column("request_id", Text, index=True),
    Column("status", Text),
    Column("price", BigInteger),
    Column("cost", BigInteger),
    Column("error", Text),
    Column("result", Text),
)
"""One row for each submit. Times are in seconds since the epoch, amounts in micro-dollars."""

Index(
    "runcomfy_jobs_identity",
    *(jobs.c[name] for name in ("run", "model_id", "payload_sha256", "occurrence", "attempt")),
    unique=True,
)

totals = Table(
    "runcomfy_totals",
    _metadata,
    Column("run", Text, primary_key=True),  # empty for submits without a run: a primary key has no null
    Column("model_id", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
)
"""The sums of the jobs: adding up all of them before each submit would take the longer the more there are."""


def is_ready(connection: Connection) -> bool:
    """Whether all tables are there, in this version.

    Raises:
        LedgerError: they are of a newer one.
    """
    found = inspect(connection)
    if not found.has_table(ledger.name):
        return False
    version: int | None = connection.scalar(select(ledger.c.version))
    if version is not None and version > VERSION:
        raise LedgerError(f"it is of version {version}, written by a newer runcomfy; this one knows version {VERSION}")
    return version == VERSION and not any(_missing(found, table) for table in _metadata.sorted_tables)


def prepare(connection: Connection) -> None:
    """Make the tables, or what an older version lacks of them."""
    found = inspect(connection)
    had_totals = found.has_table(totals.name)
    for table in _metadata.sorted_tables:
        if found.has_table(table.name):
            for column in _missing(found, table):
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        else:
            table.create(connection)
    if not had_totals:
        _add_up(connection)
    if connection.scalar(select(func.count()).select_from(ledger)):
        connection.execute(update(ledger).values(version=VERSION))
    else:
        connection.execute(insert(ledger).values(id=1, version=VERSION))


def add_to_totals(connection: Connection, run: str | None, model_id: str, more: Amounts) -> None:
    """Add to the sums of one model in one run."""
    if more == Amounts():
        return
    key = {"run": run or "", "model_id": model_id}
    row = and_(*(totals.c[name] == value for name, value in key.items()))
    added = {name: totals.c[name] + amount for name, amount in more._asdict().items()}
    if not connection.execute(update(totals).where(row).values(added)).rowcount:
        connection.execute(insert(totals).values(**key, **more._asdict()))


def _add_up(connection: Connection) -> None:
    """Make the totals of the jobs that are there."""
    facts = select(jobs.c.run, jobs.c.model_id, jobs.c.state, jobs.c.price, jobs.c.cost)
    for run, model_id, *rest in connection.execute(facts).all():
        add_to_totals(connection, run, model_id, amounts(*rest))


def _missing(found: Inspector, table: Table) -> list[Column[Any]]:
    if not found.has_table(table.name):
        return list(table.c)
    there = {column["name"] for column in found.get_columns(table.name)}
    return [column for column in table.c if column.name not in there]
