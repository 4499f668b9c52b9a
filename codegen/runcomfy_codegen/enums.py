"""The enums of a published schema: the values decide, whatever the type beside them says."""

from typing import Any

from .errors import Place, Report
from .limits import limits
from .literals import is_text
from .plain import JSON_TYPES, NULL, Plain, fits, fitting, identity, union

_LITERAL_INTEGERS = range(-(2**63), 2**63)
"""Type checkers know no Literal beyond 64 bits."""


def enum(schema: dict[str, Any], types: list[str], at: Place, report: Report) -> Plain | None:
    """The values of an ``enum`` or a ``const``; None without one, and where its values are no scalars."""
    if "enum" not in schema and "const" not in schema:
        return None
    at = (*at, "enum" if "enum" in schema else "const")
    values = _scalars(_declared(schema, types, at, report), at, report)
    if not values:
        return None
    typed = union({"type": type_} for type_ in types if type_ not in ("array", "object")) if types else {}
    fine = set(map(identity, fitting(values, typed)))
    if wrong := [value for value in values if value is not None and identity(value) not in fine]:
        report.note(at, f"has {wrong[0]!r}, which is not of the declared type; the enum decides")
    values = _within_limits(schema, values, at, report)
    folded = [value.casefold() for value in values if isinstance(value, str)]
    if len(set(folded)) < len(folded):
        report.note(at, "has values that differ only in case; all are kept")
    if "" in folded:
        report.note(at, "has an empty string; it is kept")
    return union(_alternatives(values))


def _declared(schema: dict[str, Any], types: list[str], at: Place, report: Report) -> list[Any]:
    values = schema["enum"] if "enum" in schema else [schema["const"]]
    if not isinstance(values, list):
        report.fail(at, "is not a list of values")
    if not values:
        report.fail(at, "is empty")
    if "integer" in types and "number" not in types:  # JSON writes 5 and 5.0 for the same
        values = [int(value) if isinstance(value, float) and value == int(value) else value for value in values]
    if "enum" in schema and "const" in schema:
        values = [value for value in values if value == schema["const"]]
        if not values:
            report.fail(at, f"does not contain the value of const, {schema['const']!r}")
    return values


def _scalars(values: list[Any], at: Place, report: Report) -> list[Any]:
    """The values without repetitions; none, if some are objects or lists: that is no choice among the others."""
    kept: dict[tuple[bool, object], Any] = {}
    for index, value in enumerate(values):
        if isinstance(value, dict | list):
            report.note((*at, index), "is an object or a list; the values are not checked")
            return []
        if isinstance(value, str) and not is_text(value):
            report.fail((*at, index), f"{value!r} holds half a surrogate pair, which cannot be sent")
        if identity(value) in kept:
            report.note((*at, index), f"{value!r} stands twice; it counts once")
        kept.setdefault(identity(value), value)
    return list(kept.values())


def _within_limits(schema: dict[str, Any], values: list[Any], at: Place, report: Report) -> list[Any]:
    """The values that keep the limits beside the enum; all of them, where none does."""
    limited = {type_: {"type": type_, **limits(schema, type_, at[:-1], report)} for type_ in JSON_TYPES.values()}
    kept = [value for value in values if value is None or fits(value, limited[JSON_TYPES[type(value)]])]
    if kept and len(kept) < len(values):
        report.note(at, "has values that break the limits beside it; they are left out")
    elif len(kept) < len(values):
        report.note(at, "has no value that keeps the limits beside it; those are not checked")
    return kept or values


def _alternatives(values: list[Any]) -> list[Plain]:
    """What a Literal can hold, and what it cannot: all numbers, as soon as one is a fraction or too large."""
    present = [value for value in values if value is not None]
    numbers = [value for value in present if isinstance(value, int | float) and not isinstance(value, bool)]
    if all(isinstance(value, int) and value in _LITERAL_INTEGERS for value in numbers):
        numbers = []
    literals = [value for value in present if isinstance(value, str | bool) or not numbers]
    found: list[Plain] = [{"enum": literals}] if literals else []
    if numbers:
        type_ = "integer" if all(isinstance(value, int) for value in numbers) else "number"
        found.append({"type": type_, "values": numbers})
    return [*found, *([NULL] if None in values else [])]
