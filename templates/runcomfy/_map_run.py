"""The run of a map: its name, and what it has in the ledger of an input that was submitted before."""

from secrets import token_hex
from time import strftime
from typing import Any

from ._answers import is_request_id
from ._errors import ConfigurationError, JobFailedError, SubmissionOutcomeUnknown
from ._ledger_entry import LedgerEntry

_LONGEST_NAME = 200


def run_name(run: str | None, *, has_ledger: bool, has_budget: bool) -> str | None:
    """The name of a run; one of its own for a run without, where it has a budget that is to be told apart.

    Raises:
        ConfigurationError: it is no name, or nothing would be known by it.
    """
    if run is None:
        return f"{strftime('%Y-%m-%d %H:%M:%S')} {token_hex(4)}" if has_budget else None
    if not isinstance(run, str) or not run or len(run) > _LONGEST_NAME or not run.isprintable():
        raise ConfigurationError(f"run: {run!r} is no name of at most {_LONGEST_NAME} printable characters")
    if not has_ledger:
        raise ConfigurationError(
            f"run: without a ledger, nobody would know what of run {run!r} is paid; make the client with ledger=…"
        )
    return run


def id_and_body(entry: LedgerEntry) -> tuple[str, dict[str, Any] | None]:
    """The id of a submit's job, and its result body, or None where it has to be asked for that.

    Raises:
        JobFailedError: the job failed.
        SubmissionOutcomeUnknown: it is not known whether a job was accepted, or which.
    """
    request_id = entry.request_id or (entry.raw or {}).get("request_id")
    if entry.state in ("unknown", "submitting") or not is_request_id(request_id):
        in_hand = "another process has it in hand" if entry.state == "submitting" else "its id is not in the ledger"
        reason = entry.error or in_hand
        raise SubmissionOutcomeUnknown(
            f"submit {entry.id} of run {entry.run!r}: whether a job was accepted is not known ({reason}). It is not"
            " submitted again by itself: look at your request history, then tell ledger.resolve",
            model_id=entry.model_id,
            payload_sha256=entry.payload_sha256,
            submitted_at=entry.created_at if entry.submitted_at is None else entry.submitted_at,
            request_id=entry.request_id,
        )
    assert isinstance(request_id, str)
    if entry.state == "failed" and entry.raw is not None:
        raise JobFailedError(
            entry.error or "the job failed",
            error=entry.raw.get("error"),
            raw=entry.raw,
            request_id=request_id,
            model_id=entry.model_id,
        )
    return request_id, entry.raw if entry.state == "completed" else None
