"""Carries out flows: sends what they ask to send, pauses when they ask to pause, returns what they return.

Nothing here decides. A submit is carried out shielded: an interruption of its caller does not stop it, so that what
became of it can still be told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from contextvars import copy_context
from threading import Event, Thread, current_thread, main_thread
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from ._http_types import Await, Flow, Pause, Request, Response

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
        _log(step, outcome, monotonic() - started)


async def drive_async(
    flow: Flow[T],
    send: Callable[[Request], Awaitable[Response]],
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Carry out a flow in this task."""
    outcome: Any = None
    while True:
        try:
            step = flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(step, Pause):
            await pause(step.seconds)
            outcome = None
            continue
        if isinstance(step, Await):
            try:
                outcome = await _result(step)
            except Exception as error:
                outcome = error
            continue
        started = monotonic()
        try:
            outcome = await send(step)
        except Exception as error:
            outcome = error
        _log(step, outcome, monotonic() - started)


async def _result(step: Await) -> Any:
    if step.future.done():
        return step.future.result()
    return await asyncio.wait_for(asyncio.wrap_future(step.future), step.seconds)


def _log(request: Request, outcome: Response | Exception, seconds: float) -> None:
    answer = outcome.status if isinstance(outcome, Response) else outcome
    logger.debug("%s %s: %s (%.3f s)", request.method, request.path, answer, seconds)


class Shielded(Generic[T]):
    """Work that Ctrl-C does not stop: where Ctrl-C may come, it is done in a thread of its own."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._to_do = [work]
        self._started = False
        self._done = Event()
        self._value: T | None = None
        self.error: BaseException | None = None
        """What the work itself raised."""

    def result(self) -> T:
        """Do the work and return what it returns, or raise what it raises, or else what interrupts the waiting."""
        if current_thread() is main_thread():  # the only one that Ctrl-C reaches
            with suppress(RuntimeError):  # there may be no more threads, or no more time for one
                Thread(target=copy_context().run, args=[self._do], name="runcomfy", daemon=True).start()
                self._started = True
        if not self._started:
            self._do()
        while not self._done.wait(0.2):  # some systems deliver Ctrl-C only between waits
            pass
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]  # there is one where there is no error

    def settled(self, seconds: float) -> T | None:
        """What the work returned, if it does in some seconds after an interruption; None where it did not."""
        with suppress(BaseException):  # interrupted again: do not wait any longer
            self._done.wait(seconds)
        return self._value

    def _do(self) -> None:
        try:
            work = self._to_do.pop()
        except IndexError:  # a thread does it already
            return
        try:
            self._value = work()
        except BaseException as error:
            self.error = error
        finally:
            self._done.set()


class AsyncShielded(Generic[T]):
    """Work that the cancellation of its caller does not stop. As `Shielded`."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = own_task(work)

    @property
    def error(self) -> BaseException | None:
        """What the work itself raised."""
        return self._task.exception() if self._task.done() and not self._task.cancelled() else None

    async def result(self) -> T:
        """As `Shielded.result`."""
        return await asyncio.shield(self._task)

    async def settled(self, seconds: float) -> T | None:
        """As `Shielded.settled`; what is not done by then is cancelled."""
        with undisturbed(), suppress(asyncio.CancelledError):
            await asyncio.wait({self._task}, timeout=seconds)
        if not self._task.done():
            self._task.cancel()
            with undisturbed(), suppress(asyncio.CancelledError):
                await asyncio.wait({self._task}, timeout=1.0)  # until its connection is closed
        return None if not self._task.done() or self._task.cancelled() or self.error else self._task.result()


def own_task(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """A task that only this package ends: asyncio.run cancels all tasks that it knows when it ends."""
    task = asyncio.create_task(work)
    asyncio._unregister_task(task)
    return task


def undisturbed() -> AbstractContextManager[object]:
    """Keep frameworks on anyio, such as Starlette, from cancelling again what follows their first cancellation."""
    from anyio import CancelScope  # it comes with httpx, which is loaded by now

    return CancelScope(shield=True)
