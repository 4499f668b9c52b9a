"""What an answer of the API means, decided once.

The error code in the body decides first, even at HTTP 200: the first three digits of a six-digit code are an HTTP
status. Without one, the HTTP status decides.
"""

import json
from typing import Any

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
_ADVICE: dict[type[APIStatusError], str] = {
    AuthenticationError: "check the token: RUNCOMFY_TOKEN, or Client(token=…)",
    InsufficientBalanceError: "top up the account's balance",
    PermissionDeniedError: "the token has no access to it",
    RateLimitError: "slow down and try again later",
}


def json_object(response: Response) -> dict[str, Any] | None:
    """The body as a JSON object, or None where it is anything else (HTML, cut off, a list, not UTF-8)."""
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def error_code(body: dict[str, Any] | None) -> int | None:
    """The ``error_code`` of a body: an integer, also where it is sent as digits."""
    code = body.get("error_code") if body else None
    if isinstance(code, str) and code.isdecimal() and len(code) <= 9:
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def effective_status(response: Response) -> int:
    """The status that counts: ``{"error_code": 403001}`` at HTTP 200 -> 403."""
    code = error_code(json_object(response))
    return code // 1000 if code is not None and 400_000 <= code < 600_000 else response.status


def is_refusal(response: Response) -> bool:
    """Whether an answer to a submit proves that no job was accepted."""
    status = effective_status(response)
    return 400 <= status < 500 and status != 408


def is_worth_repeating(response: Response) -> bool:
    """Whether the same read may well succeed a little later."""
    status = effective_status(response)
    return status in (408, 429) or status >= 500 or (200 <= status < 300 and json_object(response) is None)


def is_request_id(value: object) -> bool:
    """Whether a value can be an id: ids are opaque, but each is a segment of a path."""
    return isinstance(value, str) and value not in ("", ".", "..") and value.isprintable() and len(value) <= 1000


def request_id(response: Response) -> str | None:
    """The id in the answer to an accepted submit, or None where there is none to be read."""
    value = (json_object(response) or {}).get("request_id")
    return value if is_request_id(value) else None


def summary(response: Response) -> str:
    """An answer in a few words: ``"HTTP 400, code 400001: no such model"``."""
    body = json_object(response) or {}
    code = error_code(body)
    message = _message(body)
    text = f"HTTP {response.status}" + (f", code {code}" if code is not None else "")
    if message:
        return f"{text}: {message if len(message) <= 500 else message[:499] + '…'}"
    return text if body else f"{text}: {_excerpt(response.body)}"


def status_error(
    response: Response, doing: str, *, model_id: str | None = None, request_id: str | None = None
) -> APIStatusError:
    """The error for an answer that is a refusal."""
    body = json_object(response) or {}
    code = error_code(body)
    status = effective_status(response)
    default = InternalServerError if status >= 500 else BadRequestError if status >= 400 else APIStatusError
    cls = _CLASS_OF_CODE.get(code) or _CLASS_OF_STATUS.get(status, default)
    advice = _ADVICE.get(cls)
    if 300 <= status < 400:
        advice = "redirects are never followed, so that the token goes nowhere else: check the base URL"
    return cls(
        f"{doing}: {summary(response)}" + (f" ({advice})" if advice else ""),
        status_code=response.status,
        code=code,
        message=_message(body),
        detail=body.get("detail"),
        body=response.body,
        model_id=model_id,
        request_id=request_id,
    )


def failure_text(error: object) -> str | None:
    """The words of a failed job's ``error``: text, an object with a message, or a list of them."""
    if isinstance(error, list):
        return "; ".join(filter(None, map(failure_text, error))) or None
    if isinstance(error, dict):
        return _message(error) or json.dumps(error, ensure_ascii=False)[:500]
    return str(error) if error not in (None, "") else None


def _message(body: dict[str, Any]) -> str | None:
    for key in ("error_message", "message", "error", "detail"):
        value = body.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:1200].decode("utf-8", errors="replace").split())
    return f"{text[:300]}…" if len(text) > 300 else text or "an empty body"
