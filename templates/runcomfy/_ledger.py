"""`Ledger`: the submits of any number of clients and processes, in a database that outlasts them."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, overload

from ._answers import is_request_id
from ._book import ENDED, Book, Spending, State
from ._errors import ConfigurationError, InputProblem, InputValidationError, LedgerError, RunComfyError
from ._inputs import OutT
from ._ledger_entry import LedgerEntry
from ._outputs import MediaOutput, Output
from ._packaged import packaged

if TYPE_CHECKING:
    from ._async_client import AsyncClient, AsyncJob
    from ._client import Client, Job
    from ._ledger_store import Store

_PARALLEL = 16
"""How many jobs are cancelled or asked about at a time."""
_FOR_A_COST = 5.0
"""Seconds that a job is asked for its cost."""


class Cancellation(NamedTuple):
    """What became of the wish to cancel one job."""

    request_id: str
    cancelled: bool
    """Whether it is cancelled; False for one that already runs, or has ended in another way."""
    error: RunComfyError | None
    """Why that is not known."""


class Ledger:
    """The submits of any number of clients and processes, in a database that outlasts them.

    ``Client(ledger="jobs.sqlite3")`` writes each submit down before it is sent, the job's id once it is known, and how
    the job ends and what it costs as far as that is told to the client. The token is never in it, nor are media: their
    SHA-256 is. Needs the extra ``ledger``.

    A ledger may be used by any number of threads, and closed by a ``with`` block; a client that was given a path closes
    its own. Reading the ledger sends nothing; it may wait for the disk, so that async code reads in a thread
    (``asyncio.to_thread``).

    Args:
        database: The path of an SQLite file, which is made if it is not there, on a disk of this machine; or the URL of
            a PostgreSQL database, such as ``"postgresql://user:password@host/name"``, which needs ``psycopg``.

    Raises:
        ConfigurationError: `database` is neither, or the extra is not installed.
        LedgerError: the database cannot be opened, or was written by a newer version of this package.
    """

    def __init__(self, database: str | PathLike[str]) -> None:
        try:
            self._database = os.fspath(database)
        except TypeError:
            self._database = ""
        if not isinstance(self._database, str) or not self._database:
            raise ConfigurationError(f"ledger: {_shown(database)} is neither a path, a URL nor a Ledger")
        if "://" not in self._database:
            self._database = str(Path(self._database).absolute())  # wherever the process goes
        self._stores: dict[int, Store] = {}
        self._closed = False
        self._store()

    def entries(self, *states: State, run: str | None = None, model_id: str | None = None) -> Iterator[LedgerEntry]:
        """Read the submits, in the order in which they were written down.

        Args:
            states: Only those in one of these states; all without one.
            run: Only those of this run of ``client.map``.
            model_id: Only those of this model.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from ._ledger_book import read_entries

        return read_entries(self._store(), states, run, model_id)

    def open(self, *, run: str | None = None, model_id: str | None = None) -> Iterator[LedgerEntry]:
        """The jobs that were accepted and whose end is not known. As `entries`."""
        return self.entries("open", run=run, model_id=model_id)

    def unknown(self, *, run: str | None = None, model_id: str | None = None) -> Iterator[LedgerEntry]:
        """The submits of which it is not known whether a job was accepted. As `entries`.

        Look for them in the request history of your account, and `resolve` them.
        """
        return self.entries("unknown", run=run, model_id=model_id)

    def finished(self, *, run: str | None = None, model_id: str | None = None) -> Iterator[LedgerEntry]:
        """The jobs that have ended, however they did. As `entries`."""
        return self.entries(*ENDED, run=run, model_id=model_id)

    def resolve(self, entry: LedgerEntry, request_id: str | None) -> None:
        """Settle what became of an unknown submit, or of an open job that the API does not know any more.

        Args:
            entry: The submit.
            request_id: The id of the job that was accepted, which is open from now on; or None where there is no job,
                so that it costs nothing, and a run may submit it again.

        Raises:
            InputValidationError: `request_id` cannot be an id.
            LedgerError: the submit is neither unknown nor open (any more), the id is that of another one, or the ledger
                cannot be written.
        """
        from ._ledger_book import resolve

        if request_id is not None and not is_request_id(request_id):
            raise InputValidationError("a job", [InputProblem("request_id", f"{request_id!r} is no request id")])
        self._store().write(lambda connection: resolve(connection, entry.id, request_id)).result()

    @overload
    def resume(self, client: "Client", *, run: str | None = None) -> "list[Job[Output]]": ...
    @overload
    def resume(self, client: "Client", output: type[OutT], *, run: str | None = None) -> "list[Job[OutT]]": ...
    @overload
    def resume(self, client: "AsyncClient", *, run: str | None = None) -> "list[AsyncJob[Output]]": ...
    @overload
    def resume(
        self, client: "AsyncClient", output: type[OutT], *, run: str | None = None
    ) -> "list[AsyncJob[OutT]]": ...
    def resume(self, client: Any, output: type[Any] | None = None, *, run: str | None = None) -> list[Any]:
        """Take up the open jobs of a client's API again; nothing is sent.

        Args:
            client: The client to wait with.
            output: Only the jobs of the model that this is the output of, such as ``edit.Output``. Without it all, each
                with the output of its own model.
            run: Only those of this run of ``client.map``.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        entries = [entry for entry in self.open(run=run) if entry.base_url == client.base_url and entry.request_id]
        outputs = {model_id: output_of(model_id) for model_id in {entry.model_id for entry in entries}}
        return [
            client._resumed(entry, outputs[entry.model_id])
            for entry in entries
            if output in (None, outputs[entry.model_id])
        ]

    def cancel_open(self, client: "Client", *, run: str | None = None) -> list[Cancellation]:
        """Cancel all open jobs of a client's API, which works for those that are still in the queue.

        Args:
            client: The client to cancel with.
            run: Only those of this run of ``client.map``.

        Returns:
            What became of each.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from ._background import in_parallel

        return in_parallel([partial(_cancelled, job) for job in self.resume(client, run=run)], _PARALLEL)

    async def cancel_open_async(self, client: "AsyncClient", *, run: str | None = None) -> list[Cancellation]:
        """Cancel all open jobs of a client's API. As `cancel_open`."""
        turns = asyncio.Semaphore(_PARALLEL)
        return await asyncio.gather(*(_cancelled_async(job, turns) for job in self.resume(client, run=run)))

    def read_costs(self, client: "Client", *, run: str | None = None) -> dict[str, float | None]:
        """Read the costs of the jobs that have ended, where the API has not told them yet.

        Args:
            client: The client to ask with.
            run: Only those of this run of ``client.map``.

        Returns:
            US dollars by request id; None where the API does not tell even now, or cannot be asked.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from ._background import in_parallel

        return dict(in_parallel([partial(_cost, job) for job in self._without_cost(client, run)], _PARALLEL))

    async def read_costs_async(self, client: "AsyncClient", *, run: str | None = None) -> dict[str, float | None]:
        """Read the costs of the jobs that have ended. As `read_costs`."""
        turns = asyncio.Semaphore(_PARALLEL)
        return dict(await asyncio.gather(*(_cost_async(job, turns) for job in self._without_cost(client, run))))

    def spending(self) -> Spending:
        """What has been spent, by all that is in the ledger.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from ._ledger_book import spending

        return spending(self._store())

    def close(self) -> None:
        """Write what is still to be written, and close the database. May be called more than once."""
        self._closed = True
        store = self._stores.get(os.getpid())
        if store is not None:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        is_path = "://" not in self._database  # a URL may have a password
        return f"Ledger({self._database!r})" if is_path else "Ledger(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Ledger cannot be pickled; make one in each process")

    def _without_cost(self, client: Any, run: str | None) -> list[Any]:
        entries = self.finished(run=run)
        ours = [entry for entry in entries if entry.base_url == client.base_url and entry.request_id]
        return [client._resumed(entry, MediaOutput) for entry in ours if entry.cost_usd is None]

    def _book(self, base_url: str) -> Book:
        """The book of a client."""
        from ._ledger_book import LedgerBook

        return LedgerBook(self._store, base_url)

    def _store(self, *, for_change: bool = False) -> "Store":
        """The database as this process has it open: a forked child must not use the connections of its parent.

        What becomes of a submit can be written down in a closed ledger, too.
        """
        if self._closed and not for_change:
            raise LedgerError("this ledger is closed; make a new one")
        store = self._stores.get(os.getpid())
        if store is None:  # without a lock: a forked child would inherit it as it is
            opened = _open(self._database)
            store = self._stores.setdefault(os.getpid(), opened)
            if store is not opened:  # another thread was faster
                opened.close()
        return store


def ledger_of(ledger: "str | PathLike[str] | Ledger") -> Ledger:
    """The ledger that a client is given."""
    return ledger if isinstance(ledger, Ledger) else Ledger(ledger)


def output_of(model_id: str) -> type[Output]:
    """How to read the results of a model."""
    found = packaged(model_id)
    if found is None:
        return MediaOutput
    output: type[Output] = import_module(found.module).Output
    return output


def _shown(database: object) -> str:
    """What is given as a ledger and is none: without its value, which may be a URL with a password."""
    return repr(database) if database in ("", b"") else f"an object of type {type(database).__name__}"


def _open(database: str) -> "Store":
    try:
        from . import _ledger_book as _ledger_book
        from ._ledger_store import Store
    except ImportError as error:
        raise ConfigurationError(f"ledger: it needs more ({error}); type: pip install 'runcomfy[ledger]'") from error
    return Store(database)


def _cost(job: "Job[Any]") -> tuple[str, float | None]:
    try:
        return job.id, job.cost(_FOR_A_COST)
    except RunComfyError:
        return job.id, None


async def _cost_async(job: "AsyncJob[Any]", turns: asyncio.Semaphore) -> tuple[str, float | None]:
    async with turns:
        try:
            return job.id, await job.cost(_FOR_A_COST)
        except RunComfyError:
            return job.id, None


def _cancelled(job: "Job[Any]") -> Cancellation:
    try:
        return Cancellation(job.id, job.cancel(), None)
    except RunComfyError as error:
        return Cancellation(job.id, False, error)


async def _cancelled_async(job: "AsyncJob[Any]", turns: asyncio.Semaphore) -> Cancellation:
    async with turns:
        try:
            return Cancellation(job.id, await job.cancel(), None)
        except RunComfyError as error:
            return Cancellation(job.id, False, error)
