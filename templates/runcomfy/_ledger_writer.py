"""The thread that does all writing of a process to a ledger.

It puts whatever has come up meanwhile into one transaction: many submits at once wait for one write to the disk, and an
event loop for none.
"""

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from ._errors import LedgerError, RunComfyError
from ._ledger_database import BUSY, is_passing

T = TypeVar("T")

_MOST_AT_ONCE = 500
_IDLE = 2.0
"""Seconds without work after which the thread ends."""
_PATIENCE = BUSY
"""Seconds for which a patient operation is tried again."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class _Operation(NamedTuple):
    write: Callable[[Connection], Any]
    future: Future[Any]
    patient: bool
    deadline: float
    """When to give up, by the monotonic clock."""


class Writer:
    """Does operations in the order of the calls, in a thread that is there while there are any.

    Args:
        transaction: Begins a transaction.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._queue: list[_Operation] = []
        """An operation stays in it until its future has an outcome."""
        self._changed = Condition()
        self._turn = Lock()
        self._thread: Thread | None = None

    def write(self, operation: Callable[[Connection], T], *, patient: bool) -> "Future[T]":
        """As `Store.write`."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # nobody who no longer waits for it keeps it from being done
        with self._changed:
            self._queue.append(_Operation(operation, future, patient, monotonic() + _PATIENCE))
            self._changed.notify_all()
        self._go_on()
        return future

    def flush(self, seconds: float) -> int:
        """Wait until all is written that is to be; how many operations are not, after that time."""
        with self._changed:
            futures = [operation.future for operation in self._queue]
        if futures:
            self._go_on()
        return len(wait(futures, seconds).not_done)

    def _go_on(self) -> None:
        """See to it that the thread is there; do its work in this one where it cannot be."""
        with self._changed:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = Thread(target=self._write_all, name="runcomfy-ledger", daemon=True)
            try:
                self._thread.start()
                return
            except RuntimeError:  # there may be no more threads, or no more time for one
                self._thread = None
        while self._queue:
            self._write_some(may_wait=False)

    def _write_all(self) -> None:
        """Write whatever comes up, until nothing has for a while."""
        pause = 0.0
        while True:
            with self._changed:
                if pause:  # an operation that is not patient must not wait
                    self._changed.wait_for(lambda: any(not operation.patient for operation in self._queue), pause)
                elif not self._changed.wait_for(lambda: self._queue, _IDLE):
                    self._thread = None
                    return
            is_done = self._write_some(may_wait=True)
            pause = 0.0 if is_done else min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _write_some(self, *, may_wait: bool) -> bool:
        """Try what is next, and whatever is not patient; False where something has to be tried again."""
        with self._turn:
            with self._changed:
                others = [operation for operation in self._queue[_MOST_AT_ONCE:] if not operation.patient]
                batch = self._queue[:_MOST_AT_ONCE] + others[:_MOST_AT_ONCE]
            self._commit(batch, may_wait=may_wait)
            with self._changed:
                self._queue = [operation for operation in self._queue if not operation.future.done()]
        return all(operation.future.done() for operation in batch)

    def _commit(self, batch: list[_Operation], *, may_wait: bool) -> None:
        """Do all in one transaction, and again without one that fails by itself."""
        while batch:
            outcomes: list[Any] = []
            is_begun = False
            try:
                with self._transaction() as connection:
                    is_begun = True
                    for operation in batch:
                        outcomes.append(_outcome(operation, connection))  # noqa: PERF401 - which one raised?
            except Exception as error:
                if is_begun and len(outcomes) < len(batch) and not is_passing(error):
                    batch[len(outcomes)].future.set_exception(error)
                    batch = [operation for operation in batch if not operation.future.done()]
                    continue
                _fail(batch, error, may_wait=may_wait)
            else:
                for operation, outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, Exception):
                        operation.future.set_exception(outcome)
                    else:
                        operation.future.set_result(outcome)
            return


def _outcome(operation: _Operation, connection: Connection) -> Any:
    try:
        return operation.write(connection)
    except RunComfyError as refusal:
        return refusal


def _fail(batch: list[_Operation], error: Exception, *, may_wait: bool) -> None:
    """Tell those that do not wait for better times."""
    for operation in batch:
        if may_wait and operation.patient and is_passing(error) and monotonic() < operation.deadline:
            continue
        failure = LedgerError(str(error))  # one for each: it is raised in several threads
        failure.__cause__ = error.__cause__ or error
        operation.future.set_exception(failure)
