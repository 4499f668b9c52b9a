"""The money of the sandbox, in whole micro-dollars: what jobs cost, and what is left in the account."""

from decimal import Decimal
from threading import Lock

from ._jobs import Job
from ._outputs import files

_PER_FILE = ("output", "image", "video", "audio", "item", "generation")
_MICRO = 1_000_000


def cost_of(job: Job) -> int:
    """What a job costs, in micro-dollars: the base price of its model times the units that are really made.

    Seconds are those of all its videos or sounds; a price of anything but seconds and files is that of one job.
    """
    price, unit = job.model.price, str(job.model.entry.get("price_unit")).strip().lower().removesuffix("s")
    if not price:
        return 0
    made = files(job).values() if unit in (*_PER_FILE, "second") else ()
    lengths = [getattr(media, "seconds", 1.0) if unit == "second" else 1 for media in made] or [1]
    return round(sum(Decimal(str(length)) for length in lengths) * Decimal(str(price)) * _MICRO)


class Wallet:
    """What is in an account, and what of it was charged."""

    def __init__(self, dollars: float, *, charge_failed: bool) -> None:
        self._first = round(dollars * _MICRO)
        self._charge_failed = charge_failed
        self._charged = 0
        self._failing: dict[str, Job] = {}
        self._lock = Lock()

    def reset(self) -> None:
        """Forget all charges."""
        self._charged = 0
        self._failing.clear()

    @property
    def charged(self) -> int:
        """The micro-dollars that were charged and not refunded."""
        self.settle()
        return self._charged

    @property
    def balance(self) -> int:
        """The micro-dollars that are left."""
        return self._first - self.charged

    def charge(self, job: Job) -> bool:
        """Let a job be paid, if there is enough for it."""
        cost = cost_of(job)
        if self.balance < cost:
            return False
        with self._lock:
            job.micro_dollars = cost
            self._charged += cost
            if job.error is not None and not self._charge_failed:
                self._failing[job.id] = job
        return True

    def refund(self, job: Job) -> None:
        """Give back what was paid for a job; a second time, there is nothing left of it."""
        with self._lock:
            self._failing.pop(job.id, None)
            self._charged -= job.micro_dollars
            job.micro_dollars = 0

    def settle(self) -> None:
        """Refund the jobs that have failed, where such are not charged."""
        with self._lock:
            failing = list(self._failing.values())
        for job in failing:
            if job.state == "failed":
                self.refund(job)
