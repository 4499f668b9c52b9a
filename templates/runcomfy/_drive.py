"""Carries out flows: sends what they ask to send, pauses when they ask to pause, returns what they return.

Nothing here decides. Whatever goes wrong during a step is thrown into the flow: a `TransportFailure`, Ctrl-C, the
cancellation of a task. A shielded request is not stopped by an interruption: its answer is awaited for a few seconds
more, and reaches the flow together with the interruption.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, current_thread, main_thread
from time import monotonic, sleep
from typing import Any, TypeVar

from ._errors import ConfigurationError
from ._http_types import Flow, Interrupted, Pause, Request, Response, Step, TransportFailure

T = TypeVar("T")
Outcome = Response | BaseException

GRACE = 5.0
"""Seconds that the answer to a shielded request is awaited after an interruption."""

_NO_ANSWER = "interrupted before an answer came"

logger = logging.getLogger(__package__)


def drive(flow: Flow[T], send: Callable[[Request], Response]) -> T:
    """Carry out a flow in this thread.

    Raises:
        BaseException: whatever the flow raises.
    """
    outcome: Outcome | None = None
    while True:
        try:
            step = _advance(flow, outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        outcome, started = None, monotonic()
        try:
            if isinstance(step, Pause):
                sleep(step.seconds)
            elif step.shielded and current_thread() is main_thread():  # the only thread that Ctrl-C reaches
                outcome = _send_shielded(step, send)
            else:
                outcome = send(step)
        except BaseException as error:
            outcome = error
        _log(step, outcome, monotonic() - started)


async def drive_async(flow: Flow[T], send: Callable[[Request], Coroutine[Any, Any, Response]]) -> T:
    """Carry out a flow in this task. As `drive`."""
    outcome: Outcome | None = None
    while True:
        try:
            step = _advance(flow, outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        outcome, started = None, monotonic()
        try:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif step.shielded:
                outcome = await _send_shielded_async(step, send)
            else:
                outcome = await send(step)
        except GeneratorExit:  # the coroutine is being closed, and may not await any more
            raise
        except BaseException as error:
            outcome = error
        _log(step, outcome, monotonic() - started)


def _advance(flow: Flow[Any], outcome: Outcome | None) -> Step:
    return flow.throw(outcome) if isinstance(outcome, BaseException) else flow.send(outcome)


def _send_shielded(request: Request, send: Callable[[Request], Response]) -> Outcome:
    """Send in a thread of its own, which Ctrl-C does not reach."""
    outcomes: SimpleQueue[Outcome] = SimpleQueue()

    def work() -> None:
        try:
            outcomes.put(send(request))
        except BaseException as error:
            outcomes.put(error)

    def outcome(deadline: float) -> Outcome:
        while True:
            try:
                return outcomes.get(timeout=0.2)  # some systems deliver Ctrl-C only between waits
            except Empty:
                if monotonic() > deadline:
                    return TransportFailure(_NO_ANSWER, sent=True)

    try:
        Thread(target=work, name="runcomfy-submit", daemon=True).start()
        return outcome(float("inf"))  # the request itself ends in time
    except BaseException as interruption:
        try:
            settled = outcome(monotonic() + GRACE)
        except BaseException:  # interrupted again: do not wait any longer
            settled = TransportFailure(_NO_ANSWER, sent=True)
        return _interrupted(interruption, settled)


async def _send_shielded_async(request: Request, send: Callable[[Request], Coroutine[Any, Any, Response]]) -> Outcome:
    """Send in a task of its own, which the cancellation of this one does not reach."""
    task = asyncio.create_task(send(request))
    asyncio._unregister_task(task)  # asyncio.run cancels all tasks that it knows when it ends
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as interruption:
        with suppress(asyncio.CancelledError):  # cancelled again: do not wait any longer
            await asyncio.wait({task}, timeout=GRACE)
        settled: Outcome = TransportFailure(_NO_ANSWER, sent=True)
        if not task.done():
            asyncio._register_task(task)
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            task.cancel()
        elif not task.cancelled():
            settled = task.exception() or task.result()
        return _interrupted(interruption, settled)


def _interrupted(by: BaseException, settled: Outcome) -> Interrupted:
    if isinstance(settled, Response | TransportFailure):
        return Interrupted(by, settled)
    return Interrupted(by, TransportFailure(str(settled), sent=not isinstance(settled, ConfigurationError)))


def _log(step: Step, outcome: Outcome | None, seconds: float) -> None:
    if isinstance(step, Request):
        answer = outcome.status if isinstance(outcome, Response) else f"{type(outcome).__name__}: {outcome}"
        logger.debug("%s %s: %s (%.3f s)", step.method, step.path, answer, seconds)
