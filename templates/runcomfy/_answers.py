"""What an answer of the API means, decided once.

The error code in the body decides first, even at HTTP 200: the first three digits of a six-digit code are an HTTP
status. Without one, the HTTP status decides.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from ._blot import blotted_value
from ._errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InsufficientBalanceError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from ._http_types import Response
from ._pace import retry_after
from ._status import end_of

NOT_READY = 400005
"""Some answers to a result that is not there yet are HTTP 400 with this code; others are 200 with the state."""

_CLASS_OF_CODE: dict[int | None, type[APIStatusError]] = {
    400002: InsufficientBalanceError,
    400004: AuthenticationError,
}
_CLASS_OF_STATUS: dict[int, type[APIStatusError]] = {
    401: AuthenticationError,
    402: InsufficientBalanceError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_ENVELOPE = frozenset(
    "request_id status status_url result_url cancel_url queue_position created_at finished_at cost model_id input"
    " error error_code error_message message detail instance_id outcome".split()
)
_ADVICE: dict[type[APIStatusError], str] = {
    AuthenticationError: "check the token: RUNCOMFY_TOKEN, or Client(token=…)",
    InsufficientBalanceError: "top up the account's balance",
    InternalServerError: "the API's own trouble: try again later",
    NotFoundError: "check the id; the API forgets requests after some time, and models change their ids",
    PermissionDeniedError: "the token has no access to it; check that it is the token of the right account",
    RateLimitError: "slow down and try again later",
    UnprocessableEntityError: "change what the API names; if your schema allows it, the schema has aged",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read once."""

    http_status: int
    body: bytes
    """As received, less the token."""
    value: Any
    """The body as JSON; None where it is none: HTML, cut off, not UTF-8."""
    retry_after: float | None
    """Seconds that the server asks to wait before the next request."""

    @property
    def fields(self) -> dict[str, Any]:
        """The body where it is a JSON object, else an empty one."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def code(self) -> int | None:
        """The ``error_code``: an integer, also where it is sent as digits."""
        code = self.fields.get("error_code")
        if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) <= 9:
            return int(code)
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    @property
    def status(self) -> int:
        """The status that counts: ``{"error_code": 403001}`` at HTTP 200 is 403."""
        code = self.code
        return code // 1000 if code is not None and 400_000 <= code < 600_000 else self.http_status

    @property
    def is_success(self) -> bool:
        """Whether the API says that it did what was asked."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether an answer to a submit proves that no job was accepted."""
        return 400 <= self.status < 500 and self.status != 408

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the same read may well succeed a little later."""
        return self.status in (408, 429) or self.status >= 500 or self.is_success

    @property
    def request_id(self) -> str | None:
        """The request that the answer names, or None."""
        value = self.fields.get("request_id")
        return value if is_request_id(value) else None

    @property
    def message(self) -> str | None:
        """The API's own words for what is wrong."""
        return _message(self.fields)

    def tells_the_end_of(self, request_id: str) -> bool:
        """Whether it says how this very request ended, whatever else it says: a 500 may carry a paid result.

        The word ``error`` does not: it is as well that of a gateway.
        """
        state = self.fields.get("status")
        if self.fields.get("output") is not None:
            return end_of(state) == "completed"
        return self.request_id == request_id and end_of(state) is not None and state != "error"

    def __str__(self) -> str:
        """In a few words: ``"HTTP 400, code 400001: no such model"``."""
        text = f"HTTP {self.http_status}" + (f", code {self.code}" if self.code is not None else "")
        if self.message:
            return f"{text}: {shortened(self.message, 500)}"
        return text if self.code is not None else f"{text}: {_excerpt(self.body)}"


def read(response: Response) -> Answer:
    """Read an answer; nothing in it can make this fail."""
    try:
        value = json.loads(response.body)
        if response.blotted is not None:
            value = blotted_value(value, response.blotted)
    except (ValueError, RecursionError):
        value = None
    return Answer(response.status, response.body, value, retry_after(response.retry_after))


def is_request_id(value: object) -> bool:
    """Whether a value can be an id: ids are opaque, but each is a segment of a path."""
    return isinstance(value, str) and value not in ("", ".", "..") and value.isprintable() and len(value) <= 1000


def is_model_id(value: object) -> TypeGuard[str]:
    """Whether a value can be the id of a model: a path below ``models/``."""
    return isinstance(value, str) and not any(
        segment in ("", ".", "..") or "\\" in segment or not segment.isprintable() for segment in value.split("/")
    )


def status_error(
    answer: Answer, doing: str, *, model_id: str | None = None, request_id: str | None = None
) -> APIStatusError:
    """The error for an answer that is a refusal."""
    default = (
        InternalServerError if answer.status >= 500 else BadRequestError if answer.status >= 400 else APIStatusError
    )
    cls = _CLASS_OF_CODE.get(answer.code) or _CLASS_OF_STATUS.get(answer.status, default)
    advice = _ADVICE.get(cls)
    if answer.status == 400 and not advice:
        advice = "check the id and the input"
    if 300 <= answer.status < 400:
        advice = "redirects are never followed, so that the token goes nowhere else: check the base URL"
    wait = f"the API asks to wait {answer.retry_after:g} s" if answer.retry_after is not None else None
    hints = "; ".join(filter(None, (advice, wait)))
    return cls(
        f"{doing}: {answer}" + (f" ({hints})" if hints else ""),
        status_code=answer.http_status,
        code=answer.code,
        message=answer.message,
        detail=answer.fields.get("detail"),
        body=answer.body,
        retry_after=answer.retry_after,
        model_id=model_id,
        request_id=request_id,
    )


def output_in(body: dict[str, Any]) -> Any:
    """The output in a result body: its ``output``, or else what it holds beside what every body holds, if media."""
    if "output" in body:
        return body["output"]
    rest = {key: value for key, value in body.items() if key not in _ENVELOPE}
    return rest if has_url(list(rest.values())) else None


def has_url(value: Any, depth: int = 3) -> bool:
    """Whether there is the address of a file in a value, or in what it holds."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return depth > 0 and any(has_url(part, depth - 1) for part in parts)
    return is_url(value)


def is_url(value: Any) -> bool:
    """Whether a value is the address of a file."""
    return isinstance(value, str) and value.startswith(("https:", "http:", "data:"))


def failure_text(error: object) -> str | None:
    """The words of a failed job's ``error``: text, an object with a message, or a list of them."""
    parts = error if isinstance(error, list) else [error]
    return "; ".join(text for part in parts if (text := _words(part))) or None


def _words(error: object) -> str | None:
    if error is None or isinstance(error, str):
        return error
    message = _message(error) if isinstance(error, dict) else None
    try:
        return shortened(message or json.dumps(error, ensure_ascii=False), 2000)
    except RecursionError:
        return None


def _message(body: dict[str, Any]) -> str | None:
    for key in ("error_message", "message", "error", "detail"):
        value = body.get(key)
        if isinstance(value, dict):  # {"error": {"message": …}}
            value = value.get("message")
        if isinstance(value, str) and value:
            return value
    return None


def _excerpt(body: bytes) -> str:
    return shortened(" ".join(body[:1200].decode("utf-8", errors="replace").split()), 300) or "an empty body"


def shortened(text: str, length: int) -> str:
    """A text of at most so many characters, with a sign where it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
