"""Carries out flows: sends what they ask to send, pauses when they ask to pause, returns what they return.

Nothing here decides. A submit is carried out shielded: an interruption of its caller does not stop it, so that what
became of it can still be told.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock, current_thread, main_thread
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from ._http_types import Await, Flow, Pause, Request, Response
from ._worker import Begin, begin_alone

T = TypeVar("T")

logger = logging.getLogger(__package__)


def drive(flow: Flow[T], send: Callable[[Request], Response], pause: Callable[[float], object] = sleep) -> T:
    """Carry out a flow in this thread."""
    outcome: Any = None
    while True:
        try:
            step = flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(step, Pause):
            pause(step.seconds)
            outcome = None
            continue
        if isinstance(step, Await):
            try:
                outcome = step.future.result(step.seconds)
            except Exception as error:
                outcome = error
            continue
        started = monotonic()
        try:
            outcome = send(step)
        except Exception as error:
            outcome = error
        log(step, outcome, monotonic() - started)


def log(request: Request, outcome: Response | Exception, seconds: float) -> None:
    answer = outcome.status if isinstance(outcome, Response) else outcome
    logger.debug("%s %s: %s (%.3f s)", request.method, request.path, answer, seconds)


class Shielded(Generic[T]):
    """Work that Ctrl-C does not stop: where Ctrl-C may come, it is done in another thread."""

    def __init__(self, work: Callable[[], T], begin: Begin = begin_alone) -> None:
        self._to_do = [work]
        self._begin = begin
        self._started = False
        self._is_done = False
        self._working = Lock()  # no Event: where Ctrl-C comes at the wrong moment, nobody can wait for one any more
        self._working.acquire()
        self._value: T | None = None
        self.error: BaseException | None = None
        """What the work itself raised."""

    def result(self) -> T:
        """Do the work and return what it returns, or raise what it raises, or else what interrupts the waiting."""
        if current_thread() is main_thread():  # the only one that Ctrl-C reaches
            with suppress(RuntimeError):  # there may be no more threads, or no more time for one
                self._begin(partial(copy_context().run, self._do), self._end)
                self._started = True
        if not self._started and self._do():
            self._end()
        while not self._wait(0.2):  # some systems deliver Ctrl-C only between waits
            pass
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]  # there is one where there is no error

    def settled(self, seconds: float) -> T | None:
        """What the work returned, if it does in some seconds after an interruption; None where it did not."""
        with suppress(BaseException):  # interrupted again: do not wait any longer
            self._wait(seconds)
        return self._value

    def _wait(self, seconds: float) -> bool:
        return self._is_done or self._working.acquire(timeout=seconds)

    def _end(self) -> None:
        self._is_done = True
        self._working.release()

    def _do(self) -> bool:
        """Do the work, unless another thread does it already."""
        try:
            work = self._to_do.pop()
        except IndexError:
            return False
        try:
            self._value = work()
        except BaseException as error:
            self.error = error
        return True
