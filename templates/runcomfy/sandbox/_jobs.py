"""The life of a job in the sandbox: queued, running, ended; by the clock, by the number of reads, or both."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from time import monotonic
from typing import Any
from uuid import uuid4

from ._catalog import Model


@dataclass(frozen=True)
class Pace:
    """How long a job queues and runs.

    It leaves a stage once the seconds have passed and its status was read that many times in that stage; all zero means
    that it has ended as soon as anybody looks. `queue_length` is the first queue position.
    """

    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    queue_reads: int = 0
    run_reads: int = 0
    queue_length: int = 3


@dataclass
class Job:
    """One accepted submit."""

    model: Model
    arguments: dict[str, Any]
    """As received; `Model.with_defaults` fills what is missing."""
    owner: str
    pace: Pace
    error: Any = None
    """What the job fails with; None for a job that succeeds."""
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    micro_dollars: int = 0
    """What was charged for it and not refunded."""
    finished_reads: int = 0
    """How often its result was read since it has ended."""
    _stage: str = "in_queue"
    _entered: float = field(default_factory=monotonic)
    _reads: int = 0

    def look(self, *, counts: bool = False) -> tuple[str, int | None]:
        """State and queue position now. A look that `counts` is a read of the status."""
        pace = self.pace
        position = None
        if self._stage == "in_queue":
            position = ceil(round(self._left(pace.queue_seconds, pace.queue_reads) * pace.queue_length, 9))
            if not position:
                position = None
                self._enter("in_progress", pace.queue_seconds, pace.queue_reads)
        if self._stage == "in_progress" and not self._left(pace.run_seconds, pace.run_reads):
            self._enter("completed", pace.run_seconds, pace.run_reads)
        self._reads += counts
        return self._stage, position

    def cancel(self) -> bool:
        """Cancel the job, which works only while it is queued."""
        if self.look()[0] != "in_queue":
            return False
        self._enter("cancelled")
        return True

    @property
    def cost(self) -> float:
        """US dollars that were charged for it when it was accepted, and not refunded since."""
        return self.micro_dollars / 1_000_000

    @property
    def age(self) -> float:
        """Seconds since it was accepted."""
        return (datetime.now(UTC) - self.created_at).total_seconds()

    @property
    def state(self) -> str:
        """``"in_queue"``, ``"in_progress"``, ``"completed"``, ``"failed"`` or ``"cancelled"``: the truth."""
        name, _ = self.look()
        return "failed" if name == "completed" and self.error is not None else name

    def _left(self, seconds: float, reads: int) -> float:
        """The part of the stage that is still to come, between 0 and 1."""
        by_clock = 1 - (monotonic() - self._entered) / seconds if seconds else 0.0
        by_reads = 1 - self._reads / reads if reads else 0.0
        return max(by_clock, by_reads, 0.0)

    def _enter(self, stage: str, seconds: float = 0.0, reads: int = 0) -> None:
        """Enter the next stage: by the clock, at the moment when the last one ended, whenever anybody looks."""
        now = monotonic()
        at = self._entered + seconds if seconds and not reads else now
        self._stage, self._entered, self._reads = stage, at, 0
        if stage in ("completed", "cancelled"):
            self.finished_at = datetime.now(UTC) - timedelta(seconds=now - at)
