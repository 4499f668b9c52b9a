"""Waiting for a job as flows: when to poll, when it has ended, and how."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from . import _answers
from ._answers import Answer
from ._errors import APIStatusError, JobCancelledError, JobFailedError, RunComfyError, WaitTimeoutError
from ._http_types import Flow, Pause
from ._pace import Deadline, Durations, Pace
from ._requests import JobFlows
from ._status import End, Status, end_of, is_unfinished, status_from

logger = logging.getLogger(__package__)

_FOR_A_REASON = 5.0


class Wait:
    """One wait for one job, bounded by one deadline.

    `next_change` is the wait in pieces, for those who want to see the states; `outcome` is the rest of it.

    Args:
        job: What to wait for.
        owner: The `Job` that a `WaitTimeoutError` is to carry.
        seconds: How long the whole wait may take.
        interval: The seconds between two polls, or None where the pace is to follow from the job's age and model.
        accepted_at: When the job was accepted, on the monotonic clock; None for a job that was resumed by its id.
        durations: How long other jobs took; this one is added to it.
        at_once: Whether the first poll is not to wait until the job may have ended, since its states are wanted.
    """

    def __init__(
        self,
        job: JobFlows,
        owner: object,
        seconds: float,
        interval: float | None,
        accepted_at: float | None,
        durations: Durations,
        *,
        at_once: bool = False,
    ) -> None:
        now = monotonic()
        self._job = job
        self._owner = owner
        self._deadline = Deadline(seconds)
        self._durations = durations
        self._pace = Pace(now, accepted_at, interval, durations.expectation(job.model_id), at_once=at_once)
        self._seen: Status | None = None

    def next_change(self) -> Flow[Status | None]:
        """The next status that differs from the last one seen; None once the job has ended."""
        while self._seen is None or not self._seen.done:
            yield from self._pause()
            answer = yield from self._read("status", self._deadline)
            status = self._job.saw(status_from(answer.fields))
            self._pace.saw(monotonic(), done=status.done)
            if status != self._seen:
                self._seen = status
                return status
        return None

    def outcome(self, on_update: Callable[[Status], object] | None) -> Flow[dict[str, Any]]:
        """Wait for the end, and return the result body of a job that succeeded."""
        try:
            body = yield from self._success(on_update)
        except (JobFailedError, JobCancelledError) as error:
            end: End = "failed" if isinstance(error, JobFailedError) else "cancelled"
            yield from self._job.ended(end, error.raw, str(error))
            raise
        yield from self._job.ended("completed", body)
        return body

    def _success(self, on_update: Callable[[Status], object] | None) -> Flow[dict[str, Any]]:
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
        if told != "completed" and _answers.output_in(body) is None:
            end = told
        if end != "completed":
            raise self._unsuccessful(end, body)
        if not _answers.output_in(body):
            logger.warning("request %s succeeded without an output; raw has the whole body", self._job.request_id)
        if self._job.model_id and self._pace.duration is not None:
            self._durations.record(self._job.model_id, self._pace.duration)
        return body

    def _result(self) -> Flow[dict[str, Any] | None]:
        """The result body once it tells an end; None while there is none.

        Of a job that did not succeed, it can tell the reason and no more: it is not asked for long.
        """
        deadline = self._deadline if self._succeeded() else self._deadline.within(_FOR_A_REASON)
        try:
            answer = yield from self._read("result", deadline)
        except APIStatusError as error:
            self._pace.answered(error.retry_after)
            if error.code == _answers.NOT_READY or not self._succeeded():
                return None
            raise
        body = answer.fields
        if not isinstance(answer.value, dict) and _answers.has_url(answer.value):
            body = {"output": answer.value}  # the output itself, as some vendors send it
        return body if self._end(body) else None

    def _read(self, what: str, deadline: Deadline) -> Flow[Answer]:
        self._pace.poll(monotonic())
        answer = yield from self._job.read(what, deadline, self._late)
        self._pace.answered(answer.retry_after)
        return answer

    def _end(self, body: dict[str, Any]) -> End | None:
        """What a result body tells. An output under a word that nobody knows has been paid for all the same."""
        state = body.get("status")
        has_output = _answers.output_in(body) is not None and not is_unfinished(state) and self._succeeded()
        return end_of(state) or ("completed" if has_output else None)

    def _succeeded(self) -> bool:
        return self._seen is not None and end_of(self._seen.state) == "completed"

    def _pause(self) -> Flow[None]:
        """Pause until the next poll is due: now, if it is the first one and the model's durations are not known."""
        if pause := self._pace.pause(monotonic()):
            yield Pause(self._deadline.cut(pause))

    def _late(self, cause: RunComfyError | None) -> RunComfyError:
        """What is known at the deadline."""
        if self._seen is not None and self._seen.state in ("failed", "cancelled"):
            return self._unsuccessful(end_of(self._seen.state), self._seen.raw)
        state = self._seen.state if self._seen else None
        known = f"last state: {state}). It was not cancelled and goes on" if state else "its state could not be read)"
        error = WaitTimeoutError(
            f"request {self._job.request_id} had not ended after {self._deadline.seconds:g} s ({known}:"
            f" client.job({self._job.request_id!r}, …).result() resumes the wait"
            + (f". The last poll failed: {cause}" if cause else ""),
            request_id=self._job.request_id,
            model_id=self._job.model_id,
            state=state,
        )
        error.job = self._owner
        error.__cause__ = cause
        return error

    def _unsuccessful(self, end: End | None, body: dict[str, Any]) -> JobFailedError | JobCancelledError:
        self._job.last = Status(end or "failed", raw=body)
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
