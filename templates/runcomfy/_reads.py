"""Requests that may be sent again, as a flow: repeated until an answer settles them or a deadline has passed."""

from collections.abc import Callable
from dataclasses import replace

from . import _answers
from ._answers import Answer
from ._errors import APIConnectionError, RunComfyError
from ._http_types import Flow, Pause, Request, TransportFailure, exchange
from ._pace import Deadline, backoff

AtDeadline = Callable[[RunComfyError | None], RunComfyError]
"""Makes an error of the last failure before the deadline, or of None where there was none."""


def repeated(
    request: Request,
    doing: str,
    deadline: Deadline,
    *,
    model_id: str | None = None,
    request_id: str | None = None,
    at_deadline: AtDeadline | None = None,
) -> Flow[Answer]:
    """Send a request that may be sent again, until an answer settles it or the deadline has passed.

    Args:
        request: What to send.
        doing: What for, as the errors say it.
        deadline: When to give up.
        model_id: The model it is about, for the errors.
        request_id: The job it is about: for the errors, and because an answer may tell that job's end whatever its
            status.
        at_deadline: What to raise at the deadline; the last failure without it.
    """
    error: RunComfyError | None = None
    failures = 0
    while (remaining := deadline.remaining()) > 0:
        asked = None
        try:
            response = yield from exchange(replace(request, timeout=min(request.timeout, remaining)))
        except TransportFailure as failure:
            advice = "Call again." if request_id is None else "The job is not affected; call again."
            error = APIConnectionError(f"{doing}: {failure}. {advice}", model_id=model_id, request_id=request_id)
            error.__cause__ = failure
        else:
            answer = _answers.read(response)
            if answer.is_success and answer.value is not None:
                return answer
            if request_id is not None and answer.tells_the_end_of(request_id):
                return answer
            error = _answers.status_error(answer, doing, model_id=model_id, request_id=request_id)
            if not answer.is_worth_repeating:
                raise error
            asked = answer.retry_after
        failures += 1
        yield Pause(deadline.cut(backoff(failures, asked)))
    if at_deadline is not None:
        raise at_deadline(error)
    raise error or APIConnectionError(f"{doing}: no time left", model_id=model_id, request_id=request_id)
