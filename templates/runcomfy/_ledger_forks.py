"""Keeps SQLite files closed while the process forks.

SQLite keeps tables about the locks of the process. Their copies in a forked child would claim locks that only the
parent has: the child would write without any, or wait for itself for ever.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition
from weakref import WeakSet

from sqlalchemy import Engine

from ._errors import LedgerError

_LONGEST = 60.0
"""Seconds that a fork waits for what is being done with a file."""


class _Files:
    """The SQLite files that this process has open, which it has not while it forks.

    Args:
        is_lost: Whether this process was forked while its parent had files open.
    """

    def __init__(self, *, is_lost: bool = False) -> None:
        self._is_lost = is_lost
        self._changed = Condition()
        self._users = 0
        self._forks = 0
        self._engines: WeakSet[Engine] = WeakSet()

    @contextmanager
    def used(self, engine: Engine) -> Iterator[None]:
        with self._changed:
            if self._is_lost:
                raise LedgerError(
                    "this process was forked while the other one used a ledger, and cannot use any; fork it at another"
                    " time, or start it with multiprocessing's method 'spawn'"
                )
            self._changed.wait_for(lambda: not self._forks)
            self._users += 1
            self._engines.add(engine)
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Let nobody use a file any more, and close them."""
        with self._changed:
            self._forks += 1
            if self._changed.wait_for(lambda: not self._users, _LONGEST):
                for engine in list(self._engines):
                    engine.dispose()
                    self._engines.discard(engine)

    def after_fork(self) -> None:
        """Let everybody go on."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def in_child(self) -> "_Files":
        """Those of a forked child."""
        return _Files(is_lost=self._is_lost or self._users > 0 or len(self._engines) > 0)


_files = _Files()


def used(engine: Engine) -> AbstractContextManager[None]:
    """Use an SQLite file, and keep this process from forking meanwhile.

    Raises:
        LedgerError: this process was forked while its parent used one.
    """
    return _files.used(engine)


def _before_fork() -> None:
    _files.before_fork()


def _after_fork() -> None:
    _files.after_fork()


def _in_child() -> None:
    global _files
    _files = _files.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
