"""Exceptions without the frames that they came through, whose variables may hold what is secret or large."""

from typing import TypeVar

ErrorT = TypeVar("ErrorT", bound=BaseException)


def bare(error: ErrorT, handled: BaseException | None = None) -> ErrorT:
    """An exception without its frames and those of its causes.

    What the caller `handled` before it happened keeps its own.
    """
    found: list[BaseException | None] = [error]
    for link in found:
        if link is not None and link is not handled and link.__traceback__ is not None:
            link.__traceback__ = None
            found += [link.__cause__, link.__context__]
    return error
