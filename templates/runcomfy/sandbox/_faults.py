"""What can go wrong with an answer of the sandbox: scripted by a test, or drawn at random from a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, get_args

Endpoint = Literal["submit", "status", "result", "cancel", "models", "categories", "model", "balance"]
Drop = Literal["answer", "reset", "headers", "body"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request, once.

    With a `status` or a `body`, these are the answer, and the request is not carried out unless `takes_effect` says so.
    Otherwise the request is carried out and the answer is the sandbox's own, changed by `changes` and `headers`; but
    where the connection is dropped before any of the answer, it is carried out only if `takes_effect` says so.

    Args:
        endpoint: The endpoint whose next request is hit: ``"submit"``, ``"status"``, ``"result"``, ``"cancel"``,
            ``"models"``, ``"categories"``, ``"model"`` or ``"balance"``.
        status: The HTTP status; 200 where only a body is given.
        body: The body; empty where only a status is given.
        headers: Further headers, such as ``{"Retry-After": "2"}``.
        takes_effect: Whether the request is carried out all the same: a submit is accepted, and its caller is not told.
        changes: Keys of the sandbox's own JSON body with other values; a key with the value ``...`` is left out.
        delay: Seconds before the answer, after the request took effect.
        drip: Seconds between any two bytes of the answer.
        drop: Where the connection is dropped: ``"answer"`` before it, ``"reset"`` the same with a reset, ``"headers"``
            and ``"body"`` half-way through them.
        request_id: Hit only requests about this job: its status, result or cancel.

    Raises:
        ValueError: a value is none of those above, or `changes` stand beside a `status` or a `body`.
    """

    endpoint: Endpoint
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_effect: bool | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    drop: Drop | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        checks = {
            "endpoint": self.endpoint in get_args(Endpoint),
            "status": self.status is None or (isinstance(self.status, int) and 200 <= self.status <= 599),
            "body": self.body is None or isinstance(self.body, bytes),
            "headers": all(isinstance(text, str) for pair in self.headers.items() for text in pair),
            "delay": isinstance(self.delay, int | float) and self.delay >= 0,
            "drip": isinstance(self.drip, int | float) and self.drip >= 0,
            "drop": self.drop is None or self.drop in get_args(Drop),
            "changes": not self.changes or self.is_own_answer,
        }
        if wrong := [f"{name}={getattr(self, name)!r}" for name, is_right in checks.items() if not is_right]:
            raise ValueError(f"no such fault: {', '.join(wrong)}")

    @property
    def is_own_answer(self) -> bool:
        """Whether the answer is the sandbox's own, so that it has to carry out the request to have one."""
        return self.status is None and self.body is None and self.drop not in ("answer", "reset")

    @property
    def is_carried_out(self) -> bool:
        """Whether the request has its effect."""
        return self.is_own_answer if self.takes_effect is None else self.takes_effect or self.is_own_answer

    def hits(self, endpoint: Endpoint, request_id: str | None) -> bool:
        """Whether a request is one that this is meant for."""
        return self.endpoint == endpoint and self.request_id in (None, request_id)


_HTML = b"<html><body><h1>Bad gateway</h1></body></html>"
_SOON = {"Retry-After": "0"}


def _of_any(endpoint: Endpoint) -> list[Fault]:
    """What may happen to a request of every endpoint without it being carried out."""
    statuses = [Fault(endpoint, status, headers=_SOON) for status in (408, 500, 502, 503, 504)]
    bodies = [b"", _HTML, b'{"error_code": 500001, "error_message": "oops"}', b'{"status": "comp', b"\xff\xfe", b"null"]
    return [
        *statuses,
        Fault(endpoint, 429, b'{"error_message": "slow down"}', _SOON),
        *(Fault(endpoint, 200, body) for body in bodies),
        Fault(endpoint, drop="answer"),
        Fault(endpoint, drop="reset"),
        Fault(endpoint, delay=0.01),
    ]


def _though_done(endpoint: Endpoint) -> list[Fault]:
    """What may happen to the answer of a request that was carried out. A refusal is none: that would be a lie."""
    return [replace(fault, takes_effect=True) for fault in _of_any(endpoint) if fault.status != 429]


_ODD_STATES = ("in_queue", "in_progress", "warming_up", "", None, 7, ["completed"])
POSSIBLE: dict[Endpoint, list[Fault]] = {
    "submit": [
        *_of_any("submit"),
        *_though_done("submit"),
        *(Fault("submit", status) for status in (301, 307, 400, 401, 402, 403, 404, 422)),
        Fault("submit", drop="headers"),
        Fault("submit", drop="body"),
        *(Fault("submit", changes={"request_id": value}) for value in (..., None, 7, "", "..", ["id"])),
        Fault("submit", changes={"status_url": "https://elsewhere.example/", "result_url": 5, "status": "in_queue"}),
    ],
    "status": [
        *_of_any("status"),
        Fault("status", drop="headers"),
        Fault("status", drop="body"),
        *(Fault("status", changes={"status": state}) for state in _ODD_STATES),
        Fault("status", changes={"queue_position": "first", "status_url": "https://elsewhere.example/"}),
    ],
    "result": [
        *_of_any("result"),
        Fault("result", drop="headers"),
        Fault("result", drop="body"),
        Fault("result", 400, b'{"error_code": 400005, "error_message": "not ready"}'),
        *(Fault("result", changes={"status": state, "output": ...}) for state in ("in_queue", "in_progress")),
    ],
    "cancel": [*_of_any("cancel"), *_though_done("cancel"), Fault("cancel", drop="body")],
    "models": _of_any("models"),
    "categories": _of_any("categories"),
    "model": _of_any("model"),
    "balance": _of_any("balance"),
}
"""The faults that are drawn at random. None of them makes the sandbox tell of an end that is not the true one."""


class Faults(list[Fault]):
    """The faults to come, in order; append to it. `at_random` adds others between them."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = 0.0
        self._random = Random()

    def at_random(self, rate: float, seed: int) -> None:
        """From now on, let this part of all requests go wrong, in an order that the seed decides.

        Args:
            rate: How many, from 0 for none to 1 for all.
            seed: The same seed makes the same faults for the same requests.

        Raises:
            ValueError: `rate` is not between 0 and 1.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"rate: {rate!r} is not between 0 and 1")
        self._rate = rate
        self._random = Random(seed)

    def clear(self) -> None:
        """Forget all faults to come, those at random as well."""
        super().clear()
        self._rate = 0.0

    def take(self, endpoint: Endpoint, request_id: str | None) -> Fault | None:
        """The fault of one request, which is no longer to come; None where all goes well."""
        for index, fault in enumerate(self):
            if fault.hits(endpoint, request_id):
                return self.pop(index)
        if self._rate and self._random.random() < self._rate:
            return self._random.choice(POSSIBLE[endpoint])
        return None
