"""A submit as a flow: one POST, which is never repeated, and what its answer means."""

import logging
from dataclasses import dataclass
from hashlib import sha256
from time import time
from urllib.parse import quote

from . import _answers
from ._answers import Answer
from ._errors import (
    APIConnectionError,
    InputProblem,
    InputValidationError,
    RunComfyError,
    SubmissionOutcomeUnknown,
)
from ._http_types import Flow, Interrupted, Request, Response, TransportFailure, exchange
from ._requests import JobFlows

logger = logging.getLogger(__package__)


def submit(model_id: str, payload: bytes, timeout: float, *, cancel_on_interrupt: bool = False) -> Flow[str]:
    """Send one submit, exactly once, and return the id of the accepted job.

    An interruption meanwhile is raised once it is known what became of the submit, and tells.
    """
    attempt = _Attempt(model_id, payload, time())
    try:
        response = yield from exchange(Request("POST", model_path(model_id), timeout, payload, shielded=True))
    except TransportFailure as failure:
        raise attempt.failed(failure) from failure
    except Interrupted as interrupted:
        interruption, outcome = interrupted.by, interrupted.outcome
    else:
        return attempt.request_id(response)
    try:
        request_id = attempt.request_id(outcome)
    except RunComfyError as error:
        if isinstance(error, SubmissionOutcomeUnknown):
            logger.warning("interrupted; %s", error)
        interruption.add_note(str(error))
        raise interruption from error
    yield from JobFlows(request_id, model_id, timeout).leave(interruption, cancel=cancel_on_interrupt)
    raise interruption


def model_path(model_id: str) -> str:
    """``"minimax/Hailuo Video 01 Live"`` -> ``"models/minimax/Hailuo%20Video%2001%20Live"``.

    Raises:
        InputValidationError: the id cannot be a path below ``models/``.
    """
    segments = model_id.split("/")
    if any(segment in ("", ".", "..") or "\\" in segment or not segment.isprintable() for segment in segments):
        raise InputValidationError("a submit", [InputProblem("", f"{model_id!r} is no model id")])
    return "models/" + "/".join(quote(segment, safe="") for segment in segments)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One submit that was tried."""

    model_id: str
    payload: bytes
    submitted_at: float

    def request_id(self, outcome: Response | TransportFailure) -> str:
        """The id of the accepted job, or the error that says what is known."""
        if isinstance(outcome, TransportFailure):
            raise self.failed(outcome) from outcome
        answer = _answers.read(outcome)
        if answer.is_refusal:
            raise _answers.status_error(
                answer, f"submit to {self.model_id}", model_id=self.model_id, request_id=answer.request_id
            )
        if not answer.is_success or answer.request_id is None:
            raise self._unknown(f"the answer does not tell ({answer})", answer)
        return answer.request_id

    def failed(self, failure: TransportFailure) -> RunComfyError:
        if failure.sent:
            return self._unknown(f"no answer came ({failure})")
        return APIConnectionError(
            f"submit to {self.model_id}: {failure}. Nothing was sent; it is safe to call again.", model_id=self.model_id
        )

    def _unknown(self, reason: str, answer: Answer | None = None) -> SubmissionOutcomeUnknown:
        request_id = answer.request_id if answer else None
        look = f"client.job({request_id!r}, …).status() tells" if request_id else "look at your request history"
        return SubmissionOutcomeUnknown(
            f"submit to {self.model_id}: {reason}. Whether a job was accepted is not known; it may run and be charged:"
            f" {look} before you submit again.",
            model_id=self.model_id,
            request_id=request_id,
            payload_sha256=sha256(self.payload).hexdigest(),
            submitted_at=self.submitted_at,
            status_code=answer.http_status if answer else None,
            body=answer.body if answer else None,
        )
