"""Threads that do one thing: one of its own for what takes its time, and one that is kept for the next submit."""

import os
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Begin = Callable[[Callable[[], object], Callable[[], object]], object]
"""Does work in another thread, a daemon, and calls something at its end, which may not wait. Neither may raise.

Raises a `RuntimeError` where there can be no more threads.
"""

_idle: list["_Worker"] = []
"""Taken from and added to by one operation each, so that no lock is needed, and a signal can come at any moment."""


def begin_alone(work: Callable[[], object], then: Callable[[], object]) -> None:
    """Begin work in a thread of its own."""

    def both() -> None:
        work()
        then()

    Thread(target=both, name="runcomfy", daemon=True).start()


def begin(work: Callable[[], object], then: Callable[[], object]) -> None:
    """Begin work in the thread that did the last one, which saves as much time as a request takes."""
    if sys.is_finalizing():
        raise RuntimeError("the interpreter ends, and all its other threads stand still")
    try:
        worker = _idle.pop()
    except IndexError:
        _Worker((work, then))
    else:
        worker.tasks.put((work, then))


def dismiss() -> None:
    """End the threads that have nothing to do."""
    if sys.is_finalizing():  # they will never end
        _idle.clear()
    while _idle:
        try:
            worker = _idle.pop()
        except IndexError:  # another thread was faster
            return
        worker.tasks.put(None)
        worker.thread.join()


_Task = tuple[Callable[[], object], Callable[[], object]]


class _Worker:
    def __init__(self, first: _Task) -> None:
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self.tasks.put(first)  # before it starts: a signal that interrupts its start must not leave it without work
        self.thread = Thread(target=self._serve, name="runcomfy-submit", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while (task := self.tasks.get()) is not None:
            work, then = task
            work()
            _idle.append(self)  # before anybody is told, who may have more work at once
            then()
            del task, work, then  # what they hold may be large


if hasattr(os, "register_at_fork"):
    # A process is best forked with one thread only; and those of the parent are none of the child's.
    os.register_at_fork(before=dismiss, after_in_child=_idle.clear)
