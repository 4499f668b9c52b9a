"""What a client books of each submit: what became of it, and what it costs.

Here is what counts and what the limits allow, and the book of a client without a ledger, which is forgotten with it.
Amounts are in micro-dollars, so that sums are exact.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from time import time
from typing import Any, Literal, NamedTuple, Protocol

from ._errors import BudgetExceededError
from ._http_types import Flow, Pending, Settled, awaited

State = Literal["submitting", "open", "unknown", "completed", "failed", "cancelled", "refused", "not_sent"]
ENDED: tuple[State, ...] = ("completed", "failed", "cancelled")
NO_JOB: tuple[State, ...] = ("refused", "not_sent")
_RANKS: dict[State, int] = {"open": 1, "cancelled": 2, "failed": 3, "completed": 4}
"""What is known of a job, by how little of it another answer can take back: a result that was paid for, nothing can."""
_MOST = 1e9
_PATIENCE = 5.0
"""Seconds that a call waits until it is written down what the API did; it is written in any case."""

logger = logging.getLogger(__package__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A submit that is to be."""

    model_id: str
    payload_sha256: str
    record: bytes
    """The body, with facts in the place of media."""
    run: str | None = None
    occurrence: int = 0
    """How many equal inputs came before it in the run."""
    seconds: float = 0.0
    """How long the submit may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has become known of a submit; None where nothing has."""

    state: State | None = None
    request_id: str | None = None
    status: str | None = None
    """The API's own word."""
    error: str | None = None
    result: Mapping[str, Any] | None = None
    cost_usd: float | None = None
    sent_at: float | None = None
    at: float = field(default_factory=time)


class Limit(NamedTuple):
    """How many US dollars may be spent, in one run or, without one, in all."""

    usd: float
    run: str | None = None

    def refuse_beyond(self, spent: int, price_usd: float | None, model_id: str) -> None:
        """Refuse a submit that would go over.

        Raises:
            BudgetExceededError: it would; or nobody can tell, because its price is not known.
        """
        if price_usd is None or spent + micro(price_usd) > micro(self.usd):
            raise BudgetExceededError(
                model_id, budget_usd=self.usd, spent_usd=spent / 1e6, price_usd=price_usd, run=self.run
            )


class Amounts(NamedTuple):
    """What some submits come to."""

    jobs: int = 0
    cost: int = 0
    """What the API told, in micro-dollars."""
    estimated: int = 0
    """What those are taken to cost of which the API has not told it, in micro-dollars."""
    unpriced: int = 0
    """How many there are of which neither cost nor price is known."""

    def plus(self, other: "Amounts", sign: int = 1) -> "Amounts":
        return Amounts(*(mine + sign * theirs for mine, theirs in zip(self, other, strict=True)))


def amounts(state: State, price: int | None, cost: int | None) -> Amounts:
    """What one submit comes to. Where the API does not tell, a job that may have run counts with its price.

    >>> amounts("open", 40_000, None), amounts("completed", 40_000, 35_000)
    (Amounts(jobs=1, cost=0, estimated=40000, unpriced=0), Amounts(jobs=1, cost=35000, estimated=0, unpriced=0))
    >>> amounts("cancelled", 40_000, None), amounts("failed", None, None)
    (Amounts(jobs=1, cost=0, estimated=0, unpriced=0), Amounts(jobs=1, cost=0, estimated=0, unpriced=1))
    """
    if state in NO_JOB:
        return Amounts()
    if cost is not None:
        return Amounts(1, cost)
    if state == "cancelled":
        return Amounts(1)
    return Amounts(1, 0, 0, 1) if price is None else Amounts(1, 0, price)


def merged(state: State, change: Change) -> State:
    """The state after a change: whoever brings old or other news, a job that is known stays so, and so does its end."""
    if change.state is None or _RANKS.get(change.state, 0) < _RANKS.get(state, 0):
        return state
    return change.state


def micro(usd: float) -> int:
    """US dollars in micro-dollars, within what a database has room for; the least amount is one."""
    return max(round(min(usd, _MOST) * 1_000_000), 1 if usd else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What has been spent, in US dollars.

    Attributes:
        jobs: How many jobs were accepted, or may have been; also those that failed or were cancelled.
        cost_usd: What the jobs cost whose cost the API has told.
        estimated_usd: What the others are taken to cost.
        unpriced_jobs: How many jobs are in no sum, and do not count against a budget: neither has the API told their
            cost, nor is a price of their model known.
        by_model: What each model cost, estimates included.
        by_run: What each run of ``client.map`` that had a name or a budget cost, estimates included.
    """

    jobs: int
    cost_usd: float
    estimated_usd: float
    unpriced_jobs: int
    by_model: Mapping[str, float]
    by_run: Mapping[str, float]

    @property
    def total_usd(self) -> float:
        """US dollars, estimated ones included: what counts against a budget."""
        return self.cost_usd + self.estimated_usd


def spending(totals: Iterable[tuple[str | None, str, Amounts]]) -> Spending:
    """The sum of the totals of runs and models."""
    everything, models, runs = Amounts(), dict[str, int](), dict[str, int]()
    for run, model_id, total in totals:
        everything = everything.plus(total)
        counted = total.cost + total.estimated
        models[model_id] = models.get(model_id, 0) + counted
        if run is not None:
            runs[run] = runs.get(run, 0) + counted
    return Spending(
        jobs=everything.jobs,
        cost_usd=everything.cost / 1e6,
        estimated_usd=everything.estimated / 1e6,
        unpriced_jobs=everything.unpriced,
        by_model={name: amount / 1e6 for name, amount in models.items()},
        by_run={name: amount / 1e6 for name, amount in runs.items()},
    )


class Entry(Protocol):
    """One submit in a book."""

    def change(self, change: Change, /) -> Pending[None]:
        """Book what has become known of it. Changes are written in the order of the calls."""
        ...


class NewEntry(Entry, Protocol):
    """A submit that is not booked yet."""

    def earlier(self) -> Pending[Any]:
        """What the run has booked of an equal submit before, which must not be sent again; None where nothing.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        ...

    def begin(self, limits: Sequence[Limit], price_usd: float | None) -> Pending[Any]:
        """Book it, before anything is sent.

        Args:
            limits: What must not be spent beyond.
            price_usd: What it is taken to cost until the API tells; None where nobody knows.

        Returns:
            As `earlier`, since that may have come meanwhile.

        Raises:
            BudgetExceededError: it would go over a limit.
            LedgerError: it cannot be written down.
        """
        ...


class Book(Protocol):
    """Where a client's submits are booked."""

    def enter(self, intent: Intent) -> NewEntry:
        """A new submit."""
        ...

    def find(self, request_id: str, /) -> Entry:
        """The submit of a job that is taken up again; one that is not in the book changes nothing."""
        ...

    def spending(self) -> Spending:
        """What has been spent."""
        ...


_NOTHING: Settled[None] = Settled(None)


class MemoryBook:
    """The book of a client without a ledger."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.totals: dict[tuple[str | None, str], Amounts] = {}

    def enter(self, intent: Intent) -> NewEntry:
        return _Entry(self, intent)

    def find(self, _: str, /) -> Entry:
        return _Elsewhere()

    def spending(self) -> Spending:
        with self.lock:
            return spending((run, model_id, total) for (run, model_id), total in self.totals.items())


class _Entry:
    def __init__(self, book: MemoryBook, intent: Intent) -> None:
        self._book = book
        self._key = intent.run, intent.model_id
        self._price: int | None = None
        self._state: State = "not_sent"
        self._cost: int | None = None

    def earlier(self) -> Pending[Any]:
        return _NOTHING

    def begin(self, limits: Sequence[Limit], price_usd: float | None) -> Pending[Any]:
        with self._book.lock:
            for limit in limits:
                totals = self._book.totals.items()
                spent = sum(total.cost + total.estimated for key, total in totals if limit.run in (None, key[0]))
                try:
                    limit.refuse_beyond(spent, price_usd, self._key[1])
                except BudgetExceededError as refusal:
                    return failed(refusal)
            self._price = None if price_usd is None else micro(price_usd)
            self._become("submitting", None)
        return _NOTHING

    def change(self, change: Change) -> Pending[None]:
        with self._book.lock:
            cost = self._cost if change.cost_usd is None else micro(change.cost_usd)
            self._become(merged(self._state, change), cost)
        return _NOTHING

    def _become(self, state: State, cost: int | None) -> None:
        before = amounts(self._state, self._price, self._cost)
        after = amounts(state, self._price, cost)
        self._state, self._cost = state, cost
        if before != after:
            total = self._book.totals.get(self._key, Amounts())
            self._book.totals[self._key] = total.plus(after).plus(before, -1)


class _Elsewhere:
    """A job that was submitted by another client."""

    def change(self, _: Change, /) -> Pending[None]:
        return _NOTHING


def failed(error: Exception) -> "Future[Any]":
    """A future that has its error already."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def written(change: Pending[None], what: str) -> Flow[None]:
    """Wait a while until a change is booked. What the API did is done: that it cannot be written is only logged."""
    try:
        yield from awaited(change, _PATIENCE)
    except TimeoutError:
        logger.warning("%s, which could not be written down yet", what)
    except Exception as error:
        logger.error("%s, which could not be written down: %s", what, error)
