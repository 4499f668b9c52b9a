"""What can go wrong with an answer of the sandbox: scripted by a test, or drawn at random from a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from types import EllipsisType
from typing import Any, Literal, get_args

Endpoint = Literal["submit", "status", "result", "cancel", "models", "categories", "model", "balance", "output"]
Drop = Literal["answer", "reset", "headers", "body"]
_Ranges = Literal["ignored", "wrong_bytes", "wrong_header"]
_OddFile = Literal["changed", "endless"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request, once.

    With a `status` or a `body`, these are the answer, and the request is not carried out unless `takes_effect` says so.
    Otherwise the request is carried out and the answer is the sandbox's own, changed by `changes` and `headers`; but
    where the connection is dropped before any of the answer, it is carried out only if `takes_effect` says so.

    Args:
        endpoint: The endpoint whose next request is hit: ``"submit"``, ``"status"``, ``"result"``, ``"cancel"``,
            ``"models"``, ``"categories"``, ``"model"``, ``"balance"``, or ``"output"`` for the files of a job.
        status: The HTTP status; 200 where only a body is given.
        body: The body; empty where only a status is given.
        headers: Further headers, such as ``{"Retry-After": "2"}``; one with the value ``...`` is left out. Without a
            Content-Length, the body comes in chunks.
        takes_effect: Whether the request is carried out all the same: a submit is accepted, and its caller is not told.
        changes: Keys of the sandbox's own JSON body with other values; a key with the value ``...`` is left out.
        delay: Seconds before the answer, after the request took effect.
        drip: Seconds between any two bytes of the answer.
        drop: Where the connection is dropped: ``"answer"`` before it, ``"reset"`` the same with a reset, ``"headers"``
            and ``"body"`` half-way through them, a number after that many bytes of the body.
        length: The Content-Length, where it claims more or fewer bytes than are sent; the connection ends after these.
        ranges: How a range of a file is answered: ``"ignored"`` with the whole file, ``"wrong_bytes"`` with other bytes
            than those asked for, ``"wrong_header"`` with a ``Content-Range`` of another place and another size.
        file: Which file is served: ``"changed"`` another one of the same kind, with an ETag of its own; ``"endless"``
            the file over and over until the client hangs up, in chunks, or with a `length` until that is reached.
        request_id: Hit only requests about this job: its status, result, cancel or files.

    Raises:
        ValueError: a value is none of those above, or two of them exclude each other: `changes`, `ranges` and `file`
            are about the sandbox's own answer, `changes` about JSON, `ranges` and `file` about files, and an endless
            file has no end to be dropped before.
    """

    endpoint: Endpoint
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str | EllipsisType] = field(default_factory=dict)
    takes_effect: bool | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    drop: Drop | int | None = None
    length: int | None = None
    ranges: _Ranges | None = None
    file: _OddFile | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        has_file, is_endless = self.endpoint == "output" and self.is_own_answer, self.file == "endless"
        checks = {
            "endpoint": self.endpoint in get_args(Endpoint),
            "status": self.status is None or (isinstance(self.status, int) and 200 <= self.status <= 599),
            "body": self.body is None or isinstance(self.body, bytes),
            "headers": all(_is_header(name, value) for name, value in self.headers.items()),
            "delay": isinstance(self.delay, int | float) and self.delay >= 0,
            "drip": isinstance(self.drip, int | float) and self.drip >= 0 and not (is_endless and self.drip),
            "drop": self.drop is None or ((self.drop in get_args(Drop) or _is_size(self.drop)) and not is_endless),
            "length": self.length is None or _is_size(self.length),
            "ranges": self.ranges is None or (self.ranges in get_args(_Ranges) and has_file),
            "file": self.file is None or (self.file in get_args(_OddFile) and has_file),
            "changes": not self.changes or (self.is_own_answer and self.endpoint != "output"),
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

    @property
    def is_broken(self) -> bool:
        """Whether no web framework would send such an answer."""
        return self.drop is not None or self.drip > 0 or (self.length is not None and self.file != "endless")

    def hits(self, endpoint: Endpoint, request_id: str | None) -> bool:
        """Whether a request is one that this is meant for."""
        return self.endpoint == endpoint and self.request_id in (None, request_id)


def _is_header(name: Any, value: Any) -> bool:
    is_text = isinstance(name, str) and isinstance(value, str)
    return value is ... or (is_text and name.lower() != "content-length")  # which `length` tells


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
    "output": [
        *(Fault("output", status, headers=_SOON) for status in (408, 429, 500, 502, 503, 504)),
        *(Fault("output", status) for status in (403, 404, 416)),
        *(Fault("output", 302, headers=headers) for headers in ({}, {"Location": "http://127.0.0.1:9/output.png"})),
        Fault("output", 200, _HTML, {"Content-Type": "text/html"}),
        Fault("output", 200, b""),
        Fault("output", headers={"Content-Type": "text/html"}),
        Fault("output", headers={"Content-Length": ...}),
        Fault("output", headers={"ETag": ..., "Accept-Ranges": ...}),
        *(Fault("output", drop=drop) for drop in ("answer", "reset", "headers", "body", 0, 1)),
        Fault("output", headers={"Content-Length": ...}, drop="body"),
        Fault("output", length=10**9),
        Fault("output", ranges="ignored"),
        Fault("output", ranges="wrong_header"),
        Fault("output", file="changed"),
        Fault("output", delay=0.01),
    ],
}
"""The faults that are drawn at random. None of them makes the sandbox tell of an end that is not the true one, and none
of them looks like a whole file that is not the job's."""


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
