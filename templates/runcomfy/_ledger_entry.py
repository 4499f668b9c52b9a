"""What a ledger says of one submit."""

import json
from dataclasses import dataclass, field
from typing import Any

from ._book import State
from ._source import Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One submit, as it stands in a ledger. Times are in seconds since the epoch."""

    id: int
    """Its number in the ledger."""
    state: State
    """What is known of it:

    - ``"submitting"``: it is being sent at this moment, by this or another process.
    - ``"open"``: a job was accepted, and its end is not known.
    - ``"unknown"``: it was sent, and whether a job was accepted is not known; `Ledger.resolve` settles it.
    - ``"completed"``, ``"failed"``, ``"cancelled"``: the job has ended so.
    - ``"refused"``: the API refused it, and there is no job.
    - ``"not_sent"``: nothing was sent.
    """
    model_id: str
    base_url: str
    """The API that it was sent to."""
    request_id: str | None
    """The id of the job, where one was accepted."""
    arguments: dict[str, Any] = field(repr=False)
    """The body as it was sent, with ``{"$file": {…}}`` in the place of media: their SHA-256, media type and size."""
    payload_sha256: str = field(repr=False)
    """SHA-256 of the body as it was sent, in hexadecimal."""
    run: str | None
    """The run of ``client.map`` that it belongs to."""
    occurrence: int
    """How many equal inputs came before it in the run."""
    attempt: int
    """1 for the first submit of an input; more where the API had refused it, or nothing had been sent."""
    created_at: float = field(repr=False)
    """When it was written down."""
    submitted_at: float | None = field(repr=False)
    """When its first byte was sent."""
    ended_at: float | None = field(repr=False)
    """When it became known that the job has ended."""
    status: str | None = field(repr=False)
    """The API's last word on the job's state."""
    price_usd: float | None
    """What it was taken to cost, in US dollars, where a budget asked for its price."""
    cost_usd: float | None
    """What it did cost, in US dollars, where the API has told."""
    error: str | None
    """Why it failed, was refused, not sent, or is unknown."""
    raw: dict[str, Any] | None = field(repr=False)
    """The body that told the end of the job; None where there was none, or it had media or was too long to be kept."""


def sent_of(entry: LedgerEntry) -> Sent:
    """The submit, for who asks where an output came from."""
    record = json.dumps(entry.arguments).encode()
    return Sent(record, entry.created_at if entry.submitted_at is None else entry.submitted_at)
