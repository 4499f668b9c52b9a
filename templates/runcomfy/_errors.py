"""Everything the client raises.

::

    RunComfyError
    ├── ConfigurationError          the client cannot be made or used as asked
    ├── InputValidationError        the input does not fit the schema; also a ValueError; nothing was sent
    ├── APIConnectionError          no answer: nothing was sent (a submit), or nothing was learned (a read)
    ├── SubmissionOutcomeUnknown    a submit was sent, and whether a job was accepted is not known
    ├── APIStatusError              the API refused
    │   ├── BadRequestError             400
    │   ├── AuthenticationError         401, or error code 400004
    │   ├── InsufficientBalanceError    402, or error code 400002
    │   ├── PermissionDeniedError       403
    │   ├── NotFoundError               404
    │   ├── UnprocessableEntityError    422
    │   ├── RateLimitError              429
    │   └── InternalServerError         5xx
    ├── ResponseMismatchError       the API answered about another request or model
    ├── JobFailedError              the job ran and failed
    ├── JobCancelledError           the job was cancelled
    ├── WaitTimeoutError            the deadline passed; the job goes on; also a TimeoutError
    ├── DownloadError               files could not be fetched; the output is not affected
    ├── BudgetExceededError         a submit would go over a budget, or its price is not known; nothing was sent
    └── LedgerError                 the ledger cannot be read or written; a submit that raises it sent nothing
"""

from pathlib import Path
from typing import Any, NamedTuple

Facts = dict[str, Any]


class RunComfyError(Exception):
    """Root of everything this package raises.

    Attributes:
        model_id: The model the call was about, where known.
        request_id: The job the call was about, where known. The text of the error says it too.
    """

    model_id: str | None
    request_id: str | None

    def __init__(self, message: str, *, model_id: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id
        self.request_id = request_id

    def __str__(self) -> str:
        message = str(self.args[0]) if self.args else ""
        if self.request_id and self.request_id not in message:
            return f"{message} (request {self.request_id})"
        return message

    def _portable(self) -> Facts:
        """What travels in a pickle."""
        return dict(self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self._portable())


def _revive(cls: type[RunComfyError], args: tuple[Any, ...], facts: Facts) -> RunComfyError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigurationError(RunComfyError):
    """The client cannot be made, or cannot be used, as asked: no token, a bad base URL, a closed client."""


class InputProblem(NamedTuple):
    """One thing that is wrong with an input."""

    field: str
    """Where: ``"aspect_ratio"``, ``"loras[0].path"``."""
    message: str
    """What is wrong, in one sentence."""


class InputValidationError(RunComfyError, ValueError):
    """The input does not fit the model's schema. Nothing was sent, nothing was paid.

    Attributes:
        problems: Everything that is wrong, field by field.
    """

    problems: list[InputProblem]

    def __init__(self, subject: str, problems: list[InputProblem], *, model_id: str | None = None) -> None:
        lines = [f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in problems]
        super().__init__(f"invalid input for {subject}: " + "; ".join(lines), model_id=model_id)
        self.problems = problems


class APIConnectionError(RunComfyError):
    """The API could not be reached.

    Raised by a submit only when no byte of the request left, so that submitting again cannot pay twice.
    """


class SubmissionOutcomeUnknown(RunComfyError):
    """A submit was sent, and no answer told whether a job was accepted: it may run, and be charged.

    The client never repeats it by itself. Look at the request history of your account before submitting again.

    Attributes:
        payload_sha256: SHA-256 of the request body as sent, in hexadecimal.
        submitted_at: When the first byte of it was sent, in seconds since the epoch.
        status_code: HTTP status of the answer, or None where there was none.
        body: The body of the answer as received, or None where there was none.
    """

    payload_sha256: str
    submitted_at: float
    status_code: int | None
    body: bytes | None

    def __init__(
        self,
        message: str,
        *,
        model_id: str,
        payload_sha256: str,
        submitted_at: float,
        status_code: int | None = None,
        body: bytes | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, model_id=model_id, request_id=request_id)
        self.payload_sha256 = payload_sha256
        self.submitted_at = submitted_at
        self.status_code = status_code
        self.body = body


class APIStatusError(RunComfyError):
    """The API answered with a refusal.

    Attributes:
        status_code: HTTP status of the answer. It may be 200: the API can put an error code into a 200 answer.
        code: The API's own error code, such as 400002, or None.
        message: The API's own words, or None.
        detail: The API's ``detail`` as received (for an invalid input, usually a list), or None.
        body: The whole body as received.
        retry_after: Seconds that the API asks to wait before the next request, at most 30, or None.
    """

    status_code: int
    code: int | None
    message: str | None
    detail: Any
    body: bytes
    retry_after: float | None

    def __init__(
        self,
        text: str,
        *,
        status_code: int,
        code: int | None,
        message: str | None,
        detail: Any,
        body: bytes,
        retry_after: float | None = None,
        model_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, model_id=model_id, request_id=request_id)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.detail = detail
        self.body = body
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """HTTP 400, or any other 4xx without a class of its own."""


class AuthenticationError(APIStatusError):
    """HTTP 401, or error code 400004: the token is missing, revoked or expired, or the account is not active."""


class InsufficientBalanceError(APIStatusError):
    """HTTP 402, or error code 400002: the account's balance does not cover the call."""


class PermissionDeniedError(APIStatusError):
    """HTTP 403: the token may not do this, for example read a request of another account."""


class NotFoundError(APIStatusError):
    """HTTP 404: no such model, or the request does not exist, was deleted or has expired."""


class UnprocessableEntityError(APIStatusError):
    """HTTP 422: the API found the input invalid. `detail` says where."""


class RateLimitError(APIStatusError):
    """HTTP 429: too many requests."""


class InternalServerError(APIStatusError):
    """HTTP 5xx, after all repetitions that the deadline allowed."""


class ResponseMismatchError(RunComfyError):
    """The API answered about another request or model than it was asked about.

    Attributes:
        raw: The whole body as received, whose output may be yours all the same.
    """

    raw: dict[str, Any]

    def __init__(
        self, message: str, *, raw: dict[str, Any], request_id: str | None = None, model_id: str | None = None
    ) -> None:
        super().__init__(message, model_id=model_id, request_id=request_id)
        self.raw = raw


class JobFailedError(RunComfyError):
    """The job ended as failed.

    Attributes:
        error: The vendor's error as received: text, an object, a list, or None.
        raw: The whole body that told so.
    """

    error: Any
    raw: dict[str, Any]

    def __init__(
        self, message: str, *, error: Any, raw: dict[str, Any], request_id: str, model_id: str | None = None
    ) -> None:
        super().__init__(message, model_id=model_id, request_id=request_id)
        self.error = error
        self.raw = raw


class JobCancelledError(RunComfyError):
    """The job was cancelled before it ran.

    Attributes:
        raw: The whole body that told so.
    """

    raw: dict[str, Any]

    def __init__(self, message: str, *, raw: dict[str, Any], request_id: str, model_id: str | None = None) -> None:
        super().__init__(message, model_id=model_id, request_id=request_id)
        self.raw = raw


class WaitTimeoutError(RunComfyError, TimeoutError):
    """The deadline of a wait passed. The job was not cancelled and goes on.

    ``error.job.result(timeout=600)`` resumes the wait; in another process, ``client.job(error.request_id, …)`` does.

    Attributes:
        job: The job (a `Job` or an `AsyncJob`), or None after unpickling: a job cannot travel, its id can.
        state: The last state seen, or None.
    """

    job: Any
    state: str | None

    def __init__(self, message: str, *, request_id: str, state: str | None, model_id: str | None = None) -> None:
        super().__init__(message, model_id=model_id, request_id=request_id)
        self.job = None
        self.state = state

    def _portable(self) -> Facts:
        return {**super()._portable(), "job": None}


class DownloadFailure(NamedTuple):
    """One file that could not be fetched."""

    url: str
    """Its URL less the query, which may be a signature; of a ``data:`` URL what stands before the data."""
    reason: str
    """Why, in one sentence."""
    received: int
    """How many bytes of it had arrived; they are not kept."""


class DownloadError(RunComfyError):
    """Files could not be fetched. The output is not affected: ``output.save(…)`` may be called again.

    Attributes:
        saved: The files that are whole on the disk, those of an earlier call included.
        failures: What became of the others.
    """

    saved: list[Path]
    failures: list[DownloadFailure]

    def __init__(
        self,
        failures: list[DownloadFailure],
        saved: list[Path],
        *,
        request_id: str | None = None,
        model_id: str | None = None,
    ) -> None:
        words = "; ".join(f"{failure.url}: {failure.reason}" for failure in failures)
        count = len(failures) + len(saved)
        files = "1 file" if count == 1 else f"{len(failures)} of {count} files"
        super().__init__(f"{files} could not be downloaded: {words}", model_id=model_id, request_id=request_id)
        self.saved = saved
        self.failures = failures


class BudgetExceededError(RunComfyError):
    """A submit would go over a budget, or nobody can tell because its price is not known. Nothing was sent.

    Attributes:
        budget_usd: The budget, in US dollars.
        spent_usd: What counts against it so far; jobs whose cost the API has not told yet count with their price.
        price_usd: What the submit is taken to cost, or None where that is not known: ``Client(prices={id: …})`` tells
            it.
        run: The run of ``client.map`` that the budget is for, or None for that of the client.
    """

    budget_usd: float
    spent_usd: float
    price_usd: float | None
    run: str | None

    def __init__(
        self, model_id: str, *, budget_usd: float, spent_usd: float, price_usd: float | None, run: str | None
    ) -> None:
        of = f"the budget of {budget_usd:.6g} USD" + (f" of run {run!r}" if run else "")
        if price_usd is None:
            text = f"the price of {model_id} is not known, and {of} may not be exceeded: tell it in Client(prices=…)"
        else:
            spent = f"{spent_usd:.6g} USD are spent or set aside"
            text = f"a job of {model_id} for {price_usd:.6g} USD would go over {of}: {spent}"
        super().__init__(f"{text}. Nothing was sent.", model_id=model_id)
        self.budget_usd = budget_usd
        self.spent_usd = spent_usd
        self.price_usd = price_usd
        self.run = run


class LedgerError(RunComfyError):
    """The ledger cannot be read or written: no such folder, a full disk, no database.

    Where a submit raises it, nothing was sent.
    """
