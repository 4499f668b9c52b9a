"""A submit as a flow: one POST, which is never repeated, and what its answer means."""

import atexit
import logging
import os
from hashlib import sha256
from urllib.parse import quote

from . import _answers
from ._answers import Answer, is_model_id
from ._errors import (
    APIConnectionError,
    InputProblem,
    InputValidationError,
    RunComfyError,
    SubmissionOutcomeUnknown,
)
from ._http_types import Flow, Once, Request, TransportFailure, exchange
from ._requests import JobFlows

GRACE = 5.0
"""Seconds that the answer to a submit is awaited after an interruption."""

logger = logging.getLogger(__package__)

_in_flight: set["Attempt"] = set()


def submit(attempt: "Attempt", timeout: float) -> Flow[str]:
    """Send one submit, exactly once, and return the id of the accepted job."""
    request = Request("POST", model_path(attempt.model_id), timeout, attempt.payload, attempt.once)
    _in_flight.add(attempt)  # until it is known what became of it
    try:
        response = yield from exchange(request)
    except Exception as error:
        _in_flight.discard(attempt)
        if isinstance(error, TransportFailure):
            raise attempt.failed(error) from error
        raise
    _in_flight.discard(attempt)
    return attempt.request_id(_answers.read(response))


@atexit.register
def _tell_what_is_in_flight() -> None:
    """A program may end, or its event loop stop for ever, while a submit waits for its answer."""
    for attempt in list(_in_flight):
        if attempt.once.sent and attempt.process == os.getpid():  # a forked child has its parent's, too
            logger.warning("the program ended; %s", attempt.unknown("no answer came"))


def interrupted(
    interruption: BaseException,
    attempt: "Attempt",
    request_id: str | None,
    error: BaseException | None,
    timeout: float,
    *,
    cancel: bool,
) -> Flow[None]:
    """Tell an interruption, and the log, what became of the submit that it interrupted.

    Args:
        interruption: The exception to tell.
        attempt: What was submitted.
        request_id: The id of the accepted job, where it is known.
        error: What the submit raised; None where it had not ended either.
        timeout: Seconds that one HTTP request may take.
        cancel: Whether to cancel an accepted job.
    """
    _in_flight.discard(attempt)
    if request_id is not None:
        yield from JobFlows(request_id, attempt.model_id, timeout).leave(interruption, cancel=cancel)
        return
    if error is None:
        error = attempt.failed(TransportFailure("interrupted before an answer came", sent=attempt.once.sent))
    interruption.add_note(str(error))
    interruption.__cause__ = error
    if isinstance(error, SubmissionOutcomeUnknown):
        logger.warning("interrupted; %s", error)


def model_path(model_id: str, subject: str = "a submit") -> str:
    """``"minimax/Hailuo Video 01 Live"`` -> ``"models/minimax/Hailuo%20Video%2001%20Live"``.

    Raises:
        InputValidationError: the id cannot be a path below ``models/``.
    """
    if not is_model_id(model_id):
        raise InputValidationError(subject, [InputProblem("", f"{model_id!r} is no model id")])
    return "models/" + quote(model_id, safe="/")


class Attempt:
    """One submit."""

    def __init__(self, model_id: str, payload: bytes) -> None:
        self.model_id = model_id
        self.payload = payload
        self.once = Once()
        self.process = os.getpid()

    def withdraw(self) -> float:
        """Let nothing be sent that was not yet; how many seconds to wait for the answer to what was."""
        return 0.0 if self.once.withdraw() else GRACE

    def request_id(self, answer: Answer) -> str:
        """The id of the accepted job, or the error that says what is known."""
        if answer.is_refusal:
            doing = f"submit to {self.model_id}: no job was accepted"
            raise _answers.status_error(answer, doing, model_id=self.model_id, request_id=answer.request_id)
        if not answer.is_success or answer.request_id is None:
            raise self.unknown(f"the answer does not tell ({answer})", answer)
        return answer.request_id

    def failed(self, failure: TransportFailure) -> RunComfyError:
        """The error for a submit without an answer."""
        if failure.sent:
            return self.unknown(f"no answer came ({failure})")
        advice = " If its certificate is to be trusted, see verify=." if "CERTIFICATE_VERIFY" in str(failure) else ""
        return APIConnectionError(
            f"submit to {self.model_id}: {failure}. Nothing was sent; it is safe to call again.{advice}",
            model_id=self.model_id,
        )

    def unknown(self, reason: str, answer: Answer | None = None) -> SubmissionOutcomeUnknown:
        """The error for a submit that may have been accepted."""
        request_id = answer.request_id if answer else None
        look = f"client.job({request_id!r}, …).status() tells" if request_id else "look at your request history"
        return SubmissionOutcomeUnknown(
            f"submit to {self.model_id}: {reason}. Whether a job was accepted is not known; it may run and be charged:"
            f" {look} before you submit again.",
            model_id=self.model_id,
            request_id=request_id,
            payload_sha256=sha256(self.payload).hexdigest(),
            submitted_at=self.once.sent_at,
            status_code=answer.http_status if answer else None,
            body=answer.body if answer else None,
        )
