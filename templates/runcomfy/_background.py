"""Work in threads that can be stopped: by Ctrl-C in a sync call, by the cancellation of its task in an async one."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from threading import Event, Lock, Thread
from typing import TypeVar

from ._drive import Shielded

T = TypeVar("T")

_STOPPING = 5.0
"""Seconds that stopped work may take to leave nothing behind; a thread that hangs in a decoder is not waited for."""


class Stopped(Exception):
    """The work was stopped by who asked for it, and who no longer waits for what it gives."""


class Stop:
    """Tells threads to stop, and wakes those that wait."""

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._wakers: list[Callable[[], object]] = []

    def set(self) -> None:
        """Stop everything; may be called from any thread."""
        self._event.set()  # before the look at the wakers: whoever adds one looks in the opposite order
        with self._lock:
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def check(self) -> None:
        """Raise `Stopped` if it is time to."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait, and raise `Stopped` as soon as it is time to."""
        if self._event.wait(seconds):
            raise Stopped

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake`, from another thread, if it is time to stop meanwhile."""
        with self._lock:
            self._wakers.append(wake)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)


def run(work: Callable[[Stop], T]) -> T:
    """Do work that an interruption stops, and return what it returns or raise what it raises."""
    stop = Stop()
    shielded = Shielded(lambda: work(stop))
    try:
        return shielded.result()
    except BaseException as error:
        stop.set()
        if error is not shielded.error:
            shielded.settled(_STOPPING)
        raise


async def run_async(work: Callable[[Stop], T]) -> T:
    """As `run`, beside the event loop."""
    import asyncio  # it takes its time to load, and has been loaded by those who await this

    from ._async_drive import undisturbed

    stop, loop, done, outcome = Stop(), asyncio.get_running_loop(), asyncio.Event(), Future[T]()

    def do() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(done.set)

    Thread(target=copy_context().run, args=[do], name="runcomfy", daemon=True).start()
    try:
        await done.wait()
    except BaseException as interruption:
        stop.set()
        if isinstance(interruption, asyncio.CancelledError):
            with undisturbed(), suppress(asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(done.wait(), _STOPPING)
        raise
    return outcome.result()


def in_parallel(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """What the tasks return, in their order; done in this thread and some more. They must not raise."""
    to_do, results = deque(enumerate(tasks)), dict[int, T]()

    def work() -> None:
        while True:
            try:
                position, task = to_do.popleft()
            except IndexError:
                return
            results[position] = task()

    helpers: list[Thread] = []
    for _ in range(min(threads, len(tasks)) - 1):
        helper = Thread(target=copy_context().run, args=[work], name="runcomfy", daemon=True)
        with suppress(RuntimeError):  # there may be no more threads: then those that there are do it all
            helper.start()
            helpers.append(helper)
    work()
    for helper in helpers:
        helper.join()
    return [results[position] for position in range(len(tasks))]
