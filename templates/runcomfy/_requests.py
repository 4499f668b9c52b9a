"""What can be asked about one job, as flows: its status, its result, to be cancelled."""

import logging
from math import inf
from typing import Any
from urllib.parse import quote

from ._answers import Answer
from ._book import Change, Entry, written
from ._errors import ResponseMismatchError, RunComfyError
from ._http_types import Flow, Request
from ._numbers import dollars
from ._pace import Deadline
from ._reads import AtDeadline, repeated
from ._status import End, Status, end_of, status_from

_CANCELLED = ("cancelled", "canceled", "cancellation_requested")
CANCELLING = 5.0
"""Seconds that cancelling a job may take when its caller was interrupted."""

_QUERIES = {"result": "?include_cost=true"}
"""What is asked beside a read: what the job did cost."""

logger = logging.getLogger(__package__)


class JobFlows:
    """The flows of one job. `timeout` is that of one HTTP request, in seconds; `entry` is where it is booked."""

    def __init__(self, request_id: str, model_id: str | None, timeout: float, entry: Entry) -> None:
        self.request_id = request_id
        self.model_id = model_id
        self.timeout = timeout
        self.entry = entry
        self.last: Status | None = None
        """The last status that was read, in this process."""
        self._path = f"requests/{quote(request_id, safe='')}"

    def status(self) -> Flow[Status]:
        """Read the status; failed reads are repeated for at most one request timeout."""
        return self.saw(status_from((yield from self.read("status", Deadline(self.timeout))).fields))

    def cancel(self, seconds: float = inf) -> Flow[bool]:
        """Ask to cancel, and return whether the job is cancelled. Safe to repeat, so it is repeated like a read."""
        deadline = Deadline(min(self.timeout, seconds))
        request = Request("POST", f"{self._path}/cancel", self.timeout)
        answer = yield from self._repeated(request, f"cancel request {self.request_id}", deadline)
        # An accepted cancel is documented as {"status": "completed", "outcome": "cancelled"}: the outcome decides.
        word = answer.fields.get("outcome") or answer.fields.get("status")
        is_requested = isinstance(word, str) and word.lower() in _CANCELLED
        if is_requested and "cancelled" in (end_of(word), end_of(answer.fields.get("status"))):
            yield from self.ended("cancelled", answer.fields)
        if is_requested:
            return True
        # "not_cancellable" is also the answer for a job that an earlier cancel, whose answer was lost, did cancel.
        answer = yield from self.read("status", deadline)
        is_cancelled = self.saw(status_from(answer.fields)).state == "cancelled"
        if is_cancelled:
            yield from self.ended("cancelled", answer.fields)
        return is_cancelled

    def saw(self, status: Status) -> Status:
        """Take note of a status."""
        if self.last is None or self.last.state != status.state:  # of how it has ended, the result has the last word
            self.entry.change(Change(state="open", status=status.state))
        self.last = status
        return status

    def ended(self, end: End, body: dict[str, Any], error: str | None = None) -> Flow[None]:
        """Book the end of the job, as a result body tells it."""
        change = Change(state=end, result=body, cost_usd=dollars(body.get("cost")), error=error)
        yield from written(self.entry.change(change), f"request {self.request_id} is {end}")

    def read(self, what: str, deadline: Deadline, at_deadline: AtDeadline | None = None) -> Flow[Answer]:
        """Read the ``status`` or the ``result``.

        Raises:
            ResponseMismatchError: the answer is about another request or model.
        """
        doing = f"read the {what} of request {self.request_id}"
        request = Request("GET", f"{self._path}/{what}{_QUERIES.get(what, '')}", self.timeout)
        answer = yield from self._repeated(request, doing, deadline, at_deadline)
        for name, ours in (("request_id", self.request_id), ("model_id", self.model_id)):
            theirs = answer.fields.get(name)
            if ours and isinstance(theirs, str) and theirs and theirs.casefold() != ours.casefold():
                raise ResponseMismatchError(
                    f"{doing}: the answer names {name} {theirs!r} instead of {ours!r}."
                    f" It is kept in this error's raw; client.job({self.request_id!r}, …) asks again.",
                    raw=answer.fields,
                    model_id=self.model_id,
                    request_id=self.request_id,
                )
        return answer

    def leave(self, interruption: BaseException, *, cancel: bool) -> Flow[None]:
        """Tell an interruption, and the log, which job it leaves behind; `cancel` it first where that is wished.

        An exception that was told already is left alone.
        """
        if any(self.request_id in note for note in getattr(interruption, "__notes__", ())):
            return
        vars(interruption).setdefault("request_id", self.request_id)
        resumes = f": client.job({self.request_id!r}, …).result() resumes the wait"
        end = f"may not be cancelled{resumes}" if cancel else f"goes on{resumes}"
        try:
            if cancel:
                cancelled = yield from self.cancel(CANCELLING)
                end = "was cancelled" if cancelled else f"could no longer be cancelled, so it goes on{resumes}"
        except RunComfyError as error:
            end = f"may not be cancelled ({error}){resumes}"
        finally:  # a second interruption does not keep the first from being told
            text = f"interrupted; request {self.request_id} was accepted and {end}"
            interruption.add_note(text)
            logger.warning("%s", text)

    def _repeated(
        self, request: Request, doing: str, deadline: Deadline, at_deadline: AtDeadline | None = None
    ) -> Flow[Answer]:
        ids = {"model_id": self.model_id, "request_id": self.request_id}
        return repeated(request, doing, deadline, **ids, at_deadline=at_deadline)
