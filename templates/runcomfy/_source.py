"""Where an output came from: what its files are named after, and what fetching them needs of the client."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl


class Sent(NamedTuple):
    """A submit, as it was sent."""

    record: bytes
    """Its body, with facts in the place of each local file."""
    at: float
    """When its first byte was sent, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Source:
    """The job of an output, and how its client reached the API; never the token, nor the client's own headers.

    It says nothing of what the output is: all are equal. It can be pickled, less what cannot or should not travel.
    """

    origin: str | None = field(default=None, compare=False)
    """The base URL of the client, less ``/v1``; None where there was no client."""
    proxy: str | None = field(default=None, compare=False, repr=False)
    verify: "bool | ssl.SSLContext | Path" = field(default=True, compare=False)
    request_id: str | None = field(default=None, compare=False)
    model_id: str | None = field(default=None, compare=False)
    sent: Sent | None = field(default=None, compare=False, repr=False)
    """None for a job that was resumed by its id."""

    def __deepcopy__(self, memo: object) -> "Source":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        proxy = None if self.proxy is None or "@" in self.proxy else self.proxy  # before it may stand a password
        verify = self.verify if isinstance(self.verify, bool | Path) else True
        return Source, (self.origin, proxy, verify, self.request_id, self.model_id, self.sent)
