"""Carries out flows in an event loop. As `_drive`, which programs without one load without asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import Any, Generic, TypeVar

from ._drive import log
from ._http_types import Await, Flow, Pause, Request, Response

T = TypeVar("T")


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
        log(step, outcome, monotonic() - started)


async def _result(step: Await) -> Any:
    if step.future.done():
        return step.future.result()
    return await asyncio.wait_for(asyncio.wrap_future(step.future), step.seconds)


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
    from anyio import CancelScope  # it comes with httpx

    return CancelScope(shield=True)
