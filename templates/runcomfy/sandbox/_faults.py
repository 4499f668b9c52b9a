"""Answers that a test asks the sandbox to give instead of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Endpoint = Literal["submit", "status", "result", "cancel", "models", "categories", "model", "balance"]


@dataclass(frozen=True)
class Fault:
    """One wrong answer to the next request of one endpoint."""

    endpoint: Endpoint
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_effect: bool = False
    """Whether the request is carried out all the same: a submit is accepted, and the caller is not told."""
