"""Exceptions without the frames that they came through, whose variables may hold what is secret or large."""

from collections.abc import Callable
from typing import TypeVar

ErrorT = TypeVar("ErrorT", bound=BaseException)


def bare(error: ErrorT, handled: BaseException | None = None, blotted: Callable[[str], str] = str) -> ErrorT:
    """An exception without its frames and those of its causes, and with its words `blotted`.

    What the caller `handled` before it happened keeps its own.
    """
    found: list[BaseException | None] = [error]
    for link in found:
        if link is not None and link is not handled and link.__traceback__ is not None:
            link.__traceback__ = None
            link.args = tuple(blotted(part) if isinstance(part, str) else part for part in link.args)
            found += [link.__cause__, link.__context__]
    return error
