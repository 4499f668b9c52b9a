"""What a change of a schema means for callers: one table, and what follows from it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

Side = Literal["model", "input", "output"]


class Impact(IntEnum):
    """How much a change asks of callers."""

    COSMETIC = 1
    """Nothing: only what they are told has changed."""
    COMPATIBLE = 2
    """Nothing: what worked goes on working."""
    BREAKING = 3
    """What worked may be refused, or may come as something else."""

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def bump(self) -> str:
        """The part of a semantic version that goes up."""
        return {Impact.COSMETIC: "patch", Impact.COMPATIBLE: "minor", Impact.BREAKING: "major"}[self]


_COSMETIC, _COMPATIBLE, _BREAKING = Impact

RULES: dict[str, tuple[Impact, Impact]] = {
    # What is sent has to fit the new schema; what comes back has to fit the code that was written for the old one.
    # rule                       in the input  in the output
    "field added":              (_COMPATIBLE, _COMPATIBLE),
    "required field added":     (_BREAKING,   _COMPATIBLE),
    "field removed":            (_BREAKING,   _BREAKING),
    "field likely renamed":     (_BREAKING,   _BREAKING),
    "Python name changed":      (_BREAKING,   _BREAKING),
    "class renamed":            (_BREAKING,   _BREAKING),
    "became required":          (_BREAKING,   _COMPATIBLE),
    "became optional":          (_COMPATIBLE, _BREAKING),
    "type widened":             (_COMPATIBLE, _BREAKING),
    "type narrowed":            (_BREAKING,   _COMPATIBLE),
    "type changed":             (_BREAKING,   _BREAKING),
    "enum value added":         (_COMPATIBLE, _BREAKING),
    "enum value removed":       (_BREAKING,   _COMPATIBLE),
    "limit loosened":           (_COMPATIBLE, _BREAKING),
    "limit tightened":          (_BREAKING,   _COMPATIBLE),
    "limit changed":            (_BREAKING,   _BREAKING),
    "became media":             (_COMPATIBLE, _COMPATIBLE),
    "media kind changed":       (_BREAKING,   _BREAKING),
    "sample changed":           (_COSMETIC,   _COSMETIC),
    "text changed":             (_COSMETIC,   _COSMETIC),
}  # fmt: skip
"""What may happen to a field."""

MODEL_RULES: dict[str, Impact] = {
    "model added": _COMPATIBLE,
    "model removed": _BREAKING,
    "model likely renamed": _BREAKING,
    "import path changed": _BREAKING,
    "price changed": _COMPATIBLE,
    "text changed": _COSMETIC,
}
"""What may happen to a model as a whole."""


class Found(NamedTuple):
    """One change of a field."""

    field: str
    """``loras[].path``; empty for the whole."""
    rule: str
    before: str
    """As people read it; empty where there was nothing."""
    after: str


@dataclass(frozen=True)
class Change:
    """One change of one schema file."""

    file: str
    model_id: str
    side: Side
    field: str
    """``loras[].path``; empty for a whole model."""
    rule: str
    before: str
    """As people read it; empty where there was nothing."""
    after: str

    @property
    def impact(self) -> Impact:
        if self.side == "model":
            return MODEL_RULES[self.rule]
        return RULES[self.rule][self.side == "output"]


def worst(changes: list[Change]) -> Impact | None:
    """The gravest impact; None where nothing has changed."""
    return max((change.impact for change in changes), default=None)
