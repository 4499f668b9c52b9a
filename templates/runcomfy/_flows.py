"""The operations of the API as flows: what to send, what an answer means, when to stop."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from time import monotonic, time
from typing import Any
from urllib.parse import quote

from . import _answers
from ._errors import (
    APIConnectionError,
    APIStatusError,
    InputProblem,
    InputValidationError,
    JobCancelledError,
    JobFailedError,
    RunComfyError,
    SubmissionOutcomeUnknown,
    WaitTimeoutError,
)
from ._http_types import Flow, Pause, Request, Response, TransportFailure, exchange
from ._pace import backoff, poll_interval
from ._status import End, Status, end_of, is_unfinished, status_from

AtDeadline = Callable[[RunComfyError | None], RunComfyError]
"""Makes an error of the last failure before the deadline, or of None where there was none."""


def model_path(model_id: str) -> str:
    """``"minimax/Hailuo Video 01 Live"`` -> ``"models/minimax/Hailuo%20Video%2001%20Live"``.

    Raises:
        InputValidationError: the id cannot be a path below ``models/``.
    """
    segments = model_id.split("/")
    if any(segment in ("", ".", "..") or "\\" in segment or not segment.isprintable() for segment in segments):
        raise InputValidationError("a submit", [InputProblem("", f"{model_id!r} is no model id")])
    return "models/" + "/".join(quote(segment, safe="") for segment in segments)


def submit(model_id: str, payload: bytes, timeout: float) -> Flow[str]:
    """Send one submit, exactly once, and return the id of the accepted job."""
    doing = f"submit to {model_id}"
    submitted_at = time()

    def unknown(reason: str, response: Response | None = None) -> SubmissionOutcomeUnknown:
        return SubmissionOutcomeUnknown(
            f"{doing}: {reason}. Whether a job was accepted is not known; it may run and be charged."
            " Look at your request history before you submit again.",
            model_id=model_id,
            request_id=_answers.request_id(response) if response else None,
            payload_sha256=sha256(payload).hexdigest(),
            submitted_at=submitted_at,
            status_code=response.status if response else None,
            body=response.body if response else None,
        )

    try:
        response = yield from exchange(Request("POST", model_path(model_id), timeout, payload))
    except TransportFailure as failure:
        if failure.sent:
            raise unknown(f"no answer came ({failure})") from failure
        raise APIConnectionError(
            f"{doing}: {failure}. Nothing was sent; it is safe to try again.", model_id=model_id
        ) from failure
    request_id = _answers.request_id(response)
    if _answers.is_refusal(response):
        raise _answers.status_error(response, doing, model_id=model_id, request_id=request_id)
    if not 200 <= _answers.effective_status(response) < 300 or request_id is None:
        raise unknown(f"the answer does not tell ({_answers.summary(response)})", response)
    return request_id


class JobFlows:
    """The flows of one job. `timeout` is that of one HTTP request, in seconds."""

    def __init__(self, request_id: str, model_id: str | None, timeout: float) -> None:
        self.request_id = request_id
        self.model_id = model_id
        self.timeout = timeout
        self._path = f"requests/{quote(request_id, safe='')}"

    def status(self) -> Flow[Status]:
        """Read the status; failed reads are repeated for at most one request timeout."""
        deadline = monotonic() + self.timeout
        return status_from((yield from self.read("status", deadline)))

    def cancel(self) -> Flow[bool]:
        """Ask to cancel. Safe to repeat, so it is repeated like a read."""
        doing = f"cancel request {self.request_id}"
        deadline = monotonic() + self.timeout
        body = yield from self._repeated(Request("POST", f"{self._path}/cancel", self.timeout), doing, deadline)
        # An accepted cancel is documented as {"status": "completed", "outcome": "cancelled"}: the outcome decides.
        word = body.get("outcome") or body.get("status")
        return isinstance(word, str) and word.lower().startswith("cancel")

    def read(self, what: str, deadline: float, at_deadline: AtDeadline | None = None) -> Flow[dict[str, Any]]:
        """Read the ``status`` or the ``result`` body."""
        doing = f"read the {what} of request {self.request_id}"
        return self._repeated(Request("GET", f"{self._path}/{what}", self.timeout), doing, deadline, at_deadline)

    def _repeated(
        self, request: Request, doing: str, deadline: float, at_deadline: AtDeadline | None = None
    ) -> Flow[dict[str, Any]]:
        """Send a request that may be sent again, until an answer settles it or the deadline has passed.

        What is raised at the deadline is the last failure, or what `at_deadline` makes of it.
        """
        error: RunComfyError | None = None
        failures = 0
        while (remaining := deadline - monotonic()) > 0:
            retry_after = None
            try:
                response = yield from exchange(replace(request, timeout=min(request.timeout, remaining)))
            except TransportFailure as failure:
                text = f"{doing}: {failure}. The job is not affected."
                error = APIConnectionError(text, model_id=self.model_id, request_id=self.request_id)
                error.__cause__ = failure
            else:
                body = _answers.json_object(response)
                if body is not None and 200 <= _answers.effective_status(response) < 300:
                    return body
                error = _answers.status_error(response, doing, model_id=self.model_id, request_id=self.request_id)
                if not _answers.is_worth_repeating(response):
                    raise error
                retry_after = response.headers.get("retry-after")
            failures += 1
            yield Pause(max(0.0, min(backoff(failures, retry_after), deadline - monotonic())))
        if at_deadline is not None:
            raise at_deadline(error)
        raise error or APIConnectionError(f"{doing}: no time left", request_id=self.request_id)


class Wait:
    """One wait for one job, bounded by one deadline.

    `next_change` is the wait in pieces, for those who want to see the states; `outcome` is the rest of it.
    """

    def __init__(self, job: JobFlows, owner: object, wait_timeout: float, interval: float | None) -> None:
        self._job = job
        self._owner = owner
        self._wait_timeout = wait_timeout
        self._interval = interval
        self._started = monotonic()
        self._deadline = self._started + wait_timeout
        self._looked = False
        self._seen: Status | None = None

    def next_change(self) -> Flow[Status | None]:
        """The next status that differs from the last one seen; None once the job has ended."""
        while self._seen is None or not self._seen.done:
            if self._looked:
                yield from self._pause()
            self._looked = True
            status = status_from((yield from self._job.read("status", self._deadline, self._timed_out)))
            if status != self._seen:
                self._seen = status
                return status
        return None

    def outcome(self, on_update: Callable[[Status], object] | None) -> Flow[dict[str, Any]]:
        """Wait for the end and return the result body of a job that succeeded."""
        while (status := (yield from self.next_change())) is not None:
            if on_update is not None:
                on_update(status)
        assert self._seen is not None
        told = end_of(self._seen.state)
        while (body := (yield from self._result())) is None:
            if told != "completed":
                # A job that did not succeed may have no result to be read: then its status is the last word.
                raise self._unsuccessful(told, self._seen.raw)
            yield from self._pause()
        end = self._end(body)
        if end == "completed":
            return body
        raise self._unsuccessful(end, body)

    def _result(self) -> Flow[dict[str, Any] | None]:
        """The result body once it tells an end; None while there is none."""
        try:
            body = yield from self._job.read("result", self._deadline, self._timed_out)
        except APIStatusError as error:
            if error.code == _answers.NOT_READY or not self._succeeded():
                return None
            raise
        return body if self._end(body) else None

    def _end(self, body: dict[str, Any]) -> End | None:
        """What a result body tells. An output under a word that nobody knows has been paid for all the same."""
        state = body.get("status")
        has_output = body.get("output") is not None and not is_unfinished(state) and self._succeeded()
        return end_of(state) or ("completed" if has_output else None)

    def _succeeded(self) -> bool:
        return self._seen is not None and end_of(self._seen.state) == "completed"

    def _pause(self) -> Flow[None]:
        now = monotonic()
        interval = poll_interval(now - self._started) if self._interval is None else self._interval
        yield Pause(max(0.0, min(interval, self._deadline - now)))

    def _timed_out(self, cause: RunComfyError | None = None) -> WaitTimeoutError:
        state = self._seen.state if self._seen else None
        seen = f"last state: {state}" if state else "its state could not be read"
        error = WaitTimeoutError(
            f"request {self._job.request_id} had not ended after {self._wait_timeout:g} s ({seen}). It was"
            f" not cancelled and goes on: client.job({self._job.request_id!r}, …).result() waits on",
            request_id=self._job.request_id,
            model_id=self._job.model_id,
            state=state,
        )
        error.job = self._owner
        error.__cause__ = cause
        return error

    def _unsuccessful(self, end: End | None, body: dict[str, Any]) -> JobFailedError | JobCancelledError:
        request_id, model_id = self._job.request_id, self._job.model_id
        if end == "cancelled":
            return JobCancelledError(
                f"request {request_id} was cancelled", raw=body, request_id=request_id, model_id=model_id
            )
        words = _answers.failure_text(body.get("error")) or "the API gave no reason"
        return JobFailedError(
            f"request {request_id} failed: {words}",
            error=body.get("error"),
            raw=body,
            request_id=request_id,
            model_id=model_id,
        )
