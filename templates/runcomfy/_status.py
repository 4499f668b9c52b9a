"""What the words for a job's state mean, decided once.

The API's pages document ``in_queue``, ``in_progress``, ``completed`` and ``cancelled`` for a status and ``succeeded``
and ``failed`` for a result; RunComfy's own clients also accept the other words of the table below.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

End = Literal["completed", "failed", "cancelled"]

_ENDS: dict[str, End] = {
    "completed": "completed",
    "succeeded": "completed",
    "success": "completed",
    "failed": "failed",
    "error": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}


_NOT_READY = frozenset({"in_queue", "in_progress", "queued", "pending", "waiting", "starting", "processing"})


def is_unfinished(state: object) -> bool:
    """Whether a state is one of those that are known to go on."""
    return isinstance(state, str) and state.lower() in _NOT_READY


def end_of(state: object) -> End | None:
    """``"Succeeded"`` -> ``"completed"``; None for a state that is not an end, or not known.

    A word that nobody has heard of is no end: the wait goes on until its deadline.
    """
    return _ENDS.get(state.lower()) if isinstance(state, str) else None


@dataclass(frozen=True, slots=True)
class Status:
    """A job's state at one moment."""

    state: str
    """``"in_queue"``, ``"in_progress"``, ``"completed"``, ``"failed"``, ``"cancelled"``, or the API's own new word.

    ``"completed"`` means that the job has ended; whether it succeeded, its result tells.
    """
    queue_position: int | None = None
    """How many jobs stand before this one, while it is in the queue and the API says so."""
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The status body as received."""

    @property
    def done(self) -> bool:
        """Whether the job has ended, however it did."""
        return end_of(self.state) is not None


def status_from(body: dict[str, Any]) -> Status:
    """Read a status body; spellings of the same state become one."""
    state = body.get("status")
    position = body.get("queue_position")
    return Status(
        state=end_of(state) or (state.lower() if isinstance(state, str) else "unknown"),
        queue_position=position if isinstance(position, int) and not isinstance(position, bool) else None,
        raw=body,
    )
