"""What ``progress=True`` shows of a wait on stderr: a live line on a terminal, plain lines anywhere else.

The job has been paid for, so nothing here can end its wait: what cannot be shown is not shown.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Protocol

from ._answers import shortened
from ._errors import ConfigurationError, JobCancelledError, JobFailedError, WaitTimeoutError
from ._status import Status

OnUpdate = Callable[[Status], object]

_LONGEST_ID = 200
_LONGEST_STATE = 60


class Line(Protocol):
    """What is shown in one line."""

    @property
    def name(self) -> str:
        """What it is about."""
        ...

    @property
    def state(self) -> str:
        """How it stands."""
        ...

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        ...

    def news(self) -> str | None:
        """The line for a change, where lines stay; None for a change that is worth none."""
        ...

    def ended(self, how: str) -> str:
        """The last line."""
        ...


class Watched:
    """One wait as it is shown. Its texts are one line each, without control characters, whatever the API sent."""

    def __init__(self, request_id: str, model_id: str | None) -> None:
        self.name = _printable(model_id or request_id, _LONGEST_ID)
        self._full_name = f"{self.name} {_printable(request_id, _LONGEST_ID)}" if model_id else self.name
        self._started = monotonic()
        self.status: Status | None = None

    @property
    def seconds(self) -> float:
        """How long the wait has lasted."""
        return monotonic() - self._started

    @property
    def state(self) -> str:
        """``"in_queue, position 3"``."""
        if self.status is None:
            return "waiting"
        position = self.status.queue_position
        text = self.status.state if position is None else f"{self.status.state}, position {position}"
        return _printable(text, _LONGEST_STATE)

    def news(self) -> str | None:
        """The line for a change of the status; the last line tells the end."""
        is_end = self.status is None or self.status.done
        return None if is_end else f"{self._full_name}: {self.state} ({self.seconds:.1f} s)"

    def ended(self, how: str) -> str:
        """The last line."""
        return f"{self._full_name}: {how} after {self.seconds:.1f} s"


class Display(Protocol):
    """Where lines are shown."""

    def changed(self, line: Line) -> None:
        """There is something new to tell."""
        ...

    def end(self, line: Line, how: str) -> None:
        """Show it no more; a last line, which stays, tells how it ended."""
        ...


class _Lines:
    """A line for each change, for whatever keeps what was written: files, pipes, notebooks, the logs of a CI."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def changed(self, line: Line) -> None:
        if (news := line.news()) is not None:
            self._write(news)

    def end(self, line: Line, how: str) -> None:
        self._write(line.ended(how))

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{text}\n")  # at once, so that the lines of several threads stay whole
            self._stream.flush()


def check(progress: object) -> None:
    """Refuse what `shown` could not show.

    Raises:
        ConfigurationError: `progress` is no bool, or stderr is a terminal and rich is not installed.
    """
    if not isinstance(progress, bool):
        raise ConfigurationError(f"progress: {progress!r} is neither True nor False")
    if progress and _is_terminal():
        try:
            from . import _live as _live
        except ImportError as error:
            raise ConfigurationError(
                f"progress: on a terminal it needs rich ({error}); type: pip install 'runcomfy[cli]'"
            ) from error


@contextmanager
def shown(
    progress: bool, request_id: str, model_id: str | None, on_update: OnUpdate | None
) -> Iterator[OnUpdate | None]:
    """Show a wait while it lasts, if that is wished; gives what is to be called with each new status."""
    if not progress:
        yield on_update
        return
    watched = Watched(request_id, model_id)
    with displayed(watched) as changed:

        def tell(status: Status) -> None:
            watched.status = status
            changed()
            if on_update is not None:
                on_update(status)

        yield tell


@contextmanager
def displayed(line: Line) -> Iterator[Callable[[], None]]:
    """Show a line until the block ends; gives what is to be called whenever there is something new to tell."""
    display: Display = _Lines()

    def changed() -> None:
        with suppress(Exception):
            display.changed(line)

    how = "completed"
    try:
        with suppress(Exception):
            display = _begun(line) or display
        yield changed
    except BaseException as error:
        how = _end(error)
        raise
    finally:
        with suppress(Exception):
            display.end(line, how)


def _begun(line: Line) -> Display | None:
    """The live display, which shows the line from now on; None where there can be none."""
    if not _is_terminal():
        return None
    from ._live import board

    return board if board.begin(line) else None


def _is_terminal() -> bool:
    """Whether stderr is a terminal; one that shows another live display of rich already takes plain lines only."""
    try:
        is_taken = any(hasattr(stream, "rich_proxied_file") for stream in (sys.stdout, sys.stderr))
        return sys.stderr.isatty() and not is_taken
    except Exception:  # there is none, it cannot tell, or it is closed
        return False


def _end(error: BaseException) -> str:
    """How something ended that an exception ended."""
    ends: dict[type[BaseException], str] = {
        JobFailedError: "failed",
        JobCancelledError: "cancelled",
        WaitTimeoutError: "deadline passed",
        GeneratorExit: "stopped",
    }
    for cls, how in ends.items():
        if isinstance(error, cls):
            return how
    return f"ended by {type(error).__name__}" if isinstance(error, Exception) else "interrupted"


def _printable(text: str, length: int) -> str:
    """One line of some characters at most, each of which can be printed."""
    signs = shortened(text, length)
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in signs)
