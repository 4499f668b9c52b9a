"""A submit as a flow: one POST, which is never repeated, and what its answer means."""

import atexit
import logging
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from . import _answers
from ._answers import Answer, is_model_id
from ._book import Change, Limit, NewEntry, State, written
from ._errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    InputProblem,
    InputValidationError,
    RunComfyError,
    SubmissionOutcomeUnknown,
)
from ._http_types import Flow, Once, Request, TransportFailure, awaited, exchange
from ._requests import JobFlows

GRACE = 5.0
"""Seconds that the answer to a submit is awaited after an interruption."""

logger = logging.getLogger(__package__)

_in_flight: set["Attempt"] = set()


def submit(attempt: "Attempt", timeout: float) -> Flow[str]:
    """Book one submit, send it, exactly once, and return the id of the accepted job."""
    request = Request("POST", model_path(attempt.model_id), timeout, attempt.payload, attempt.once)
    try:
        yield from attempt.begin()
        _in_flight.add(attempt)  # until it is known what became of it
        response = yield from exchange(request)
        request_id = attempt.request_id(_answers.read(response))
    except TransportFailure as failure:
        error = attempt.failed(failure)
        yield from attempt.ended(error)
        raise error from failure
    except Exception as error:
        yield from attempt.ended(error)
        raise
    except BaseException:  # given up: nothing may be waited for any more
        attempt.give_up()
        raise
    finally:
        _in_flight.discard(attempt)
    accepted = Change(state="open", request_id=request_id, sent_at=attempt.once.sent_at)
    yield from written(attempt.entry.change(accepted), f"request {request_id} was accepted")
    return request_id


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
        yield from JobFlows(request_id, attempt.model_id, timeout, attempt.entry).leave(interruption, cancel=cancel)
        return
    if error is None:
        error = attempt.given_up()
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


class Earlier(Exception):
    """An equal submit of the run is booked already, and must not be sent again; see ``entry``."""

    def __init__(self, entry: Any) -> None:
        super().__init__(entry)
        self.entry = entry


class Attempt:
    """One submit.

    Args:
        model_id: Where to.
        payload: What is sent.
        entry: Where it is booked.
        limits: What must not be spent beyond.
        price: Tells what it is to be taken to cost, in US dollars.
    """

    def __init__(
        self, model_id: str, payload: bytes, entry: NewEntry, limits: Sequence[Limit], price: Flow[float | None]
    ) -> None:
        self.model_id = model_id
        self.payload = payload
        self.entry = entry
        self.once = Once()
        self.process = os.getpid()
        self._limits = limits
        self._price = price
        self._is_booked = False
        self._reason = ""

    def look(self) -> Flow[None]:
        """Look for an equal submit of its run, before anything is asked of the API.

        Raises:
            LedgerError: the ledger cannot be read.
            Earlier: there is one.
        """
        earlier = yield from awaited(self.entry.earlier())
        if earlier is not None:
            raise Earlier(earlier)

    def begin(self) -> Flow[None]:
        """Book it.

        Raises:
            RunComfyError: it must not be sent.
            Earlier: an equal submit of its run is booked already.
        """
        price = yield from self._price
        earlier = yield from awaited(self.entry.begin(self._limits, price))
        if earlier is not None:
            raise Earlier(earlier)
        self._is_booked = True

    def withdraw(self) -> float:
        """Let nothing be sent that was not yet; how many seconds to wait for the answer to what was."""
        if not self.once.withdraw():
            return GRACE
        self.give_up()  # now, since the program may end at once
        return 0.0

    def give_up(self) -> None:
        """Book that its answer will not be waited for."""
        self.entry.change(self._outcome(self.unknown("interrupted before an answer came") if self.once.sent else None))

    def ended(self, error: Exception) -> Flow[None]:
        """Book that it gave no job."""
        if not self._is_booked:
            return
        told = error if isinstance(error, RunComfyError) and not isinstance(error, ConfigurationError) else None
        if self.once.sent and told is None:
            told = self.unknown(str(error))
        yield from written(self.entry.change(self._outcome(told)), str(error))

    def _outcome(self, error: RunComfyError | None) -> Change:
        """What to book of a submit without a job; no error stands for one that was not sent."""
        if isinstance(error, SubmissionOutcomeUnknown):
            request_id, sent_at = error.request_id, error.submitted_at
            return Change(state="unknown", request_id=request_id, error=self._reason, sent_at=sent_at)
        state: State = "refused" if isinstance(error, APIStatusError) else "not_sent"
        return Change(state=state, error=None if error is None else str(error))

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

    def given_up(self) -> RunComfyError:
        """The error for a submit whose answer nobody waits for any more, which is booked, too."""
        _in_flight.discard(self)
        self.give_up()
        return self.failed(TransportFailure("interrupted before an answer came", sent=self.once.sent))

    def unknown(self, reason: str, answer: Answer | None = None) -> SubmissionOutcomeUnknown:
        """The error for a submit that may have been accepted."""
        from hashlib import sha256  # it takes its time to load, and most programs never need it

        self._reason = reason
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
