"""The live lines of all waits of this process on one terminal. Needs rich, which is loaded nowhere else."""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Any, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ._progress import Line

_TICK = 0.1
"""Seconds between two drawings."""


class Board:
    """One live display for any number of waits, of any threads and tasks: a terminal has only one cursor.

    While there are waits, a thread of its own draws them. Whoever writes anything else, such as the last line of a wait
    or what the program prints, takes the lines off the terminal first; the thread puts them back below it.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # of all that follows, and of the terminal
        self._watched: dict[Line, None] = {}
        self._console: Console | None = None  # None while nothing is shown, as all that follows
        self._live: Live | None = None  # None while the lines are off the terminal
        self._mid_line = False  # whether the program has begun a line and not ended it
        self._diverted: list[_Diverted] = []
        self._stop = Event()
        self._drawer: Thread | None = None

    def begin(self, line: Line) -> bool:
        """Show a wait; False on a terminal that live lines cannot be drawn on."""
        with self._lock:
            if self._console is None:
                console = Console(file=cast("TextIO", _Unfailing(sys.stderr)), force_jupyter=False)
                if not console.is_interactive or not console.encoding.startswith("utf"):
                    return False
                try:
                    self._open(console)
                except BaseException:  # such as no more threads
                    self._close()
                    raise
            self._watched[line] = None
        return True

    def changed(self, line: Line) -> None:
        """A wait has a new status; the next drawing shows it."""

    def end(self, line: Line, how: str) -> None:
        """Show a wait no more; a last line, which stays, tells how it ended."""
        with self._lock:
            try:
                self._erase()
                if self._console is not None:
                    last = f"{line.ended(how)}\n"
                    self._console.file.write(f"\n{last}" if self._mid_line else last)
                    self._console.file.flush()
                    self._mid_line = False
            finally:
                self._watched.pop(line, None)
                drawer = None if self._watched else self._close()
        if drawer is not None:
            drawer.join()

    @contextmanager
    def making_way(self, text: str) -> Iterator[None]:
        """Let somebody else write a text to the terminal."""
        with self._lock:
            if self._console is not None and text:
                with suppress(Exception):
                    self._erase()
                self._mid_line = not text.endswith("\n")
            yield

    def leave(self) -> None:
        """Give the terminal back at the end of the program, whoever waits still."""
        with self._lock:
            with suppress(Exception):
                self._erase()
            drawer = self._close()
        if drawer is not None:
            drawer.join()

    def forget(self) -> None:
        """Leave all to the parent process, in a child that was forked from it."""
        self._restore_streams()
        vars(self).update(vars(Board()))

    def _open(self, console: Console) -> None:
        self._console, self._mid_line, self._stop = console, False, Event()
        self._drawer = Thread(target=self._draw, args=[console, self._stop], name="runcomfy-progress", daemon=True)
        self._drawer.start()  # which waits for the lock
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # not every stream can tell, or be diverted
                if stream.isatty():
                    self._diverted.append(_Diverted(self, stream))

    def _close(self) -> Thread | None:
        """End the display; gives the thread, which ends once it gets the lock."""
        self._stop.set()
        self._restore_streams()
        self._watched.clear()
        drawer, self._drawer, self._console = self._drawer, None, None
        return drawer

    def _restore_streams(self) -> None:
        while self._diverted:
            with suppress(Exception):
                self._diverted.pop().restore()

    def _draw(self, console: Console, stop: Event) -> None:
        while not stop.is_set():
            with self._lock, suppress(Exception):
                if self._live is not None:
                    self._live.refresh()
                elif self._watched and not self._mid_line and not stop.is_set():
                    # A new one each time: one that was started again would erase what stands above it now.
                    self._live = Live(console=console, get_renderable=lambda: self._lines(console), **_BARE)
                    self._live.start(refresh=True)
            stop.wait(_TICK)

    def _erase(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _lines(self, console: Console) -> Group:
        """A line for each wait, as many as the terminal has room for."""
        room = max(1, console.height - 1)
        shown = list(self._watched)
        if len(shown) > room:
            shown = shown[: room - 1]
        table = Table.grid(padding=(0, 2, 0, 0))
        for line in shown:
            name, state = (Text(text, no_wrap=True, overflow="ellipsis") for text in (line.name, line.state))
            table.add_row(_SPINNER, name, state, Text(f"{line.seconds:.0f} s", no_wrap=True))
        left_out = len(self._watched) - len(shown)
        return Group(table, Text(f"… and {left_out} more", no_wrap=True)) if left_out else Group(table)


_BARE: dict[str, Any] = {
    "auto_refresh": False,
    "transient": True,
    "redirect_stdout": False,
    "redirect_stderr": False,
}
"""What of a `Live` is not used. Its own way to let others print reads markup in what they print, and wraps it; and it
replaces `sys.stdout`, which misses the logs and lets Python crash in threads that print meanwhile."""

_SPINNER = Spinner("dots")


class _Diverted:
    """A stream to the same terminal: whoever writes to it, a print or a log, writes above the live lines."""

    def __init__(self, board: Board, stream: TextIO) -> None:
        self._stream = stream
        self._before = vars(stream).get("write")
        write = stream.write

        def write_above(text: str) -> int:
            with board.making_way(text):
                return write(text)

        stream.write = self._write = write_above  # type: ignore[method-assign]  # of this one stream

    def restore(self) -> None:
        """Undo it, unless somebody has done the same meanwhile: then it passes all on."""
        if vars(self._stream).get("write") is not self._write:
            return
        if self._before is None:
            del self._stream.write
        else:
            self._stream.write = self._before  # type: ignore[method-assign]  # of this one stream


class _Unfailing:
    """A stream that can be closed or broken, without anybody being told. It stays itself where it is diverted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write = stream.write

    def write(self, text: str) -> int:
        with suppress(Exception):
            self._write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(Exception):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


board = Board()
"""The one of this process."""

atexit.register(board.leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=board.forget)
