"""The book of a client with a ledger: what is written of each submit, and when."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cache
from time import time
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import psutil
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from ._answers import output_in, shortened
from ._book import (
    ENDED,
    NO_JOB,
    Amounts,
    Change,
    Entry,
    Intent,
    Limit,
    NewEntry,
    Spending,
    State,
    amounts,
    failed,
    merged,
    micro,
)
from ._book import spending as sum_of
from ._errors import ConfigurationError, LedgerError, RunComfyError
from ._ledger_entry import LedgerEntry
from ._ledger_store import Store
from ._ledger_tables import add_to_totals, jobs, totals
from ._record import text_without_media, without_media

T = TypeVar("T")

_LEASE = 600.0
"""Seconds after which a submit of another machine, which cannot be asked whether it is alive, is taken to be over."""
_LONGEST_RESULT = 256 * 1024
"""Characters. A longer one is read from the API again."""
_LONGEST_ERROR = 2000
_FOR_EVER = 1e9
_PAGE = 500
_ENDED_MEANWHILE = "the program that submitted it ended before it could write down an answer"


class StoreOf(Protocol):
    """Gives the ledger's database as this process has it open."""

    def __call__(self, *, for_change: bool = False) -> Store: ...


class LedgerBook:
    """The submits of one client, in a ledger.

    Args:
        store: The ledger's database.
        base_url: The API of the client.
    """

    def __init__(self, store: StoreOf, base_url: str) -> None:
        self._store = store
        self.base_url = base_url

    def enter(self, intent: Intent) -> NewEntry:
        return _NewEntry(self, intent)

    def find(self, request_id: str) -> Entry:
        return _Entry(self, and_(jobs.c.request_id == request_id, jobs.c.base_url == self.base_url))

    def spending(self) -> Spending:
        return spending(self._store())

    def write(self, operation: Callable[[Connection], T], *, for_change: bool = False) -> "Future[T]":
        """As `Store.write`, which does not raise anything itself either."""
        try:
            return self._store(for_change=for_change).write(operation, patient=for_change)
        except RunComfyError as error:  # the ledger is closed, or cannot be opened in a forked child
            return failed(error)


class _Entry:
    def __init__(self, book: LedgerBook, row: ColumnElement[bool]) -> None:
        self._book = book
        self._row = row
        self._known = Change()

    def change(self, change: Change) -> "Future[None]":
        # What could not be written when it became known goes with whatever comes next.
        request_id, sent_at = change.request_id or self._known.request_id, change.sent_at or self._known.sent_at
        self._known = change = replace(change, request_id=request_id, sent_at=sent_at)
        return self._book.write(lambda connection: _write_change(connection, self._row, change), for_change=True)


class _NewEntry(_Entry):
    def __init__(self, book: LedgerBook, intent: Intent) -> None:
        self._key = uuid4().hex  # by which it can be changed before the database has given it a number
        super().__init__(book, jobs.c.key == self._key)
        self._intent = intent
        self._record = json.dumps(without_media(json.loads(intent.record)))

    def earlier(self) -> "Future[LedgerEntry | None]":
        return self._book.write(lambda connection: self._in_the_way(_latest(connection, self._intent)))

    def begin(self, limits: Sequence[Limit], price_usd: float | None) -> "Future[LedgerEntry | None]":
        return self._book.write(lambda connection: self._begin(connection, limits, price_usd))

    def _begin(self, connection: Connection, limits: Sequence[Limit], price_usd: float | None) -> LedgerEntry | None:
        intent, latest = self._intent, _latest(connection, self._intent)
        if (earlier := self._in_the_way(latest)) is not None:
            return earlier
        price = None if price_usd is None else micro(price_usd)
        for limit in limits:
            limit.refuse_beyond(_spent(connection, limit.run), price_usd, intent.model_id)
        now = time()
        connection.execute(
            insert(jobs).values(
                key=self._key,
                state="submitting",
                base_url=self._book.base_url,
                model_id=intent.model_id,
                payload_sha256=intent.payload_sha256,
                record=self._record,
                run=intent.run,
                occurrence=intent.occurrence,
                attempt=1 if latest is None else latest.attempt + 1,
                owner=_owner(os.getpid()),
                lease_until=now + min(intent.seconds, _FOR_EVER) + _LEASE,
                created_at=now,
                price=price,
            )
        )
        add_to_totals(connection, intent.run, intent.model_id, amounts("submitting", price, None))
        return None

    def _in_the_way(self, latest: LedgerEntry | None) -> LedgerEntry | None:
        """The latest submit of the same input, where it must not be sent again."""
        base_url = self._book.base_url
        if latest is not None and latest.base_url != base_url:
            raise ConfigurationError(
                f"run {latest.run!r} was begun with the API at {latest.base_url}, and this client's is {base_url};"
                " choose another name for the run"
            )
        return None if latest is None or latest.state in (*NO_JOB, "cancelled") else latest


def _write_change(connection: Connection, which: ColumnElement[bool], change: Change) -> None:
    """Write what has become known of a submit; nothing is changed where it is not in the ledger."""
    row = connection.execute(select(jobs).where(which).order_by(jobs.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return
    state = merged(row.state, change)
    cost = row.cost if change.cost_usd is None else micro(change.cost_usd)
    values: dict[str, Any] = {}
    if change.state in (None, state):  # else it is old news
        known = {
            "request_id": change.request_id,
            "status": change.status,
            "submitted_at": change.sent_at,
            "error": None if change.error is None else _text(change.error),
            "result": None if _has_output(row.result) else _kept(change),  # such a result is not forgotten again
        }
        if state != row.state:
            values |= {"error": None, "ended_at": change.at if state in ENDED else None}
        values |= {name: value for name, value in known.items() if value is not None}
    _write(connection, row, state, cost, values)


def _write(connection: Connection, row: Row[Any], state: State, cost: int | None, values: dict[str, Any]) -> None:
    """Write what is new of a row, and of the totals."""
    connection.execute(update(jobs).where(jobs.c.id == row.id).values(state=state, cost=cost, **values))
    more = amounts(state, row.price, cost).plus(amounts(row.state, row.price, row.cost), -1)
    add_to_totals(connection, row.run, row.model_id, more)


def _entry_of(row: Row[Any]) -> LedgerEntry:
    """A row of the jobs. A submit whose program has ended will not be told of any more."""
    state, error = row.state, row.error
    if state == "submitting" and not _is_on_its_way(row.owner, row.lease_until):
        state, error = "unknown", _ENDED_MEANWHILE
    return LedgerEntry(
        id=row.id,
        state=state,
        model_id=row.model_id,
        base_url=row.base_url,
        request_id=row.request_id,
        arguments=json.loads(row.record),
        payload_sha256=row.payload_sha256,
        run=row.run,
        occurrence=row.occurrence,
        attempt=row.attempt,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        ended_at=row.ended_at,
        status=row.status,
        price_usd=None if row.price is None else row.price / 1e6,
        cost_usd=None if row.cost is None else row.cost / 1e6,
        error=error,
        raw=None if row.result is None else json.loads(row.result),
    )


def spending(store: Store) -> Spending:
    """What has been spent, by all that is in a ledger."""
    with store.read() as connection:
        rows = connection.execute(select(totals)).all()
    return sum_of((run or None, model_id, Amounts(*sums)) for run, model_id, *sums in rows)


def read_entries(store: Store, states: Sequence[State], run: str | None, model_id: str | None) -> Iterator[LedgerEntry]:
    """The submits in these states, of this run and this model, in the order in which they were written down."""
    chosen = [jobs.c[name] == value for name, value in (("run", run), ("model_id", model_id)) if value is not None]
    if states:  # of those that were being submitted, some are unknown by now
        chosen.append(jobs.c.state.in_([*states, "submitting"]))
    last = 0
    while True:
        page = select(jobs).where(jobs.c.id > last, *chosen).order_by(jobs.c.id).limit(_PAGE)
        with store.read() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        last = rows[-1].id
        yield from (entry for row in rows if (entry := _entry_of(row)).state in (states or (entry.state,)))


def resolve(connection: Connection, number: int, request_id: str | None) -> None:
    """Settle an unknown submit; without an id there is no job."""
    row = connection.execute(select(jobs).where(jobs.c.id == number)).one_or_none()
    state = "not in the ledger" if row is None else _entry_of(row).state
    if row is None or state not in ("unknown", "open"):
        raise LedgerError(f"submit {number} cannot be resolved: it is {state}, and neither unknown nor open")
    if request_id is not None:
        others = and_(jobs.c.request_id == request_id, jobs.c.base_url == row.base_url, jobs.c.id != number)
        other = connection.scalar(select(jobs.c.id).where(others).limit(1))
        if other is not None:
            raise LedgerError(f"submit {number} cannot be resolved: request {request_id} is that of submit {other}")
        _write_change(connection, jobs.c.id == number, Change(state="open", request_id=request_id))
        return
    _write(connection, row, "refused", row.cost, {"error": "resolved: there is no job"})


def _latest(connection: Connection, intent: Intent) -> LedgerEntry | None:
    """The latest submit of an input of a run."""
    if intent.run is None:
        return None
    names = ("run", "model_id", "payload_sha256", "occurrence")
    same = and_(*(jobs.c[name] == getattr(intent, name) for name in names))
    row = connection.execute(select(jobs).where(same).order_by(jobs.c.attempt.desc()).limit(1)).one_or_none()
    return None if row is None else _entry_of(row)


def _spent(connection: Connection, run: str | None) -> int:
    """Micro-dollars."""
    amount = select(func.coalesce(func.sum(totals.c.cost + totals.c.estimated), 0))
    return int(connection.scalar(amount if run is None else amount.where(totals.c.run == run)) or 0)


def _has_output(result: str | None) -> bool:
    return result is not None and bool(output_in(json.loads(result)))


def _kept(change: Change) -> str | None:
    """The result, if it can be kept: one with media would not be whole without them."""
    if change.result is None or without_media(change.result) != change.result:
        return None
    text = json.dumps(change.result)
    return text if len(text) <= _LONGEST_RESULT else None


def _text(text: str) -> str:
    """A text that any database takes."""
    kept = text_without_media(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return shortened(kept, _LONGEST_ERROR).encode(errors="replace").decode()


@cache
def _owner(pid: int) -> str:
    """A process, by what no other one shares with it."""
    return f"{socket.gethostname()} {pid} {psutil.Process(pid).create_time()}"


def _is_on_its_way(owner: str, lease_until: float) -> bool:
    """Whether a submit may still be told of by the process that sends it."""
    host, pid, created = owner.rsplit(" ", 2)
    if host != socket.gethostname():
        return time() < lease_until
    try:
        process = psutil.Process(int(pid))
        is_same = abs(process.create_time() - float(created)) < 5  # clocks are set
        is_alive = is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is there, and another user's
        is_alive = True
    return is_alive and time() < lease_until
