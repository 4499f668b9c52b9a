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

    def now(self) -> str:
        """The line for a change of the status."""
        return f"{self._full_name}: {self.state} ({self.seconds:.1f} s)"

    def ended(self, how: str) -> str:
        """The last line."""
        return f"{self._full_name}: {how} after {self.seconds:.1f} s"


class Display(Protocol):
    """Where waits are shown."""

    def changed(self, watched: Watched) -> None:
        """The wait has a new status."""
        ...

    def end(self, watched: Watched, how: str) -> None:
        """Show the wait no more; a last line, which stays, tells how it ended."""
        ...


class _Lines:
    """A line for each change, for whatever keeps what was written: files, pipes, notebooks, the logs of a CI."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def changed(self, watched: Watched) -> None:
        if watched.status is not None and not watched.status.done:  # the last line tells the end
            self._write(watched.now())

    def end(self, watched: Watched, how: str) -> None:
        self._write(watched.ended(how))

    def _write(self, line: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{line}\n")  # at once, so that the lines of several threads stay whole
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
    display: Display = _Lines()

    def tell(status: Status) -> None:
        watched.status = status
        with suppress(Exception):
            display.changed(watched)
        if on_update is not None:
            on_update(status)

    how = "completed"
    try:
        with suppress(Exception):
            display = _begun(watched) or display
        yield tell
    except BaseException as error:
        how = _end(error)
        raise
    finally:
        with suppress(Exception):
            display.end(watched, how)


def _begun(watched: Watched) -> Display | None:
    """The live display, which shows the wait from now on; None where there can be none."""
    if not _is_terminal():
        return None
    from ._live import board

    return board if board.begin(watched) else None


def _is_terminal() -> bool:
    """Whether stderr is a terminal; one that shows another live display of rich already takes plain lines only."""
    try:
        is_taken = any(hasattr(stream, "rich_proxied_file") for stream in (sys.stdout, sys.stderr))
        return sys.stderr.isatty() and not is_taken
    except Exception:  # there is none, it cannot tell, or it is closed
        return False


def _end(error: BaseException) -> str:
    """How a wait ended that gave no result."""
    ends = {JobFailedError: "failed", JobCancelledError: "cancelled", WaitTimeoutError: "deadline passed"}
    for cls, how in ends.items():
        if isinstance(error, cls):
            return how
    return f"ended by {type(error).__name__}" if isinstance(error, Exception) else "interrupted"


def _printable(text: str, length: int) -> str:
    """One line of some characters at most, each of which can be printed."""
    signs = shortened(text, length)
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in signs)
