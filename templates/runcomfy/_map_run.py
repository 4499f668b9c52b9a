"""The run of a map: its name, and what it has in the ledger of an input that was submitted before."""

from secrets import token_hex
from time import strftime
from typing import Any

from ._errors import ConfigurationError, JobFailedError, SubmissionOutcomeUnknown
from ._ledger_entry import LedgerEntry

_LONGEST_NAME = 200


def run_name(run: str | None, *, has_ledger: bool) -> str:
    """The name of a run; one of its own for a run without.

    Raises:
        ConfigurationError: it is no name, or nothing would be known by it.
    """
    if run is None:
        return f"{strftime('%Y-%m-%d %H:%M:%S')} {token_hex(4)}"
    if not isinstance(run, str) or not run or len(run) > _LONGEST_NAME or not run.isprintable():
        raise ConfigurationError(f"run: {run!r} is no name of at most {_LONGEST_NAME} printable characters")
    if not has_ledger:
        raise ConfigurationError(
            f"run: without a ledger, nobody would know what of run {run!r} is paid; make the client with ledger=…"
        )
    return run


def body_of(entry: LedgerEntry) -> dict[str, Any] | None:
    """The result body of a submit, or None where its job has to be asked for it.

    Raises:
        JobFailedError: the job failed.
        SubmissionOutcomeUnknown: it is not known whether a job was accepted.
    """
    if entry.state in ("unknown", "submitting"):
        raise SubmissionOutcomeUnknown(
            f"submit {entry.id} of run {entry.run!r}: whether a job was accepted is not known ({entry.error}). It is"
            " not submitted again by itself: look at your request history, then tell ledger.resolve",
            model_id=entry.model_id,
            payload_sha256=entry.payload_sha256,
            submitted_at=entry.created_at if entry.submitted_at is None else entry.submitted_at,
            request_id=entry.request_id,
        )
    if entry.state == "failed" and entry.raw is not None:
        raise JobFailedError(
            entry.error or "the job failed",
            error=entry.raw.get("error"),
            raw=entry.raw,
            request_id=str(entry.request_id),
            model_id=entry.model_id,
        )
    return entry.raw if entry.state == "completed" else None
