"""What a ledger says of one submit."""

import json
from dataclasses import dataclass, field
from typing import Any

from ._book import State
from ._source import Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One submit, as it stood in a ledger when that was read.

    Times are in seconds since the epoch, amounts in US dollars.

    Attributes:
        id: Its number in the ledger.
        state: What is known of it. ``"submitting"``: it is being sent at this moment, by this or another process.
            ``"open"``: a job was accepted, and its end is not known. ``"unknown"``: it was sent, and whether a job was
            accepted is not known; `Ledger.resolve` settles it. ``"completed"``, ``"failed"``, ``"cancelled"``: the job
            has ended so. ``"refused"``: there is no job, the API said no. ``"not_sent"``: nothing was sent.
        model_id: The model.
        base_url: The API that it was sent to.
        request_id: The id of the job, where one was accepted.
        arguments: The body as it was sent, with ``{"$file": {…}}`` in the place of media: their SHA-256, media type and
            size.
        payload_sha256: SHA-256 of the body as it was sent, in hexadecimal.
        run: The run of ``client.map`` that it belongs to, or None.
        occurrence: How many equal inputs came before it in the run.
        attempt: 1 for the first submit of an input in a run; more where it had been refused, cancelled or not sent.
        created_at: When it was written down, shortly before it was sent.
        submitted_at: When its first byte was sent, or None where that could not be written down.
        ended_at: When it became known that the job has ended.
        status: The API's last word on the job.
        price_usd: What it was taken to cost, or None where that was not known.
        cost_usd: What it did cost, or None where the API has not told.
        error: Why it failed, was refused, not sent, or is unknown.
        raw: The body that told the end of the job; None where there was none, or where it had media in it or was too
            long to be kept, so that it has to be read from the API again.
    """

    id: int
    state: State
    model_id: str
    base_url: str = field(repr=False)
    request_id: str | None
    arguments: dict[str, Any] = field(repr=False)
    payload_sha256: str = field(repr=False)
    run: str | None
    occurrence: int = field(repr=False)
    attempt: int
    created_at: float = field(repr=False)
    submitted_at: float | None = field(repr=False)
    ended_at: float | None = field(repr=False)
    status: str | None = field(repr=False)
    price_usd: float | None
    cost_usd: float | None
    error: str | None
    raw: dict[str, Any] | None = field(repr=False)


def sent_of(entry: LedgerEntry) -> Sent:
    """The submit, for who asks where an output came from."""
    record = json.dumps(entry.arguments).encode()
    return Sent(record, entry.created_at if entry.submitted_at is None else entry.submitted_at)
